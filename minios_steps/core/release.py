"""One release: gather the cells, believe only bytes, apply the policy, move the tags."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minios_steps.core.errors import ImageError, MiniosError
from minios_steps.core.oci import annotations as keys
from minios_steps.core.oci.index import Index, build_index, parse_index
from minios_steps.core.oci.verify import verify_candidate
from minios_steps.core.policy import GOOD, CellResult, Decision, decide
from minios_steps.core.tags import tags_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minios_steps.core.candidates import CandidateStore
    from minios_steps.core.config.base import Variant
    from minios_steps.core.config.project import Project
    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.layout import Layout
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.version import Version

INDEX_LIMIT = 4 << 20
"""Bytes an index may have (distribution-spec: registries need take no more)."""


@dataclass(frozen=True)
class ReleaseReport:
    """What became of one version and variant.

    `outcome`: `released`, `unchanged` (the same index was there), `partial` (a narrowed
    run: an index under a `-partial` tag), `blocked` (the policy: nothing was written) or
    `failed` (an error on the way; the first of `reasons` says which).
    """

    version: str
    variant: Variant
    outcome: str
    tags: tuple[str, ...]
    index: str
    reasons: tuple[str, ...]
    left_out: dict[str, str]
    carried: tuple[str, ...]

    @classmethod
    def failed(cls, version: str, variant: Variant, reason: str) -> ReleaseReport:
        """A release that an error stopped."""
        return cls(version, variant, "failed", (), "", (reason,), {}, ())

    def as_json(self) -> dict[str, Any]:
        """A mapping of plain types."""
        return dataclasses.asdict(self)


class Releaser:
    """Publishes releases from a candidate store into a layout."""

    def __init__(self, project: Project, store: CandidateStore, layout: Layout) -> None:
        self.project = project
        self.store = store
        self.layout = layout

    def publish(
        self,
        version: Version,
        variant: Variant,
        results: Sequence[CellResult],
        asked: Sequence[str],
    ) -> tuple[ReleaseReport, list[CellResult]]:
        """Release what the policy allows.

        Args:
            version: the release.
            variant: the image's flavour.
            results: the outcome of each cell of this version and variant.
            asked: the arches that the run was asked for.

        Returns:
            The report, and the results with `published` and `refused` filled in.

        Raises:
            ImageError: the layout cannot be written, or reads back differently.
        """
        judged = [self._judge(result) for result in results]
        tags = tags_of(self.project, variant, version)
        previous = self._previous(version, variant, tags)
        roles = {name: self.project.role(name) for name in self.project.arches if self._has(name, variant)}
        decision = decide(judged, roles, asked, previous, carry_over=self.project.minios.policy.carry_over)
        if not decision.entries or not (decision.release or decision.partial):
            return self._report(version, variant, "blocked", (), "", decision), judged
        index = build_index(
            [descriptor for _, descriptor, _ in decision.entries],
            self._annotations(version, variant, decision),
        )
        chosen = tags if decision.release else (f"{tags[0]}-partial",)
        changed = self._write(index, decision, chosen)
        outcome = "partial" if decision.partial else "released" if changed else "unchanged"
        published = {arch for arch, _, _ in decision.entries}
        final = [
            dataclasses.replace(r, outcome="published") if r.outcome == "built" and r.arch in published else r
            for r in judged
        ]
        digest = str(index.descriptor.digest)
        return self._report(version, variant, outcome, chosen, digest, decision), final

    def _has(self, arch: str, variant: Variant) -> bool:
        return variant in self.project.arches[arch].variants

    def _judge(self, result: CellResult) -> CellResult:
        """Read a good cell's bytes again; what does not hold is `refused`."""
        if result.outcome not in GOOD:
            return result
        try:
            descriptor = result.descriptor
            if descriptor is None:
                raise ImageError("the cell names no candidate")
            arch = self.project.arches[result.arch]
            verify_candidate(self.store.layout, descriptor, arch, cell_key=result.key, variant=result.variant)
        except MiniosError as error:
            return dataclasses.replace(result, outcome="refused", reason=str(error))
        return result

    def _previous(self, version: Version, variant: Variant, tags: Sequence[str]) -> dict[str, Descriptor]:
        """The entries of the index that stands for this version and variant, by arch name."""
        if not self.layout.exists:
            return {}
        known = self.layout.tags()
        platforms = {a.platform.platform.normalised: name for name, a in self.project.arches.items()}
        for tag in tags:
            if tag not in known:
                continue
            index = parse_index(self.layout.read(known[tag].digest, INDEX_LIMIT))
            told = index.annotations
            if told.get(keys.VERSION) == str(version) and told.get(keys.VARIANT) == variant:
                return {
                    platforms[entry.platform.normalised]: entry
                    for entry in index.entries
                    if entry.platform and entry.platform.normalised in platforms
                }
        return {}

    def _annotations(self, version: Version, variant: Variant, decision: Decision) -> dict[str, str]:
        image = self.project.minios.image
        told = {
            keys.TITLE: image.title,
            keys.DESCRIPTION: image.description,
            keys.VERSION: str(version),
            keys.LICENSES: image.licenses,
            keys.URL: image.url,
            keys.VENDOR: image.vendor,
            keys.VARIANT: variant,
            keys.SOURCE_SHA256: self.project.release(version).sha256,
            keys.LEFT_OUT: decision.left_out_text,
            keys.CARRIED_OVER: decision.carried_text,
        }
        return {key: value for key, value in told.items() if value}

    def _write(self, index: Index, decision: Decision, tags: Sequence[str]) -> bool:
        """Blobs first, tags last, once; then read everything back."""
        blobs: list[Digest] = []
        for _, descriptor, carried in decision.entries:
            if not carried:
                blobs.extend(self.store.blobs(descriptor))
        changed = self.layout.publish(
            dict.fromkeys(tags, index.descriptor),
            raw=[index.raw],
            files={digest: self.store.layout.blob_path(digest) for digest in blobs},
        )
        back = self.layout.tags()
        for tag in tags:
            if tag not in back or self.layout.read(back[tag].digest, INDEX_LIMIT) != index.raw:
                raise ImageError(f"{self.layout.root}: tag {tag!r} does not read back as it was written")
        self.layout.collect()
        return changed

    def _report(
        self,
        version: Version,
        variant: Variant,
        outcome: str,
        tags: Sequence[str],
        index: str,
        decision: Decision,
    ) -> ReleaseReport:
        return ReleaseReport(
            version=str(version),
            variant=variant,
            outcome=outcome,
            tags=tuple(tags),
            index=index,
            reasons=tuple(decision.reasons),
            left_out=dict(decision.left_out),
            carried=tuple(arch for arch, _, kept in decision.entries if kept),
        )
