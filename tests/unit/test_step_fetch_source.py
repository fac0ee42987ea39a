"""`FetchSource`: a real, tiny release from a folder, patched on the master and unpacked on the worker."""

from __future__ import annotations

from typing import Any

from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, SUCCESS
from fetchbed import EPOCH, FILES, PATCH, WORKDIR, FetchCase, tarball
from stepbed import disk_full, download, interrupted, make_folder, remove_folder

from minios_steps import fetch_source
from minios_steps.core.build_folder import family_of
from minios_steps.core.digest import Digest


class Fetching(FetchCase):
    async def test_patched(self) -> None:
        self.fetch(patches=(self.patch_file("b.patch", PATCH),))
        self.expect_commands(*self.up_to_unpack(), self.unpack().exit(0))
        self.expect_outcome(SUCCESS, f"BusyBox 1.38.0 from {self.origin}, 1 patch, 0.0 MB sent")
        self.expect_property("source_sha256", self.sha256, "fetch")
        self.expect_property("epoch", EPOCH, "fetch")
        self.expect_no_property("problem")
        await self.run_and_look()
        changed = {**FILES, "libbb/a.c": FILES["libbb/a.c"].replace("int a", "int b")}
        assert self.received() == {f"busybox-1.38.0/{name}": text for name, text in changed.items()}
        assert self.rules().objects({}) == ("libbb/a.o",)
        assert self.get_nth_step(0).getStatistic("bytes") == len(self.sent[0])
        assert f"BusyBox 1.38.0 is from {self.origin}, sha256 {self.sha256}\n" in self.log_text("sources")

    async def test_second_time_from_the_cache(self) -> None:
        sent = []
        for mirror in (f"{self.origin}", "cache"):
            self._steps.clear()
            self.fetch()
            if mirror == "cache":
                self.origin.unlink()
            self.expect_commands(*self.up_to_unpack(), self.unpack().exit(0))
            self.expect_outcome(SUCCESS, f"BusyBox 1.38.0 from {mirror}, 0 patches, 0.0 MB sent")
            await self.run_and_look()
            sent += self.sent
        assert sent[0] == sent[1]

    def test_renderable_version(self) -> Any:
        self.fetch(version=Property("version"))
        self.set_properties(version="1.38.0")
        self.expect_commands(*self.up_to_unpack(), self.unpack().exit(0))
        self.expect_outcome(SUCCESS)
        return self.run_step()

    async def test_second_mirror(self) -> None:
        self.fetch(
            mirrors=({"kind": "file", "path": "gone"}, {"kind": "file", "path": "mirror"}),
        )
        self.expect_commands(*self.up_to_unpack(), self.unpack().exit(0))
        self.expect_outcome(SUCCESS, f"BusyBox 1.38.0 from {self.origin}, 0 patches, 0.0 MB sent")
        await self.run_step()
        gone = self.folder / "config" / "gone"
        assert self.log_text("sources").startswith(
            f"trying gone\ngone: {gone}: No such file or directory\ntrying mirror\n"
        )

    async def test_source_that_is_there_already(self) -> None:
        self.fetch()
        self.expect_commands(remove_folder("build"), make_folder("build"), self.opening("new"))
        self.expect_outcome(SUCCESS)
        self.expect_property("objects_kept", False, "fetch")
        await self.run_and_look()
        assert self.sent == []

    def kept(self, answer: str, *, fresh: bool = False, **properties: Any) -> str:
        """A step that shares objects with others, and its family."""
        self.fetch(kept=Property("variant"), trees=Property("where"))
        told = {"toolchain_identity": "gcc 12", "cc_prefix": "x-", "ccache": True, **properties}
        self.set_properties(variant="static", where="../..", force_rebuild=fresh, **told)
        parts = (str(told[name]) for name in ("toolchain_identity", "cc_prefix", "ccache"))
        family = family_of(self.source.hex, "static", str(EPOCH), *parts)
        opened = self.opening(answer, trees="../..", family=family, fresh=fresh)
        self.expect_commands(remove_folder("build"), make_folder("build"), opened)
        self.expect_outcome(SUCCESS)
        self.expect_property("objects_kept", answer == "kept")
        return family

    def test_objects_of_an_earlier_build(self) -> Any:
        self.kept("kept")
        return self.run_step()

    def test_a_forced_build_starts_without_objects(self) -> Any:
        self.kept("new", fresh=True)
        return self.run_step()

    async def test_another_compiler_is_another_family(self) -> None:
        families = set()
        for change in ({}, {"toolchain_identity": "gcc 13"}, {"cc_prefix": "y-"}, {"ccache": False}):
            self._steps.clear()
            families.add(self.kept("new", **change))
            await self.run_step()
        assert len(families) == 4

    async def link(self, *urls: str) -> list[dict[str, str]]:
        """The links of a step whose mirrors, beside the folder, are `urls`: none is asked."""
        mirrors = [{"kind": "https", "url": url} for url in urls]
        self.fetch(mirrors=({"kind": "file", "path": "mirror"}, *mirrors))
        self.expect_commands(*self.up_to_unpack(), self.unpack().exit(0))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        step = await self.master.data.get(("steps", self.get_nth_step(0).stepid))
        return list(step["urls"])

    async def test_link(self) -> None:
        found = await self.link(
            "https://me:secret@example.org/busybox-{version}.tar.bz2",
            "https://example.org/busybox-{version}.tar.bz2?token=secret",
            "https://example.net/{odd}/busybox-{version}.tar.bz2",
        )
        url = "https://example.net/{odd}/busybox-1.38.0.tar.bz2"
        assert found == [{"name": "BusyBox 1.38.0", "url": url}]

    async def test_no_link_with_a_secret(self) -> None:
        assert await self.link("https://me:secret@example.org/busybox-{version}.tar.bz2") == []


