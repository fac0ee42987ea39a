from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from registrybed import FAST, Bed, Handler, serving
from registryfaults import cut_blob, drop, endless, status

from minios_steps.core.cancel import CancelledError
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.oci.media import MANIFEST
from minios_steps.core.registry.endpoint import Endpoint
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.web.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minios_steps.core.registry.repository import Repository

DATA = bytes(range(256)) * 4000
LIMIT = 2 << 20


@pytest.fixture
def bed() -> Iterator[Bed]:
    with serving() as made:
        yield made


@pytest.fixture
def digest(bed: Bed) -> Digest:
    return bed.put(DATA)


@pytest.fixture
def repository(bed: Bed) -> Iterator[Repository]:
    with bed.client() as client:
        yield client.repository("team/app")


def test_blobs_are_read_in_blocks(repository: Repository, digest: Digest) -> None:
    assert repository.head_blob(digest) == len(DATA)
    blocks = list(repository.open_blob(digest, LIMIT))
    assert b"".join(blocks) == DATA
    assert len(blocks) > 1
    assert repository.read(digest, LIMIT) == DATA


def test_a_blob_that_is_not_there(repository: Repository) -> None:
    gone = Digest.of(b"gone")
    assert repository.head_blob(gone) is None
    with pytest.raises(RegistryError, match="BLOB_UNKNOWN") as caught:
        repository.read_blob(gone, LIMIT)
    assert caught.value.status == 404
    with pytest.raises(ImageError, match="MANIFEST_UNKNOWN"):
        repository.read(gone, LIMIT)


def test_a_cut_blob_is_gone_on_with(bed: Bed, repository: Repository, digest: Digest) -> None:
    bed.fault("GET", str(digest), cut_blob(DATA, 300_000))
    assert repository.read_blob(digest, LIMIT) == DATA
    assert bed.seen[1].headers["Range"] == "bytes=300000-"


def test_a_registry_without_ranges_sends_all_again(bed: Bed, repository: Repository, digest: Digest) -> None:
    bed.fault("GET", str(digest), cut_blob(DATA, 300_000))
    bed.fault("GET", str(digest), lambda handler: handler.answer(200, body=DATA))
    assert repository.read_blob(digest, LIMIT) == DATA


def test_another_range_than_asked_for(bed: Bed, repository: Repository, digest: Digest) -> None:
    bed.fault("GET", str(digest), cut_blob(DATA, 300_000))
    wrong = {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"}
    bed.fault("GET", str(digest), lambda handler: handler.answer(206, wrong, DATA))
    with pytest.raises(RegistryError, match="another range"):
        repository.read_blob(digest, LIMIT)


def test_other_bytes_never_come_whole(bed: Bed, repository: Repository, digest: Digest) -> None:
    bed.fault("GET", str(digest), lambda handler: handler.answer(200, body=b"x" + DATA[1:]))
    came: list[bytes] = []
    with pytest.raises(ImageError, match="have the digest sha256:"):
        came.extend(repository.open_blob(digest, LIMIT))
    assert 0 < sum(map(len, came)) < len(DATA)


def test_another_digest_in_the_header(bed: Bed, repository: Repository, digest: Digest) -> None:
    lie = {"Docker-Content-Digest": str(Digest.of(b"other"))}
    bed.fault("GET", str(digest), lambda handler: handler.answer(200, lie, DATA))
    bed.fault("HEAD", str(digest), lambda handler: handler.answer(200, lie, DATA))
    with pytest.raises(ImageError, match="the registry says"):
        repository.read_blob(digest, LIMIT)
    with pytest.raises(ImageError, match="the registry says"):
        repository.head_blob(digest)


def test_an_endless_blob_ends_at_the_limit(bed: Bed, repository: Repository, digest: Digest) -> None:
    bed.fault("GET", str(digest), endless)
    with pytest.raises(ImageError, match="larger than the 2,097,152 bytes allowed"):
        repository.read_blob(digest, LIMIT)


def test_a_blob_that_says_it_is_too_large_is_not_read(repository: Repository, digest: Digest) -> None:
    with pytest.raises(ImageError, match="larger than the 10 bytes allowed"):
        repository.read_blob(digest, 10)


def test_a_silent_registry_is_left(bed: Bed, digest: Digest) -> None:
    def silent(handler: Handler) -> None:
        handler.answer(200, {"Content-Length": "100"})
        handler.rfile.read(1)

    hurried = Patience(connect=1, read=0.05, tries=2, first_wait=0.001)
    with bed.client(patience=hurried) as client:
        for _ in range(2):
            bed.fault("GET", str(digest), silent)
        with pytest.raises(RegistryError, match="it stopped sending"):
            client.repository("team/app").read_blob(digest, LIMIT)


def test_time_for_everything_is_bounded(bed: Bed, digest: Digest) -> None:
    with (
        bed.client(patience=Patience(total=0)) as client,
        pytest.raises(RegistryError, match="not done in 0 s"),
    ):
        client.repository("team/app").read_blob(digest, LIMIT)


def test_tries_are_bounded_and_told(bed: Bed, digest: Digest) -> None:
    for _ in range(9):
        bed.fault("GET", "", drop)
    lines: list[str] = []
    with (
        bed.client(report=lines.append) as client,
        pytest.raises(RegistryError, match="the connection broke"),
    ):
        client.repository("team/app").read_blob(digest, LIMIT)
    assert len(bed.seen) == FAST.tries
    assert len(lines) == FAST.tries - 1
    assert lines[0].startswith(f"{bed.host}/team/app: blob {digest}: the connection broke; trying again in")


def test_too_long_a_wait_is_given_up(bed: Bed, repository: Repository, digest: Digest) -> None:
    bed.fault("GET", "", status(429, "TOOMANYREQUESTS", {"Retry-After": "3600"}))
    with pytest.raises(RegistryError, match="asks to wait 3600 s: TOOMANYREQUESTS") as caught:
        repository.read_blob(digest, LIMIT)
    assert caught.value.code == "TOOMANYREQUESTS"
    assert len(bed.seen) == 1


def test_cancelling_stops_in_the_middle(bed: Bed, digest: Digest) -> None:
    came: list[bytes] = []
    with bed.client(cancelled=lambda: bool(came)) as client:
        blocks = client.repository("team/app").open_blob(digest, LIMIT)
        came.append(next(blocks))
        with pytest.raises(CancelledError):
            next(blocks)


def test_a_source_of_blobs_gives_manifests_too(bed: Bed, repository: Repository) -> None:
    raw = b'{"mediaType":"%s"}' % MANIFEST.encode()
    found = repository.put_manifest("t", raw, MANIFEST).digest
    assert repository.read(found, LIMIT) == raw
    with pytest.raises(ImageError, match="larger than the 5 bytes"):
        repository.read(found, 5)
    assert bed.methods("PUT") == ["PUT /v2/team/app/manifests/t"]


def test_plain_http_needs_leave(bed: Bed) -> None:
    assert Endpoint(bed.host).url == f"https://{bed.host}"
    assert Endpoint("docker.io").url == "https://registry-1.docker.io"
    with pytest.raises(RegistryError, match="not a registry"):
        Endpoint("http://host")
