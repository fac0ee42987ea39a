"""The registry client against Debian's `docker-registry`, with what other tools make of the result."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from registryrig import PASSWORD, USER, running_registry
from tinyimage import KEY, make_image, put_image

from minios_steps.core.config.load import load_project
from minios_steps.core.digest import Digest
from minios_steps.core.oci.index import build_index
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.media import INDEXES
from minios_steps.core.oci.model import RawManifest
from minios_steps.core.oci.verify import verify_candidate
from minios_steps.core.registry.client import Registry
from minios_steps.core.registry.credentials import Credentials
from minios_steps.core.registry.endpoint import Endpoint
from minios_steps.core.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registryrig import RealRegistry
    from userland import Minios

    from minios_steps.core.oci.model import Descriptor
    from minios_steps.core.registry.repository import Repository

ROOT = Path(__file__).resolve().parents[2]
CHANGES = ("POST", "PATCH", "PUT", "DELETE")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An index of two small images under the tag `two`."""
    made = Layout(tmp_path / "layout")
    (tmp_path / "layers").mkdir()
    images = [make_image(tmp_path / "layers", platform=name) for name in ("linux/amd64", "linux/sw64")]
    for image in images:
        put_image(made, image)
    index = build_index([image.descriptor for image in images], {"org.example.note": "two"})
    made.publish({"two": index.descriptor}, raw=[index.raw])
    return made


@pytest.fixture
def client(registry: RealRegistry) -> Iterator[Registry]:
    with Registry(Endpoint(registry.host, plain_http=True)) as made:
        yield made


def push(layout: Layout, repository: Repository, *, mount_from: str = "") -> list[str]:
    """Everything below the tag `two`, children first; how each blob came."""
    ways = []
    index = layout.tags()["two"]
    for entry in below(layout, index):
        if entry.media_type in INDEXES:
            continue
        manifest = RawManifest.parse(layout.read(entry.digest))
        for blob in (manifest.config, *manifest.layers):
            path = layout.blob_path(blob.digest)
            ways.append(str(repository.upload_blob(path, blob.digest, mount_from=mount_from)))
        repository.ensure_manifest(entry.digest, manifest.raw, entry.media_type)
    repository.ensure_manifest("two", layout.read(index.digest), index.media_type)
    return ways


def below(layout: Layout, index: Descriptor) -> tuple[Descriptor, ...]:
    told = json.loads(layout.read(index.digest))["manifests"]
    return tuple(type(index).from_json(entry) for entry in told)


