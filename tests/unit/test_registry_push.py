from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from registrybed import FAST, Bed, Handler, serving
from registryfaults import cut_upload, done_but_cut, drop, status

from minios_steps.core.cancel import CancelledError
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.web import patience

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registrybed import Fault

    from minios_steps.core.registry.push import Way

DATA = bytes(range(256)) * 1000
DIGEST = Digest.of(DATA)
CHUNK = 100_000
UPLOADS = "/v2/team/app/blobs/uploads/"


@pytest.fixture
def bed() -> Iterator[Bed]:
    with serving() as made:
        yield made


def push(
    bed: Bed, source: Path | bytes = DATA, digest: Digest = DIGEST, *, mount: str = "", chunk: int = CHUNK
) -> Way:
    with bed.client(chunk=chunk) as client:
        return client.repository("team/app").upload_blob(source, digest, mount_from=mount)


def has(bed: Bed, data: bytes = DATA) -> bool:
    return bed.repo().blobs.get(str(Digest.of(data))) == data


def steps(bed: Bed) -> list[str]:
    return [re.sub(r"\?.*", "", f"{one.method} {one.path}".replace(UPLOADS, "")) for one in bed.seen]


def test_a_small_blob_goes_in_one_request(bed: Bed, tmp_path: Path) -> None:
    path = tmp_path / "layer"
    path.write_bytes(DATA)
    assert push(bed, path, chunk=len(DATA)) == "sent"
    assert has(bed)
    assert steps(bed) == [f"HEAD /v2/team/app/blobs/{DIGEST}", "POST ", "PUT u0"]
    assert bed.seen[2].headers["Content-Length"] == str(len(DATA))


def test_a_large_blob_goes_in_chunks(bed: Bed) -> None:
    assert push(bed) == "sent"
    assert has(bed)
    ranges = [one.headers["Content-Range"] for one in bed.seen if one.method == "PATCH"]
    assert ranges == ["0-99999", "100000-199999", "200000-255999"]
    assert bed.seen[-1].headers["Content-Length"] == "0"
    # The address of the next part is the one that was given last, with its query.
    assert bed.seen[-1].path == f"{UPLOADS}u0?_state=a%2Fb&digest=sha256%3A{DIGEST.hex}"


def test_a_registry_may_ask_for_larger_chunks(bed: Bed) -> None:
    def behave(handler: Handler) -> None:
        handler.server.uploads["u0"] = bytearray()
        handler.answer(202, {**handler.at("team/app", "u0"), "OCI-Chunk-Min-Length": "200000"})

    bed.fault("POST", UPLOADS, behave)
    push(bed)
    assert steps(bed).count("PATCH u0") == 2


@pytest.mark.parametrize("location", ["http://{host}/v2/{repo}/blobs/uploads/{upload}", "{upload}"])
def test_addresses_may_be_absolute_or_relative(bed: Bed, location: str) -> None:
    bed.location = location
    push(bed)
    assert has(bed)


def test_an_empty_blob(bed: Bed) -> None:
    assert push(bed, b"", Digest.of(b"")) == "sent"
    assert has(bed, b"")


def test_what_is_there_is_not_sent(bed: Bed) -> None:
    bed.put(DATA)
    assert push(bed) == "there"
    assert [one.method for one in bed.seen] == ["HEAD"]


def test_a_blob_is_mounted_from_another_repository(bed: Bed) -> None:
    bed.put(DATA, "team/staging")
    assert push(bed, mount="team/staging") == "mounted"
    assert has(bed)
    assert bed.methods("PUT", "PATCH") == []


@pytest.mark.parametrize(
    "fault", [None, status(404, "NAME_UNKNOWN"), status(403, "DENIED"), status(405, "UNSUPPORTED")]
)
def test_a_mount_that_cannot_be_is_an_upload(bed: Bed, fault: Fault | None) -> None:
    if fault:
        bed.fault("POST", "mount=", fault)
    assert push(bed, mount="team/staging") == "sent"
    assert has(bed)


def test_a_cut_chunk_is_gone_on_with(bed: Bed) -> None:
    bed.fault("PATCH", UPLOADS, cut_upload(30_000))
    assert push(bed) == "sent"
    assert has(bed)
    ranges = [one.headers["Content-Range"] for one in bed.seen if one.method == "PATCH"]
    assert ranges == ["0-99999", "30000-129999", "130000-229999", "230000-255999"]
    assert "GET u0" in steps(bed)


def test_a_cut_whole_upload_is_gone_on_with(bed: Bed) -> None:
    bed.fault("PUT", UPLOADS, cut_upload(30_000))
    push(bed, chunk=1 << 20)
    assert has(bed)
    assert steps(bed)[3:] == ["GET u0", "PATCH u0", "PUT u0"]


