from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from configbed import write_config
from minios_master.cli import release_tags
from minios_master.cli.main import run
from minios_master.user import who_asks
from registrybed import Bed, serving
from registryfaults import status
from releasebed import FILES
from sealedbed import put_release, seal

from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.records import find_records
from minios_steps.core.registry.claim import Holder, Times, claimed
from minios_steps.core.registry.store import RegistryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from minios_steps.core.oci.index import Index

QUICK = Times(settle=0.01, within=20)
DESTINATION = """
destination:
  kind: registry
  repository: {host}/team/app
  immutable: ["{{version}}"]
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(release_tags, "DEFAULT_TIMES", QUICK)
    write_config(tmp_path / "config", FILES)


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(Layout(tmp_path / "out"))


@pytest.fixture
def old(store: LayoutStore, tmp_path: Path) -> Index:
    return put_release(store, tmp_path, version="1.37.0", tags=("1.37.0", "latest"))


@pytest.fixture
def new(store: LayoutStore, tmp_path: Path, old: Index) -> Index:
    return put_release(store, tmp_path, previous={"latest": str(old.descriptor.digest)})


@pytest.fixture
def bed() -> Iterator[Bed]:
    with serving() as made:
        yield made


def release(*words: str) -> Any:
    with pytest.raises(SystemExit) as done:
        run(["release", *words])
    return done.value.code


class Output:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def of(self, *words: str, code: int = 0) -> str:
        assert release(*words) == code
        return self._capsys.readouterr().out

    def json(self, *words: str) -> Any:
        return json.loads(self.of(*words, "--json"))

    def error(self, *words: str) -> str:
        assert release(*words) == 2
        said = self._capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        return said.err


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Output:
    return Output(capsys)


def test_list(output: Output, old: Index, new: Index) -> None:
    told = output.json("list", "out")
    assert told["layout"] == "out"
    assert [one["digest"] for one in told["releases"]] == [
        str(index.descriptor.digest) for index in (new, old)
    ]
    assert told["releases"][0]["tags"] == ["1.38.0", "latest"]
    assert (told["releases"][0]["by"], told["releases"][0]["version"]) == ("somebody", "1.38.0")
    assert list(told["releases"][0]["platforms"]) == ["linux/amd64", "linux/arm64/v8"]
    _, _, _, first, second = output.of("list", "oci:out").rstrip().splitlines()
    assert first.split()[:5] == [new.descriptor.digest.short, "1.38.0,", "latest", "1.38.0", "static"]
    assert second.split()[1] == "1.37.0"


@pytest.mark.usefixtures("old")
def test_list_names_a_repository_not_a_release(output: Output) -> None:
    assert "name the whole repository, without latest" in output.error("list", "out:latest")
    assert "there is no OCI image layout" in output.error("list", "absent")
    assert "are for registries" in output.error("list", "out", "--plain-http")


def test_list_tells_damaged_records(output: Output, store: LayoutStore, old: Index) -> None:
    [about] = store.referrers(old.descriptor.digest)
    manifest = json.loads(store.manifest(about.descriptor.digest).raw)
    (store.layout.root / "blobs/sha256" / manifest["layers"][0]["digest"][7:]).write_bytes(b"{}")
    said = output.of("list", "out")
    assert f"{old.descriptor.digest.short}: " in said
    assert "another digest" in said
    assert "records: " in output.of("show", "out")


def test_list_says_why_where_nobody_is_named(output: Output, store: LayoutStore, tmp_path: Path) -> None:
    put_release(store, tmp_path, owner="")
    assert [one["by"] for one in output.json("list", "out")["releases"]] == ["because"]
    assert output.of("list", "out").split()[-1] == "because"
    said = output.of("show", "out")
    assert "  reason: because\n" in said
    assert "owner" not in said


def test_show(output: Output, old: Index, new: Index) -> None:
    told = output.json("show", "out")
    assert told["digest"] == str(new.descriptor.digest)
    assert told["tags"] == ["1.38.0", "latest"]
    [record] = told["records"]
    assert record["previous"] == {"latest": str(old.descriptor.digest)}
    assert record["trigger"]["owner"] == "somebody"
    said = output.of("show", "out:1.38.0")
    for part in (
        str(new.descriptor.digest),
        "tags: 1.38.0, latest",
        "release: 1.38.0 static",
        "  owner: somebody\n  reason: because\n",
        f"latest was {old.descriptor.digest}",
        "left out: sw64: no-worker",
        "made with: minios 1",
        f"source: sha256:{'b' * 64}",
    ):
        assert part in said
    assert [line.split() for line in said.splitlines() if "no-worker" in line][-1][:2] == [
        "sw64",
        "no-worker",
    ]
    assert str(old.descriptor.digest) in output.of("show", f"out@{old.descriptor.digest}")


def test_show_without_a_record(output: Output, store: LayoutStore, tmp_path: Path) -> None:
    put_release(store, tmp_path, recorded=False)
    assert "records: none" in output.of("show", "out")
    assert "no tag 'absent'" in output.error("show", "out:absent")


def test_retag(output: Output, store: LayoutStore, old: Index, new: Index) -> None:
    told = output.json("retag", "out:1.37.0", "stable", "latest")
    was, now = str(new.descriptor.digest), str(old.descriptor.digest)
    assert told["moves"] == [
        {"tag": "stable", "from": None, "to": now},
        {"tag": "latest", "from": was, "to": now},
    ]
    assert store.manifest("stable").digest == old.descriptor.digest
    record, *_ = find_records(store, old.descriptor.digest)
    assert (record.trigger.owner, record.trigger.reason) == (who_asks(), "minios release retag")
    assert f"oci:out:stable: is {now} already" in output.of("retag", "out:1.37.0", "stable")
    assert "no tag 'absent'" in output.error("retag", "out:absent", "x")
    assert "not a tag for people" in output.error("retag", "out", "a b")


def test_rollback(output: Output, store: LayoutStore, old: Index, new: Index) -> None:
    was, now = str(new.descriptor.digest), str(old.descriptor.digest)
    assert output.of("rollback", "out:latest") == f"oci:out:latest: {was} → {now}\n"
    assert store.manifest("latest").digest == old.descriptor.digest
    assert "there is no earlier release to go back to" in output.error("rollback", "out:latest")
    told = output.json("rollback", "out:latest", "--to", was)
    assert told["moves"] == [{"tag": "latest", "from": now, "to": was}]
    assert "name the tag" in output.error("rollback", "out")
    assert "name the tag" in output.error("rollback", f"out@{was}")
    assert "not a sha256 digest" in output.error("rollback", "out:latest", "--to", "nonsense")
    assert "is missing" in output.error("rollback", "out:latest", "--to", "sha256:" + "0" * 64)


@pytest.mark.usefixtures("new")
def test_immutable_tags_of_the_configuration(output: Output, old: Index, bed: Bed, tmp_path: Path) -> None:
    told = FILES["minios.yaml"] + DESTINATION.format(host=bed.host)
    write_config(tmp_path / "registry", {**FILES, "minios.yaml": told})
    repo = f"docker://{bed.host}/team/app"
    assert release("copy", "out:1.38.0", repo) == 0
    assert release("copy", "out:1.37.0", repo) == 0
    output.of("list", repo)
    ours = ("--config", str(tmp_path / "registry"))
    before = bed.methods("PUT", "POST")
    assert "never moves" in output.error("retag", f"{repo}:1.37.0", "1.38.0", *ours)
    assert "never moves" in output.error("copy", "out:1.37.0", f"{repo}:1.38.0", *ours)
    assert "never moves" in output.error(
        "rollback", f"{repo}:1.38.0", "--to", str(old.descriptor.digest), *ours
    )
    assert bed.methods("PUT", "POST") == before
    assert release("retag", f"{repo}:1.37.0", "latest", *ours) == 0
    assert release("copy", "out:1.38.0", f"{repo}:1.38.0", *ours) == 0, "it is what it was"
    assert release("copy", "out:1.37.0", f"docker://{bed.host}/team/other:1.38.0", *ours) == 0
    assert release("retag", f"{repo}:1.37.0", "1.38.0") == 0, "another configuration says nothing of it"


def test_copy(output: Output, store: LayoutStore, new: Index, bed: Bed) -> None:
    seal(store, new)
    digest = str(new.descriptor.digest)
    repo = f"{bed.host}/team/app"
    told = output.json("copy", "out:1.38.0", f"docker://{repo}:stable")
    assert (told["from"], told["to"]) == ("oci:out:1.38.0", f"{repo}:stable")
    assert (told["digest"], told["images"], told["moved"]) == (digest, 2, True)
    assert told["sent"] > 6
    other = output.json("copy", f"docker://{repo}:stable", f"docker://{bed.host}/team/other")
    assert other["to"] == f"{bed.host}/team/other:stable"
    assert (other["sent"], other["mounted"]) == (0, told["sent"])
    said = output.of("copy", f"docker://{bed.host}/team/other:stable", "oci:back:x")
    assert f"{told['sent']} blobs sent" in said
    assert f"oci:back:x is a copy of {bed.host}/team/other:stable: {digest}, 2 images" in said
    again = output.of("copy", f"docker://{bed.host}/team/other:stable", "oci:back:x")
    assert again.startswith("oci:back:x was a copy already of ")
    assert len(again.splitlines()) == 1


@pytest.mark.usefixtures("new")
def test_copy_by_digest_needs_a_tag(output: Output, old: Index) -> None:
    exact = f"out@{old.descriptor.digest}"
    assert "name the tag it shall have: DST:TAG" in output.error("copy", exact, "back")
    assert "name the tag it shall have" in output.error("copy", "out", exact)
    assert output.json("copy", exact, "back:old")["digest"] == str(old.descriptor.digest)
    assert output.json("copy", "out", "back")["to"] == "oci:back:latest"


@pytest.mark.usefixtures("new")
def test_copy_that_is_refused(output: Output, bed: Bed) -> None:
    bed.fault("POST", "uploads", status(403, "DENIED"))
    assert "DENIED: made up" in output.error("copy", "out", f"docker://{bed.host}/team/app")
    assert "there is no OCI image layout" in output.error("copy", "absent", "back")
    assert "are for registries" in output.error("copy", "out", "back", "--dst-plain-http")


def test_a_line_for_each_manifest_on_a_terminal(
    new: Index, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert release("copy", "out", "back") == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["linux/amd64", "linux/arm64/v8", "index"]
    assert "sent 0.00 MB" in lines[0]
    assert lines[2].split()[1:] == [new.descriptor.digest.short, "nothing", "to", "send"]


def test_only_the_commands_own_module_is_imported(old: Index) -> None:
    """Starting up is what a person waits for."""
    script = (
        "import sys; from minios_master.cli.main import run\n"
        "try: run(sys.argv[1:])\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        "heavy = {'twisted', 'buildbot', 'requests', 'docker'} & set(sys.modules)\n"
        "ours = [m for m in sys.modules if m.startswith('minios_master.cli.')]\n"
        "assert not heavy, heavy\n"
        "assert not {'minios_master.cli.matrix', 'minios_master.cli.release_copy'} & set(ours), ours\n"
    )
    command = [sys.executable, "-c", script, "release", "list", "out", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(old.descriptor.digest) in done.stdout


@pytest.mark.usefixtures("new")
def test_a_master_that_moves_tags_now_keeps_retag_and_rollback_away(output: Output, bed: Bed) -> None:
    repo = f"docker://{bed.host}/team/app"
    output.of("copy", "out:1.38.0", f"{repo}:latest")
    with bed.client() as client:
        there = RegistryStore(client, "team/app")
        before = there.head("latest")
        with claimed(there, Holder("one", "minios on host one"), QUICK):
            assert "minios on host one moves its tags" in output.error("retag", f"{repo}:latest", "stable")
            assert there.head("stable") is None
        assert release("retag", f"{repo}:latest", "stable") == 0
        assert there.head("stable") == before
