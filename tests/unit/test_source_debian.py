from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from minios_steps.core.cancel import CancelledError
from minios_steps.core.config.sources import DebianSourceMirror
from minios_steps.core.digest import Digest
from minios_steps.core.errors import SourceError
from minios_steps.core.sources import child, debian, private_apt
from minios_steps.core.sources.debian import choose, parse_source_files, upstream_version
from minios_steps.core.sources.request import Obtained, Request
from minios_steps.core.sources.storage import StorageError
from minios_steps.core.version import Version

if TYPE_CHECKING:
    from pathlib import Path

BODY = b"upstream's bytes"
SHA = hashlib.sha256(BODY).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def paragraph(
    version: str, upstream: str, sha256: str = SHA, *, package: str = "busybox", size: int = 16
) -> str:
    return f"""\
Package: {package}
Binary: busybox, busybox-static
Version: {version}
Files:
 0123456789abcdef0123456789abcdef 2529 busybox_{upstream}-3.dsc
 0123456789abcdef0123456789abcdef {size} busybox_{upstream}.orig.tar.bz2
Checksums-Sha256:
 {OTHER} 2529 busybox_{upstream}-3.dsc
 {sha256} {size} busybox_{upstream}.orig.tar.bz2
 {OTHER} 121 busybox_{upstream}.orig.tar.bz2.asc
 {OTHER} 66644 busybox_{upstream}-3.debian.tar.xz
Homepage: http://www.busybox.net
Directory: pool/main/b/busybox

"""


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("1:1.38.0-3", "1.38.0"),
        ("1:1.35.0-4+deb12u1", "1.35.0"),
        ("1.37.0", "1.37.0"),
        ("1.37.0-10.1", "1.37.0"),
        ("1:1.37.0+ds-1", "1.37.0+ds"),
        ("1.2-rc1-4", "1.2-rc1"),
        ("2:1:2-3", "1:2"),
    ],
)
def test_the_upstream_part_of_a_version(version: str, upstream: str) -> None:
    assert upstream_version(version) == upstream


def test_only_the_upstream_tarball_counts() -> None:
    (found,) = parse_source_files(paragraph("1:1.38.0-3", "1.38.0"), "busybox")
    assert found == debian.SourceFile("1:1.38.0-3", "busybox_1.38.0.orig.tar.bz2", 16, SHA)


def test_sources_that_only_build_a_package_of_that_name_do_not_count() -> None:
    assert parse_source_files(paragraph("1:1.38.0-3", "1.38.0", package="other"), "busybox") == ()


def test_file_names_with_folders_do_not_count() -> None:
    text = paragraph("1:1.38.0-3", "1.38.0").replace(" busybox_", " ../busybox_")
    assert parse_source_files(text, "busybox") == ()


@pytest.fixture
def wanted(tmp_path: Path) -> Request:
    return Request(Version.parse("1.38.0"), Digest(SHA), 1000, tmp_path, print, lambda: False)


