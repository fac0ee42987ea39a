from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from registrybed import serving

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.media import INDEX, MANIFEST
from minios_steps.core.registry.attach import ensure_referrer

if TYPE_CHECKING:
    from registrybed import Handler

SUBJECT = Digest.of(b"subject")
TAG = f"sha256-{SUBJECT.hex}"


def artifact(name: str) -> bytes:
    subject = {"mediaType": MANIFEST, "digest": str(SUBJECT), "size": 7}
    notes = {"org.example.note": name}
    return json.dumps({"artifactType": f"x/{name}", "subject": subject, "annotations": notes}).encode()


def test_the_list_is_kept_under_the_tag_that_stands_in() -> None:
    with serving() as bed, bed.client() as client:
        repository = client.repository("team/app")
        assert ensure_referrer(repository, artifact("one"))
        assert ensure_referrer(repository, artifact("two"))
        found = repository.referrers(SUBJECT)
        assert [one.artifact_type for one in found] == ["x/one", "x/two"]
        assert found[0].descriptor.annotations == {"org.example.note": "one"}
        sent = bed.methods("PUT")
        assert not ensure_referrer(repository, artifact("one"))
        assert bed.methods("PUT") == sent


def test_a_registry_that_keeps_the_list_itself() -> None:
    with serving() as bed, bed.client() as client:
        bed.keeps_referrers = True
        raw = artifact("one")
        assert ensure_referrer(client.repository("team/app"), raw)
        assert bed.methods("PUT") == [f"PUT /v2/team/app/manifests/{Digest.of(raw)}"]


def test_another_writer_at_the_same_time() -> None:
    def overtaken(handler: Handler) -> None:
        sent = Digest.of(handler.body())
        empty = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
        handler.server.repo().manifests[TAG] = (empty, INDEX)
        handler.answer(201, handler.told(str(sent)))

    with serving() as bed, bed.client() as client:
        bed.fault("PUT", TAG, overtaken)
        ensure_referrer(client.repository("team/app"), artifact("one"))
        assert [one.artifact_type for one in client.repository("team/app").referrers(SUBJECT)] == ["x/one"]


def test_an_artifact_without_a_subject() -> None:
    with serving() as bed, bed.client() as client, pytest.raises(ImageError, match="names no subject"):
        ensure_referrer(client.repository("team/app"), b"{}")
    assert not bed.seen
