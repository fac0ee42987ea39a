"""The master's REST interface, as the command line uses it.

Source: Buildbot manual, "REST API" (`/api/v2`) and "Data API".
"""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from minios_steps.core.errors import MiniosError

from .local_worker_names import COORDINATOR, LOCAL_PREFIX

TIMEOUT = 30
"""Seconds a request may take; the master is on this machine."""


class MasterApi:
    """A running master.

    Args:
        url: its web address, with a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        # A proxy that the environment names must not see loopback traffic.
        self._session.trust_env = False
        # Twisted closes a connection a minute after it was made, whatever happens on it.
        self._session.headers["Connection"] = "close"
        # Now and then Buildbot marks a plain answer as gzip; on loopback nothing is gained by it.
        self._session.headers["Accept-Encoding"] = "identity"
        retries = Retry(total=3, backoff_factor=0.2, allowed_methods={"GET"})
        self._session.mount("http://", HTTPAdapter(max_retries=retries))

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The answer to a GET below `/api/v2/`."""
        answer = self._session.get(f"{self.url}api/v2/{path}", params=query, timeout=TIMEOUT)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def control(self, path: str, method: str, **params: Any) -> Any:
        """Call a control method; raises `MiniosError` with the master's own words."""
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        answer = self._session.post(f"{self.url}api/v2/{path}", json=body, timeout=TIMEOUT)
        try:
            told = answer.json()
        except ValueError as error:
            raise MiniosError(f"the master answered {answer.status_code} to {method}") from error
        if "error" in told:
            raise MiniosError(f"the master refused {method}: {told['error'].get('message')}")
        return told.get("result")

    def is_ready(self) -> bool:
        """Whether the builders are there and every local worker is connected."""
        if not self.get("forceschedulers")["forceschedulers"]:
            return False
        workers = self.get("workers")["workers"]
        local = [w for w in workers if w["name"] == COORDINATOR or w["name"].startswith(LOCAL_PREFIX)]
        # A worker of an earlier run that is no longer configured stays listed, configured on nothing.
        local = [w for w in local if w["configured_on"]]
        return bool(local) and all(worker["connected_to"] for worker in local)

    def cancel_leftovers(self) -> int:
        """Cancel what an earlier, killed run left queued; returns how many there were."""
        left = self.get("buildrequests", complete="false")["buildrequests"]
        for request in left:
            self.control(f"buildrequests/{request['buildrequestid']}", "cancel", reason="left over")
        return len(left)

    def force_matrix(self, **choices: Any) -> int:
        """Queue a matrix build; returns the id of its build request."""
        _, requests_by_builder = self.control("forceschedulers/matrix", "force", **choices)
        return int(next(iter(requests_by_builder.values())))

    def build_of_request(self, brid: int) -> dict[str, Any] | None:
        """The newest build of a request; None while it is queued."""
        builds = self.get(f"buildrequests/{brid}/builds")["builds"]
        return max(builds, key=lambda build: build["number"]) if builds else None

    def request(self, brid: int) -> dict[str, Any]:
        """A build request."""
        found: dict[str, Any] = self.get(f"buildrequests/{brid}")["buildrequests"][0]
        return found

    def children(self, build_id: int) -> list[dict[str, Any]]:
        """The builds a build triggered, with their `version`, `variant` and `reused`."""
        builds: list[dict[str, Any]] = self.get(f"builds/{build_id}/triggered_builds")["builds"]
        return builds

    def steps(self, build_id: int) -> list[dict[str, Any]]:
        """A build's steps, in order."""
        found: list[dict[str, Any]] = self.get(f"builds/{build_id}/steps")["steps"]
        return found

    def properties(self, build_id: int) -> dict[str, Any]:
        """A build's properties, values only."""
        found = self.get(f"builds/{build_id}/properties")["properties"][0]
        return {name: pair[0] for name, pair in found.items() if isinstance(pair, list)}

    def builder_names(self) -> dict[int, str]:
        """Builder ids and names."""
        return {b["builderid"]: b["name"] for b in self.get("builders")["builders"]}

    def stop_build(self, build_id: int, reason: str) -> None:
        """Ask a build, and what it triggered, to stop."""
        self.control(f"builds/{build_id}", "stop", reason=reason)
