"""One release: gather the cells, believe only bytes, apply the policy, move the tags."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.cancel import CancelledError
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError, MiniosError, TagMovedError
from minios_steps.core.oci import media
from minios_steps.core.oci.index import build_index
from minios_steps.core.oci.verify import verify_candidate
from minios_steps.core.policy import GOOD, CellResult, Decision, decide
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.release_index import entry_annotations, index_annotations, previous_entries
from minios_steps.core.release_record import RecordFacts, make_record
from minios_steps.core.release_target import Release, ReleaseContext, ReleasedImage
from minios_steps.core.tags import tags_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.candidates import CandidateStore
    from minios_steps.core.config.base import Variant
    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.artifact import Artifact
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.records import ReleaseRecord
    from minios_steps.core.release_target import Attachments, ReleaseTarget
    from minios_steps.core.version import Version


@dataclass(frozen=True)
class ReleaseReport:
    """What became of one version and variant.

    `outcome`: `released`, `unchanged` (the same index was there), `partial` (a narrowed
    run: an index under a `-partial` tag), `blocked` (the policy: nothing was written) or
    `failed` (an error on the way; the first of `reasons` says which). `place` is what the
    index is in; `record` the digest of the release's record, empty when no tag moved;
    `lacked` what a nightly found missing of the release before, empty for nothing; `candidate`:
    the tags are those of a version that nobody has approved yet.
    """

    version: str
    variant: Variant
    outcome: str
    tags: tuple[str, ...]
    index: str
    reasons: tuple[str, ...]
    left_out: dict[str, str]
    carried: tuple[str, ...]
    place: str = ""
    record: str = ""
    lacked: str = ""
    candidate: bool = False

    @classmethod
    def failed(cls, version: str, variant: Variant, reason: str) -> ReleaseReport:
        """A release that an error stopped."""
        return cls(version, variant, "failed", (), "", (reason,), {}, ())

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Published:
    """How a release ended.

    Args:
        report: what became of it.
        results: of its cells, with `published` and `refused` filled in.
        record: what is kept of it; None when no tag moved.
    """

    report: ReleaseReport
    results: list[CellResult]
    record: ReleaseRecord | None = None


class Releaser:
    """Publishes releases.

    Args:
        project: the configuration.
        store: knows the cells' records.
        target: where releases go, and where candidates are read from.
        facts: for the record: who asked, and with which programs.
        attachments: makes what is attached to index and images.
    """

    def __init__(
        self,
        project: Project,
        store: CandidateStore,
        target: ReleaseTarget,
        *,
        facts: RecordFacts | None = None,
        attachments: Attachments | None = None,
    ) -> None:
        self.project = project
        self.store = store
        self.target = target
        self.facts = facts or RecordFacts()
        self.attachments = attachments

    def publish(
        self,
        version: Version,
        variant: Variant,
        results: Sequence[CellResult],
        asked: Sequence[str],
    ) -> Published:
        """Release what the policy allows.

        Args:
            version: the release.
            variant: the image's flavour.
            results: the outcome of each cell of this version and variant.
            asked: the arches that the run was asked for.

        Raises:
            TagMovedError: somebody else moved a tag meanwhile.
            PolicyError: a tag must not move.
            ImageError: the target cannot be written, or reads back differently.
            RegistryError: the registry refuses or stays away.
            ClaimedError: another master moves tags there now.
            CancelledError: cancelled.
        """
        judged = [self._judge(result) for result in results]
        tries = self.target.retries
        while True:
            try:
                return self._publish(version, variant, judged, asked)
            except TagMovedError:
                tries -= 1
                if tries < 0:
                    raise

    def _publish(
        self, version: Version, variant: Variant, judged: list[CellResult], asked: Sequence[str]
    ) -> Published:
        """Decide on what is there now, and publish that."""
        project, target = self.project, self.target
        candidate = version not in project.released
        tags = tags_of(project, variant, version)
        partial = f"{tags[0]}-partial"
        seen = target.look([*tags, partial])
        previous = previous_entries(target, project, seen, tags, version, variant)
        roles = {
            name: project.role(name)
            for name in project.nightly_arches
            if variant in project.arches[name].variants
        }
        decision = decide(judged, roles, asked, previous, carry_over=project.minios.policy.carry_over)
        if not decision.entries or not (decision.release or decision.partial):
            return Published(self._report(version, variant, "blocked", (), decision), judged)
        images = self._images(decision, judged)
        index = build_index(
            [image.descriptor for image in images],
            index_annotations(project, version, variant, decision),
            media_type=target.index_type,
        )
        chosen = tags if decision.release else (partial,)
        release = Release(version, index, images, chosen, seen, ())
        record = make_record(self.facts, project, variant, release, decision, judged, target.store)
        artifacts = self._artifacts(variant, release, record)
        changed = target.publish(dataclasses.replace(release, artifacts=artifacts))
        outcome = "partial" if decision.partial else "released" if changed else "unchanged"
        report = dataclasses.replace(
            self._report(version, variant, outcome, chosen, decision),
            index=str(index.descriptor.digest),
            place=target.store.name,
            record=str(Digest.of(artifacts[-1].manifest)) if record else "",
            candidate=candidate,
        )
        published = {image.arch for image in images}
        final = [
            dataclasses.replace(r, outcome="published") if r.outcome == "built" and r.arch in published else r
            for r in judged
        ]
        return Published(report, final, record)

    def _judge(self, result: CellResult) -> CellResult:
        """Read a good cell's bytes again; what does not hold is `refused`."""
        if result.outcome not in GOOD:
            return result
        try:
            descriptor = result.descriptor
            if descriptor is None:
                raise ImageError("the cell names no candidate")
            if (descriptor.media_type == media.MANIFEST) != (self.target.index_type == media.INDEX):
                raise ImageError(f"{descriptor.media_type} does not go into {self.target.index_type}")
            arch = self.project.arches[result.arch]
            source = self.target.candidates(result.arch)
            verify_candidate(source, descriptor, arch, cell_key=result.key, variant=result.variant)
        except (RegistryError, CancelledError):
            # It says nothing about the candidate.
            raise
        except MiniosError as error:
            return dataclasses.replace(result, outcome="refused", reason=str(error))
        return result

    def _images(self, decision: Decision, judged: Sequence[CellResult]) -> tuple[ReleasedImage, ...]:
        """The images of an index, each with its cell's key."""
        keys = {result.arch: result.key for result in judged}
        return tuple(
            ReleasedImage(arch, descriptor, None, carried=True)
            if carried
            else ReleasedImage(
                arch,
                dataclasses.replace(descriptor, annotations=entry_annotations(keys[arch])),
                self._record_of(keys[arch], descriptor),
                carried=False,
            )
            for arch, descriptor, carried in decision.entries
        )

    def _record_of(self, key: str, descriptor: Descriptor) -> Any:
        found = self.store.find(Digest.parse(key)) if key else None
        return dataclasses.replace(found, descriptor=descriptor) if found else None

    def _artifacts(
        self, variant: Variant, release: Release, record: ReleaseRecord | None
    ) -> tuple[Artifact, ...]:
        """What is attached before the tags move; the release's own record is the last."""
        found: list[Artifact] = []
        if self.attachments:
            found += self.attachments(
                ReleaseContext(
                    self.project,
                    release.version,
                    variant,
                    release.index.descriptor,
                    release.images,
                    release.tags,
                    self.target.store,
                )
            )
        if record:
            found.append(record.artifact(release.index.descriptor))
        return tuple(found)

    def _report(
        self, version: Version, variant: Variant, outcome: str, tags: Sequence[str], decision: Decision
    ) -> ReleaseReport:
        left_out: Mapping[str, str] = decision.left_out
        return ReleaseReport(
            version=str(version),
            variant=variant,
            outcome=outcome,
            tags=tuple(tags),
            index="",
            reasons=tuple(decision.reasons),
            left_out=dict(left_out),
            carried=tuple(arch for arch, _, kept in decision.entries if kept),
        )
