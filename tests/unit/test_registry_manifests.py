from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from registrybed import Bed, Handler, serving
from registryfaults import done_but_cut, endless, status

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.media import DOCKER_INDEX, INDEX, MANIFEST
from minios_steps.core.oci.model import Descriptor
from minios_steps.core.oci.store import RawResult
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.registry.manifests import Put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_steps.core.registry.repository import Repository

# Not in the one form that this project writes: such bytes must survive.
RAW = b'{ "schemaVersion": 2,\n   "mediaType": "%s", "manifests": [] }\n' % INDEX.encode()
DIGEST = Digest.of(RAW)


@pytest.fixture
def bed() -> Iterator[Bed]:
    with serving() as made:
        yield made


@pytest.fixture
def repository(bed: Bed) -> Iterator[Repository]:
    with bed.client() as client:
        yield client.repository("team/app")


def answers(bed: Bed, body: bytes, **headers: str) -> None:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    bed.fault("GET", "manifests", lambda handler: handler.answer(200, told, body))


def test_bytes_are_kept(bed: Bed, repository: Repository) -> None:
    assert repository.put_manifest("1.38", RAW, INDEX) == Put(DIGEST, subject_listed=False)
    assert bed.repo().manifests["1.38"] == (RAW, INDEX)
    for ref in ("1.38", DIGEST):
        assert repository.get_manifest(ref) == RawResult(RAW, INDEX, DIGEST)
        assert repository.head_manifest(ref) == Descriptor(INDEX, DIGEST, len(RAW))
    assert DOCKER_INDEX in next(one for one in bed.seen if one.method == "GET").headers["Accept"]


def test_a_manifest_that_is_there_is_not_sent(bed: Bed, repository: Repository) -> None:
    assert repository.ensure_manifest("t", RAW, INDEX)
    assert not repository.ensure_manifest("t", RAW, INDEX)
    assert repository.ensure_manifest("other", RAW, INDEX)
    assert repository.ensure_manifest("t", RAW + b"\n", INDEX)
    assert len(bed.methods("PUT")) == 3


def test_a_manifest_that_is_not_there(repository: Repository) -> None:
    assert repository.head_manifest("t") is None
    with pytest.raises(RegistryError, match="manifest t: HTTP 404 Not Found: MANIFEST_UNKNOWN: made up"):
        repository.get_manifest("t")


def test_removing(bed: Bed, repository: Repository) -> None:
    repository.put_manifest("t", RAW, INDEX)
    assert repository.delete_manifest(DIGEST)
    assert not repository.delete_manifest(DIGEST)
    bed.fault("DELETE", "", status(405, "UNSUPPORTED"))
    with pytest.raises(RegistryError, match="UNSUPPORTED"):
        repository.delete_manifest(DIGEST)


def test_other_bytes_than_were_asked_for(bed: Bed, repository: Repository) -> None:
    answers(bed, b"{}")
    with pytest.raises(ImageError, match="its bytes have the digest"):
        repository.get_manifest(DIGEST)


def test_another_digest_in_the_header(bed: Bed, repository: Repository) -> None:
    answers(bed, RAW, Docker_Content_Digest=str(Digest.of(b"other")))
    with pytest.raises(ImageError, match="the registry says 'sha256:"):
        repository.get_manifest("t")


def test_another_media_type_than_the_manifests_own(bed: Bed, repository: Repository) -> None:
    answers(bed, RAW, Content_Type=MANIFEST)
    with pytest.raises(ImageError, match=re.escape(f"says {MANIFEST}, the manifest says '{INDEX}'")):
        repository.get_manifest("t")


def test_a_registry_without_media_types_and_digests(bed: Bed, repository: Repository) -> None:
    answers(bed, RAW, Content_Type="text/plain; charset=utf-8")
    assert repository.get_manifest("t").media_type == INDEX
    bed.hides_digests = True
    assert repository.put_manifest("t", RAW, INDEX).digest == DIGEST
    assert repository.head_manifest("t") == Descriptor(INDEX, DIGEST, len(RAW))


def test_a_registry_that_changes_what_it_was_sent(bed: Bed, repository: Repository) -> None:
    bed.hides_digests = True

    def changes(handler: Handler) -> None:
        handler.server.repo().manifests["t"] = (handler.body() + b" ", INDEX)
        handler.answer(201)

    bed.fault("PUT", "", changes)
    with pytest.raises(ImageError, match=f"sent {DIGEST}, read back"):
        repository.put_manifest("t", RAW, INDEX)


def test_bytes_under_another_digest_are_not_sent(bed: Bed, repository: Repository) -> None:
    with pytest.raises(ImageError, match="the bytes to send"):
        repository.put_manifest(Digest.of(b"other"), RAW, INDEX)
    assert not bed.seen


