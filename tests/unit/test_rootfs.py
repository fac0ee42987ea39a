from __future__ import annotations

from pathlib import Path

import pytest
from tinyelf import make_elf

from minios_steps.core.entry import Entry
from minios_steps.core.errors import ConfigError, RootfsError
from minios_steps.core.libraries import StagedLibrary
from minios_steps.core.rootfs import follow, load_skeleton, skeleton_digest, stage
from minios_steps.core.tarball import write_layer

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "rootfs"
LINKS = [
    "/bin/ls",
    "/bin/sh",
    "/bin/[",
    "/usr/bin/env",
    "/usr/bin/[[",
    "/sbin/init",
    "/usr/sbin/chroot",
    "/linuxrc",
]

ARTICLE = (
    *(f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64", "local", "include")),
    *(f"var/{name}" for name in ("lib", "run", "local", "log")),
    *("tmp", "root", "home", "dev", "proc", "sys", "run", "mnt", "opt"),
)


def tree(*args: object, **kwargs: object) -> dict[str, Entry]:
    return {entry.path: entry for entry in stage(load_skeleton(SHIPPED), *args, **kwargs)}  # type: ignore[arg-type]


def dynamic(loader: str, bits: int = 64) -> dict[str, Entry]:
    name = loader.rpartition("/")[2]
    libraries = [StagedLibrary(name, b"loader"), StagedLibrary("libc.so.6", b"libc")]
    return tree(make_elf(bits=bits, interpreter=loader, needed=["libc.so.6"]), LINKS, libraries, loader)


def test_article_layout_is_there() -> None:
    found = tree(b"program", LINKS)
    for path in (*ARTICLE, "lib", "lib64", "bin", "sbin", "etc"):
        entry = follow(found, path)
        assert entry, path
        assert entry.kind == "dir", path
    assert (found["lib"].target, found["lib64"].target) == ("usr/lib", "usr/lib64")
    modes = {path: found[path].mode for path in ("tmp", "root", "etc/shadow", "etc/passwd", "bin/busybox")}
    assert modes == {
        "tmp": 0o1777,
        "root": 0o700,
        "etc/shadow": 0o600,
        "etc/passwd": 0o644,
        "bin/busybox": 0o755,
    }
    assert {(entry.uid, entry.gid) for entry in found.values()} == {(0, 0)}


def test_root_has_no_password_that_matches() -> None:
    shadow = tree(b"", LINKS)["etc/shadow"].data
    assert isinstance(shadow, bytes)
    assert all(line.split(b":")[1] == b"*" for line in shadow.splitlines())


def test_time_zone_file_is_utc() -> None:
    data = tree(b"", LINKS)["etc/localtime"].data
    assert isinstance(data, bytes)
    assert data.startswith(b"TZif2")
    assert data.endswith(b"\nUTC0\n")


def test_applets_are_hard_links_and_linuxrc_is_dropped() -> None:
    found = tree(b"program", [*LINKS, "/bin/ls", "/bin/busybox"])
    links = {entry.path for entry in found.values() if entry.kind == "hardlink"}
    assert links == {link[1:] for link in LINKS} - {"linuxrc"}
    assert {found[path].target for path in links} == {"bin/busybox"}
    assert found["bin/busybox"].data == b"program"


def test_env_is_where_scripts_look() -> None:
    found = tree(b"", ["/bin/env", "/bin/sh"])
    assert found["usr/bin/env"].target == "bin/busybox"
    with pytest.raises(RootfsError, match=r"no env applet.*CONFIG_ENV=y"):
        tree(b"", ["/bin/sh"])


@pytest.mark.parametrize(
    "link",
    [
        "bin/ls",
        "/bin/../etc/x",
        "/etc/passwd",
        "/bin/",
        "/bin/.",
        "/bin/..",
        "/bin/a b",
        "/bin/a/b",
        "/bin/-x",
        "/bin/" + "a" * 99,
        "",
        "/bin/ls\n",
    ],
)
def test_hostile_applet_places_are_refused(link: str) -> None:
    with pytest.raises(RootfsError, match="not a place for an applet"):
        tree(b"", [*LINKS, link])


def test_too_many_applets_are_refused() -> None:
    with pytest.raises(RootfsError, match="5,000 applets"):
        tree(b"", [f"/bin/a{n}" for n in range(5000)])


@pytest.mark.parametrize(
    ("loader", "bits", "real"),
    [
        ("/lib64/ld-linux-x86-64.so.2", 64, "usr/lib64/ld-linux-x86-64.so.2"),
        ("/lib/ld-linux-aarch64.so.1", 64, "usr/lib64/ld-linux-aarch64.so.1"),
        ("/lib/ld-linux.so.2", 64, "usr/lib64/ld-linux.so.2"),
        ("/usr/lib64/ld.so.1", 64, "usr/lib64/ld.so.1"),
        ("/lib/x86_64-linux-gnu/ld.so", 64, "usr/lib64/ld.so"),
        ("/libx32/ld-linux-x32.so.2", 32, "usr/lib/ld-linux-x32.so.2"),
        ("/lib/ld-linux-armhf.so.3", 32, "usr/lib/ld-linux-armhf.so.3"),
        ("/lib64/ld.so.1", 32, "usr/lib/ld.so.1"),
    ],
)
def test_loader_is_where_the_program_says(loader: str, bits: int, real: str, tmp_path: Path) -> None:
    found = dynamic(loader, bits)
    entry = follow(found, loader)
    assert entry
    assert (entry.path, entry.kind, entry.data) == (real, "file", b"loader")
    library = follow(found, "/lib/libc.so.6")
    assert library
    assert library.data == b"libc", "a loader that looks into /lib only finds it"
    write_layer(found.values(), tmp_path / "layer.tgz", 0)


def test_libraries_of_32_bits_are_in_lib_only() -> None:
    found = dynamic("/lib/ld-linux-armhf.so.3", 32)
    assert found["usr/lib/libc.so.6"].kind == "file"
    assert not any(path.startswith("usr/lib64/") for path in found)


def test_links_between_library_folders_are_relative() -> None:
    assert dynamic("/lib64/ld.so")["usr/lib/libc.so.6"].target == "../lib64/libc.so.6"


def test_static_image_has_no_library() -> None:
    assert not [path for path in tree(b"", LINKS) if path.startswith(("usr/lib/", "usr/lib64/"))]


def test_loader_and_libraries_come_together() -> None:
    with pytest.raises(RootfsError, match="comes without libraries"):
        tree(make_elf(), LINKS, [], "/lib/ld.so")
    with pytest.raises(RootfsError, match="come without a loader"):
        tree(make_elf(), LINKS, [StagedLibrary("libc.so.6", b"")])
    with pytest.raises(RootfsError, match=r"names the loader /lib/ld\.so, which is not among"):
        tree(make_elf(), LINKS, [StagedLibrary("libc.so.6", b"")], "/lib/ld.so")


def test_hostile_library_and_loader_names_are_refused() -> None:
    with pytest.raises(RootfsError, match="not a library's file name"):
        tree(make_elf(), LINKS, [StagedLibrary("../x", b"")], "/lib/ld.so")
    with pytest.raises(RootfsError, match="in no library folder"):
        tree(make_elf(), LINKS, [StagedLibrary("passwd", b"")], "/etc/passwd")


def test_clash_names_both_sides() -> None:
    skeleton = [*load_skeleton(SHIPPED), Entry("bin/ls", "symlink", 0o777, target="busybox")]
    with pytest.raises(
        RootfsError, match="two things for /bin/ls: a symlink to busybox and a hardlink to bin/busybox"
    ):
        stage(skeleton, b"", LINKS)


def test_skeleton_without_a_folder_is_told() -> None:
    skeleton = [entry for entry in load_skeleton(SHIPPED) if entry.path != "usr/sbin"]
    with pytest.raises(
        RootfsError, match="/usr/sbin/chroot cannot be staged: the skeleton has no directory usr/sbin"
    ):
        stage(skeleton, b"", LINKS)


def test_links_in_a_circle_lead_nowhere() -> None:
    circle = {
        name: Entry(name, "symlink", 0o777, target=to)
        for name, to in (("a", "b"), ("b", "a"), ("c", "../.."))
    }
    assert follow(circle, "a") is None
    assert follow(circle, "c/x") is None
    assert follow(circle, "nothing") is None


BASE = """directories:
  - {path: etc, mode: "0755", owner: 0:0}
files:
  - {path: etc/motd, mode: "0644", owner: 3:4}
symlinks:
  - {path: lib, target: etc, owner: 0:0}
"""


def write_skeleton(folder: Path, text: str = BASE) -> Path:
    (folder / "files" / "etc").mkdir(parents=True, exist_ok=True)
    (folder / "files" / "etc" / "motd").write_text("hello\n")
    (folder / "skeleton.yaml").write_text(text)
    return folder


def test_skeleton_is_read(tmp_path: Path) -> None:
    assert load_skeleton(write_skeleton(tmp_path)) == (
        Entry("etc", "dir", 0o755),
        Entry("etc/motd", "file", 0o644, data=b"hello\n", uid=3, gid=4),
        Entry("lib", "symlink", 0o777, target="etc"),
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('mode: "0755", ', "", r"skeleton.yaml:2: directories\[0\].mode: is required"),
        ("owner: 3:4", "owner: root:root", r"skeleton.yaml:4: files\[0\].owner"),
        ('"0644"', '"0999"', r"skeleton.yaml:4: files\[0\].mode"),
        ('"0644"', "0644, size: 1", r"files\[0\].size: unknown key"),
        ("path: lib,", "path: ../lib,", r"symlinks\[0\].path: .*not a plain relative path"),
        ("path: lib,", "path: etc/motd,", r"symlinks\[0\].path: etc/motd is there twice"),
        ("path: lib,", "path: var/lib,", r"symlinks\[0\].path: there is no directory var"),
        ("path: etc/motd", "path: etc/issue", r"files\[0\].path: there is no file .*etc/issue"),
        ("target: etc", "target: ''", r"symlinks\[0\].target"),
    ],
)
def test_bad_skeletons_are_told_with_file_line_and_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in BASE
    with pytest.raises(ConfigError, match=message):
        load_skeleton(write_skeleton(tmp_path, BASE.replace(old, new)))


def test_content_that_is_not_listed_is_told(tmp_path: Path) -> None:
    (write_skeleton(tmp_path) / "files" / "stray").write_text("")
    with pytest.raises(ConfigError, match=r"files/stray: is not listed in .*skeleton\.yaml"):
        load_skeleton(tmp_path)


def test_content_that_is_a_link_is_refused(tmp_path: Path) -> None:
    motd = write_skeleton(tmp_path) / "files" / "etc" / "motd"
    motd.unlink()
    motd.symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="there is no file"):
        load_skeleton(tmp_path)


def test_digest_goes_by_what_reaches_the_image(tmp_path: Path) -> None:
    first = skeleton_digest(write_skeleton(tmp_path))
    assert skeleton_digest(write_skeleton(tmp_path, "# a comment\n" + BASE)) == first
    assert skeleton_digest(write_skeleton(tmp_path, BASE.replace("0644", "0600"))) != first
    assert skeleton_digest(write_skeleton(tmp_path, BASE.replace("3:4", "3:5"))) != first
    write_skeleton(tmp_path)
    (tmp_path / "files" / "etc" / "motd").write_text("bye\n")
    assert skeleton_digest(tmp_path) != first
