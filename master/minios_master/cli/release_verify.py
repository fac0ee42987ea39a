"""`minios release verify`: what somebody else should check before they trust a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minios_master.printable import printable
from minios_steps.core.config.load import load_project
from minios_steps.core.errors import MiniosError

from .output import FAILED, CliContext, out_console, print_json, table
from .stores import REF, REF_HELP, Access, CaOption, JsonOption, PlainHttpOption, open_place

if TYPE_CHECKING:
    from minios_steps.core.supply.keys import VerifyKey
    from minios_steps.core.supply.report import VerifyReport


def verify(
    ctx: typer.Context,
    reference: Annotated[str, typer.Argument(metavar=REF, help=f"{REF_HELP} Without one: latest.")],
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="FILE", help="The public key in PEM; without it signatures are not checked."
        ),
    ] = None,
    plain_http: PlainHttpOption = False,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hash a release's bytes again; check programs, signatures, SBOMs, provenance. Exit 1 on a fault."""
    # cryptography costs a tenth of a second that other commands need not pay.
    from minios_steps.core.supply.verify import verify_release  # noqa: PLC0415

    context: CliContext = ctx.obj
    public = _read_key(key) if key else None
    arches = load_project(context.config).arches
    with open_place(reference, Access(plain_http, ca)) as place:
        report = verify_release(place.store, place.ref, arches, public)
    if as_json:
        print_json(report.as_json())
    else:
        _show(report, signed=public is not None)
    if not report.good:
        raise typer.Exit(FAILED)


def _read_key(path: Path) -> VerifyKey:
    from minios_steps.core.supply.keys import VerifyKey  # noqa: PLC0415

    try:
        data = path.read_bytes()
    except OSError as error:
        raise MiniosError(f"{path}: the key cannot be read: {error.strerror}") from error
    return VerifyKey.load(data, str(path))


def _show(report: VerifyReport, *, signed: bool) -> None:
    console = out_console()
    rows = [(one.of, one.what, one.outcome, printable(one.detail)) for one in report.checks]
    console.print(table(("of", "what", "outcome", "found"), rows))
    faults = len(report.faults)
    if faults:
        said = f"{faults} of {len(report.checks)} checks failed"
    else:
        said = "good" if signed else "good, but for its signatures, which need --key to be checked"
    console.print(f"{report.reference} ({report.digest}): {said}", soft_wrap=True)