def test_the_version_and_the_digest_choose(wanted: Request) -> None:
    text = (
        paragraph("1:1.37.0-6", "1.37.0", OTHER)
        + paragraph("1:1.38.0-2", "1.38.0", OTHER)
        + paragraph("1:1.38.0-3", "1.38.0")
    )
    assert choose(parse_source_files(text, "busybox"), wanted).version == "1:1.38.0-3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no such source package"),
        (paragraph("1:1.37.0-6", "1.37.0") * 2, r"has 1:1\.37\.0-6, not 1\.38\.0"),
        (
            paragraph("1:1.38.0-3", "1.38.0", OTHER),
            f"has 1:1.38.0-3, but its upstream tarball has sha256 {OTHER}",
        ),
        (paragraph("1:1.38.0-3", "1.38.0", size=1001), "1,001 bytes, more than the 1,000 allowed"),
    ],
)
def test_what_is_there_instead_is_told(wanted: Request, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        choose(parse_source_files(text, "busybox"), wanted)


APT_CONFIG = """#!/bin/sh
echo "LIST='$FAKE/sources.list'"
echo "PARTS='$FAKE/sources.list.d/'"
"""
# -q -c FILE update | -q -c FILE source --download-only --tar-only PACKAGE=VERSION
APT_GET = """#!/bin/sh
folder=${3%/apt.conf}
suite=$(sed -n 's/^Suites: //p' "$folder/sources.list.d/minios.sources")
echo "$4 $suite" >> "$FAKE/log"
case $4 in
update)
    test -e "$FAKE/hang" && exec sleep 60
    test -e "$FAKE/full" && { echo "E: Error writing - write (28: No space left on device)" >&2; exit 100; }
    test -e "$FAKE/$suite" && exit 0
    echo "Reading package lists..."
    echo "E: The repository '$suite' does not have a Release file." >&2
    exit 100;;
source)
    test -e "$FAKE/broken" && { echo "E: Failed to fetch it" >&2; exit 100; }
    echo "$7" >> "$FAKE/log"
    printf "%s" "upstream's bytes" > busybox_1.38.0.orig.tar.bz2;;
esac
"""
APT_CACHE = """#!/bin/sh
folder=${3%/apt.conf}
cat "$FAKE/$(sed -n 's/^Suites: //p' "$folder/sources.list.d/minios.sources")"
"""


class FakeApt:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.work.mkdir()
        self.sources("deb http://mirror.example/debian bookworm main\n")

    def sources(self, text: str) -> None:
        (self.root / "sources.list").write_text(text)

    def suite(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    @property
    def log(self) -> list[str]:
        return (self.root / "log").read_text().splitlines()

    def obtain(self, wanted: Request) -> Obtained:
        mirror = DebianSourceMirror(
            kind="debian-source", package="busybox", suites=("sid", "trixie", "bookworm")
        )
        return debian.obtain(mirror, wanted, self.work)


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    folder = tmp_path / "fake"
    (folder / "bin").mkdir(parents=True)
    for name, script in (("apt-config", APT_CONFIG), ("apt-get", APT_GET), ("apt-cache", APT_CACHE)):
        path = folder / "bin" / name
        path.write_text(script)
        path.chmod(0o755)
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
    return FakeApt(folder)


def test_the_first_suite_that_has_it_is_enough(apt: FakeApt, wanted: Request) -> None:
    apt.suite("sid", paragraph("1:1.38.0-3", "1.38.0"))
    got = apt.obtain(wanted)
    assert got.path.read_bytes() == BODY
    assert got.origin == "Debian source package busybox 1:1.38.0-3 (sid)"
    assert apt.log == ["update sid", "source sid", "busybox=1:1.38.0-3"]


def test_the_next_suite_is_asked_when_one_has_not(apt: FakeApt, wanted: Request) -> None:
    apt.suite("trixie", paragraph("1:1.37.0-6", "1.37.0"))
    apt.suite("bookworm", paragraph("1:1.38.0-1~bpo12+1", "1.38.0"))
    lines: list[str] = []
    got = apt.obtain(replace(wanted, report=lines.append))
    assert got.origin.endswith("(bookworm)")
    assert apt.log[:3] == ["update sid", "update trixie", "update bookworm"]
    assert "sid: apt-get update: The repository 'sid' does not have a Release file." in lines[0]
    assert "trixie: has 1:1.37.0-6, not 1.38.0" in lines[1]


def test_every_suites_problem_is_told(apt: FakeApt, wanted: Request) -> None:
    apt.suite("sid", "")
    with pytest.raises(
        SourceError, match=r"sid: has no such source package; trixie: apt-get update: .*; bookworm: "
    ):
        apt.obtain(wanted)


def test_a_download_that_fails_quotes_apt(apt: FakeApt, wanted: Request) -> None:
    apt.suite("sid", paragraph("1:1.38.0-3", "1.38.0"))
    (apt.root / "broken").touch()
    with pytest.raises(SourceError, match="sid: apt-get source: Failed to fetch it"):
        apt.obtain(wanted)


def test_a_full_disk_is_no_reason_to_try_further(apt: FakeApt, wanted: Request) -> None:
    (apt.root / "full").touch()
    with pytest.raises(StorageError, match=f"cannot write {apt.work}/apt: the disk is full"):
        apt.obtain(wanted)
    assert apt.log == ["update sid"]


def test_an_apt_that_says_nothing_is_told_by_its_status(
    apt: FakeApt, wanted: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    (apt.root / "bin" / "apt-get").write_text("#!/bin/sh\nexit 7\n")
    monkeypatch.setattr(private_apt, "_OS_RELEASE", apt.root / "none")
    with pytest.raises(SourceError, match="sid: apt-get update: exit status 7"):
        apt.obtain(wanted)


def test_apt_gets_state_of_its_own(apt: FakeApt, wanted: Request) -> None:
    apt.sources("deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main\n")
    apt.suite("bookworm", paragraph("1:1.38.0-3", "1.38.0"))
    apt.obtain(wanted)
    told = (apt.work / "apt" / "apt.conf").read_text()
    for line in told.splitlines():
        if line.startswith("Dir::State"):
            assert f'"{apt.work}/apt/state' in line
    stanza = (apt.work / "apt" / "sources.list.d" / "minios.sources").read_text()
    assert "Types: deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm\n" in stanza
    assert "Signed-By: /k.gpg" in stanza


def test_a_machine_without_apt_says_so(
    wanted: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    mirror = DebianSourceMirror(kind="debian-source", package="busybox", suites=("sid",))
    with pytest.raises(SourceError, match="needs apt, and there is no apt-get on this machine"):
        debian.obtain(mirror, wanted, tmp_path)


def test_a_machine_without_a_debian_archive_says_so(apt: FakeApt, wanted: Request) -> None:
    apt.sources("deb http://tool.example/apt any other\n")
    with pytest.raises(SourceError, match="no source that looks like the Debian archive"):
        apt.obtain(wanted)


def test_cancelling_stops_apt(apt: FakeApt, wanted: Request) -> None:
    (apt.root / "hang").touch()
    with pytest.raises(CancelledError):
        apt.obtain(replace(wanted, cancelled=(apt.root / "log").exists))
    assert apt.log == ["update sid"]


@pytest.mark.skipif(not shutil.which("apt-config"), reason="no apt on this machine")
def test_apt_understands_the_private_configuration(tmp_path: Path) -> None:
    machine = tmp_path / "machine.conf"
    machine.write_text('APT::Default-Release "bookworm";\nAPT::Update::Post-Invoke { "touch /hooked"; };\n')
    private = tmp_path / "apt.conf"
    private.write_text(private_apt.CONFIGURATION.format(folder="/private"))
    done = child.run(
        ("apt-config", "-c", str(private), "dump"),
        folder=tmp_path,
        environment={"APT_CONFIG": str(machine)},
        seconds=60,
    )
    assert done.code == 0
    assert 'Dir::State::lists "/private/state/lists";' in done.output
    assert 'APT::Default-Release "";' in done.output
    assert "hooked" not in done.output
