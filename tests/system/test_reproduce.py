"""A release built again by somebody else: another checkout, user, umask, time zone and locale."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from userland import ROOT, Minios, copy_config, seed_kits

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.oci.image import build_image
from minios_steps.core.oci.model import RawManifest
from minios_steps.core.oci.verify import LAYER_LIMIT, scan_layer, unpack_layer
from minios_steps.core.tarball import write_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from minios_steps.core.cell_record import CellRecord

SOMEBODY = "nobody"
TREE = ("setup.py", "README.md", "config", "master", "minios_steps", "workers")
"""What of a checkout a run needs."""


class SecondCheckout:
    """A copy of the tree and the configuration in another folder, used by another user."""

    def __init__(self, folder: Path, config: Path, kits: Path) -> None:
        self.tree = folder / "tree"
        self.home = folder / "home"
        self.user = pwd.getpwnam(SOMEBODY)
        ignored = shutil.ignore_patterns("__pycache__")
        for name in TREE:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.tree / name, ignore=ignored)
            else:
                self.tree.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.tree / name)
        shutil.rmtree(self.tree / "config")
        shutil.copytree(config, self.tree / "config")
        seed_kits(self.home / "state", kits)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the tree's own `minios` as that user, with nothing of this one's environment."""
        # The interpreter may be in a folder of root's alone, so that user may read what root may;
        # everything else, and all that is written, is by their own right.
        drop = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups"]
        drop += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
        python = shlex.join([sys.executable, "-c", "from minios_master.cli.main import run; run()", *words])
        return subprocess.run(
            [*drop, "sh", "-c", f"umask 077; exec {python}"],
            cwd=self.tree,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{self.tree}:{self.tree / 'master'}",
                "HOME": str(self.home),
                "TMPDIR": str(self.home),
                "MINIOS_STATE": str(self.home / "state"),
                "TZ": "Asia/Shanghai",
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def first(
    running: list[Minios],
    tarballs: Callable[[str], Path],
    kits: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Minios:
    """A release of a few applets in a layout, by this user."""
    folder = tmp_path_factory.mktemp("first")
    config = copy_config(folder / "config", tarballs("1.38.0"), tiny=True, arches={"x86_64": "required"})
    cli = Minios(config, folder)
    running.append(cli)
    seed_kits(cli.state, kits)
    done = cli.run("matrix", "--out", str(cli.out), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return cli


@pytest.fixture
def second(first: Minios, kits: Path, need: Callable[..., None]) -> Iterator[SecondCheckout]:
    """Where it is built again: below no folder of this user's alone, as a user's home is."""
    need("setpriv", root=True)
    with tempfile.TemporaryDirectory(prefix="minios-second-") as folder:
        yield SecondCheckout(Path(folder), first.config, kits)


def test_bit_identical_from_the_record(first: Minios, second: SecondCheckout) -> None:
    # The configuration has gone on since.
    fragment = second.tree / "config" / "kconfig" / "base.config"
    fragment.write_text(fragment.read_text("utf-8").replace("CONFIG_VI=y\n", ""), "utf-8")
    done = second.run("reproduce", f"{first.out}:latest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"x86_64 +bit-identical +([0-9a-f]{12}) +\1", done.stdout), done.stdout
    assert "changed since; built as recorded: kconfig: CONFIG_VI y → not asked for" in done.stdout
    # It was really somebody else, and left nothing but fetched sources.
    assert [path.name for path in (second.home / "state").iterdir()] == ["cache"]
    source = next((second.home / "state" / "cache" / "sources").rglob("34f9*"))
    assert source.stat().st_uid == second.user.pw_uid
    assert source.stat().st_mode & 0o077 == 0


def change_a_byte(store: CandidateStore, folder: Path) -> tuple[CellRecord, CellRecord]:
    """Put an image with another byte in its program in the place of the candidate; both records."""
    real = store.latest("x86_64", "1.38.0", "static")
    assert real
    config, layer = store.blobs(real.descriptor)[1:]
    entries = list(scan_layer(unpack_layer(store.layout.read(layer, LAYER_LIMIT))))
    changed = [
        dataclasses.replace(one, data=one.data.replace(b"BusyBox v1", b"BusyBox v2"))
        if one.path == "bin/busybox" and isinstance(one.data, bytes)
        else one
        for one in entries
    ]
    epoch = int(real.inputs["epoch"])
    manifest = RawManifest.parse(store.layout.read(real.descriptor.digest))
    told = json.loads(store.layout.read(config))["config"]
    assert real.descriptor.platform
    image = build_image(
        write_layer(changed, folder / "changed.tar.gz", epoch),
        real.descriptor.platform,
        epoch=epoch,
        command=told["Cmd"],
        labels=told["Labels"],
        annotations=manifest.annotations,
    )
    other = dataclasses.replace(real, descriptor=image.descriptor)
    store.put(other, layer=image.layer, config=image.config, manifest=image.manifest)
    return real, other


def test_rebuild_that_differs_is_an_error(first: Minios, tmp_path: Path) -> None:
    store = CandidateStore(first.state / "store")
    real, other = change_a_byte(store, tmp_path)
    released = (first.out / "index.json").read_bytes()
    done = first.run("matrix", "--force", "--out", str(first.out))
    assert done.returncode == 1, done.stdout + done.stderr
    old, new = other.descriptor.digest.short, real.descriptor.digest.short
    key = real.key.short
    assert f"x86_64: non-reproducible: key {key} gave {old} before, and {new} now" in done.stdout
    assert (first.out / "index.json").read_bytes() == released
    found = store.find(real.key)
    assert found
    assert found.descriptor == other.descriptor
    # What the message says to type.
    command = re.search(r"minios (diff [0-9a-f]{12} [0-9a-f]{12})", done.stdout)
    assert command
    diff = first.run(*command[1].split())
    assert diff.returncode == 1, diff.stdout + diff.stderr
    rows = [re.split(r" {2,}", line.strip()) for line in diff.stdout.splitlines()]
    assert [row[:2] for row in rows if row[0] == "bin/busybox"] == [["bin/busybox", "section .rodata"]]
    assert first.run("diff", "latest@x86_64", new).returncode == 0
