from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from minios_master.cli.main import run
from registrybed import PASSWORD, USER, Bed, basic, serving
from registryfaults import status
from selfsigned import make_certificate

from minios_steps.core.oci.artifact import Part, build_artifact
from minios_steps.core.oci.index import build_index
from minios_steps.core.oci.media import CONFIG, INDEX, LAYER, MANIFEST
from minios_steps.core.oci.model import Descriptor, encode
from minios_steps.core.platform import Platform
from minios_steps.core.registry.store import RegistryStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def logged_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def fill(bed: Bed) -> None:
    """An index of one image, under the tag `latest`."""
    platform = Platform("linux", "sw64")
    config = encode({**platform.as_json(), "rootfs": {"type": "layers", "diff_ids": []}})
    blobs = [
        Descriptor(kind, bed.put(data), len(data)) for kind, data in ((CONFIG, config), (LAYER, b"layer"))
    ]
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blobs[0].as_json(),
            "layers": [blobs[1].as_json()],
        }
    )
    with bed.client() as client:
        repository = client.repository("team/app")
        found = repository.put_manifest("alone", manifest, MANIFEST)
        index = build_index([Descriptor(MANIFEST, found.digest, len(manifest), platform)], {})
        repository.put_manifest("latest", index.raw, INDEX)
    bed.seen.clear()


def test_what_refers_to_index_and_image(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as bed:
        fill(bed)
        with bed.client() as client:
            store = RegistryStore(client, "team/app")
            image, index = store.manifest("alone"), store.manifest("latest")
            for found, kind in ((image, "application/x.sbom"), (index, "application/x.seal")):
                build_artifact(found.descriptor, kind, [Part("text/plain", b"note")]).attach_to(store)
        assert inspect(f"docker://{bed.host}/team/app", "--json") == 0
        told = json.loads(capsys.readouterr().out)["tags"]["latest"]
        assert [one["type"] for one in told["referrers"]] == ["application/x.seal"]
        assert [one["type"] for one in told["images"][0]["referrers"]] == ["application/x.sbom"]


def inspect(*words: str) -> Any:
    with pytest.raises(SystemExit) as done:
        run(["inspect", *words])
    return done.value.code


@pytest.mark.parametrize(("suffix", "tag"), [("", "latest"), (":latest", "latest"), (":alone", "alone")])
def test_the_same_is_told_as_of_layouts(suffix: str, tag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as bed:
        fill(bed)
        assert inspect(f"docker://{bed.host}/team/app{suffix}", "--plain-http", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["repository"] == f"{bed.host}/team/app"
        [image] = told["tags"][tag]["images"]
        assert image["platform"] == "linux/sw64"
        assert inspect(f"docker://{bed.host}/team/app{suffix}", "--plain-http") == 0
        assert "linux/sw64" in capsys.readouterr().out


def test_what_docker_login_left_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as bed:
        fill(bed)
        bed.auth = "basic"
        assert inspect(f"docker://{bed.host}/team/app", "--plain-http") == 2
        assert f"hint: log in: docker login {bed.host}" in capsys.readouterr().err
        login = {"auths": {bed.host: {"username": USER, "password": PASSWORD}}}
        (tmp_path / "config.json").write_text(json.dumps(login), "utf-8")
        assert inspect(f"docker://{bed.host}/team/app", "--plain-http") == 0
        assert bed.seen[-1].headers["Authorization"] == basic()


def test_an_authority_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate = make_certificate(tmp_path)
    with serving(certificate=certificate) as bed:
        bed.fault("GET", "", status(404, "NAME_UNKNOWN"))
        assert inspect(f"docker://{bed.host}/team/app", "--ca", str(certificate)) == 2
        assert "NAME_UNKNOWN: made up" in capsys.readouterr().err
        (tmp_path / "other").mkdir()
        other = make_certificate(tmp_path / "other")
        assert inspect(f"docker://{bed.host}/team/app", "--ca", str(other)) == 2
        assert "certificate is not trusted" in capsys.readouterr().err


def test_options_of_registries_are_not_for_layouts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(str(tmp_path), "--plain-http") == 2
    assert "are for registries" in capsys.readouterr().err


def test_a_reference_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect("docker://UPPER/Case:x") == 2
    assert "not a repository" in capsys.readouterr().err
