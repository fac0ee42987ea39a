"""`--config` and `--state`: options of every command, before or after its name."""

from __future__ import annotations

import functools
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minios_master.resources import config_folder

from .output import CliContext

if TYPE_CHECKING:
    from collections.abc import Callable

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="DIR", help="The configuration folder (or MINIOS_CONFIG).", show_default=False
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="DIR", help="What is kept between runs (or MINIOS_STATE).", show_default=False
    ),
]


OutOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The OCI layout to write.", show_default=False)
]
RegistryOption = Annotated[
    str,
    typer.Option(
        metavar="HOST[:PORT]/REPO", help="The registry's repository to release into.", show_default=False
    ),
]
PlainHttpOption = Annotated[
    bool, typer.Option("--plain-http", help="That registry speaks http; one on loopback always may.")
]


def resolve(config: Path | None, state: Path | None) -> CliContext:
    """The folders to use.

    Args:
        config: what was asked for; else `MINIOS_CONFIG`; else `./config`; else the one that
            comes with minios.
        state: what was asked for; else `MINIOS_STATE`; else `.state` beside a `config` that was
            found here or in the checkout; else `./.state`.
    """
    config = config or _from_environment("MINIOS_CONFIG")
    state = state or _from_environment("MINIOS_STATE")
    home = Path()
    if config is None:
        config = Path("config")
        if not (config / "minios.yaml").is_file():
            config = config_folder()
            # An installed configuration is nobody's working folder.
            home = config.parent if os.access(config.parent / "setup.py", os.F_OK) else home
    return CliContext(config.resolve(), (state or home / ".state").resolve())


def with_folders(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with `--config` and `--state` of its own, which win over those before its name.

    Its `ctx.obj` is a `CliContext` when it runs. The command's annotations are evaluated, so
    what they name must be there at run time.
    """
    signature = inspect.signature(command, eval_str=True)
    own = (("config", ConfigOption), ("state", StateOption))
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in own
    ]

    @functools.wraps(command)
    def wrapper(*args: Any, config: Path | None = None, state: Path | None = None, **kwargs: Any) -> None:
        ctx = kwargs["ctx"]
        before: tuple[Path | None, Path | None] = ctx.obj or (None, None)
        ctx.obj = resolve(config or before[0], state or before[1])
        command(*args, **kwargs)

    # Typer reads these; without __wrapped__ it does not look past them.
    del wrapper.__wrapped__
    parameters = [*signature.parameters.values(), *extra]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper


def _from_environment(name: str) -> Path | None:
    text = os.environ.get(name, "")
    return Path(text) if text else None
