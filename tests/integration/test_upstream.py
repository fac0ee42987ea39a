"""A real master and an upstream on the loopback: what is announced, once, and what becomes of it."""

from __future__ import annotations

import json
import re
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from noticebed import SECRET, Hook, Postbox
from servebed import serving
from upstreambed import REAL_SIGNATURE, MadeUpKey, Upstream, made_up_key, small_release, upstream
from userland import Minios, replace_block

from minios_steps.core.oci.tag import is_hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REAL_KEY = "{file: busybox.asc, fingerprint: C9E9416F76E610DBD09D040F47B70C55ACC9965B}"
NOBODY = "local:\n  arches: []\n"


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture
def key(tmp_path: Path, need: Callable[..., None]) -> Iterator[MadeUpKey]:
    need("gpg", "gpgv", "git")
    with made_up_key(tmp_path / "made-up-key") as made:
        yield made


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving(Hook()) as made:
        yield made


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    with serving(Postbox()) as made:
        yield made


def telling(config: Path, cli: Minios, hook: Hook, postbox: Postbox) -> None:
    """Both channels are told; the webhook's secret is where the master looks for secrets."""
    mail = (
        f"mail: {{from: minios@example.org, to: [team@example.org], host: 127.0.0.1, port: {postbox.port}}}"
    )
    webhook = f"webhook: {{url: '{hook.url}', secret: hook-key, insecure: true}}"
    with (config / "minios.yaml").open("a", encoding="utf-8") as stream:
        stream.write(f"notices:\n  {mail}\n  {webhook}\n")
    secrets = cli.state / "secrets"
    secrets.mkdir(mode=0o700, parents=True)
    (secrets / "hook-key").touch(mode=0o600)
    (secrets / "hook-key").write_text(SECRET, "utf-8")