def skopeo(*words: str) -> str:
    done = subprocess.run(["skopeo", *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_pushed_is_what_is_read(layout: Layout, client: Registry) -> None:
    repository = client.repository("team/app")
    assert push(layout, repository) == ["sent"] * 4
    index = layout.tags()["two"]
    assert repository.tags() == ("two",)
    assert repository.head_manifest("two") == index
    assert repository.get_manifest("two").raw == layout.read(index.digest)
    for digest in layout.closure(index):
        assert repository.read(digest, 1 << 20) == layout.read(digest)
    assert repository.referrers(index.digest) == ()


def test_a_candidate_is_verified_from_the_registrys_bytes(layout: Layout, client: Registry) -> None:
    repository = client.repository("team/app")
    push(layout, repository)
    entry = next(one for one in below(layout, layout.tags()["two"]) if str(one.platform) == "linux/amd64")
    arch = load_project(ROOT / "config").arches["x86_64"]
    assert verify_candidate(repository, entry, arch, KEY, "static").descriptor == entry


def test_again_changes_nothing(layout: Layout, client: Registry, registry: RealRegistry) -> None:
    repository = client.repository("team/app")
    push(layout, repository)
    before = registry.asked(*CHANGES)
    assert len(before) == 4 * 2 + 3
    assert push(layout, repository) == ["there"] * 4
    assert registry.asked(*CHANGES) == before


def test_another_repository_gets_the_blobs_mounted(
    layout: Layout, client: Registry, registry: RealRegistry
) -> None:
    push(layout, client.repository("team/staging"))
    sent = len(registry.asked("PUT", "PATCH"))
    assert push(layout, client.repository("team/app"), mount_from="team/staging") == ["mounted"] * 4
    more = registry.asked("PUT", "PATCH")[sent:]
    assert [path.split("/")[4] for _, path, _ in more] == ["manifests"] * 3
    assert all(status == 201 for _, _, status in more)


def test_skopeo_reads_it(
    layout: Layout, client: Registry, registry: RealRegistry, tmp_path: Path, need: Callable[..., None]
) -> None:
    need("skopeo")
    push(layout, client.repository("team/app"))
    source = f"docker://{registry.host}/team/app:two"
    raw = skopeo("inspect", "--tls-verify=false", "--raw", source)
    assert raw.encode() == layout.read(layout.tags()["two"].digest)
    skopeo("copy", "--all", "--src-tls-verify=false", source, f"oci:{tmp_path}/copy:two")
    assert Layout(tmp_path / "copy").tags()["two"].digest == layout.tags()["two"].digest


def test_a_large_blob_in_chunks(registry: RealRegistry, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(3 << 20))
    digest = Digest.of_file(path)
    with Registry(Endpoint(registry.host, plain_http=True, chunk=1 << 20)) as client:
        repository = client.repository("team/app")
        assert repository.upload_blob(path, digest) == "sent"
        assert repository.read_blob(digest, 4 << 20) == path.read_bytes()
    assert [status for _, _, status in registry.asked("PATCH")] == [202] * 3


def test_a_malformed_manifest_is_refused_in_the_registrys_words(
    client: Registry, registry: RealRegistry
) -> None:
    raw = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'
    with pytest.raises(RegistryError, match="DIGEST_INVALID: provided digest did not match") as caught:
        client.repository("team/app").put_manifest("t", raw, "application/vnd.oci.image.manifest.v1+json")
    assert caught.value.status == 400
    assert len(registry.asked("PUT")) == 1


def test_a_manifest_is_removed(layout: Layout, client: Registry) -> None:
    repository = client.repository("team/app")
    push(layout, repository)
    digest = layout.tags()["two"].digest
    assert repository.delete_manifest(digest)
    assert repository.head_manifest("two") is None
    assert not repository.delete_manifest(digest)


def test_a_password(layout: Layout, tmp_path: Path, need: Callable[..., None]) -> None:
    need("docker-registry")
    with running_registry(tmp_path / "registry", password=True) as registry:
        endpoint = Endpoint(registry.host, plain_http=True)
        with Registry(endpoint, Credentials(USER, PASSWORD)) as client:
            assert push(layout, client.repository("team/app")) == ["sent"] * 4
        with Registry(endpoint, Credentials(USER, "wrong")) as client, pytest.raises(RegistryError) as caught:
            push(layout, client.repository("team/app"))
        assert caught.value.status == 401
        assert USER in caught.value.hint
        with Registry(endpoint) as client, pytest.raises(RegistryError) as caught:
            client.ping()
        assert "docker login" in caught.value.hint


def test_a_registry_that_stands_still_and_goes_on(registry: RealRegistry, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(20 << 20))
    digest = Digest.of_file(path)
    os.kill(registry.pid, signal.SIGSTOP)
    timer = threading.Timer(0.5, os.kill, (registry.pid, signal.SIGCONT))
    timer.start()
    with Registry(Endpoint(registry.host, plain_http=True, chunk=1 << 20)) as client:
        assert client.repository("team/app").upload_blob(path, digest) == "sent"
    timer.join()


def test_a_registry_that_is_killed_and_comes_back(tmp_path: Path, need: Callable[..., None]) -> None:
    need("docker-registry")
    path = tmp_path / "large"
    path.write_bytes(os.urandom(20 << 20))
    digest = Digest.of_file(path)
    with ExitStack() as stack:
        first = stack.enter_context(running_registry(tmp_path / "registry"))
        lines: list[str] = []
        asked = itertools.count()

        def in_the_middle() -> bool:
            # Asked before every block, so this is somewhere in the fourth chunk.
            if next(asked) == 18:
                os.kill(first.pid, signal.SIGKILL)
                os.waitpid(first.pid, 0)
                port = int(first.host.rpartition(":")[2])
                stack.enter_context(running_registry(tmp_path / "registry", port=port))
            return False

        endpoint = Endpoint(first.host, plain_http=True, chunk=1 << 20)
        with Registry(endpoint, cancelled=in_the_middle, report=lines.append) as client:
            repository = client.repository("team/app")
            assert repository.upload_blob(path, digest) == "sent"
            assert repository.read_blob(digest, 20 << 20) == path.read_bytes()
        assert "trying again" in lines[0]


def test_inspect_reads_the_registry(
    layout: Layout, client: Registry, registry: RealRegistry, minios: Callable[..., Minios]
) -> None:
    push(layout, client.repository("team/app"))
    command = minios(ROOT / "config")
    words = ("inspect", "--plain-http", "--json")
    there = command.run(*words, f"docker://{registry.host}/team/app:two")
    assert there.returncode == 0, there.stderr
    told = json.loads(there.stdout)
    here = json.loads(command.run("inspect", f"{layout.root}:two", "--json").stdout)
    assert told["tags"] == here["tags"]
    assert told["repository"] == f"{registry.host}/team/app"
    digest = layout.tags()["two"].digest
    pinned = json.loads(command.run(*words, f"docker://{registry.host}/team/app@{digest}").stdout)
    assert pinned["tags"] == {str(digest): here["tags"]["two"]}
    missing = command.run(*words, f"docker://{registry.host}/team/app:nope")
    assert missing.returncode == 2
    assert "MANIFEST_UNKNOWN" in missing.stderr
