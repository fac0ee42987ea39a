"""What is kept with an image: its bill of materials, its provenance, and the signatures over them.

Signatures by ECDSA are other bytes each time. So everything here looks before it writes: what
a store has already, is by the same key and says the same, is taken as it is, and a second run
moves no byte. What others signed stays beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.errors import ImageError
from minios_steps.core.oci.artifact import Artifact, Part, build_artifact
from minios_steps.core.supply import bill
from minios_steps.core.supply import statement as intoto
from minios_steps.core.supply.cosign import (
    PREDICATE,
    Signature,
    attestation_part,
    build_attached,
    claim,
    kept_parts,
    read_parts,
    signature_part,
)
from minios_steps.core.supply.dsse import MEDIA_TYPE as ENVELOPE
from minios_steps.core.supply.dsse import Envelope, sign_statement
from minios_steps.core.supply.provenance import same_but_for_the_run
from minios_steps.core.supply.statement import CYCLONEDX, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.supply.keys import SigningKey

PLAIN_TYPES = {CYCLONEDX: bill.MEDIA_TYPE, intoto.PROVENANCE: intoto.MEDIA_TYPE}
"""The artifact type of each kind of paper that nobody signed."""


@dataclass(frozen=True)
class Papers:
    """Writes what is kept with the manifests of one store.

    Args:
        store: where the images are, or will be.
        key: signs; None leaves everything unsigned.
        reference: what the signatures say that the images are called: `HOST/REPOSITORY`.
    """

    store: ImageStore
    key: SigningKey | None
    reference: str

    def signature(self, subject: Descriptor) -> tuple[Artifact, ...]:
        """The signatures of a manifest or index with ours among them; nothing without a key.

        Raises:
            ImageError: what is there cannot be read.
        """
        if not self.key:
            return ()
        payload = claim(subject.digest, self.reference)
        parts = kept_parts(self.store, subject.digest, "sig")
        public = self.key.public
        found = (Signature.read(part) for part in parts)
        if not any(one and one.payload == payload and one.signed_by(public) for one in found):
            parts = (*parts, signature_part(payload, self.key))
        return (build_attached(subject, "sig", parts),)

    def statements(self, subject: Descriptor, statements: Sequence[Statement]) -> tuple[Artifact, ...]:
        """The statements about an image: signed ones together, as cosign wants them; else one each.

        Raises:
            ImageError: what is there cannot be read.
        """
        if not self.key:
            return tuple(self._plain(subject, one) for one in statements)
        if not statements:
            return ()
        parts = kept_parts(self.store, subject.digest, "att")
        for one in statements:
            parts = _with_statement(parts, one, self.key)
        return (build_attached(subject, "att", parts),)

    def _plain(self, subject: Descriptor, wanted: Statement) -> Artifact:
        for found in plain_statements(self.store, subject.digest, wanted.predicate_type):
            if same_but_for_the_run(found, wanted):
                return plain_artifact(subject, found)
        return plain_artifact(subject, wanted)


def plain_artifact(subject: Descriptor, statement: Statement) -> Artifact:
    """A statement that nobody signed; of a bill of materials, the bill alone."""
    kind = PLAIN_TYPES[statement.predicate_type]
    data = bill.encode_bill(statement) if kind == bill.MEDIA_TYPE else statement.encode()
    return build_artifact(
        subject, kind, [Part(kind, data)], annotations={PREDICATE: statement.predicate_type}
    )


def plain_statements(store: ImageStore, subject: Digest, predicate_type: str) -> Iterator[Statement]:
    """The unsigned statements of a kind that a store has about an image; damaged ones are passed over."""
    kind = PLAIN_TYPES[predicate_type]
    for referrer in store.referrers(subject):
        if referrer.artifact_type != kind:
            continue
        for part in read_parts(store, referrer.descriptor.digest):
            try:
                found = read_plain(part)
            except ImageError:
                continue
            if found.predicate_type == predicate_type:
                yield found


def read_plain(part: Part) -> Statement:
    """A statement that nobody signed; raises `ImageError` when it is none."""
    return bill.parse_bill(part.data) if part.media_type == bill.MEDIA_TYPE else Statement.parse(part.data)


def _with_statement(parts: tuple[Part, ...], wanted: Statement, key: SigningKey) -> tuple[Part, ...]:
    """Attestations with one more; it takes the place of an older one of its kind by the same key."""
    kept = []
    for part in parts:
        found = _ours(part, key)
        if found is None or found.predicate_type != wanted.predicate_type:
            kept.append(part)
        elif same_but_for_the_run(found, wanted):
            return parts
    return (*kept, attestation_part(sign_statement(wanted.encode(), key), wanted.predicate_type))


def _ours(part: Part, key: SigningKey) -> Statement | None:
    """The statement in an attestation by this key; None when it is anything else."""
    if part.media_type != ENVELOPE:
        return None
    try:
        envelope = Envelope.parse(part.data)
        return Statement.parse(envelope.payload) if envelope.signed_by(key.public) else None
    except ImageError:
        return None
