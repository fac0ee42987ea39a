"""A release's papers, made when the releaser asks what to attach before the tags move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.supply.attachments import Subject, attachments
from minios_steps.core.supply.papers import Papers

if TYPE_CHECKING:
    from collections.abc import Callable

    from minios_steps.core.oci.artifact import Artifact
    from minios_steps.core.oci.verify import BlobSource
    from minios_steps.core.release_target import ReleaseContext
    from minios_steps.core.supply.keys import SigningKey
    from minios_steps.core.supply.material import Invocation


@dataclass(frozen=True)
class SupplyChain:
    """An `Attachments`: bill of materials, provenance and signatures.

    Args:
        candidates: where an arch's images are read from, as `ReleaseTarget.candidates`.
        key: signs; None leaves everything unsigned.
        invocation: the run, where the provenance shall tell.
    """

    candidates: Callable[[str], BlobSource]
    key: SigningKey | None = None
    invocation: Invocation | None = None

    def __call__(self, context: ReleaseContext) -> tuple[Artifact, ...]:
        """What goes with a release; raises as `attachments` does."""
        # A folder is called differently on each machine; a repository is called what it is.
        layout = isinstance(context.store, LayoutStore)
        reference = context.project.minios.image.name if layout else context.store.name
        images = [
            Subject(one.descriptor, one.record.inputs if one.record else None, self.candidates(one.arch))
            for one in context.images
        ]
        papers = Papers(context.store, self.key, reference)
        return attachments(papers, context.project, context.index, images, self.invocation)
