"""From a decided release to its record."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minios_steps.core.config.digest import config_digest
from minios_steps.core.oci import annotations as keys
from minios_steps.core.records import CellOutcome, ReleaseRecord, Trigger, find_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from minios_steps.core.cell_result import CellResult
    from minios_steps.core.config.base import Variant
    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.policy import Decision
    from minios_steps.core.release_target import Release, ReleasedImage


@dataclass(frozen=True)
class RecordFacts:
    """What only the caller knows of a release: who asked for it, and with which programs."""

    trigger: Trigger = field(default_factory=Trigger)
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)


def make_record(
    facts: RecordFacts,
    project: Project,
    variant: Variant,
    release: Release,
    decision: Decision,
    judged: Sequence[CellResult],
    store: ImageStore,
) -> ReleaseRecord | None:
    """The record of a release whose tags are about to move; None when none will.

    Args:
        facts: see `RecordFacts`.
        project: the configuration.
        variant: of the release.
        release: what is to be published.
        decision: of the policy.
        judged: how the cells ended.
        store: where the release will be.

    Raises:
        ImageError: the store cannot be read.
    """
    if not release.to_move:
        return None
    now = dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds")
    images = {image.arch: image for image in release.images}
    cells = {result.arch: result for result in judged}
    return ReleaseRecord(
        action="release" if decision.release else "partial",
        version=str(release.version),
        variant=variant,
        index=str(release.index.descriptor.digest),
        tags=release.tags,
        previous=_previous(release, store),
        time=now,
        trigger=facts.trigger,
        versions=dict(facts.versions),
        config=str(config_digest(project.root)),
        source_sha256=project.release(release.version).sha256,
        cells=tuple(_cell(arch, cells.get(arch), images.get(arch)) for arch in sorted({*images, *cells})),
        left_out=dict(decision.left_out),
    )


def _previous(release: Release, store: ImageStore) -> dict[str, str]:
    """What the tags pointed at before; what a run that did not end had moved, its own record knows."""
    index = str(release.index.descriptor.digest)
    found = {tag: str(release.seen[tag].digest) for tag in release.tags if tag in release.seen}
    if index in found.values():
        for record in find_records(store, release.index.descriptor.digest)[:1]:
            done = {tag for tag in record.tags if found.get(tag) == index}
            kept = {tag: digest for tag, digest in found.items() if tag not in done}
            found = {**kept, **{tag: record.previous[tag] for tag in done if tag in record.previous}}
    return found


def _cell(arch: str, result: CellResult | None, image: ReleasedImage | None) -> CellOutcome:
    told: dict[str, Any] = {"outcome": result.outcome if result else "not-asked"}
    if result:
        told |= {"reason": result.reason, "key": result.key, "size": result.size}
    if image:
        told |= {
            "digest": str(image.descriptor.digest),
            "carried": image.carried,
            "key": image.descriptor.annotations.get(keys.CELL_KEY, told.get("key", "")),
        }
        if told["outcome"] == "built":
            told["outcome"] = "published"
        if image.record:
            told["inputs"] = dict(image.record.inputs)
    return CellOutcome(arch, **told)
