"""Whether a remote worker may be given cells: by its probe and its arch's file, as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from minios_steps.core.machine_probe.judge import judge

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project
    from minios_steps.core.machine_probe.facts import ProbeRecord
    from minios_steps.core.machine_probe.judge import Mismatch

    from .folders import RemoteFolder
    from .member import Member

Verdict = Literal["not probed", "no arch file", "passed", "refused"]


@dataclass(frozen=True)
class Standing:
    """How a worker stands.

    Args:
        verdict: `passed`: cells are given to it, when it is attached. `refused`: its machine does not
            fit the arch's file.
        mismatches: why it is refused.
        record: the probe that this is from.
    """

    verdict: Verdict
    mismatches: tuple[Mismatch, ...] = ()
    record: ProbeRecord | None = None


def standing_of(member: Member, project: Project, folder: RemoteFolder) -> Standing:
    """How a worker stands now."""
    record = folder.probes.read(member.name)
    if record is None or record.attached != member.attached:
        # Another machine had the name before.
        return Standing("not probed")
    arch = project.arches.get(member.arch)
    if arch is None:
        return Standing("no arch file", record=record)
    mismatches = judge(record.machine, arch)
    return Standing("refused" if mismatches else "passed", mismatches, record)
