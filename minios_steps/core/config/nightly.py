"""The model of `nightly` in `minios.yaml`: when the nightly runs, and what it does."""

from __future__ import annotations

from typing import Annotated, Literal

from croniter import CroniterBadDateError, croniter
from pydantic import AfterValidator, Field

from minios_steps.core.config.base import Model, Variant, VersionText

_FIELDS = 5


def _cron(value: str) -> str:
    if len(value.split()) != _FIELDS or not croniter.is_valid(value):
        raise ValueError(
            f"{value!r} is no time in the form of crontab(5): minute, hour, day of the month, month, day of"
            " the week, such as '30 2 * * *'"
        )
    try:
        croniter(value).get_next()
    except CroniterBadDateError:
        raise ValueError(f"{value!r} never comes") from None
    return value


class Nightly(Model):
    """The nightly run of a master that stays; nobody starts one while `enabled` is false.

    `cron`: when, in the master's local time, as in crontab(5). `versions` and `variants`: what is
    built and tested; empty takes those of the matrix. `growth`: percent by which an image may grow
    from one night to the next before it is a warning. `retry`: `machine` builds again what failed for
    a machine's sake, and reports a known failure of unchanged inputs without compiling it again;
    `all` compiles it again each night. `clean_check`: one of the cells that are rebuilt is compared
    with a clean build.
    """

    enabled: bool = False
    cron: Annotated[str, AfterValidator(_cron)] = "30 2 * * *"
    versions: tuple[Literal["newest"] | VersionText, ...] = ()
    variants: tuple[Variant, ...] = ()
    growth: Annotated[float, Field(gt=0, le=1000)] = 5.0
    retry: Literal["machine", "all"] = "machine"
    clean_check: bool = True
