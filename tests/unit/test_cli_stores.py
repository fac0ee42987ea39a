from __future__ import annotations

from pathlib import Path

import pytest
from minios_master.cli.stores import Access, open_place, shown, split_layout

from minios_steps.core.digest import Digest
from minios_steps.core.errors import ImageError, MiniosError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.registry.store import RegistryStore

DIGEST = Digest("ab" * 32)


@pytest.fixture(autouse=True)
def logged_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "folder", "tag", "digest"),
    [
        ("oci:out/minios:latest", "out/minios", "latest", None),
        ("out/minios:1.38.0", "out/minios", "1.38.0", None),
        ("oci:out/minios", "out/minios", "", None),
        ("out", "out", "", None),
        ("a:b/c", "a:b/c", "", None),
        (f"out/minios@{DIGEST}", "out/minios", "", DIGEST),
        ("some@where/minios:x", "some@where/minios", "x", None),
    ],
)
def test_what_names_a_layout(text: str, folder: str, tag: str, digest: Digest | None) -> None:
    assert split_layout(text) == (Path(folder), tag, digest)


def test_folder_with_a_colon_is_a_folder(tmp_path: Path) -> None:
    odd = tmp_path / "a:b"
    odd.mkdir()
    assert split_layout(str(odd)) == (odd, "", None)
    assert split_layout(f"{odd}:tag") == (odd, "tag", None)


def test_a_digest_that_is_none() -> None:
    with pytest.raises(ImageError, match="not a sha256 digest"):
        split_layout("out@sha256:12")


def test_a_layout_that_need_not_be_there(tmp_path: Path) -> None:
    with (
        pytest.raises(MiniosError, match="there is no OCI image layout"),
        open_place(f"{tmp_path}/new:x", Access()),
    ):
        pass
    with open_place(f"{tmp_path}/new:x", Access(), new=True) as place:
        assert (place.kind, place.name, place.ref) == ("layout", f"{tmp_path}/new", "x")
        assert place.shown == f"oci:{tmp_path}/new:x"
        assert shown(place.store, DIGEST) == f"oci:{tmp_path}/new@{DIGEST}"
    assert not Layout(tmp_path / "new").exists


@pytest.mark.parametrize(
    ("text", "access", "url"),
    [
        ("127.0.0.1:5000/team/app", Access(), "http://127.0.0.1:5000"),
        ("localhost/team/app", Access(), "http://localhost"),
        ("[::1]:5000/app", Access(), "http://[::1]:5000"),
        ("registry.example/team/app", Access(), "https://registry.example"),
        ("registry.example/team/app", Access(plain_http=True), "http://registry.example"),
        ("10.0.0.1:5000/team/app", Access(), "https://10.0.0.1:5000"),
    ],
)
def test_plain_http_only_on_this_machine_or_on_request(text: str, access: Access, url: str) -> None:
    with open_place(f"docker://{text}", access) as place:
        assert isinstance(place.store, RegistryStore)
        assert place.store.repository._base.startswith(f"{url}/v2/")
        assert place.ref == "latest"


def test_authorities_mean_tls(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none", "utf-8")
    with (
        pytest.raises(MiniosError, match="cannot be read as certificates"),
        open_place("docker://127.0.0.1:1/app", Access(ca=tmp_path / "ca.pem")),
    ):
        pass


def test_a_registrys_digest() -> None:
    with open_place(f"docker://127.0.0.1:1/app:x@{DIGEST}", Access()) as place:
        assert place.ref == DIGEST
        assert place.shown == f"127.0.0.1:1/app@{DIGEST}"
