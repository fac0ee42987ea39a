"""`bootstrap.sh` on made-up machines: stand-ins for python3, apt and dpkg write down how they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REAL_TOOLS = ("cat", "chmod", "cksum", "dirname", "ls", "mkdir", "sed", "sh")

PYTHON = """
case "$*" in
    --version) echo "Python $VERSION" ;;
    *version_info\\ \\<*) case $VERSION in 3.9.*) exit 1 ;; esac ;;
    *ensurepip*) [ -n "$VENV" ] || [ -e "$LOG.venv" ] ;;
    *-venv\\"*) echo python3.11-venv ;;
    "-m venv --clear .venv")
        echo "venv" >>"$LOG"
        mkdir -p .venv/bin
        for name in python minios; do
            printf '#!/bin/sh\\necho "%s $*" >>"$LOG"\\nexit $FAIL_%s\\n' "$name" "$name" >".venv/bin/$name"
            chmod 755 ".venv/bin/$name"
        done ;;
    *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""
APT = 'echo "apt-get $*" >>"$LOG"; case "$*" in *-venv*) echo >"$LOG.venv" ;; esac; exit $FAIL_apt'
DPKG = 'for last; do :; done; case " $INSTALLED " in *" $last "*) printf installed ;; *) exit 1 ;; esac'


class Machine:
    """A checkout and the machine it is on."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "a checkout"
        self.log = folder / "log"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in REAL_TOOLS:
            (self.bin / tool).symlink_to(f"/bin/{tool}")
        for name, script in (("python3", PYTHON), ("apt-get", APT), ("dpkg-query", DPKG)):
            self.add(name, script)
        self.add("id", 'echo "$USER_ID"')
        for name in (
            "bootstrap.sh",
            "setup.py",
            "pyproject.toml",
            "tests/packages.txt",
            "config/minios.yaml",
        ):
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.checkout / name)
        shutil.copytree(ROOT / "config" / "arches", self.checkout / "config" / "arches")
        self.environment = {
            "PATH": str(self.bin),
            "LOG": str(self.log),
            "VERSION": "3.11.2",
            "VENV": "yes",
            "USER_ID": "0",
        }

    def add(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        path.chmod(0o755)

    def run(self, mode: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script from another folder."""
        return subprocess.run(
            [str(self.checkout / "bootstrap.sh"), mode],
            cwd=self.bin,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def called(self) -> list[str]:
        """What was called since the last question."""
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if line != "apt-get -q update"]


PIP = "python -m pip install --quiet --disable-pip-version-check --editable .[dev]"
DOCTOR = "minios doctor --config config"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_fresh_machine_then_nothing_more_to_do(machine: Machine) -> None:
    done = machine.run("build", VENV="")
    assert done.returncode == 0, done.stderr
    assert machine.called() == [
        "apt-get install -y --no-install-recommends python3.11-venv -q",
        "venv",
        PIP,
        f"{DOCTOR} --install",
    ]
    again = machine.run("build")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert machine.called() == []


def test_what_changed_is_done_again(machine: Machine) -> None:
    machine.run("build")
    machine.called()
    with (machine.checkout / "config" / "arches" / "sw64.yaml").open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    assert machine.run("build").returncode == 0
    assert machine.called() == [f"{DOCTOR} --install"]
    with (machine.checkout / "setup.py").open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    assert machine.run("venv").returncode == 0
    assert machine.called() == ["venv", PIP]


def test_old_python_is_refused(machine: Machine) -> None:
    done = machine.run("build", VERSION="3.9.2")
    assert done.returncode == 1
    assert "Python 3.10 or newer is needed, python3 here is Python 3.9.2." in done.stderr
    assert machine.called() == []


def test_newer_python_beside_an_old_one_is_taken(machine: Machine) -> None:
    machine.add("python3.12", f"VERSION=3.12.1\n{PYTHON}")
    done = machine.run("venv", VERSION="3.9.2")
    assert done.returncode == 0, done.stderr
    assert "with Python 3.12.1" in done.stderr


def test_python_that_was_named_is_too_old(machine: Machine) -> None:
    done = machine.run("venv", VERSION="3.9.2", PYTHON="python3")
    assert done.returncode == 1
    assert done.stderr == "bootstrap: PYTHON=python3 is not Python 3.10 or newer\n"


def test_other_users_get_one_line_to_run(machine: Machine) -> None:
    done = machine.run("build", VENV="", USER_ID="1000")
    assert done.returncode == 1
    assert "  sudo apt-get install -y --no-install-recommends python3.11-venv\n" in done.stderr
    assert machine.called() == []


def test_other_users_do_not_install_compilers(machine: Machine) -> None:
    assert machine.run("build", USER_ID="1000").returncode == 0
    assert machine.called() == ["venv", PIP, DOCTOR]


def test_packages_of_the_tests(machine: Machine) -> None:
    lines = (ROOT / "tests" / "packages.txt").read_text("utf-8").splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    installed, missing = " ".join(packages[:3]), " ".join(packages[3:])
    assert machine.run("test", INSTALLED=installed).returncode == 0
    install = f"apt-get install -y --no-install-recommends {missing}"
    assert machine.called()[-1] == f"{install} -q"
    done = machine.run("test", INSTALLED=installed, USER_ID="1000")
    assert done.returncode == 1
    assert f"  sudo {install}\n" in done.stderr
    assert machine.run("test", INSTALLED=" ".join(packages), USER_ID="1000").returncode == 0


def test_failed_pip_is_tried_again(machine: Machine) -> None:
    done = machine.run("build", FAIL_python="1")
    assert done.returncode == 1
    assert "pip could not install minios" in done.stderr
    machine.called()
    assert machine.run("venv").returncode == 0
    assert PIP in machine.called()


def test_failed_apt_tells_the_line(machine: Machine) -> None:
    done = machine.run("build", VENV="", FAIL_apt="100")
    assert done.returncode == 1
    assert "this failed: apt-get install -y --no-install-recommends python3.11-venv" in done.stderr


def test_machine_that_cannot_build_is_looked_at_again(machine: Machine) -> None:
    done = machine.run("build", FAIL_minios="1")
    assert done.returncode == 1
    assert "cannot build every required CPU" in done.stderr
    machine.called()
    assert machine.run("build").returncode == 0
    assert machine.called() == [f"{DOCTOR} --install"]


def test_not_debian(machine: Machine) -> None:
    for name in ("apt-get", "dpkg-query"):
        (machine.bin / name).unlink()
    done = machine.run("test")
    assert done.returncode == 0, done.stderr
    assert "not Debian" in done.stderr
    assert machine.called() == ["venv", PIP, DOCTOR]
    assert (
        "install what Debian calls: python3.11-venv" in machine.run("venv", VENV="", PYTHON="python3").stderr
    )


def test_unknown_mode(machine: Machine) -> None:
    assert "unknown: everything" in machine.run("everything").stderr


def test_make_hands_arguments_on() -> None:
    command = ["make", "-n", "-C", str(ROOT), "matrix", "ARGS=--arch x86_64"]
    # Options of a make that runs these tests are not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "minios matrix --arch x86_64" in done.stdout


def test_make_without_a_goal_is_help() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-C", str(ROOT)], capture_output=True, text=True, check=True, env=environment
    )
    for goal in ("matrix", "test", "lint", "bench", "clean", "help"):
        assert f"make {goal} " in done.stdout


def test_ci_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text("utf-8")
