"""What `cosign verify --key` and `verify-attestation --key` ask of a signed manifest, read and checked anew.

Nothing here uses the code that signs: JSON is read as JSON, and openssl checks the signatures.
The rules are those of cosign's pkg/cosign/verify.go (`verifySignatures`, `verifyInternal`,
`verifyOCISignature`, `verifyOCIAttestation`), pkg/cosign/verifiers.go (`SimpleClaimVerifier`,
`IntotoSubjectClaimVerifier`) and pkg/oci/internal/signature/layer.go (every layer has the
annotation, also an attestation's).
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.digest import Digest
    from minios_steps.core.oci.store import ImageStore

SIGNATURE = "dev.cosignproject.cosign/signature"


def openssl_accepts(folder: Path, public: bytes, signature: bytes, data: bytes) -> bool:
    """`openssl dgst -sha256 -verify`."""
    for name, content in (("pub", public), ("sig", signature), ("data", data)):
        (folder / name).write_bytes(content)
    words = ["openssl", "dgst", "-sha256", "-verify", "pub", "-signature", "sig", "data"]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=30)
    return done.returncode == 0


def layers(store: ImageStore, subject: Digest, suffix: str) -> list[tuple[dict[str, Any], bytes]]:
    """The layers of what is under cosign's tag, with their bytes; all are hashed."""
    told = json.loads(store.manifest(f"{str(subject).replace(':', '-')}.{suffix}").raw)
    assert told["schemaVersion"] == 2
    assert told["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert told["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    config = json.loads(content(store, told["config"]))
    found = [(layer, content(store, layer)) for layer in told["layers"]]
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer["digest"] for layer, _ in found]}
    assert all(SIGNATURE in layer["annotations"] for layer, _ in found)
    return found


def content(store: ImageStore, descriptor: dict[str, Any]) -> bytes:
    from minios_steps.core.digest import Digest  # noqa: PLC0415  # only to ask the store

    data = store.read(Digest.parse(descriptor["digest"]), descriptor["size"])
    assert len(data) == descriptor["size"]
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == descriptor["digest"]
    return data


def verify(store: ImageStore, subject: Digest, public: bytes, folder: Path) -> int:
    """How many signatures of a manifest `cosign verify --key` would accept."""
    good = 0
    for layer, payload in layers(store, subject, "sig"):
        signature = base64.b64decode(layer["annotations"][SIGNATURE], validate=True)
        told = json.loads(payload)
        good += (
            openssl_accepts(folder, public, signature, payload)
            and told["critical"]["image"]["docker-manifest-digest"] == str(subject)
            and told["critical"]["type"] == "cosign container image signature"
        )
    return good


def verify_attestation(
    store: ImageStore, subject: Digest, public: bytes, kind: str, folder: Path
) -> list[dict[str, Any]]:
    """The predicates that `cosign verify-attestation --key --type` would accept."""
    good = []
    for layer, raw in layers(store, subject, "att"):
        envelope = json.loads(raw)
        if envelope["payloadType"] != "application/vnd.in-toto+json":
            continue
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind_of = envelope["payloadType"].encode()
        signed = b"DSSEv1 %d %b %d %b" % (len(kind_of), kind_of, len(payload), payload)
        told = json.loads(payload)
        accepted = any(
            openssl_accepts(folder, public, base64.b64decode(one["sig"], validate=True), signed)
            for one in envelope["signatures"]
        )
        about = [one["digest"]["sha256"] for one in told["subject"]]
        if accepted and str(subject).removeprefix("sha256:") in about and told["predicateType"] == kind:
            assert layer["annotations"]["predicateType"] == kind
            good.append(told["predicate"])
    return good
