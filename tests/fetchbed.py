"""A tiny release in a folder, for the tests of `FetchSource`."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot.process.results import FAILURE
from stepbed import StepCase, download, make_folder, remove_folder, shell

from minios_steps.core.build_folder import BuildFolder
from minios_steps.core.config.sources import Sources
from minios_steps.core.digest import Digest
from minios_steps.core.kbuild import KbuildRules
from minios_steps.core.sources import prepare
from minios_steps.core.version import Version
from minios_steps.fetch_source import FetchSource

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCH = 1700000000
FILES = {
    "Makefile": "libs-y := libbb/\n",
    "libbb/Kbuild.src": "lib-y :=\nINSERT\n",
    "libbb/a.c": "//kbuild:lib-y += a.o\nint a;\n",
}
PATCH = """\
--- a/libbb/a.c
+++ b/libbb/a.c
@@ -1,2 +1,2 @@
 //kbuild:lib-y += a.o
-int a;
+int b;
"""
WORKDIR = "build"


def tarball(files: Mapping[str, str] = FILES, top: str = "busybox-1.38.0/") -> bytes:
    """A release as upstream packs one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:bz2") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


class FetchCase(StepCase):
    def fetch(
        self,
        *,
        data: bytes | None = None,
        pinned: bytes | None = None,
        patches: tuple[str, ...] = (),
        mirrors: tuple[dict[str, Any], ...] = ({"kind": "file", "path": "mirror/busybox-{version}.tar.bz2"},),
        version: Any = "1.38.0",
        trees: Any = "..",
        kept: Any = "",
        **limits: int,
    ) -> None:
        """The step, with a mirror that holds `data`, of which `pinned` has the digest."""
        data = tarball() if data is None else data
        mirror = self.folder / "config" / "mirror"
        mirror.mkdir(parents=True, exist_ok=True)
        (mirror / "busybox-1.38.0.tar.bz2").write_bytes(data)
        self.sha256 = Digest.of(data if pinned is None else pinned).hex
        release = {"sha256": self.sha256, "epoch": EPOCH, "patches": patches}
        self.sent: list[bytes] = []
        self.setup_step(
            FetchSource(
                version=version,
                sources=Sources.model_validate(
                    {"releases": {"1.38.0": release}, "mirrors": mirrors, **limits}
                ),
                config_root=self.folder / "config",
                cache=self.folder / "cache",
                trees=trees,
                kept=kept,
            )
        )
        paths = [self.folder / "config" / "patches" / name for name in patches]
        if all(path.exists() for path in paths):
            self.source = prepare._key(Version.parse("1.38.0"), self.origin, paths, EPOCH)

    def patch_file(self, name: str, text: str) -> str:
        path = self.folder / "config" / "patches" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return name

    def opening(self, answer: str = "", *, trees: str = "..", family: str = "", fresh: bool = False) -> Any:
        """The script that makes the build folder, with what it says; nothing where it fails."""
        folder = BuildFolder(trees, self.source, family, fresh)
        command = shell(list(folder.command), workdir=WORKDIR)
        return command.stdout(f"minios-folder\t{answer}\n").exit(0) if answer else command

    def unpack(self) -> Any:
        """The script once it has the source; how it ends is not said yet."""
        return self.opening().stdout("minios-folder\tnew\n")

    def up_to_unpack(self) -> tuple[Any, ...]:
        return (
            remove_folder("build"),
            make_folder("build"),
            self.opening("wanted"),
            download("source.tar.gz", workdir=WORKDIR, text=False, into=self.sent.append),
        )

    def received(self) -> dict[str, str]:
        """What the worker got, file by file."""
        with tarfile.open(fileobj=io.BytesIO(self.sent[0]), mode="r:gz") as tar:
            streams = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
            return {name: stream.read().decode() for name, stream in streams if stream}

    def rules(self) -> KbuildRules:
        """What the makefiles say, as `ConfigureBusyBox` will read it."""
        return KbuildRules.from_json(Path(self.property("kbuild_rules")).read_text("utf-8"))

    @property
    def origin(self) -> Path:
        return self.folder / "config" / "mirror" / "busybox-1.38.0.tar.bz2"

    def nothing_set(self) -> None:
        for name in ("source_sha256", "epoch", "kbuild_rules", "objects_kept"):
            self.expect_no_property(name)

    def refused(self, what: str) -> Any:
        self.expect_outcome(FAILURE, what)
        self.nothing_set()
        return self.run_and_look()

    async def run_and_look(self) -> None:
        """Run; no unfinished file is left behind."""
        await self.run_step()
        left = [name for name in self.left("cache") if not name.endswith(".lock") and "." in name]
        assert all(name.endswith((".tar.gz", ".json")) and name[0] != "." for name in left), left
        assert not list((self.folder / "cache").glob("**/*.tmp"))