class Failing(FetchCase):
    def test_not_pinned(self) -> Any:
        self.fetch(version="1.37.0")
        return self.refused("BusyBox 1.37.0 is not pinned")

    def test_no_version(self) -> Any:
        self.fetch(version="newest")
        return self.refused("not a BusyBox version: 'newest'")

    async def test_other_bytes(self) -> None:
        self.fetch(data=tarball({"Makefile": "# trojan\n"}), pinned=tarball())
        found, size = Digest.of_file(self.origin).hex, self.origin.stat().st_size
        await self.refused(
            "BusyBox 1.38.0 cannot be fetched: mirror/busybox-1.38.0.tar.bz2: wrong sha256:"
            f" expected {self.sha256}, found {found} ({size} bytes)"
        )
        assert not list((self.folder / "cache" / "sources" / "sha256").glob("*"))
        assert self.log_text("problem").count("wrong sha256") == 2

    def test_no_mirror_has_it(self) -> Any:
        self.fetch()
        self.origin.unlink()
        return self.refused(
            f"BusyBox 1.38.0 cannot be fetched: mirror/busybox-1.38.0.tar.bz2: {self.origin}:"
            " No such file or directory"
        )

    def test_too_large(self) -> Any:
        self.fetch(max_bytes=10)
        size = len(tarball())
        return self.refused(
            f"BusyBox 1.38.0 cannot be fetched: mirror/busybox-1.38.0.tar.bz2: {self.origin}:"
            f" {size} bytes, more than the 10 allowed"
        )

    def test_unpacks_to_too_much(self) -> Any:
        self.fetch(data=tarball({**FILES, "zeros": "0" * 5000}), max_unpacked=4000)
        return self.refused(f"{self.sha256}: more than the 4,000 bytes allowed, at 'busybox-1.38.0/zeros'")

    def test_leads_out(self) -> Any:
        self.fetch(data=tarball({"evil": "x"}, top="../"))
        return self.refused(f"{self.sha256}: not a plain relative path: '../evil'")

    def test_not_busybox(self) -> Any:
        self.fetch(data=tarball({"README": "hello\n"}))
        return self.refused(
            "busybox-1.38.0.tar.gz: holds no BusyBox: its Makefile names no folder with a Kbuild"
        )

    def test_patch_does_not_apply(self) -> Any:
        self.fetch(patches=(self.patch_file("old.patch", PATCH.replace("int a", "int z")),))
        return self.refused("old.patch does not apply: error: patch failed: libbb/a.c:1")

    def test_patch_is_missing(self) -> Any:
        self.fetch(patches=("gone.patch",))
        path = self.folder / "config" / "patches" / "gone.patch"
        return self.refused(f"patch {path}: No such file or directory")

    def on_the_worker(self, what: str, *commands: Any) -> Any:
        self.expect_commands(*commands)
        return self.refused(what)

    def test_folder_cannot_be_removed(self) -> Any:
        self.fetch()
        return self.on_the_worker(
            "cannot remove 'build' on the worker: rm: Permission denied",
            remove_folder("build").stderr("rm: Permission denied\n").exit(1),
        )

    def test_folder_cannot_be_made(self) -> Any:
        self.fetch()
        return self.on_the_worker(
            "cannot make the folder 'build' on the worker: No space left on device",
            remove_folder("build"),
            make_folder("build").exit(28),
        )

    def test_disk_full_while_sending(self) -> Any:
        self.fetch()
        return self.on_the_worker(
            "the worker could not write 'source.tar.gz': [Errno 28] No space left on device",
            *self.up_to_unpack()[:3],
            disk_full(download("source.tar.gz", workdir=WORKDIR, text=False)),
        )

    def test_source_is_lost_on_the_worker(self) -> Any:
        self.fetch()
        return self.on_the_worker(
            "the worker lost the source that it was sent", *self.up_to_unpack(), self.opening("wanted")
        )

    def test_a_strange_answer(self) -> Any:
        self.fetch()
        return self.on_the_worker(
            "the worker did not say where it will compile",
            *self.up_to_unpack(),
            self.opening().stdout("hello\n").exit(0),
        )

    async def test_disk_full_while_unpacking(self) -> None:
        self.fetch()
        what = "the worker cannot unpack the source: tar: write error: No space left on device"
        await self.on_the_worker(
            what,
            *self.up_to_unpack(),
            self.opening().stderr("tar: write error: No space left on device\n").exit(2),
        )
        assert self.property("problem") == f"{what} (is its disk full?)"


class Cancelled(FetchCase):
    def cancelled(self, name: str) -> Any:
        """Cancel while a thread is in a function that asks whether it was cancelled."""
        self.fetch(patches=(self.patch_file("b.patch", PATCH),))
        self.interrupt_when(fetch_source, name)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("problem")
        self.nothing_set()
        return self.run_and_look()

    async def test_while_fetching(self) -> None:
        await self.cancelled("fetch")
        assert not list((self.folder / "cache" / "sources" / "sha256").glob("*"))

    async def test_while_patching(self) -> None:
        await self.cancelled("prepare")
        assert [name for name in self.left("cache/prepared") if not name.endswith(".lock")] == []

    def on_the_worker(self, *commands: Any) -> Any:
        self.interrupt_nth_remote_command(len(commands) - 1)
        self.expect_commands(*commands[:-1], interrupted(commands[-1]))
        self.expect_outcome(CANCELLED)
        self.expect_no_property("problem")
        self.nothing_set()
        return self.run_and_look()

    def test_while_sending(self) -> Any:
        self.fetch()
        return self.on_the_worker(*self.up_to_unpack())

    def test_while_unpacking(self) -> Any:
        self.fetch()
        return self.on_the_worker(*self.up_to_unpack(), self.unpack().exit(-1))