def test_a_registry_that_forgot_the_upload_gets_it_again(bed: Bed) -> None:
    def forget(handler: Handler) -> None:
        handler.server.uploads.clear()
        handler.drop()

    bed.fault("PATCH", "u0", forget)
    assert push(bed) == "sent"
    assert has(bed)


def test_an_upload_that_ended_is_begun_again_once(bed: Bed) -> None:
    bed.fault("PATCH", UPLOADS, status(404, "BLOB_UPLOAD_UNKNOWN"))
    bed.fault("GET", UPLOADS, status(404, "BLOB_UPLOAD_UNKNOWN"))
    push(bed)
    assert has(bed)
    assert steps(bed).count("POST ") == 2
    other = b"other" * 50_000
    for _ in range(2):
        bed.fault("PATCH", UPLOADS, status(404, "BLOB_UPLOAD_UNKNOWN"))
    with pytest.raises(RegistryError, match="BLOB_UPLOAD_UNKNOWN"):
        push(bed, other, Digest.of(other))


def test_a_lost_answer_to_the_last_request_is_found_out(bed: Bed) -> None:
    bed.fault("PUT", UPLOADS, done_but_cut)
    assert push(bed) == "sent"
    assert has(bed)
    assert steps(bed).count("POST ") == 1


def test_an_error_that_passes_is_waited_out(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(patience, "pause", lambda seconds, _: waited.append(seconds))
    bed.fault("POST", UPLOADS, status(500))
    bed.fault("HEAD", "", status(503, headers={"Retry-After": "1"}))
    bed.fault("PATCH", UPLOADS, status(429, "TOOMANYREQUESTS", {"Retry-After": "1"}))
    push(bed)
    assert has(bed)
    assert len(waited) == 3
    assert waited[0] == waited[2] == 1


def test_an_error_that_stays_is_told_in_the_registrys_words(bed: Bed) -> None:
    for _ in range(9):
        bed.fault("POST", UPLOADS, status(500, "UNKNOWN"))
    with pytest.raises(
        RegistryError, match="HTTP 500 Internal Server Error: UNKNOWN: made up: unknown"
    ) as caught:
        push(bed)
    assert caught.value.status == 500
    assert caught.value.code == "UNKNOWN"
    assert str(DIGEST) in caught.value.what
    assert steps(bed).count("POST ") == FAST.tries


@pytest.mark.parametrize(("code", "name"), [(400, "DIGEST_INVALID"), (403, "DENIED"), (413, "SIZE_INVALID")])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_a_refusal_is_final(bed: Bed, method: str, code: int, name: str) -> None:
    bed.fault(method, UPLOADS, status(code, name))
    with pytest.raises(RegistryError, match=name) as caught:
        push(bed)
    assert caught.value.code == name
    assert caught.value.status == code
    assert bed.seen[-1].method == method
    assert not has(bed)


def test_a_registry_that_is_down(bed: Bed) -> None:
    bed.fault("HEAD", "", drop)
    push(bed)
    assert has(bed)
    gone = Bed()
    gone.server_close()
    with pytest.raises(RegistryError, match="connection refused"):
        push(gone)


def test_a_file_with_other_bytes_is_never_whole_in_the_registry(bed: Bed, tmp_path: Path) -> None:
    path = tmp_path / "layer"
    path.write_bytes(b"x" + DATA[1:])
    for chunk in (CHUNK, 1 << 20):
        with pytest.raises(ImageError, match=f"layer: expected {DIGEST}, found sha256:"):
            push(bed, path, chunk=chunk)
    assert not bed.repo().blobs
    assert all(len(upload) < len(DATA) for upload in bed.uploads.values())


def test_another_digest_in_the_answer(bed: Bed) -> None:
    def lie(handler: Handler) -> None:
        handler.body()
        handler.answer(201, {"Docker-Content-Digest": str(Digest.of(b"other"))})

    bed.fault("PUT", UPLOADS, lie)
    with pytest.raises(ImageError, match="the registry says"):
        push(bed)


def test_an_answer_without_a_digest_is_looked_after(bed: Bed) -> None:
    bed.hides_digests = True
    push(bed)
    assert steps(bed)[-1].startswith("HEAD")

    def forget(handler: Handler) -> None:
        handler.body()
        handler.answer(201)

    bed.fault("PUT", UPLOADS, forget)
    with pytest.raises(RegistryError, match="does not have it"):
        push(bed, b"new", Digest.of(b"new"))


def test_cancelling_stops_in_mid_upload(bed: Bed) -> None:
    with (
        bed.client(chunk=CHUNK, cancelled=lambda: "PATCH u0" in steps(bed)) as client,
        pytest.raises(CancelledError),
    ):
        client.repository("team/app").upload_blob(DATA, DIGEST)
    assert steps(bed).count("PATCH u0") == 1


def test_a_missing_file(bed: Bed, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot read"):
        push(bed, tmp_path / "nope")
    assert not bed.seen
