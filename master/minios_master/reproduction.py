"""A released image built again on this machine, from its release's record and nothing that is left here."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.config.workers import Workers
from minios_steps.core.diff.images import Side
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ConfigError, MiniosError
from minios_steps.core.plan import Cell, cell_inputs
from minios_steps.core.recorded_config import recorded_arch, write_recorded
from minios_steps.core.reproduce import Verdict, as_rebuilt, changes, judge, obstacles, recorded_inputs
from minios_steps.core.version import Version

from .local_probe import probe_local
from .machine import local_arches
from .matrix_run import Choices
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from minios_steps.core.cellkey import CellInputs
    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.records import CellOutcome, ReleaseRecord
    from minios_steps.core.toolchain import Toolchain

    from .matrix_run import Outcome

    Run = Callable[[Settings, Project, Choices], Outcome]

_SHARED = ("sources", "musl")
"""What of a cache may be used: what is in it is named by its digest, and hashed again."""
_NOT_HERE = "its record cannot be configured here"


@dataclass(frozen=True)
class _Wanted:
    """A cell that can be built again: to what, from what, with what, and how it would be built now."""

    released: Side
    inputs: CellInputs
    toolchain: Toolchain
    changed: tuple[str, ...]


class Reproduction:
    """Builds what a release's record says once more, and compares.

    Args:
        project: the configuration of now.
        settings: its folders; of the state only fetched sources are used, and what differs is kept in
            its store, to be compared.
        run: starts a master, runs a matrix on it to the end and stops it.
        jobs: `make -j`; 0 as configured.
    """

    def __init__(self, project: Project, settings: Settings, run: Run, *, jobs: int = 0) -> None:
        self._project = project
        self._settings = settings
        self._run = run
        self._jobs = jobs

    def reproduce(self, store: ImageStore, record: ReleaseRecord, asked: Sequence[str] = ()) -> list[Verdict]:
        """Build and compare.

        Args:
            store: where the release is.
            record: of how it was made.
            asked: names of arches; empty for all that the release has.

        Returns:
            A verdict for each arch. One whose image or record cannot be read does not keep the others
            from theirs.

        Raises:
            MiniosError: the configuration has no such arch, or the build as a whole could not be done.
        """
        for name in asked:
            self._project.arch(name)
        cells = {cell.arch: cell for cell in record.cells}
        verdicts: dict[str, Verdict] = {}
        wanted: dict[str, _Wanted] = {}
        for arch in asked or [name for name, cell in cells.items() if cell.digest]:
            try:
                wanted[arch] = self._prepare(store, record, cells.get(arch))
            except MiniosError as error:
                released = cells[arch].digest if arch in cells else ""
                verdicts[arch] = Verdict(arch, "unknown", str(error), released)
        if wanted:
            with tempfile.TemporaryDirectory(prefix="minios-reproduce-") as folder:
                found = self._build(Path(folder), wanted)
                for arch, one in wanted.items():
                    try:
                        told = self._judge(Path(folder), arch, one, found[arch])
                    except MiniosError as error:
                        told = Verdict(arch, "unknown", str(error), one.released.digest)
                    verdicts[arch] = dataclasses.replace(told, changed=one.changed)
        return [verdicts[arch] for arch in (asked or sorted(verdicts))]

    def _prepare(self, store: ImageStore, record: ReleaseRecord, cell: CellOutcome | None) -> _Wanted:
        """Make sure that a cell can be built from what was recorded; raises `MiniosError` saying why not."""
        if cell is None or not cell.digest:
            raise MiniosError("the release has no image for it")
        released = Side(store, store.manifest(Digest.parse(cell.digest)).descriptor)
        inputs = recorded_inputs(cell)
        whose = (inputs.arch, inputs.version, inputs.variant)
        if whose != (cell.arch, record.version, record.variant):
            raise MiniosError(f"its record's inputs are those of {' '.join(whose)}")
        arch = recorded_arch(self._project, inputs)
        here = dataclasses.replace(self._project, arches={arch.name: arch}, workers=Workers())
        if arch.name not in local_arches(here):
            raise MiniosError(f"no compiler for {arch.name} on this machine", hint=arch.attach)
        toolchain = probe_local(arch, self._settings.cache)
        if found := obstacles(self._project, inputs, toolchain):
            raise MiniosError(f"not the same here: {'; '.join(found)}")
        with tempfile.TemporaryDirectory(prefix="minios-reproduce-") as folder:
            alone = Path(folder) / "config"
            # What is wrong with it must not be found in the configuration that has the others too.
            try:
                write_recorded(self._project, {arch.name: inputs}, alone)
            except ConfigError as error:
                raise MiniosError(f"{_NOT_HERE}: {error.what.removeprefix(f'{alone}/')}") from error
        return _Wanted(released, inputs, toolchain, changes(self._project, inputs, toolchain))

    def _build(self, folder: Path, wanted: Mapping[str, _Wanted]) -> dict[str, Digest | str]:
        """The key under which each arch's image is in the new store, or why it is not."""
        config = folder / "config"
        project = write_recorded(self._project, {arch: one.inputs for arch, one in wanted.items()}, config)
        found = {arch: _check_key(project, one) for arch, one in wanted.items()}
        good = [arch for arch, told in found.items() if isinstance(told, Digest)]
        if not good:
            return found
        state = folder / "state"
        self._share_cache(state / "cache")
        outcome = self._run(
            Settings(config, state, folder / "out", lifeline=True),
            project,
            Choices(arches=good, jobs=self._jobs),
        )
        for cell in outcome.cells:
            if not cell["digest"]:
                found[cell["arch"]] = f"it could not be built again: {cell['reason'] or cell['outcome']}"
        return found

    def _share_cache(self, cache: Path) -> None:
        cache.mkdir(parents=True)
        for name in _SHARED:
            shared = self._settings.cache / name
            shared.mkdir(parents=True, exist_ok=True)
            (cache / name).symlink_to(shared)

    def _judge(self, folder: Path, arch: str, one: _Wanted, found: Digest | str) -> Verdict:
        if isinstance(found, str):
            raise MiniosError(found)
        rebuilt = CandidateStore(folder / "state" / "store")
        record = rebuilt.find(found)
        if record is None:
            raise MiniosError("what was built again is not whole")
        verdict = judge(arch, one.released, one.inputs, rebuilt, record)
        if verdict.outcome == "different":
            files = {digest: rebuilt.layout.blob_path(digest) for digest in rebuilt.blobs(record.descriptor)}
            CandidateStore(self._settings.store).put_other(record, files)
        return verdict


def _check_key(project: Project, one: _Wanted) -> Digest | str:
    """The key of a cell in the new configuration, or in what its inputs are not as recorded."""
    inputs = as_rebuilt(one.inputs)
    cell = Cell(Version.parse(inputs.version), project.minios.variants[0], inputs.arch)
    now = cell_inputs(
        project, cell, identity=one.toolchain.identity, prefix=one.toolchain.prefix, backend=inputs.backend
    )
    if now.key == inputs.key:
        return now.key
    return f"{_NOT_HERE}: {'; '.join(now.explain(inputs))}"