@pytest.mark.parametrize("claim", [{"Content-Length": str(1 << 30)}, {}])
def test_a_huge_manifest_is_not_read(bed: Bed, repository: Repository, claim: dict[str, str]) -> None:
    bed.fault("GET", "", (lambda handler: handler.answer(200, claim)) if claim else endless)
    with pytest.raises(RegistryError, match="more than the 4,194,304 "):
        repository.get_manifest("t")


def test_what_is_no_manifest(bed: Bed, repository: Repository) -> None:
    answers(bed, b"<html>")
    with pytest.raises(ImageError, match="not JSON"):
        repository.get_manifest("t")


@pytest.mark.parametrize("code", [500, 502, 503, 429])
def test_what_passes_is_tried_again(bed: Bed, repository: Repository, code: int) -> None:
    bed.fault("PUT", "", status(code))
    bed.fault("GET", "", status(code))
    repository.put_manifest("t", RAW, INDEX)
    assert repository.get_manifest("t").digest == DIGEST


def test_what_the_registry_cannot_read_is_sent_again(bed: Bed, repository: Repository) -> None:
    for _ in range(20):
        bed.fault("HEAD", "", status(500))
    with pytest.raises(RegistryError, match="500"):
        repository.ensure_manifest("t", RAW, INDEX)
    assert bed.methods("PUT") == []
    assert repository.ensure_manifest(DIGEST, RAW, INDEX)
    assert len(bed.methods("PUT")) == 1


def test_a_lost_answer_is_asked_for_again(bed: Bed, repository: Repository) -> None:
    bed.fault("PUT", "", done_but_cut)
    assert repository.put_manifest("t", RAW, INDEX).digest == DIGEST
    assert len(bed.methods("PUT")) == 2


@pytest.mark.parametrize("name", ["UPPER", "a/../b", "", "a?b"])
def test_names_and_tags_cannot_leave_their_place(bed: Bed, repository: Repository, name: str) -> None:
    with bed.client() as client, pytest.raises(RegistryError, match="not a repository"):
        client.repository(name)
    with pytest.raises(RegistryError, match="not a tag"):
        repository.get_manifest(f"../{name}")
    assert not bed.seen


def test_tags_of_all_pages(bed: Bed, repository: Repository) -> None:
    def page(tags: Any, link: str = "") -> None:
        headers = {"Link": link} if link else {}
        bed.fault(
            "GET", "tags", lambda handler: handler.answer(200, headers, json.dumps({"tags": tags}).encode())
        )

    page(["b", "a"], '</v2/team/app/tags/list?n=2&last=a>; rel="next"')
    page(["c"], f"<http://{bed.host}/v2/team/app/tags/list?n=2&last=c>; title=x; rel=next")
    page(None)
    assert repository.tags() == ("a", "b", "c")
    assert bed.seen[1].path.endswith("?n=2&last=a")
    page(["a"], '</v2/team/app/tags/list?n=1000>; rel="next"')
    assert repository.tags() == ("a",)
    page(["a"], '<https://other.example/x>; rel="next"')
    with pytest.raises(RegistryError, match="on another server"):
        repository.tags()
    page([1])
    with pytest.raises(ImageError, match="not a list of tags"):
        repository.tags()
    bed.fault("GET", "tags", status(404, "NAME_UNKNOWN"))
    assert repository.tags() == ()


def list_of_referrers(name: str) -> bytes:
    entry = {"mediaType": MANIFEST, "digest": str(Digest.of(name.encode())), "size": 7, "artifactType": name}
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()


def test_referrers_by_the_registrys_own_list(bed: Bed, repository: Repository) -> None:
    more = {"Link": f'</v2/team/app/referrers/{DIGEST}?next=1>; rel="next"'}
    bed.fault("GET", "referrers", lambda handler: handler.answer(200, more, list_of_referrers("a/one")))
    bed.fault("GET", "referrers", lambda handler: handler.answer(200, body=list_of_referrers("a/two")))
    found = repository.referrers(DIGEST)
    assert [one.artifact_type for one in found] == ["a/one", "a/two"]
    assert found[0].descriptor == Descriptor(MANIFEST, Digest.of(b"a/one"), 7)


def test_referrers_by_the_tag_that_stands_in(repository: Repository) -> None:
    assert repository.referrers(DIGEST) == ()
    repository.put_manifest(f"sha256-{DIGEST.hex}", list_of_referrers("a/one"), INDEX)
    assert [one.artifact_type for one in repository.referrers(DIGEST)] == ["a/one"]


def test_whether_a_registry_lists_referrers(bed: Bed, repository: Repository) -> None:
    bed.keeps_referrers = True
    assert repository.put_manifest(DIGEST, RAW, INDEX).subject_listed
