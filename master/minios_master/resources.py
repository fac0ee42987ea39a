"""Where the files that are not Python are: in a checkout, or where pip put them."""

from __future__ import annotations

import site
import sys
import sysconfig
from pathlib import Path

from minios_steps.core.errors import MiniosError

_CHECKOUT = Path(__file__).resolve().parents[2]
_SHARE = Path("share", "minios")


def checkout() -> Path | None:
    """The checkout this package runs from; None when it is installed."""
    is_one = (_CHECKOUT / "setup.py").is_file() and (_CHECKOUT / "config" / "minios.yaml").is_file()
    return _CHECKOUT if is_one else None


def share_folders() -> tuple[Path, ...]:
    """Where an installed package's `data_files` may be, the likeliest first."""
    bases = (sysconfig.get_path("data"), sys.prefix, site.getuserbase())
    return tuple(dict.fromkeys(Path(base) / _SHARE for base in bases))


def resource(name: str) -> Path:
    """A file or folder that comes with minios, such as `config` or `master/master.cfg`.

    Raises:
        MiniosError: it is nowhere: the installation is broken.
    """
    root = checkout()
    folders = (root,) if root else share_folders()
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    places = ", ".join(str(folder) for folder in folders)
    raise MiniosError(
        f"{name} does not come with this installation (looked in {places})", hint="reinstall minios"
    )


def master_file(name: str) -> Path:
    """A file of the ready master: `master.cfg` or `buildbot.tac`."""
    return resource(f"master/{name}")


def config_folder() -> Path:
    """The configuration that comes with minios."""
    return resource("config")
