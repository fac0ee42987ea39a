"""`minios matrix` on a real master, a real compiler and a small BusyBox."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from userland import Minios, copy_config, seed_kits

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

X86 = {"x86_64": "required"}


def outcome(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(0.05)


def processes_below(folder: Path) -> list[str]:
    """Processes whose working folder or command line is below a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = str((process / "cwd").readlink())
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if where.startswith(str(folder)) or str(folder) in command:
            found.append(f"{process.name} {command}")
    return found


def compiles(cli: Minios) -> bool:
    """Whether the compiler has finished its first files."""
    build = cli.state / "master" / "workers" / "local-x86_64" / "x86_64" / "build"
    return any((build / "obj" / "libbb").glob("*.o"))


@pytest.fixture(scope="module")
def built(
    running: list[Minios],
    tarballs: Callable[[str], Path],
    kits: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Minios]:
    """Builds the same configuration in a state folder of its own; `first` is how that ended."""
    folder = tmp_path_factory.mktemp("built")
    arches = {**X86, "sw64": "optional"}
    config = copy_config(folder / "config", tarballs("1.38.0"), tiny=True, arches=arches)

    def build(name: str, *words: str) -> Minios:
        cli = Minios(config, folder / name)
        running.append(cli)
        seed_kits(cli.state, kits)
        cli.first = cli.run("matrix", *words)
        assert cli.first.returncode == 0, cli.first.stdout + cli.first.stderr
        return cli

    return build


@pytest.fixture(scope="module")
def one(built: Callable[..., Minios]) -> Minios:
    """The first state folder; its build was told as JSON."""
    return built("one", "--json")


@pytest.fixture(scope="module")
def two(built: Callable[..., Minios]) -> Minios:
    """The second; its build was told to people."""
    return built("two")


def first_of(cli: Minios) -> subprocess.CompletedProcess[str]:
    assert cli.first
    return cli.first


def test_build_then_reuse(one: Minios) -> None:
    told = outcome(first_of(one))
    cells = {cell["arch"]: cell for cell in told["cells"]}
    assert cells["x86_64"]["outcome"] == "published"
    assert cells["sw64"]["outcome"] == "no-worker"
    assert cells["sw64"]["attach"]
    [release] = told["releases"]
    assert release["tags"] == ["1.38.0", "1.38", "latest"]
    assert "sw64" in release["left_out"]
    assert (one.out / "index.json").is_file()

    second = one.run("matrix", "--json")
    again = outcome(second)
    assert {c["arch"]: c["outcome"] for c in again["cells"]} == {"x86_64": "reused", "sw64": "no-worker"}
    assert again["releases"][0]["outcome"] == "unchanged"
    assert again["releases"][0]["index"] == release["index"]
    assert not processes_below(one.folder)


def test_two_empty_states_give_the_same_digests(one: Minios, two: Minios) -> None:
    index = outcome(first_of(one))["releases"][0]["index"]
    [digest] = [cell["digest"] for cell in outcome(first_of(one))["cells"] if cell["digest"]]
    tables = [(cli.out / "index.json").read_text("utf-8") for cli in (one, two)]
    assert all(index in table for table in tables)
    again = outcome(two.run("matrix", "--json"))
    assert again["releases"][0]["index"] == index
    assert {cell["arch"]: cell["digest"] for cell in again["cells"]} == {"x86_64": digest, "sw64": ""}


def test_people_see_the_table(two: Minios) -> None:
    done = first_of(two)
    assert "\x1b" not in done.stdout
    for text in ("compile: ", "x86_64", "published", "no-worker", "sw64: ", "oci:out/minios:latest"):
        assert text in done.stdout, done.stdout
    assert done.stderr == ""


def test_symbol_that_does_not_exist(config_copy: Any, minios: Any) -> None:
    config = config_copy(tiny=True, arches=X86)
    with (config / "kconfig" / "static.config").open("a", encoding="utf-8") as stream:
        stream.write("CONFIG_NO_SUCH_THING=y\n")
    cli = minios(config)
    done = cli.run("matrix")
    assert done.returncode == 1
    assert "CONFIG_NO_SUCH_THING" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not (cli.folder / "out" / "minios").exists()


def test_compile_error_is_quoted(config_copy: Any, minios: Any) -> None:
    config = config_copy(tiny=True, arches=X86)
    (config / "patches" / "break.patch").write_text(BREAK, "utf-8")
    sources = config / "sources.yaml"
    text = sources.read_text("utf-8")
    sources.write_text(text.replace("- tc-without-cbq.patch", "- break.patch"), "utf-8")
    done = minios(config).run("matrix")
    assert done.returncode == 1
    assert "coreutils/echo.c:" in done.stdout
    assert "error:" in done.stdout


BREAK = """A deliberate mistake.
--- a/coreutils/echo.c
+++ b/coreutils/echo.c
@@ -1,3 +1,4 @@
+int broken = ;
 /* vi: set sw=4 ts=4: */
 /*
  * echo implementation for busybox
"""


def test_ctrl_c_leaves_nothing_behind(config_copy: Any, minios: Any) -> None:
    cli = minios(config_copy(arches=X86))
    run = cli.start("matrix")
    wait_for(lambda: compiles(cli), "object file")
    run.send_signal(signal.SIGINT)
    text, _ = run.communicate(timeout=60)
    assert run.returncode == 130, text
    assert "Traceback" not in text
    wait_for(lambda: not processes_below(cli.folder), "end of all processes", 10)
    assert not (cli.folder / "out" / "minios").exists()
    # The next run, of something quick, works on the same state.
    quick = minios(config_copy(tiny=True, arches=X86, name="quick"), cli.folder)
    done = quick.run("matrix", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcome(done)["cells"][0]["outcome"] == "published"


def test_killed_command_takes_its_master_along(config_copy: Any, minios: Any) -> None:
    cli = minios(config_copy(arches=X86))
    run = cli.start("matrix")
    wait_for(lambda: compiles(cli), "object file")
    run.kill()
    run.communicate(timeout=60)
    wait_for(lambda: not processes_below(cli.folder), "end of all processes", 30)


def test_second_run_at_the_same_time_is_refused(config_copy: Any, minios: Any) -> None:
    cli = minios(config_copy(arches=X86))
    run = cli.start("matrix")
    try:
        wait_for((cli.state / "run.json").exists, "run.json")
        second = cli.run("matrix", timeout=60)
        assert second.returncode == 2
        assert second.stderr.startswith("minios: another minios (matrix, pid ")
        assert "--state" in second.stderr
    finally:
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)


def test_one_symbol_of_one_arch_changes_its_key_only(config_copy: Any, minios: Any) -> None:
    config = config_copy(arches={"x86_64": "required", "aarch64": "required"})
    cli = minios(config)
    before = {c["arch"]: c["key"] for c in outcome(cli.run("plan", "--json"))["cells"]}
    (config / "kconfig" / "arch").mkdir(exist_ok=True)
    (config / "kconfig" / "arch" / "aarch64.config").write_text("# CONFIG_TC is not set\n", "utf-8")
    after = {c["arch"]: c["key"] for c in outcome(cli.run("plan", "--json"))["cells"]}
    assert before["x86_64"] == after["x86_64"]
    assert before["aarch64"] != after["aarch64"]
