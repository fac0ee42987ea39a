"""The checks of the smoke test: what a fresh BusyBox must do before it goes into an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True)
class SmokeCheck:
    """One thing a BusyBox must do.

    `script` is POSIX sh, run in an empty folder; `"$BB"` in it is the BusyBox under test, any
    other command is the worker's own. It must end with 0 and print `expect`: to the letter,
    somewhere (`contains`), or these words in any order (`words`). `applets` and `symbols`
    (kconfig, without `CONFIG_`) are what it needs; `others` the commands of the worker that it
    uses, which in a container have to be applets too; `skip` says why it is not run.
    """

    name: str
    script: str
    expect: str
    applets: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    match: Literal["exact", "contains", "words"] = "exact"
    skip: str = ""


_CHECKS = (
    SmokeCheck(
        "arithmetic",
        """"$BB" sh -c 'echo $((6 * 7)) $((-7 / 2)) $((-7 % 3)) $((1 << 20)) $((0x7f ^ 0x55)) $((010))'""",
        "42 -3 -1 1048576 42 8",
        applets=("sh",),
        symbols=("FEATURE_SH_MATH",),
    ),
    SmokeCheck(
        "arithmetic-64",
        """"$BB" sh -c 'echo $((0x7fffffff * 4 + 3)) $((1 << 40)) $((-1 >> 1))'""",
        "8589934591 1099511627776 -1",
        applets=("sh",),
        symbols=("FEATURE_SH_MATH", "FEATURE_SH_MATH_64"),
    ),
    SmokeCheck(
        "pipe",
        """"$BB" sh -c 'for word in one two three; do echo "$word"; done | "$BB" tr a-z A-Z | "$BB" cat'""",
        "ONE\nTWO\nTHREE",
        applets=("sh", "tr", "cat"),
    ),
    SmokeCheck(
        "tar",
        """
        umask 022
        mkdir in out && printf 'round trip\\n' >in/text && ln -s text in/link || exit 1
        dd if=/dev/zero of=in/zeros bs=1000 count=33 2>/dev/null && chmod 0640 in/text || exit 1
        "$BB" tar -cf file.tar in && "$BB" tar -xf file.tar -C out || exit 1
        cat out/in/link && wc -c <out/in/zeros | tr -d ' ' && ls -l out/in/text | cut -c 1-10
        """,
        "round trip\n33000\n-rw-r-----",
        applets=("tar",),
        symbols=("FEATURE_TAR_CREATE",),
        others=("cat", "chmod", "cut", "dd", "ln", "ls", "mkdir", "printf", "tr", "wc"),
    ),
    SmokeCheck(
        # The one-block and two-block examples of FIPS 180-2, appendix B.
        "sha256sum",
        """
        printf abc | "$BB" sha256sum
        printf abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq | "$BB" sha256sum
        """,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n"
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1  -",
        applets=("sha256sum",),
        others=("printf",),
    ),
    SmokeCheck(
        "awk",
        """"$BB" awk 'BEGIN { printf "%.4f %d %s\\n", 355 / 113, 1e6, substr("busybox", 5) }'""",
        "3.1416 1000000 box",
        applets=("awk",),
    ),
    SmokeCheck(
        "sed",
        """printf 'one two\\nthree\\n' | "$BB" sed -n 's/^\\(t[a-z]*\\)$/<\\1>/p; s/two/2/p'""",
        "one 2\n<three>",
        applets=("sed",),
        others=("printf",),
    ),
    SmokeCheck(
        "vi",
        """"$BB" vi --help 2>&1""",
        "Usage: vi",
        applets=("vi",),
        symbols=("SHOW_USAGE",),
        match="contains",
    ),
)


def smoke_checks(
    applets: Collection[str], config: Mapping[str, str] | None = None, *, inside: bool = False
) -> tuple[SmokeCheck, ...]:
    """Every check, those that this configuration has no applet or feature for marked to be skipped.

    Args:
        applets: configured applets, by name (`ls`) or link (`/bin/ls`).
        config: the `.config` as `kconfig.parse_dotconfig` reads it; without it every feature
            is taken to be on.
        inside: they are run by the image's own shell, which then has to have all that they use.
    """
    names = {applet.rpartition("/")[2] for applet in applets}
    checks = []
    listed = SmokeCheck("applets", '"$BB" --list', " ".join(sorted(names)), match="words")
    for check in (*_CHECKS, listed):
        wanted = (*check.applets, *(("sh", *check.others) if inside else ()))
        lacking = [f"applet {name}" for name in wanted if name not in names]
        if config is not None:
            lacking += [f"CONFIG_{name}" for name in check.symbols if config.get(name) != "y"]
        checks.append(replace(check, skip=f"{lacking[0]} not configured" if lacking else ""))
    return tuple(checks)
