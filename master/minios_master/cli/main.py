"""The command line `minios`: its commands by name, its exit codes, its errors."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import typer

from minios_master.signals import ending_as_exit
from minios_steps.core.errors import MiniosError

from .folders import ConfigOption, StateOption, with_folders
from .output import INTERRUPTED, WRONG, show_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMANDS = {
    "doctor": "doctor:doctor",
    "check": "check:check",
    "plan": "plan:plan",
    "matrix": "matrix:matrix",
    "up": "serve:up",
    "down": "serve:down",
    "status": "serve:status",
    "inspect": "inspect:inspect",
    "worker": "worker:COMMANDS",
}
"""Command to `MODULE:FUNCTION` in this package, in the order of the help. One line adds a command.

Where the function is a table of the same kind, the command is a group of those."""


def build_app(wanted: str = "") -> typer.Typer:
    """The application with all commands, or with `wanted` alone when that is one.

    A command's module is imported when it is added, so one command costs its own imports only.
    """
    app = typer.Typer(
        name="minios",
        help="One BusyBox image for every CPU.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in [wanted] if wanted in COMMANDS else COMMANDS:
        _add(app, name, COMMANDS[name])
    return app


def _add(app: typer.Typer, name: str, place: str) -> None:
    """Add a command, or a group of commands."""
    loaded = _load(place)
    if callable(loaded):
        app.command(name)(with_folders(loaded))
        return
    module = importlib.import_module(f".{place.partition(':')[0]}", __package__)
    group = typer.Typer(name=name, help=module.__doc__, no_args_is_help=True)
    group.callback()(_root)
    for inner, inner_place in loaded.items():
        _add(group, inner, inner_place)
    app.add_typer(group)


def run(arguments: list[str] | None = None) -> None:
    """The console script: run a command and exit 0 good, 1 a required cell failed, 2 anything else.

    Ctrl-C and SIGTERM stop what was started: 130 and 143, as shells count them.

    Args:
        arguments: without the program's name; `sys.argv` when left out.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with ending_as_exit():
            build_app(_named(arguments))(args=arguments, prog_name="minios")
    except MiniosError as error:
        show_error(error)
        sys.exit(WRONG)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        # A full disk, a folder that cannot be written: the system's own words say it all.
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"minios: {where}{error.strerror or error}\n")
        sys.exit(WRONG)


def _named(arguments: list[str]) -> str:
    """The first word that is neither an option of ours nor an option's value."""
    words = iter(arguments)
    for word in words:
        if word in ("--config", "--state"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _root(ctx: typer.Context, config: ConfigOption = None, state: StateOption = None) -> None:
    before: tuple[Path | None, Path | None] = ctx.obj or (None, None)
    ctx.obj = (config or before[0], state or before[1])


def _load(place: str) -> Callable[..., None] | dict[str, str]:
    module, _, name = place.partition(":")
    loaded: Callable[..., None] | dict[str, str]
    loaded = getattr(importlib.import_module(f".{module}", __package__), name)
    return loaded


if __name__ == "__main__":
    run()
