"""`ReuseCandidate`: what was built from the same inputs before is not built again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.errors import MiniosError
from minios_steps.core.plan import Cell, cell_inputs
from minios_steps.core.version import Version
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.project import Project


class ReuseCandidate(MiniosStep):
    """Work out the cell's key and look for a candidate with it; its bytes are re-hashed.

    Args:
        project: the configuration.
        arch: the arch's name.
        version: may be a renderable.
        variant: may be a renderable.
        store: the candidate store's folder.
        backend: `oci` or `docker`; empty for what the configuration says; may be a renderable.
        registry: whether releases go to one, without which there is no backend `docker`.

    Sets the properties `cell_key`, `cell_inputs` (JSON) and `backend`; where a candidate was found,
    `reused` (true) and `candidate` (its record), so that later steps can be skipped; else `build_reason`.
    """

    name = "reuse"
    renderables = ("version", "variant", "backend")

    def __init__(
        self,
        *,
        project: Project,
        arch: str,
        version: Any,
        variant: Any,
        store: Path,
        backend: Any = "",
        registry: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project = project
        self.arch = arch
        self.version = version
        self.variant = variant
        self.store = store
        self.backend = backend
        self.registry = registry

    async def work(self) -> int:
        """Compute the key, look it up, explain."""
        asked = str(self.backend or "")
        self.project.check_backend([self.arch], asked, registry=self.registry)
        cell = Cell(Version.parse(str(self.version)), self.variant, self.arch)
        inputs = await self.in_thread(
            cell_inputs,
            self.project,
            cell,
            identity=str(self.getProperty("toolchain_identity")),
            prefix=str(self.getProperty("cc_prefix", "")),
            backend=asked,
        )
        self.setProperty("backend", inputs.backend, self.name)
        self.setProperty("cell_key", str(inputs.key), self.name)
        # As text: after each step Buildbot looks into every list and mapping of every property.
        self.setProperty("cell_inputs", json.dumps(inputs.as_json()), self.name)
        store = CandidateStore(self.store)
        damage: list[str] = []
        found = None
        forced = bool(self.getProperty("force_rebuild", False))
        if not forced:
            found = await self.in_thread(store.find, inputs.key, damage.append)
        if damage:
            await self.addCompleteLog("damaged", "\n".join(damage) + "\n")
        if found is not None:
            store.use(inputs.key)
            self.setProperty("reused", True, self.name)
            self.setProperty("candidate", found.as_json(), self.name)
            self.summary = f"reused {found.descriptor.digest.short}, built {found.built}"
            return int(SUCCESS)
        if inputs.backend == "docker" and not self.getProperty("engine", ""):
            # Found out now, and not after the compiler's minutes.
            raise MiniosError(
                f"no Docker engine answers on worker {self.getProperty('workername')}, which"
                f" backend docker needs for {self.arch}",
                hint="start one there, or use the backend oci",
            )
        why = "a rebuild was asked for" if forced else await self.in_thread(store.explain, inputs)
        self.setProperty("build_reason", why, self.name)
        self.summary = f"to build, key {inputs.key.short}: {why}"
        return int(SUCCESS)
