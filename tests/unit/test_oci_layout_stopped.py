"""Writers that are stopped at any moment, or write at once: a layout is the old one or the new one."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
from layoutbed import Release, names, sound

from minios_steps.core.errors import ImageError
from minios_steps.core.oci.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REAL = {name: getattr(os, name) for name in ("fsync", "replace", "rename", "mkdir")}
"""Everything that makes a change last; a writer is stopped before each."""


@pytest.fixture
def old(tmp_path: Path) -> Release:
    return Release(tmp_path / "layers", "linux/amd64", note="old")


@pytest.fixture
def new(tmp_path: Path) -> Release:
    return Release(tmp_path / "layers", "linux/amd64", "linux/arm64/v8", note="new")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "out" / "minios")


class Stopper:
    """Stops a writer before its n-th operation that makes a change last."""

    def __init__(self, at: int, stop: Callable[[], None]) -> None:
        self.left = at
        self.stop = stop

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name, real in REAL.items():
            patch.setattr(os, name, functools.partial(self._run, real))

    def _run(self, real: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            self.stop()
        return real(*args, **kwargs)


def full_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def ctrl_c() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("stop", [full_disk, ctrl_c])
@pytest.mark.parametrize("there", ["nothing", "an older one"])
def test_stopped_writer_leaves_the_old_or_the_new(
    layout: Layout,
    old: Release,
    new: Release,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[], None],
    there: str,
) -> None:
    before = {} if there == "nothing" else {"latest": str(old.index.descriptor.digest)}
    after = {"latest": str(new.index.descriptor.digest)}
    seen = []
    for count in range(1, 99):
        shutil.rmtree(layout.root.parent, ignore_errors=True)
        if before:
            old.publish(layout, "latest")
        stopper = Stopper(count, stop)
        with monkeypatch.context() as patch, contextlib.suppress(ImageError, KeyboardInterrupt):
            stopper.install(patch)
            new.publish(layout, "latest")
        if stopper.left > 0:
            break
        seen.append(sound(layout))
        assert seen[-1] in (before, after)
        assert layout.exists or not layout.root.exists()
        assert not list(layout.root.parent.glob("**/*.tmp-*")), "nothing half-written is left"
    assert len(seen) > 10
    assert before in seen


@pytest.mark.parametrize("there", ["nothing", "an older one"])
def test_killed_writer_leaves_the_old_or_the_new(
    layout: Layout, old: Release, new: Release, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    before = {} if there == "nothing" else {"latest": str(old.index.descriptor.digest)}
    after = {"latest": str(new.index.descriptor.digest)}
    for count in range(1, 99):
        shutil.rmtree(layout.root.parent, ignore_errors=True)
        if before:
            old.publish(layout, "latest")
        if not _dies(Stopper(count, lambda: os._exit(9)), monkeypatch, lambda: new.publish(layout, "latest")):
            break
        assert sound(layout) in (before, after)
        assert layout.exists or not layout.root.exists()
        new.publish(layout, "latest")
        assert sound(layout) == after
        assert names(layout.root.parent) == [".minios.lock", "minios"], "what the dead writer began is gone"
    assert count > 10


def _dies(stopper: Stopper, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> bool:
    """Run `work` in a child that is gone, with no cleaning up, when it is stopped; whether it was."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    code = 1
    try:
        stopper.install(monkeypatch)
        work()
        code = 0
    finally:
        os._exit(code)


def test_full_disk_is_one_line(layout: Layout, new: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: full_disk())
    with pytest.raises(ImageError, match=r"^cannot write [^\n]*: No space left on device") as caught:
        new.publish(layout, "latest")
    assert "free some disk space" in caught.value.hint


def test_writers_wait_for_each_other(layout: Layout, tmp_path: Path) -> None:
    releases = {f"t{n}": Release(tmp_path / f"r{n}", "linux/amd64", note=str(n)) for n in range(8)}
    threads = [
        threading.Thread(target=release.publish, args=(layout, tag)) for tag, release in releases.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sound(layout) == {tag: str(release.index.descriptor.digest) for tag, release in releases.items()}
