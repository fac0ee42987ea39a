"""`minios worker invite`: the string that lets one machine come in once."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

import typer

from minios_master.remote.authority import load_authority
from minios_master.remote.folders import RemoteFolder
from minios_master.remote.invites import Invite
from minios_master.settings import Settings
from minios_steps.core.config.arch_name import check_arch_name
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import ConfigError
from minios_steps.core.registry.reference import is_loopback

from .output import CliContext, err_console, out_console, print_json

_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
# It reaches a command line on the worker.
_PREFIX = re.compile(r"([A-Za-z0-9_/][A-Za-z0-9_./+-]*-)?")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound


def invite(
    ctx: typer.Context,
    arch: Annotated[str, typer.Argument(help="The arch it is for; it need not have a file yet.")],
    name: Annotated[str, typer.Option(help="The worker's name; else ARCH-NUMBER.")] = "",
    expires: Annotated[str, typer.Option(help="How long it is good: 30m, 24h, 7d.")] = "24h",
    jobs: Annotated[int, typer.Option(min=0, max=1024, help="make -j; 0: its number of cores.")] = 0,
    host: Annotated[
        str, typer.Option(help="How it reaches this master; else remote.address of workers.yaml.")
    ] = "",
    cross_prefix: Annotated[
        str,
        typer.Option(
            metavar="PREFIX-", help="Of its cross compiler, where its own gcc compiles for another CPU."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print an invite for one machine, good for one exchange. It holds a secret: hand it over privately."""
    context: CliContext = ctx.obj
    project = load_project(context.config)
    check_arch_name(arch)
    if not _PREFIX.fullmatch(cross_prefix):
        raise ConfigError(f"{cross_prefix[:80]!r} is not a compiler's prefix, such as s390x-linux-gnu-")
    remote = project.workers.remote
    meant_for_here = _is_loopback(host)
    host = host or remote.address or remote.interface
    if host in _ANYWHERE:
        raise ConfigError(
            f"workers cannot reach {host}",
            hint="say how they reach this machine: --host NAME, or remote.address in workers.yaml",
        )
    if not _HOST.fullmatch(host):
        raise ConfigError(f"{host[:80]!r} is not a host's name or address")
    lasts = _span(expires)
    folder = RemoteFolder(Settings(context.config, context.state).remote)
    authority = load_authority(folder.keys)
    ports = folder.ports(remote.interface, remote.port)
    now = dt.datetime.now(dt.timezone.utc)
    member, secret = folder.roster.invite(name, arch, jobs, now, lasts, cross_prefix=cross_prefix)
    made = Invite(host, ports.tls, ports.plain, authority.fingerprint, member.name, secret)
    if as_json:
        told = {"name": member.name, "arch": arch, "expires": member.expires, "invite": str(made)}
        print_json({**told, "host": host, "port": ports.tls, "fingerprint": authority.fingerprint})
        return
    console = err_console()
    console.print(f"worker {member.name} for {arch}, good for one exchange until {member.expires}")
    if _is_loopback(remote.interface) and not meant_for_here:
        console.print(
            f"the gate listens on {remote.interface} only: another machine does not reach it, but through an"
            " ssh tunnel; remote.interface in workers.yaml opens it",
            soft_wrap=True,
        )
    if arch not in project.arches:
        console.print(
            f"its machine is measured when it attaches; then: minios arch new {arch}"
            f" --from-worker {member.name}",
            soft_wrap=True,
        )
    # Alone on standard output, so that it can be piped.
    out_console().print(str(made), soft_wrap=True)


def _is_loopback(host: str) -> bool:
    return is_loopback(f"[{host}]" if ":" in host else host)


def _span(text: str) -> dt.timedelta:
    match = _SPAN.fullmatch(text)
    if not match:
        raise ConfigError(f"--expires {text!r}: should be a number with m, h or d, such as 24h")
    return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
