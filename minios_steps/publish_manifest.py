"""`PublishManifest`: one version and variant becomes an index under its tags, or nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buildbot.process.results import FAILURE, SUCCESS, WARNINGS

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.policy import CellResult
from minios_steps.core.release import Releaser, ReleaseReport
from minios_steps.core.version import Version
from minios_steps.step import MiniosStep

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.project import Project


class PublishManifest(MiniosStep):
    """Re-verify every candidate, apply the policy, write the index, move the tags, read back.

    Args:
        project: the configuration.
        version: the release.
        variant: `static` or `dynamic`.
        store: the candidate store's folder.
        layout: the OCI image layout to publish into.

    Reads the properties `cells` and `asked_arches` of `TriggerMatrix`. Updates `cells`
    and appends to `releases`, a list of `ReleaseReport` in JSON form. FAILURE when the
    policy blocks the release: then nothing was written.
    """

    haltOnFailure = False
    renderables = ("version", "variant")

    def __init__(
        self, *, project: Project, version: Any, variant: Any, store: Path, layout: Path, **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", f"publish {version} {variant}")
        super().__init__(**kwargs)
        self.project = project
        self.version = version
        self.variant = variant
        self.store = store
        self.layout = layout

    async def work(self) -> int:
        """Publish and tell."""
        cells = [CellResult.from_json(item) for item in self.getProperty("cells", [])]
        mine = [c for c in cells if c.version == str(self.version) and c.variant == self.variant]
        releaser = Releaser(self.project, CandidateStore(self.store), Layout(self.layout))
        try:
            report, results = await self.in_thread(
                releaser.publish,
                Version.parse(str(self.version)),
                self.variant,
                mine,
                list(self.getProperty("asked_arches", [])),
            )
        except MiniosError as error:
            # The run's summary must tell of this release too, not only this step's log.
            report = ReleaseReport.failed(str(self.version), self.variant, str(error))
            results = mine
        final = {(r.arch, r.version, r.variant): r for r in results}
        updated = [final.get((c.arch, c.version, c.variant), c) for c in cells]
        self.setProperty("cells", [c.as_json() for c in updated], self.name)
        self.setProperty("releases", [*self.getProperty("releases", []), report.as_json()], self.name)
        self.summary = _summary(report)
        if report.reasons:
            await self.addCompleteLog("policy", "\n".join(report.reasons) + "\n")
        if report.outcome in ("blocked", "failed"):
            self.setProperty("problem", self.summary, self.name)
            return int(FAILURE)
        return int(WARNINGS if report.outcome == "partial" else SUCCESS)


def _summary(report: ReleaseReport) -> str:
    """One line for people."""
    what = f"{report.version} {report.variant}"
    if report.outcome == "blocked":
        why = report.reasons[0] if report.reasons else "no cell is good"
        return f"{what} not released: {why}; nothing was written"
    if report.outcome == "failed":
        return f"{what} not released: {report.reasons[0]}"
    tags = ", ".join(report.tags)
    short = report.index.removeprefix("sha256:")[:12]
    left = "".join(f"; {arch} left out: {why}" for arch, why in sorted(report.left_out.items()))
    return f"{what} {report.outcome} as {tags} ({short}){left}"