class Master:
    """A master that stays, by its REST interface."""

    def __init__(self, cli: Minios) -> None:
        self.cli = cli

    def up(self) -> None:
        done = self.cli.run("up", timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        self.url = json.loads((self.cli.state / "run.json").read_text("utf-8"))["url"]

    def down(self) -> None:
        done = self.cli.run("down", timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def get(self, path: str) -> list[dict[str, Any]]:
        told = requests.get(f"{self.url}api/v2/{path}", timeout=30, headers={"Connection": "close"}).json()
        found: list[dict[str, Any]] = told[path.partition("?")[0].rpartition("/")[2]]
        return found

    def force(self, name: str, **params: Any) -> None:
        body = {"jsonrpc": "2.0", "method": "force", "params": params, "id": 1}
        requests.post(f"{self.url}api/v2/forceschedulers/{name}", json=body, timeout=30).raise_for_status()

    def announced(self) -> list[str]:
        changes = self.get("changes?category=busybox-release")
        return [change["revision"] for change in sorted(changes, key=lambda change: change["changeid"])]

    def built(self) -> list[str]:
        """The versions of the matrix builds that have ended, oldest first."""
        builds = sorted(self.get("builders/matrix/builds"), key=lambda build: build["number"])
        found = []
        for build in builds:
            told = self.get(f"builds/{build['buildid']}/properties")[0]
            if build["complete"]:
                found += told["versions"][0]
        return found

    def log(self) -> str:
        return (self.cli.state / "master" / "twistd.log").read_text("utf-8")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"no {what} within {seconds} s"
        time.sleep(0.1)


def watching(config: Path, server: Upstream, key: MadeUpKey, pinned: str, *, release: str = "hold") -> Path:
    """Only `pinned` is pinned; the server is watched every second, and both keys count."""
    (config / "keys" / "made-up.asc").write_bytes(key.public)
    made_up = f"{{file: made-up.asc, fingerprint: {key.fingerprint}}}"
    watch = (
        f"upstream:\n  interval: 1\n  release: {release}\n"
        f"  watch:\n    - {{kind: listing, url: '{server.url}', insecure: true}}\n"
        f"  keys: [{REAL_KEY}, {made_up}]\n"
    )
    replace_block(config / "minios.yaml", "upstream", watch)
    sources = (config / "sources.yaml").read_text("utf-8")
    blocks = sources.split('  "1.')
    kept = [block for block in blocks[1:] if f"1.{block}".startswith(pinned)]
    text = "releases:\n" + "".join(f'  "1.{block.partition("mirrors:")[0]}' for block in kept)
    replace_block(config / "sources.yaml", "releases", text)
    return config


def test_announced_once_and_only_when_good(
    config_copy: Any,
    minios: Any,
    tarballs: Callable[[str], Path],
    server: Upstream,
    key: MadeUpKey,
    hook: Hook,
    postbox: Postbox,
) -> None:
    config = watching(config_copy(arches={"x86_64": "required"}), server, key, "1.35.0")
    # Nobody compiles: what is looked at is which builds are started.
    (config / "workers.yaml").write_text(NOBODY, "utf-8")
    real = {version: tarballs(version).read_bytes() for version in ("1.35.0", "1.37.0", "1.38.0")}
    # Upstream's own signature is at hand for 1.38.0 only; for the others a made-up key signs.
    server.publish("1.35.0", real["1.35.0"], key.sign(real["1.35.0"]))
    master = Master(minios(config))
    telling(config, master.cli, hook, postbox)
    master.up()
    wait_for(lambda: server.asked, "look")
    server.publish("1.37.0", real["1.37.0"], key.sign(real["1.37.0"]))
    wait_for(lambda: master.built() == ["1.37.0"], "build of 1.37.0")
    server.publish("1.38.0", real["1.38.0"], REAL_SIGNATURE.read_bytes())
    wait_for(lambda: master.built() == ["1.37.0", "1.38.0"], "build of 1.38.0")
    # One of each kind that must never be built, and one that is not whole.
    for version, signature, sha256 in (
        ("1.39.0", key.sign(b"something else"), ""),
        ("1.40.0", key.sign(small_release("1.40.0")), "0" * 64),
        ("1.41.0", key.sign(small_release("1.41.0")), ""),
    ):
        server.publish(version, small_release(version), signature, sha256=sha256)
    late = server.files.pop("busybox-1.41.0.tar.bz2")
    for told in (
        "BusyBox 1.39.0 at .* is bad: the signature is not of this file",
        "BusyBox 1.40.0 at .* is bad: the tarball is not what its .sha256 says",
        "busybox-1.41.0.tar.bz2 is not there yet",
    ):
        wait_for(lambda told=told: re.search(told, master.log()), told)
    master.down()
    server.asked.clear()
    master.up()
    # After a restart it has looked twice, and found nothing that is new.
    wait_for(lambda: server.asked.count("") > 1, "second look")
    assert master.announced() == ["1.37.0", "1.38.0"]
    server.files["busybox-1.41.0.tar.bz2"] = late
    wait_for(lambda: master.built() == ["1.37.0", "1.38.0", "1.41.0"], "build of 1.41.0")
    assert master.announced() == ["1.37.0", "1.38.0", "1.41.0"]
    assert master.log().count("is bad: ") == 2
    [change] = [change for change in master.get("changes") if change["revision"] == "1.38.0"]
    said = {name: value for name, (value, _source) in change["properties"].items()}
    assert said["upstream_fingerprint"] == "C9E9416F76E610DBD09D040F47B70C55ACC9965B"
    assert said["upstream_sha256"].startswith("34f9ea6f")
    assert said["upstream_refused_patches"] == []
    # Each event is told once on each channel: all three builds found no worker.
    expected = ["bad-release"] * 2 + ["missing-worker"] + ["new-release"] * 3
    wait_for(lambda: (len(hook.told), len(postbox.mails)) == (6, 6), "last notice")
    assert sorted(hook.events) == expected
    assert len(set(postbox.subjects)) == 6
    assert set(postbox.recipients) == {"team@example.org"}
    assert "[minios] BusyBox 1.38.0 (unstable) is out" in postbox.subjects
    master.down()
    assert SECRET not in master.log()


def tags(cli: Minios) -> dict[str, str]:
    """The tags that people see in the layout, and their digests."""
    path = cli.folder / "out" / "minios" / "index.json"
    if not path.exists():
        return {}
    manifests = json.loads(path.read_text("utf-8"))["manifests"]
    name = "org.opencontainers.image.ref.name"
    found = {m["annotations"][name]: m["digest"] for m in manifests if name in m.get("annotations", {})}
    return {tag: digest for tag, digest in found.items() if not is_hidden(tag)}


def test_candidate_becomes_a_release_when_it_is_approved(
    config_copy: Any, minios: Any, tarballs: Callable[[str], Path], server: Upstream, key: MadeUpKey
) -> None:
    config = config_copy(tiny=True, arches={"x86_64": "required"})
    shutil.copy(tarballs("1.35.0"), config / "mirror" / "busybox-1.35.0.tar.bz2")
    # Of the new release there is nothing but what upstream has.
    new = config / "mirror" / "busybox-1.38.0.tar.bz2"
    server.publish("1.38.0", new.read_bytes(), REAL_SIGNATURE.read_bytes())
    new.unlink()
    cli = minios(watching(config, server, key, "1.35.0"))
    master = Master(cli)
    master.up()
    wait_for(lambda: master.built() == ["1.38.0"], "candidate", 120)
    assert list(tags(cli)) == ["1.38.0-rc"]
    [candidate] = master.get("builders/matrix/builds")
    states = {
        step["name"]: step["state_string"] for step in master.get(f"builds/{candidate['buildid']}/steps")
    }
    assert states["drift"] == (
        "1.35.0 to 1.38.0: 28 new, 0 gone, 0 renamed symbols; 0 fragment lines do not apply"
    )
    assert states["decide"] == "1.38.0 is good: waits for minios release approve 1.38.0"
    master.force("approve", approve="1.38.0")
    wait_for(lambda: len(master.built()) == 2, "release")
    found = tags(cli)
    assert set(found) == {"1.38.0-rc", "1.38.0", "1.38", "latest"}
    # The very image that was tried.
    assert len(set(found.values())) == 1
    # The first build compiled, the second had nothing to compile.
    builds = sorted(master.get("builders/x86_64/builds"), key=lambda build: build["number"])
    told = [master.get(f"builds/{build['buildid']}/properties")[0] for build in builds]
    assert ["reused" in properties for properties in told] == [False, True]
    # By the command line too; a second time changes nothing.
    done = cli.run("release", "approve", "1.38.0", "--json", timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["releases"][0]["outcome"] == "unchanged"
    master.down()
    pinned = cli.run("sources", "update", "--write", timeout=60)
    assert pinned.returncode == 0, pinned.stdout + pinned.stderr
    assert '+  "1.38.0":\n' in pinned.stdout
    [planned] = json.loads(cli.run("plan", "--json").stdout)["cells"]
    # Pinned as it was found, it is the same cell.
    assert (planned["version"], planned["action"]) == ("1.38.0", "reuse")
