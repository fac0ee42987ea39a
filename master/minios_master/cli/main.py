"""The command line `minios`: its commands by name, its exit codes, its errors."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import typer

from minios_master.signals import ending_as_exit
from minios_steps.core.errors import MiniosError

from .folders import ConfigOption, StateOption, with_folders
from .output import INTERRUPTED, WRONG, show_error, write_plainly

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
    "diff": "diff:diff",
    "reproduce": "reproduce:reproduce",
    "drift": "drift:drift",
    "prune": "prune:prune",
    "nightly run": "nightly_run:run_now",
    "nightly report": "nightly_report:report",
    "release list": "release_list:list_releases",
    "release show": "release_show:show",
    "release verify": "release_verify:verify",
    "release approve": "release_approve:approve",
    "release retag": "release_tags:retag",
    "release rollback": "release_tags:rollback",
    "release copy": "release_copy:copy",
    "sources update": "sources_update:update",
    "arch new": "arch_new:new",
    "arch list": "arch_list:list_arches",
    "arch show": "arch_list:show",
    "arch promote": "arch_roles:promote",
    "arch demote": "arch_roles:demote",
    "arch retire": "arch_roles:retire",
    "worker bundle": "worker_bundle:bundle",
    "worker invite": "worker_invite:invite",
    "worker list": "worker_list:list_workers",
    "worker show": "worker_list:show",
    "worker pause": "worker_control:pause",
    "worker resume": "worker_control:resume",
    "worker revoke": "worker_control:revoke",
    "worker probe": "worker_probe:probe",
    "worker reload": "worker_control:reload",
}
"""Command to `MODULE:FUNCTION` in this package, in the order of the help. One line adds a command.

The first of two words is a group of `GROUPS`.
"""

GROUPS = {
    "arch": "The CPUs: add one, look at them, change their part in releases.",
    "nightly": "The nightly: run it now, look at its report.",
    "release": "What was released: look at it, name it, take it elsewhere.",
    "sources": "The pinned releases.",
    "worker": "Workers on other machines: invite them, look at them, send them away.",
}
"""What the help says of each group of commands."""


def build_app(wanted: str = "") -> typer.Typer:
    """The application with all commands, or with `wanted` alone when that is one.

    A command's module is imported when it is added, so one command costs its own imports only.
    """
    known = [wanted] if wanted in COMMANDS else COMMANDS
    app = typer.Typer(
        name="minios",
        help="One BusyBox image for every CPU.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    groups: dict[str, typer.Typer] = {}
    for words in known:
        group, _, name = words.rpartition(" ")
        if group and group not in groups:
            groups[group] = typer.Typer(help=GROUPS[group], no_args_is_help=True)
            groups[group].callback()(_root)
            app.add_typer(groups[group], name=group)
        groups.get(group, app).command(name)(with_folders(_load(COMMANDS[words])))
    return app


def run(arguments: list[str] | None = None) -> None:
    """The console script: run a command and exit 0 good, 1 a required cell failed, 2 anything else.

    Ctrl-C and SIGTERM stop what was started: 130 and 143, as shells count them.

    Args:
        arguments: without the program's name; `sys.argv` when left out.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    write_plainly()
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
    """The command's name: the first word, or two, that are neither an option of ours nor its value."""
    found: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in ("--config", "--state"):
            next(words, None)
        elif not word.startswith("-"):
            found.append(word)
            if word not in GROUPS or len(found) > 1:
                break
    return " ".join(found)


def _root(ctx: typer.Context, config: ConfigOption = None, state: StateOption = None) -> None:
    # Of a group's own callback the ones before the group's name are there already.
    before: tuple[Path | None, Path | None] = ctx.obj or (None, None)
    ctx.obj = (config or before[0], state or before[1])


def _load(place: str) -> Callable[..., None]:
    module, _, function = place.partition(":")
    loaded: Callable[..., None] = getattr(importlib.import_module(f".{module}", __package__), function)
    return loaded


if __name__ == "__main__":
    run()
