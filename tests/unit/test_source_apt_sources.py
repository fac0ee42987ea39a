from __future__ import annotations

from typing import TYPE_CHECKING

from minios_steps.core.sources.apt_sources import (
    AptSource,
    debian_archives,
    parse_list,
    parse_sources,
    read_apt_sources,
)

if TYPE_CHECKING:
    from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEB822 = f"""\
# The archive
Types: deb deb-src
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Architectures: amd64
Signed-By: {KEYRING}

Types: deb
URIs: https://mirror.example/debian-security
# a comment inside
Suites: bookworm-security
Components: main
Signed-By: {KEYRING}

Enabled: no
Types: deb
URIs: https://off.example/debian
Suites: sid
Components: main
"""


def test_the_deb822_format() -> None:
    archive, security = parse_sources(DEB822)
    assert archive == AptSource(
        ("https://mirror.example/debian",),
        ("bookworm", "bookworm-updates"),
        ("main", "contrib"),
        (("Signed-By", KEYRING),),
    )
    assert security.suites == ("bookworm-security",)


def test_field_names_have_any_case_and_lists_several_lines() -> None:
    (source,) = parse_sources(
        "types: deb\nURIS:\n http://a.example/d\n http://b.example/d\nsuites: sid\ncomponents: main\n"
    )
    assert source.uris == ("http://a.example/d", "http://b.example/d")


def test_an_embedded_key_keeps_its_lines() -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY\n -----END PGP PUBLIC KEY BLOCK-----"
    (source,) = parse_sources(
        f"Types: deb\nURIs: http://a.example/d\nSuites: sid\nComponents: main\nSigned-By:{key}\n"
    )
    assert f"Signed-By: {key}\n" in source.stanza("trixie", "deb-src")


def test_the_one_line_format() -> None:
    text = f"""
    # deb http://off.example/debian sid main
    deb [ arch=amd64 signed-by={KEYRING},/b.gpg ] http://mirror.example/debian bookworm main non-free # mine
    deb-src http://mirror.example/debian bookworm main
    deb cdrom:[Debian 12]/ bookworm main
    deb http://flat.example/ ./
    nonsense
    """
    first, second, *_, flat = parse_list(text)
    assert first == AptSource(
        ("http://mirror.example/debian",),
        ("bookworm",),
        ("main", "non-free"),
        (("Signed-By", f"{KEYRING} /b.gpg"),),
    )
    assert second.options == ()
    assert flat.components == ()


def test_both_places_are_read_in_apts_order(tmp_path: Path) -> None:
    main, parts = tmp_path / "sources.list", tmp_path / "parts"
    parts.mkdir()
    main.write_text("deb http://one.example/d sid main\n")
    (parts / "b.sources").write_text(
        "Types: deb\nURIs: http://three.example/d\nSuites: sid\nComponents: main\n"
    )
    (parts / "a.list").write_text("deb http://two.example/d sid main\n")
    (parts / "c.list.save").write_text("deb http://never.example/d sid main\n")
    found = [source.uris[0] for source in read_apt_sources(main, parts)]
    assert found == ["http://one.example/d", "http://two.example/d", "http://three.example/d"]


def test_a_machine_without_the_files_has_no_sources(tmp_path: Path) -> None:
    assert read_apt_sources(tmp_path / "none", tmp_path / "nothing") == ()


def test_the_debian_archive_is_told_from_others_without_knowing_hosts() -> None:
    text = f"""
    deb http://vendor.example/repo cloud-sdk-bookworm main
    deb [signed-by=/tool.gpg] http://tool.example/apt bookworm main
    deb http://security.example/debian-security bookworm-security main
    deb http://other.example/debian bookworm contrib
    deb http://plain.example/debian bookworm main
    deb [signed-by={KEYRING}] http://signed.example/debian bookworm main
    deb [signed-by={KEYRING}] http://signed.example/debian sid main
    """
    found = debian_archives(parse_list(text), ("bookworm",))
    assert [source.uris[0] for source in found] == [
        "http://signed.example/debian",
        "http://plain.example/debian",
        "http://tool.example/apt",
    ]


def test_a_disc_is_no_archive() -> None:
    source = AptSource(("cdrom:[Debian]/",), ("bookworm",), ("main",))
    assert debian_archives([source], ("bookworm",)) == ()


def test_a_machine_on_a_rolling_suite_needs_no_release_name() -> None:
    source = AptSource(("http://a.example/d",), ("unstable",), ("main",))
    assert debian_archives([source], ()) == (source,)


def test_the_private_entry_asks_for_sources_of_one_suite() -> None:
    archive = parse_sources(DEB822)[0]
    assert archive.stanza("sid", "deb-src") == (
        "Types: deb-src\n"
        "URIs: https://mirror.example/debian\n"
        "Suites: sid\n"
        "Components: main\n"
        f"Signed-By: {KEYRING}\n"
    )
