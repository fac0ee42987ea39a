"""`MiniosStep`: files to and from a worker, whole or not at all, and its folders."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from stepbed import (
    ActingCase,
    disk_full,
    download,
    interrupted,
    make_folder,
    no_such_file,
    remove_folder,
    upload,
    upload_file,
    upload_text,
)


class Folders(ActingCase):
    def test_done(self) -> Any:
        async def act(step: Any) -> None:
            await step.remove_folder("build")
            await step.make_folder("build/obj")

        self.acting(act)
        self.expect_commands(remove_folder("build"), make_folder("build/obj"))
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_not_removed(self) -> Any:
        async def act(step: Any) -> None:
            await step.remove_folder("build")

        self.acting(act)
        self.expect_commands(remove_folder("build").stderr("rm: 'x': Permission denied\n").exit(1))
        self.expect_outcome(FAILURE, "cannot remove 'build' on the worker: rm: 'x': Permission denied")
        return self.run_step()

    def test_not_made(self) -> Any:
        async def act(step: Any) -> None:
            await step.make_folder("build")

        self.acting(act)
        self.expect_commands(make_folder("build").exit(28))
        self.expect_outcome(FAILURE, "cannot make the folder 'build' on the worker: No space left on device")
        self.expect_property(
            "problem",
            "cannot make the folder 'build' on the worker: No space left on device (is its disk full?)",
        )
        return self.run_step()


class Uploads(ActingCase):
    def file(self, *commands: Any) -> None:
        async def act(step: Any) -> None:
            await step.upload_file("a.tar", self.folder / "got" / "a.tar", limit=10)

        self.acting(act)
        self.expect_commands(*commands)

    @property
    def got(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / "got").iterdir()}

    def test_text(self) -> Any:
        async def act(step: Any) -> None:
            assert await step.upload_text(".config", limit=20) == "CONFIG_A=y\n# \ufffd\n"

        self.acting(act)
        self.expect_commands(upload_text(".config", b"CONFIG_A=y\n# \xff\n", limit=20))
        self.expect_outcome(SUCCESS)
        return self.run_step()

    def test_no_such_text(self) -> Any:
        async def act(step: Any) -> None:
            await step.upload_text(".config", limit=20)

        self.acting(act)
        self.expect_commands(no_such_file(upload(".config", limit=20, text=True), "/w/.config"))
        self.expect_outcome(
            FAILURE, "the worker could not send '.config': Cannot open file '/w/.config' for upload"
        )
        return self.run_step()

    def test_text_over_the_limit(self) -> Any:
        async def act(step: Any) -> None:
            await step.upload_text(".config", limit=1000)

        self.acting(act)
        self.expect_commands(upload_text(".config", "x" * 1001, limit=1000))
        self.expect_outcome(FAILURE, "'.config' from the worker: larger than the 1,000 bytes allowed")
        return self.run_step()

    async def test_file(self) -> None:
        self.file(upload_file("a.tar", b"0123456789", limit=10))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert self.got == {"a.tar": b"0123456789"}

    async def test_file_over_the_limit(self) -> None:
        self.file(upload_file("a.tar", b"0123456789+", limit=10))
        self.expect_outcome(FAILURE, "'a.tar' from the worker: larger than the 10 bytes allowed")
        await self.run_step()
        assert self.got == {}

    async def test_no_such_file(self) -> None:
        self.file(no_such_file(upload("a.tar", limit=10), "/w/a.tar"))
        self.expect_outcome(
            FAILURE, "the worker could not send 'a.tar': Cannot open file '/w/a.tar' for upload"
        )
        await self.run_step()
        assert self.got == {}

    async def test_silent_failure(self) -> None:
        self.file(upload("a.tar", limit=10).exit(5))
        self.expect_outcome(FAILURE, "the worker could not send 'a.tar': exit 5")
        await self.run_step()
        assert self.got == {}

    async def test_never_ended(self) -> None:
        self.file(upload("a.tar", limit=10).exit(0))
        self.expect_outcome(
            FAILURE,
            "the worker could not send 'a.tar': it said that all is sent, but never ended the file",
        )
        await self.run_step()
        assert self.got == {}

    async def test_read_error_in_the_middle(self) -> None:
        self.file(upload("a.tar", limit=10).upload_string(b"01234").error(OSError(5, "Input/output error")))
        self.expect_outcome(FAILURE, "the worker could not send 'a.tar': [Errno 5] Input/output error")
        await self.run_step()
        assert self.got == {}

    async def test_cancelled_in_the_middle(self) -> None:
        (self.folder / "got").mkdir()
        (self.folder / "got" / "a.tar").write_bytes(b"older")
        self.file(interrupted(upload("a.tar", limit=10).upload_string(b"01234").exit(1)))
        self.interrupt_nth_remote_command(0)
        self.expect_outcome(CANCELLED)
        await self.run_step()
        assert self.got == {"a.tar": b"older"}


class Downloads(ActingCase):
    async def test_text(self) -> None:
        got: list[bytes] = []

        async def act(step: Any) -> None:
            await step.download_text("gr\u00fc\u00dfe\n", "notes")

        self.acting(act)
        self.expect_commands(download("notes", text=True, into=got.append))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert got == ["gr\u00fc\u00dfe\n".encode()]

    async def test_file(self) -> None:
        got: list[bytes] = []
        source = self.folder / "source"
        source.write_bytes(bytes(range(256)))

        async def act(step: Any) -> None:
            await step.download_file(source, "source.tar.gz")

        self.acting(act)
        self.expect_commands(download("source.tar.gz", text=False, into=got.append))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert got == [bytes(range(256))]

    def test_refused(self) -> Any:
        async def act(step: Any) -> None:
            await step.download_text("text", "notes")

        self.acting(act)
        self.expect_commands(
            download("notes", text=True).stderr("Cannot open file '/w/notes' for download").exit(1)
        )
        self.expect_outcome(
            FAILURE, "the worker could not write 'notes': Cannot open file '/w/notes' for download"
        )
        return self.run_step()

    def test_disk_full(self) -> Any:
        async def act(step: Any) -> None:
            await step.download_text("text", "notes")

        self.acting(act)
        self.expect_commands(disk_full(download("notes", text=True)))
        self.expect_outcome(
            FAILURE,
            "the worker could not write 'notes': [Errno 28] No space left on device",
        )
        return self.run_step()

    def test_disk_of_a_local_worker_full(self) -> Any:
        async def act(step: Any) -> None:
            await step.download_text("text", "notes")

        self.acting(act)
        self.expect_commands(download("notes", text=True).error(OSError(28, "No space left on device")))
        self.expect_outcome(FAILURE, "the worker could not write 'notes': [Errno 28] No space left on device")
        return self.run_step()
