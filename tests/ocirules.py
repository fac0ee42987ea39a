"""What the OCI image-spec 1.1 demands of each JSON document, as JSON Schemas of the tests' own.

Written from descriptor.md, manifest.md, image-index.md, config.md, annotations.md and image-layout.md;
they are stricter where this project always writes more than the specification asks for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker

from minios_steps.core.digest import Digest
from minios_steps.core.oci import media

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_steps.core.oci.store import ImageStore

_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = {"type": "string", "pattern": f"^{_NAME}/{_NAME}$"}
_DIGEST = {"type": "string", "pattern": r"^sha256:[a-f0-9]{64}$"}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"minLength": 1}}
_WORDS = {"type": "array", "items": {"type": "string"}}
_SET = {"type": "object", "additionalProperties": {"type": "object", "maxProperties": 0}}
_TIME = {"type": "string", "format": "date-time", "pattern": "Z$"}
_PLATFORM = {
    "type": "object",
    "required": ["architecture", "os"],
    "properties": {
        "architecture": {"type": "string", "minLength": 1},
        "os": {"type": "string", "minLength": 1},
        "os.version": {"type": "string"},
        "os.features": _WORDS,
        "variant": {"type": "string", "minLength": 1},
    },
    "additionalProperties": False,
}
_DESCRIPTOR: dict[str, Any] = {
    "type": "object",
    "required": ["mediaType", "digest", "size"],
    "properties": {
        "mediaType": _MEDIA_TYPE,
        "digest": _DIGEST,
        "size": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        "urls": {"type": "array", "items": {"type": "string", "format": "uri"}},
        "annotations": _TEXTS,
        "data": {"type": "string"},
        "artifactType": _MEDIA_TYPE,
        "platform": _PLATFORM,
    },
    "additionalProperties": False,
}


def _document(kind: str, required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["schemaVersion", "mediaType", *required],
        "properties": {"schemaVersion": {"const": 2}, "mediaType": {"const": kind}, **properties},
        "additionalProperties": False,
    }


_COMMON = {"artifactType": _MEDIA_TYPE, "subject": _DESCRIPTOR, "annotations": _TEXTS}
_LAYERS = {"type": "array", "items": _DESCRIPTOR, "minItems": 1}
_ENTRIES = {"type": "array", "items": _DESCRIPTOR}

SCHEMAS: dict[str, dict[str, Any]] = {
    media.INDEX: _document(media.INDEX, ["manifests"], manifests=_ENTRIES, **_COMMON),
    media.MANIFEST: {
        **_document(media.MANIFEST, ["config", "layers"], config=_DESCRIPTOR, layers=_LAYERS, **_COMMON),
        # manifest.md: an artifact without a config of its own must say what it is.
        "if": {"properties": {"config": {"properties": {"mediaType": {"const": media.EMPTY}}}}},
        "then": {"required": ["artifactType"]},
    },
    media.CONFIG: {
        "type": "object",
        "required": ["architecture", "os", "rootfs"],
        "properties": {
            "created": _TIME,
            "author": {"type": "string"},
            "architecture": {"type": "string", "minLength": 1},
            "os": {"type": "string", "minLength": 1},
            "variant": {"type": "string", "minLength": 1},
            "config": {
                "type": "object",
                "properties": {
                    "User": {"type": "string"},
                    "ExposedPorts": _SET,
                    "Env": {"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}},
                    "Entrypoint": {"oneOf": [_WORDS, {"type": "null"}]},
                    "Cmd": {"oneOf": [_WORDS, {"type": "null"}]},
                    "Volumes": {"oneOf": [_SET, {"type": "null"}]},
                    "WorkingDir": {"type": "string"},
                    "Labels": {"oneOf": [_TEXTS, {"type": "null"}]},
                    "StopSignal": {"type": "string"},
                },
            },
            "rootfs": {
                "type": "object",
                "required": ["type", "diff_ids"],
                "properties": {"type": {"const": "layers"}, "diff_ids": {"type": "array", "items": _DIGEST}},
                "additionalProperties": False,
            },
            "history": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "created": _TIME,
                        "author": {"type": "string"},
                        "created_by": {"type": "string"},
                        "comment": {"type": "string"},
                        "empty_layer": {"type": "boolean"},
                    },
                    "additionalProperties": False,
                },
            },
        },
    },
}
LAYOUT = {
    "type": "object",
    "required": ["imageLayoutVersion"],
    "properties": {"imageLayoutVersion": {"const": "1.0.0"}},
}
_CHECKER = FormatChecker()


def complaints(raw: bytes, schema: dict[str, Any]) -> list[str]:
    """What is wrong with a document; empty when nothing is."""
    errors = Draft202012Validator(schema, format_checker=_CHECKER).iter_errors(json.loads(raw))
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def all_complaints(store: ImageStore, ref: str) -> list[str]:
    """What is wrong with an OCI index, its images, their configs, and all that refers to them."""
    return [
        f"{what}: {line}" for what, raw, schema in _documents(store, ref) for line in complaints(raw, schema)
    ]


def _documents(store: ImageStore, ref: str) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    index = store.manifest(ref)
    assert index.media_type == media.INDEX
    yield f"index {index.digest}", index.raw, SCHEMAS[media.INDEX]
    entries = json.loads(index.raw)["manifests"]
    assert entries
    digests = [index.digest, *(Digest.parse(entry["digest"]) for entry in entries)]
    for entry in digests[1:]:
        manifest = store.manifest(entry)
        yield f"manifest {entry}", manifest.raw, SCHEMAS[media.MANIFEST]
        config = Digest.parse(json.loads(manifest.raw)["config"]["digest"])
        yield f"config {config}", store.read(config, 1 << 20), SCHEMAS[media.CONFIG]
    for subject in digests:
        for referrer in store.referrers(subject):
            found = store.manifest(referrer.descriptor.digest)
            yield f"{referrer.artifact_type} {found.digest}", found.raw, SCHEMAS[media.MANIFEST]
