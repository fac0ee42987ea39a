"""`MiniosConfigurator`: from the configuration to what Buildbot takes."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import pytest
from buildbot.config.errors import ConfigErrors, capture_config_errors
from buildbot.config.master import FileLoader
from configbed import MINIOS, ROOT, changed, write_config
from minios_master import configurator as module
from minios_master.configurator import MATRIX, MiniosConfigurator
from minios_master.nightly import NIGHTLY, TIMED
from minios_master.remote.folders import RemoteFolder
from minios_master.remote.gate import BUILDBOT_PORT
from minios_master.remote.member_workers import WORKER_JOBS
from minios_master.settings import Settings
from minios_master.state_lock import StateLock
from minios_master.upstream import APPROVE, CANDIDATES
from probebed import foreign, keep_probe

from minios_steps.core.config.load import load_project
from minios_steps.trigger_matrix import scheduler_name

if TYPE_CHECKING:
    from pathlib import Path

JANITOR = "__Janitor"
"""Buildbot's own, which removes old logs."""


@pytest.fixture(autouse=True)
def _compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine compiles for x86_64 alone."""
    monkeypatch.setattr(module, "local_arches", lambda _project: ("x86_64",))


def configure(config: Path, state: Path, **settings: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    MiniosConfigurator(Settings(config, state, **settings)).configure(told)
    return told


def by_name(things: list[Any]) -> dict[str, Any]:
    ours = [thing for thing in things if not thing.name.startswith(JANITOR)]
    found = {thing.name: thing for thing in ours}
    assert len(found) == len(ours)
    return found


def test_small_config(tmp_path: Path) -> None:
    told = configure(write_config(tmp_path / "config"), tmp_path / "state", web_port=8020)
    workers = by_name(told["workers"])
    assert list(workers) == ["coordinator", "sw64-unattached", "local-x86_64"]
    builders = by_name(told["builders"])
    assert {name: one.workernames for name, one in builders.items()} == {
        "sw64": ["sw64-unattached"],
        "x86_64": ["local-x86_64"],
        "matrix": ["coordinator"],
        "nightly": ["coordinator"],
    }
    assert not any(one.collapseRequests for one in builders.values())
    assert {name: one.tags for name, one in builders.items()} == {
        "sw64": ["optional"],
        "x86_64": ["required"],
        "matrix": [],
        "nightly": [],
    }
    assert builders["sw64"].properties == {"arch": "sw64"}
    schedulers = by_name(told["schedulers"])
    assert {name: one.builderNames for name, one in schedulers.items()} == {
        "build-sw64": ["sw64"],
        "build-x86_64": ["x86_64"],
        "matrix": ["matrix"],
        "nightly": ["nightly"],
    }
    assert told["protocols"] == {"null": {}}
    assert told["www"]["port"] == "tcp:8020:interface=127.0.0.1"
    assert told["buildbotURL"] == "http://127.0.0.1:8020/"
    assert told["buildbotNetUsageData"] is None


def test_real_config(tmp_path: Path) -> None:
    project = load_project(ROOT / "config")
    told = configure(ROOT / "config", tmp_path)
    builders = by_name(told["builders"])
    assert set(builders) == {*project.arches, MATRIX, NIGHTLY}
    named = {MATRIX, CANDIDATES, APPROVE, NIGHTLY, TIMED}
    schedulers = {*(scheduler_name(name) for name in project.arches), *named}
    assert set(by_name(told["schedulers"])) == schedulers
    [poller] = told["change_source"]
    assert poller.name == "busybox"
    assert poller._config_kwargs["upstream"] == project.minios.upstream
    for name in project.arches:
        local = name == "x86_64"
        assert builders[name].workernames == [f"local-{name}" if local else f"{name}-unattached"]
        assert builders[name].tags == [project.role(name)]


def test_master_of_one_run_watches_nothing(tmp_path: Path) -> None:
    told = configure(ROOT / "config", tmp_path, lifeline=True)
    assert told["change_source"] == []
    assert {CANDIDATES, APPROVE, TIMED} & set(by_name(told["schedulers"])) == set()


def test_one_cell_of_an_arch_at_a_time(tmp_path: Path) -> None:
    told = configure(write_config(tmp_path / "config"), tmp_path)
    workers = by_name(told["workers"])
    assert workers["local-x86_64"].max_builds == 1
    # The matrix only waits there.
    assert workers["coordinator"].max_builds is None


def test_nobody_knows_the_password_of_a_missing_machine(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config")
    one, two = (by_name(configure(config, tmp_path)["workers"])["sw64-unattached"] for _ in "ab")
    assert len(one.password) >= 32
    assert one.password != two.password


def test_choices_of_the_form(tmp_path: Path) -> None:
    told = configure(write_config(tmp_path / "config"), tmp_path)
    form = by_name(told["schedulers"])[MATRIX]
    fields = {field.name: field for field in form._config_kwargs["properties"]}
    assert fields["versions"].choices == ["1.35.0", "1.38.0", "newest"]
    assert fields["arches"].choices == ["sw64", "x86_64"]
    assert fields["variants"].choices == ["static", "dynamic"]
    assert fields["jobs"].default == 0
    assert fields["force_rebuild"].default is False


def test_web_is_where_the_config_says(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config", {"minios.yaml": None})
    minios = changed("minios.yaml", "policy:", "web: {interface: 127.0.0.2, port: 8030}\npolicy:")
    told = configure(write_config(config, minios), tmp_path)
    assert told["www"]["port"] == "tcp:8030:interface=127.0.0.2"


def test_free_port_when_none_is_told(tmp_path: Path) -> None:
    told = configure(write_config(tmp_path / "config"), tmp_path)
    assert re.fullmatch(r"tcp:[1-9][0-9]{3,4}:interface=127\.0\.0\.1", told["www"]["port"])


def test_what_master_cfg_says_itself_is_kept(tmp_path: Path) -> None:
    told: dict[str, Any] = {"title": "ours", "www": {"port": 80}, "db": {"db_url": "postgresql://x"}}
    MiniosConfigurator(Settings(write_config(tmp_path / "config"), tmp_path)).configure(told)
    assert (told["title"], told["www"]["port"]) == ("ours", 80)
    assert told["db"] == {"db_url": "postgresql://x"}


def test_lifeline_only_for_the_master_of_a_command(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config")
    names = [
        [type(one).__name__ for one in configure(config, tmp_path, lifeline=on)["services"]]
        for on in (True, False)
    ]
    assert ["Lifeline" in found for found in names] == [True, False]


def test_every_config_error_is_one_of_buildbots(tmp_path: Path) -> None:
    changes = {
        **changed("minios.yaml", "  name: tiny\n", "  name: tiny\n  colour: red\n"),
        **changed("arches/x86_64.yaml", "uname: [x86_64]", "uname: []"),
    }
    with capture_config_errors() as errors:
        told = configure(write_config(tmp_path / "config", changes), tmp_path)
    assert len(errors.errors) == 2
    assert "minios.yaml:3: image.colour: unknown key" in errors.errors[0]
    assert not told["builders"]


def test_no_config_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="the configuration folder is missing"):
        configure(tmp_path / "nowhere", tmp_path)


def test_wrong_port_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIOS_CONFIG", str(write_config(tmp_path / "config")))
    monkeypatch.setenv("MINIOS_WEB_PORT", "http")
    with pytest.raises(ConfigErrors, match="MINIOS_WEB_PORT: 'http' is not a port"):
        MiniosConfigurator().configure({})


def test_web_interface_that_is_not_here(tmp_path: Path) -> None:
    # TEST-NET-1 (RFC 5737) is no machine's own.
    minios = changed("minios.yaml", "policy:", "web: {interface: 192.0.2.1}\npolicy:")
    with pytest.raises(ConfigErrors, match=r"port 0 on 192\.0\.2\.1 cannot be used"):
        configure(write_config(tmp_path / "config", minios), tmp_path)


def test_master_cfg_is_what_buildbot_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIOS_CONFIG", str(write_config(tmp_path / "config")))
    monkeypatch.setenv("MINIOS_STATE", str(tmp_path / "state"))
    loaded = FileLoader(str(ROOT / "master"), "master.cfg").loadConfig()
    assert {one.name for one in loaded.builders} == {"sw64", "x86_64", MATRIX, NIGHTLY, JANITOR}
    assert loaded.www["port"].endswith("interface=127.0.0.1")
    assert not StateLock(tmp_path / "state").is_held()


def test_secrets_are_files_of_the_state_folder(tmp_path: Path) -> None:
    config, state = write_config(tmp_path / "config"), tmp_path / "state"
    [provider] = configure(config, state)["secretsProviders"]
    assert (state / "secrets").stat().st_mode & 0o777 == 0o700
    (state / "secrets" / "door").write_text("open sesame\n", "utf-8")
    (state / "secrets" / "door").chmod(0o600)
    provider.reconfigService(str(state / "secrets"))
    assert provider.get("door") == "open sesame"


def test_secret_that_others_may_read(tmp_path: Path) -> None:
    (tmp_path / "state" / "secrets").mkdir(parents=True)
    (tmp_path / "state" / "secrets" / "door").write_text("open sesame", "utf-8")
    (tmp_path / "state" / "secrets" / "door").chmod(0o644)
    with capture_config_errors() as errors:
        configure(write_config(tmp_path / "config"), tmp_path / "state")
    assert any("Permissions 0o644 on file door are too open" in text for text in errors.errors)


def test_a_registry_as_destination(tmp_path: Path) -> None:
    destination = """\
