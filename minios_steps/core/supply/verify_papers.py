"""Checking what is kept with a manifest: signatures, bill of materials, provenance.

Each is looked for in two places: under the tag that cosign reads, and among the referrers. A
place that is empty is passed over as long as the other is not; one that has something must have
something good. What other keys signed is nobody's fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.errors import ImageError
from minios_steps.core.supply import bill, provenance
from minios_steps.core.supply.cosign import PREDICATE, Kind, Signature, artifact_type, cosign_tag, read_parts
from minios_steps.core.supply.dsse import MEDIA_TYPE as ENVELOPE
from minios_steps.core.supply.dsse import Envelope
from minios_steps.core.supply.papers import PLAIN_TYPES, read_plain
from minios_steps.core.supply.report import Check, attempt
from minios_steps.core.supply.statement import CYCLONEDX, PROVENANCE, Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.artifact import Part
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.supply.keys import VerifyKey


class _NothingError(Exception):
    """A place has something, and nothing of what is looked for."""


_NAMES = {CYCLONEDX: "sbom", PROVENANCE: "provenance"}


@dataclass(frozen=True)
class Kept:
    """What a store keeps with one manifest; `of` is what the report calls it."""

    store: ImageStore
    of: str
    subject: Digest

    def signature(self, key: VerifyKey | None) -> Check:
        """Whether the key's owner signed the manifest."""
        if key is None:
            return Check(self.of, "signature", "unchecked", "no key was given")

        def judge(parts: Sequence[Part]) -> str:
            found = [one for part in parts if (one := Signature.read(part))]
            if not found:
                raise _NothingError("no signature")
            told = sorted({one.digest for one in found if one.signed_by(key)})
            if not told:
                raise ImageError(f"none of {len(found)} signatures is by this key")
            if str(self.subject) not in told:
                raise ImageError(f"the signature is of another manifest: {told[0]:.80}")
            return ""

        return self._both("sig", "signature", judge)

    def paper(self, kind: str, key: VerifyKey | None, cell_key: str) -> Check:
        """Whether there is a statement of a kind that is about the manifest, and signed where a key is given.

        Args:
            kind: the predicate type.
            key: None takes unsigned ones too, and does not check the signatures of others.
            cell_key: what the image's annotation says.
        """

        def judge(parts: Sequence[Part]) -> str:
            asked = [part for part in parts if part.annotations.get(PREDICATE) == kind]
            if not asked:
                raise _NothingError("no such attestation")
            found = [one for part in asked if (one := _attested(part, kind, key))]
            if not found:
                by = " by this key" if key else " that can be read"
                raise ImageError(f"none of {len(asked)} attestations is one{by}")
            for one in found:
                self._read(one, cell_key)
            return "" if key else "its signature was not checked"

        name = _NAMES[kind]
        signed = self._both("att", name, judge)
        if signed.outcome != "missing":
            return signed
        plain = self._referrers(PLAIN_TYPES[kind])
        if not plain or key:
            return Check(self.of, name, "missing", "there is only an unsigned one" if plain else "")
        return attempt(self.of, name, lambda: self._plain(plain, kind, cell_key))

    def _plain(self, artifacts: Iterable[Digest], kind: str, cell_key: str) -> str:
        parts = [part for one in artifacts for part in read_parts(self.store, one)]
        found = [one for part in parts if (one := read_plain(part)).predicate_type == kind]
        if not found:
            raise ImageError(f"no statement of the type {kind}")
        for one in found:
            self._read(one, cell_key)
        return "unsigned"

    def _read(self, statement: Statement, cell_key: str) -> None:
        """Make sure that a statement is about the image, and its predicate too."""
        about = [statement.subject]
        if statement.predicate_type == CYCLONEDX:
            about.append(bill.described(statement.predicate)[1])
        for digest in about:
            if digest != self.subject:
                raise ImageError(f"it is about another image: {digest}")
        if (
            statement.predicate_type == PROVENANCE
            and (found := str(provenance.cell_key(statement))) != cell_key
        ):
            raise ImageError(f"its inputs have the cell key {found}, the image says {cell_key:.80}")

    def _both(self, kind: Kind, what: str, judge: Callable[[Sequence[Part]], str]) -> Check:
        """One check of what stands under the tag and among the referrers."""
        try:
            places = self._places(kind)
        except ImageError as error:
            return Check(self.of, what, "bad", error.what)
        if not places:
            return Check(self.of, what, "missing")
        checks = {place: self._place(what, artifacts, judge) for place, artifacts in places.items()}
        outcomes = {check.outcome for check in checks.values()}
        bad = [f"{place}: {check.detail}" for place, check in checks.items() if check.outcome == "bad"]
        if bad or outcomes == {"missing"}:
            return Check(self.of, what, "bad" if bad else "missing", "; ".join(bad))
        good = [place for place, check in checks.items() if check.outcome == "good"]
        details = [f"only as a {good[0]}"] if len(good) == 1 else []
        details += sorted({check.detail for check in checks.values() if check.detail})
        return Check(self.of, what, "good", "; ".join(details))

    def _place(
        self, what: str, artifacts: Sequence[Digest | str], judge: Callable[[Sequence[Part]], str]
    ) -> Check:
        def work() -> str:
            return judge([part for one in artifacts for part in read_parts(self.store, one)])

        try:
            return attempt(self.of, what, work)
        except _NothingError:
            return Check(self.of, what, "missing")

    def _places(self, kind: Kind) -> dict[str, Sequence[Digest | str]]:
        """The artifacts of a kind in each place that has any."""
        tag = cosign_tag(self.subject, kind)
        places: dict[str, Sequence[Digest | str]] = {
            "tag": [tag] if self.store.head(tag) else [],
            "referrer": self._referrers(artifact_type(kind)),
        }
        return {place: artifacts for place, artifacts in places.items() if artifacts}

    def _referrers(self, artifact_type: str) -> list[Digest]:
        listed = self.store.referrers(self.subject)
        return [one.descriptor.digest for one in listed if one.artifact_type == artifact_type]


def _attested(part: Part, kind: str, key: VerifyKey | None) -> Statement | None:
    """The statement in a layer, when it is of a kind and, where a key is given, by this key."""
    if part.media_type != ENVELOPE:
        return None
    try:
        envelope = Envelope.parse(part.data)
        if key and not envelope.signed_by(key):
            return None
        statement = Statement.parse(envelope.payload)
    except ImageError:
        return None
    return statement if statement.predicate_type == kind else None
