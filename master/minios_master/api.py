"""The master's REST interface, as the command line uses it.

Source: Buildbot manual, "REST API" (`/api/v2`) and "Data API".
"""

from __future__ import annotations

from typing import Any

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

from minios_steps.core.errors import MiniosError

from .local_worker_names import COORDINATOR, LOCAL_PREFIX

TIMEOUT = 30
"""Seconds a request may take; the master is on this machine."""


_RETRY = Retrying(
    retry=retry_if_exception_type(requests.RequestException),
    stop=stop_after_attempt(5),
    wait=wait_exponential(multiplier=0.05, max=1) + wait_random(0, 0.1),
    reraise=True,
)


class NoAnswerError(MiniosError):
    """The master is gone, or hangs."""


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
        # On loopback nothing is gained by packing.
        self._session.headers["Accept-Encoding"] = "identity"

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The answer to a GET below `/api/v2/`.

        A connection that ends before the answer is there is tried again: to ask twice changes nothing.

        Raises:
            NoAnswerError: there is no master at the address, or it says nothing.
            MiniosError: it answers with an error.
        """
        try:
            found: dict[str, Any] = _RETRY(self._get_once, path, query)
        except requests.HTTPError as error:
            raise MiniosError(f"the master answered {error.response.status_code} to {path}") from error
        except requests.RequestException as error:
            raise self._no_answer(error) from error
        return found

    def _get_once(self, path: str, query: dict[str, Any]) -> Any:
        answer = self._session.get(f"{self.url}api/v2/{path}", params=query, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json()

    def control(self, path: str, method: str, **params: Any) -> Any:
        """Call a control method, once.

        Raises:
            NoAnswerError: there is no master at the address, or it says nothing.
            MiniosError: it refuses, in its own words.
        """
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        try:
            answer = self._session.post(f"{self.url}api/v2/{path}", json=body, timeout=TIMEOUT)
            told = answer.json()
        except ValueError as error:
            raise MiniosError(f"the master answered {answer.status_code} to {method}") from error
        except requests.RequestException as error:
            raise self._no_answer(error) from error
        if not isinstance(told, dict):
            raise MiniosError(f"the master answered {answer.status_code} to {method}")
        if "error" in told:
            raise MiniosError(f"the master refused {method}: {_words(told['error'])}")
        return told.get("result")

    def is_ready(self) -> bool:
        """Whether the builders are there and every local worker is connected; the caller asks again."""
        try:
            schedulers = self._get_once("forceschedulers", {})["forceschedulers"]
            workers = self._get_once("workers", {})["workers"]
        except requests.RequestException:
            return False
        if not schedulers:
            return False
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

    def force_nightly(self, reason: str) -> int:
        """Queue a nightly; returns the id of its build request."""
        _, requests_by_builder = self.control("forceschedulers/nightly", "force", reason=reason)
        return int(next(iter(requests_by_builder.values())))

    def is_busy(self, builder: str) -> bool:
        """Whether a builder has something queued or running."""
        builders = self.get("builders", name=builder)["builders"]
        return any(
            self.get(f"builders/{one['builderid']}/buildrequests", complete="false")["buildrequests"]
            for one in builders
        )

    def build_of_request(self, brid: int) -> dict[str, Any] | None:
        """The newest build of a request; None while it is queued."""
        builds = self.get(f"buildrequests/{brid}/builds")["builds"]
        return max(builds, key=lambda build: build["number"]) if builds else None

    def request(self, brid: int) -> dict[str, Any]:
        """A build request."""
        found: dict[str, Any] = self.get(f"buildrequests/{brid}")["buildrequests"][0]
        return found

    def is_complete(self, build_id: int) -> bool:
        """Whether a build has ended; the cheapest question there is."""
        build = self.get(f"builds/{build_id}", field="complete")["builds"][0]
        return bool(build["complete"])

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

    def _no_answer(self, error: requests.RequestException) -> NoAnswerError:
        late = isinstance(error, requests.Timeout)
        how = f"said nothing for {TIMEOUT} s" if late else "does not answer"
        return NoAnswerError(f"the master at {self.url} {how}", details=str(error))


def _words(error: Any) -> str:
    """What Buildbot says of a refusal: a message, or one for each parameter, or a bare text."""
    message = error.get("message") if isinstance(error, dict) else error
    if isinstance(message, dict):
        return "; ".join(f"{name}: {what}" for name, what in message.items())
    return str(message)