destination:
  kind: registry
  repository: registry.example/team/app
  username: ci
  password_secret: door
"""
    config = write_config(tmp_path / "config", {"minios.yaml": MINIOS + destination})
    builders = by_name(configure(config, tmp_path / "state")["builders"])
    made = {step.name: step for step in (one.buildStep() for one in builders["x86_64"].factory.steps)}
    push = made["push"]
    assert (push.registry.host, push.registry_root) == ("registry.example", config)
    assert repr(push.password) == "Secret(door)"
    assert push.doStepIf is True, "a reused candidate may be gone from staging"
    matrix = {step.name: step for step in (one.buildStep() for one in builders["matrix"].factory.steps)}
    publish = matrix["matrix"].publish("1.38.0", "static")
    assert publish.registry == push.registry
    assert publish.layout is None
    assert publish.holder.id == (tmp_path / "state" / "identity").read_text("ascii").strip()
    assert [lock.lockid.name for lock in publish.locks] == ["publish registry.example/team/app"]


def test_remote_workers(tmp_path: Path) -> None:
    config, state = write_config(tmp_path / "config"), tmp_path / "state"
    folder = RemoteFolder(state / "remote")
    roster = folder.roster
    now = dt.datetime.now(dt.timezone.utc)
    for name, arch in (
        ("fast", "x86_64"),
        ("slow", "x86_64"),
        ("fake", "x86_64"),
        ("sun", "sw64"),
        ("new", "vax"),
        ("gone", "sw64"),
        ("late", "sw64"),
    ):
        _, secret = roster.invite(name, arch, 3, now, dt.timedelta(days=1))
        if name != "late":
            roster.redeem(name, secret, "p" * 43, {}, now)
    roster.revoke("gone", now)
    keep_probe(folder, "fast")
    keep_probe(folder, "fake", foreign(183, uname="aarch64"))
    keep_probe(folder, "sun", foreign(0x9916, uname="sw_64", libc="", page_size=8192))
    told = configure(config, state)
    workers = by_name(told["workers"])
    assert sorted(workers) == ["coordinator", "fake", "fast", "local-x86_64", "new", "slow", "sun"]
    builders = by_name(told["builders"])
    assert builders["x86_64"].workernames == ["local-x86_64", "fast"]
    assert builders["sw64"].workernames == ["sun"]
    # Whatever a machine is, and has no cells yet, it can be probed.
    probes = {name: one.workernames for name, one in builders.items() if name.startswith("probe-")}
    assert probes == {f"probe-{name}": [name] for name in ("fake", "fast", "new", "slow", "sun")}
    assert sorted(by_name(told["schedulers"])["probe"].builderNames) == sorted(probes)
    assert told["protocols"]["pb"] == {"port": BUILDBOT_PORT}
    assert workers["sun"].properties.getProperty(WORKER_JOBS) == 3
    # What is damaged is left out or measured again; everybody else works.
    for damaged in (folder.roster.folder / "slow.json", folder.probes.folder / "sun.json"):
        damaged.write_text("{", "utf-8")
    without = configure(config, state)
    assert sorted(by_name(without["workers"])) == sorted({*workers, "sw64-unattached"} - {"slow"})
    assert by_name(without["builders"])["probe-sun"].workernames == ["sun"]
    # The same after each reconfiguration, so that nobody is disturbed.
    again = by_name(configure(config, state)["workers"])
    assert again["sun"].password == workers["sun"].password
    names = ["property-writes", "missing-workers", "first-probe", "gate", "losses"]
    assert [service.name for service in told["services"]] == names
    of_one_run = configure(config, state, lifeline=True)["services"]
    assert [service.name for service in of_one_run] == ["property-writes", "lifeline"]
