from __future__ import annotations

import pytest

from minios_steps.core.digest import Digest
from minios_steps.core.registry.errors import RegistryError
from minios_steps.core.registry.reference import Reference

HEX = "ab" * 32

TABLE = [
    # text, canonical form, registry, repository, tag, whether there is a digest
    ("busybox", "docker.io/library/busybox", "docker.io", "library/busybox", "", False),
    ("busybox:1.38.0", "docker.io/library/busybox:1.38.0", "docker.io", "library/busybox", "1.38.0", False),
    ("team/app", "docker.io/team/app", "docker.io", "team/app", "", False),
    ("docker.io/busybox", "docker.io/library/busybox", "docker.io", "library/busybox", "", False),
    ("index.docker.io/a/b", "docker.io/a/b", "docker.io", "a/b", "", False),
    ("ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x", "ghcr.io", "a/b/c", "x", False),
    ("ghcr.io/busybox", "ghcr.io/busybox", "ghcr.io", "busybox", "", False),
    ("localhost/app", "localhost/app", "localhost", "app", "", False),
    ("localhost:5000/app:t", "localhost:5000/app:t", "localhost:5000", "app", "t", False),
    ("HOST/app", "HOST/app", "HOST", "app", "", False),
    ("host:5000/app", "host:5000/app", "host:5000", "app", "", False),
    ("10.0.0.1:80/a/b:T-1_2.3", "10.0.0.1:80/a/b:T-1_2.3", "10.0.0.1:80", "a/b", "T-1_2.3", False),
    ("[::1]:5000/app:t", "[::1]:5000/app:t", "[::1]:5000", "app", "t", False),
    ("[fe80::1]/app", "[fe80::1]/app", "[fe80::1]", "app", "", False),
    ("r.example/a@sha256:" + HEX, "r.example/a@sha256:" + HEX, "r.example", "a", "", True),
    ("r.example/a:t@sha256:" + HEX, "r.example/a:t@sha256:" + HEX, "r.example", "a", "t", True),
    ("a__b/c-d--e.f", "docker.io/a__b/c-d--e.f", "docker.io", "a__b/c-d--e.f", "", False),
]


@pytest.mark.parametrize(("text", "canonical", "registry", "repository", "tag", "pinned"), TABLE)
def test_reading_and_writing(
    text: str, canonical: str, registry: str, repository: str, tag: str, *, pinned: bool
) -> None:
    found = Reference.parse(text)
    assert found == Reference(registry, repository, tag, Digest(HEX) if pinned else None)
    assert str(found) == canonical
    assert Reference.parse(canonical) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "UPPER",
        "host.example/Upper",
        "a//b",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a:",
        "a:-t",
        "a:" + "t" * 129,
        "a:b:c",
        "a b",
        "a\n",
        "ä",
        "a@",
        "a@sha256:abc",
        "a@md5:" + HEX,
        "a@sha256:" + HEX.upper(),
        "host:port/a",
        "host:/a",
        "host:999999/a",
        "-host.example/a",
        "[::1/a",
        "user@host.example/a",
        "https://host.example/a",
        "a/../b",
        "a" * 256,
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(RegistryError):
        Reference.parse(text)


def test_what_is_asked_for() -> None:
    assert Reference.parse("h.example/a").target == "latest"
    assert Reference.parse("h.example/a:t").target == "t"
    assert Reference.parse(f"h.example/a:t@sha256:{HEX}").target == f"sha256:{HEX}"
