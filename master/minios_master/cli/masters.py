"""The master that a command works on: the one that is up, else one of its own for as long as it runs."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from minios_master.api import NoAnswerError
from minios_master.destination import Place, place_of, settled
from minios_master.detached import attach
from minios_master.embedded import EmbeddedMaster
from minios_master.secret_files import check_secrets
from minios_master.state_lock import Run, StateLock
from minios_steps.core.errors import MiniosError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from minios_master.api import MasterApi
    from minios_master.settings import Settings
    from minios_steps.core.config.project import Project


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A master to be used.

    Args:
        settings: what was asked for.
        place: where releases go.
        running: what has the state folder now; None when nothing has.
    """

    settings: Settings
    place: Place
    running: Run | None


def choose_master(project: Project, asked: Settings) -> Chosen:
    """Which master it is to be, and where its releases go; nothing is started.

    Releases go where they are asked to, else where those of the running master do, else as configured.
    """
    running = StateLock(asked.state).holder()
    if running is not None and running.kind == "up" and running.out and not (asked.out or asked.registry):
        is_layout = running.out.startswith("/")
        told = {"out": Path(running.out)} if is_layout else {"registry": running.out}
        return Chosen(asked, place_of(project, dataclasses.replace(asked, **told), Path()), running)
    return Chosen(asked, place_of(project, asked, Path()), running)


@contextmanager
def using_master(chosen: Chosen, project: Project, console: Console) -> Iterator[MasterApi]:
    """A master that answers.

    Raises:
        MiniosError: it builds something else than was asked for, or does not start, or went away.
    """
    if chosen.running is not None and chosen.running.kind == "up":
        _check_same(chosen.running, chosen.settings, chosen.place)
        yield attach(StateLock(chosen.settings.state), chosen.running)
        return
    with own_master(settled(chosen.settings, chosen.place), project, console) as api:
        yield api


@contextmanager
def own_master(settings: Settings, project: Project, console: Console) -> Iterator[MasterApi]:
    """A master that is started for this, and stopped at the end.

    Raises:
        MiniosError: it does not start, or went away.
    """
    check_secrets(project, settings)
    master = EmbeddedMaster(settings, project.minios.web)
    try:
        api = master.start("matrix")
        console.print(f"master at {api.url} (stops with this run)")
        api.cancel_leftovers()
        yield api
    except NoAnswerError as error:
        raise master.explain(error) from error
    finally:
        master.stop()


def _check_same(running: Run, settings: Settings, place: Place) -> None:
    """Refuse to build something else than was asked for."""
    if running.config != str(settings.config):
        raise MiniosError(
            f"the running master builds what {running.config} says, not {settings.config}",
            hint="run `minios down` first, or use another --state folder",
        )
    if running.out != place.target:
        raise MiniosError(
            f"the running master writes to {running.out}, not to {place.target}",
            hint="leave --out and --registry away, or run `minios down` first",
        )
