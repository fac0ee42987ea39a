from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from releasebed import ALL, IDENTITY
from reproducebed import Compiler, ReproduceBed, arches, reproduce
from tinyelf import make_elf

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

OTHER = make_elf(kind=2, flags=7)


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReproduceBed:
    return ReproduceBed(tmp_path, monkeypatch)


def test_identical(bed: ReproduceBed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    assert reproduce("latest") == 0
    shown = capsys.readouterr().out
    assert shown.count("bit-identical") == 3
    assert "changed since" not in shown
    [(settings, choices)] = bed.runs
    assert sorted(choices.arches) == sorted(ALL)
    # Nothing is used of the state but what is fetched, and nothing of the new one is left.
    assert settings.state != bed.folder / "state"
    assert not settings.state.exists()
    assert sorted(path.name for path in (bed.folder / "state").iterdir()) == ["cache"]
    found = arches(capsys, 0, "--arch", "sw64", "--jobs", "3")
    assert [(one["arch"], one["outcome"]) for one in found.values()] == [("sw64", "identical")]
    assert found["sw64"]["recorded"] == found["sw64"]["rebuilt"]
    assert bed.runs[-1][1].jobs == 3
    assert reproduce(f"{bed.layout.root}:latest@sw64") == 0
    assert bed.runs[-1][1].arches == ["sw64"]


def test_different(bed: ReproduceBed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.programs = {"aarch64": make_elf(183, kind=2, flags=7)}
    assert reproduce("latest") == 1
    shown = capsys.readouterr().out
    assert "not identical" in shown
    assert "bin/busybox" in shown
    found = arches(capsys, 1)
    assert {arch: one["outcome"] for arch, one in found.items()} == {
        "aarch64": "different",
        "sw64": "identical",
        "x86_64": "identical",
    }
    assert found["aarch64"]["differences"][0]["where"] == "bin/busybox"
    # What was built can be looked at.
    [other] = CandidateStore(bed.folder / "state" / "store").others()
    assert str(other.descriptor.digest) == found["aarch64"]["rebuilt"]
    assert CandidateStore(bed.folder / "state" / "store").find(other.key) is None


def test_configuration_that_has_changed_since(bed: ReproduceBed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.change("kconfig/base.config", "CONFIG_TC=y", "# CONFIG_TC is not set")
    assert reproduce("latest", "--arch", "x86_64") == 0
    assert (
        "x86_64: the configuration has changed since; built as recorded: kconfig: CONFIG_TC y → n"
        in capsys.readouterr().out
    )
    bed.change("sources.yaml", "1.38.0:", "1.38.1:")
    [found] = arches(capsys, 0, "--arch", "x86_64").values()
    assert "version '1.38.0' is not pinned" in found["changed"][0]


def test_other_compiler_or_none(bed: ReproduceBed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.compilers = {
        "x86_64": Compiler(IDENTITY.replace("12.2.0", "13.1.0")),
        "aarch64": MiniosError("the probe does not answer"),
    }
    found = arches(capsys, 1)
    assert {one["outcome"] for one in found.values()} == {"unknown"}
    assert found["x86_64"]["reason"] == "not the same here: compiler: gcc 12.2.0 → 13.1.0"
    assert found["aarch64"]["reason"] == "the probe does not answer"
    assert found["sw64"]["reason"] == (
        "no compiler for sw64 on this machine (start a worker on a sw64 machine)"
    )
    assert bed.runs == []
    assert reproduce("latest") == 1
    shown = capsys.readouterr().out
    assert shown.count("cannot be told") == 3
    assert "x86_64: not the same here: compiler: gcc 12.2.0 → 13.1.0" in shown


def test_skeleton_is_another(bed: ReproduceBed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.change("rootfs/skeleton.yaml", "0755", "0700")
    [found] = arches(capsys, 1, "--arch", "x86_64").values()
    assert found["reason"].startswith("not the same here: skeleton: ")


def test_build_that_fails(bed: ReproduceBed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    bed.failing = {"aarch64": "compile failed: no space"}
    found = arches(capsys, 1)
    assert found["aarch64"]["reason"] == "it could not be built again: compile failed: no space"
    assert found["x86_64"]["outcome"] == "identical"


def test_arch_that_is_not_in_it(bed: ReproduceBed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    found = arches(capsys, 1, "--arch", "riscv64", "--arch", "x86_64")
    assert found["riscv64"]["reason"] == "the release has no image for it"
    assert found["x86_64"]["outcome"] == "identical"


def test_arch_that_is_not_configured(bed: ReproduceBed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release()
    for words in (("latest", "--arch", "x86_64", "--arch", "vax"), ("latest@vax",)):
        assert reproduce(*words) == 2
        told = capsys.readouterr().err
        assert told == "minios: unknown arch 'vax': the configuration has aarch64, riscv64, sw64, x86_64\n"
    assert bed.runs == []


def test_newest_record_of_how_it_was_made_counts(
    bed: ReproduceBed, capsys: pytest.CaptureFixture[str]
) -> None:
    bed.release()
    bed.record(action="retag", cells=())
    assert arches(capsys, 0, "--arch", "x86_64")


def test_image_of_a_docker_engine(bed: ReproduceBed, capsys: pytest.CaptureFixture[str]) -> None:
    bed.release(backend="docker")
    [found] = arches(capsys, 1, "--arch", "x86_64").values()
    # Its key is another one, so the manifest is; the files are the same.
    assert found["outcome"] == "same-files"
    assert reproduce("latest", "--arch", "x86_64") == 1
    assert "same files, made by Docker" in capsys.readouterr().out
    bed.programs = {"x86_64": OTHER}
    [found] = arches(capsys, 1, "--arch", "x86_64").values()
    assert found["outcome"] == "different"


def test_no_record(bed: ReproduceBed, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bed.release()
    [entry] = [one for one in bed.layout.tags().items() if one[0] == "latest"]
    raw = bed.layout.read(entry[1].digest)
    bare = Layout(tmp_path / "bare")
    files = {d: bed.layout.blob_path(d) for d in bed.layout.closure(entry[1])}
    bare.publish({"latest": entry[1]}, raw=[raw], files=files)
    assert reproduce("bare:latest") == 2
    assert "there is no record of how it was made" in capsys.readouterr().err
    assert reproduce("nothing") == 2
