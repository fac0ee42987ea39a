from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from minios_master.cli.folders import with_folders
from minios_master.cli.release_verify import verify
from registrybed import serving
from supplybed import TAG, Release, make_key, make_release

from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.registry.store import RegistryStore

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.supply.keys import SigningKey


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.release: Release = make_release(folder)
        self.key: SigningKey = make_key()
        self.public = folder / "key.pub"
        self.public.write_bytes(self.key.public.pem)
        self.layout = Layout(folder / "out")

    def put(self, *, signed: bool = True) -> None:
        store = LayoutStore(self.layout)
        self.release.put_into(store)
        self.release.attach(store, self.key if signed else None)

    def verify(self, *words: str) -> Any:
        app = typer.Typer(pretty_exceptions_enable=False)
        app.command()(with_folders(verify))
        with pytest.raises(SystemExit) as done:
            app(args=["--config", str(self.folder / "config"), *words])
        return done.value.code


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_good_release(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.put()
    assert bench.verify(f"{bench.layout.root}:{TAG}", "--key", str(bench.public)) == 0
    said = capsys.readouterr().out
    assert said.rstrip().endswith(f"({bench.release.index.descriptor.digest}): good")
    assert "x86_64, ELF machine 62, static" in said


def test_a_fault_is_exit_1(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.put()
    bench.public.write_bytes(make_key().public.pem)
    assert bench.verify(f"{bench.layout.root}:{TAG}", "--key", str(bench.public)) == 1
    said = capsys.readouterr().out
    assert "none of 1 signatures is by this key" in said
    assert "7 of 17 checks failed" in said


def test_as_json_from_a_registry(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as bed, bed.client() as client:
        store = RegistryStore(client, "team/tiny")
        bench.release.put_into(store)
        bench.release.attach(store, bench.key)
        words = [f"docker://{bed.host}/team/tiny:{TAG}", "--key", str(bench.public), "--json"]
        assert bench.verify(*words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["good"] is True
    assert told["digest"] == str(bench.release.index.descriptor.digest)
    assert told["checks"][0] == {
        "of": "index",
        "what": "digest",
        "outcome": "good",
        "detail": told["digest"],
    }


def test_without_a_key_it_says_what_was_not_checked(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.put(signed=False)
    assert bench.verify(f"{bench.layout.root}:{TAG}") == 0
    assert "good, but for its signatures, which need --key" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"no key"])
def test_a_key_that_is_none(content: bytes | None, bench: Bench) -> None:
    if content is None:
        bench.public.unlink()
    else:
        bench.public.write_bytes(content)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(with_folders(verify))
    with pytest.raises(MiniosError, match="key"):
        app(
            args=[
                "--config",
                str(bench.folder / "config"),
                str(bench.layout.root),
                "--key",
                str(bench.public),
            ]
        )
