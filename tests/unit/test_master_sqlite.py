from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from buildbot.db.enginestrategy import create_engine
from minios_master.sqlite import SqliteHold
from sqlalchemy import text

if TYPE_CHECKING:
    from pathlib import Path

FULL, NORMAL = 2, 1
"""Of `PRAGMA synchronous`."""


def hold(engine: Any) -> SqliteHold:
    service = SqliteHold()
    # Buildbot gives a service its master through its parent.
    SqliteHold.master = SimpleNamespace(db=SimpleNamespace(pool=SimpleNamespace(engine=engine)))
    return service


def synchronous(engine: Any) -> int:
    """A transaction as Buildbot makes it, on a connection of its own."""
    with engine.connect() as connection, connection.begin():
        connection.execute(text("INSERT INTO one VALUES (1)"))
        return int(connection.execute(text("PRAGMA synchronous")).scalar())


def test_log_stays_between_transactions(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(SqliteHold, "master", None)
    engine = create_engine("sqlite:///state.sqlite", basedir=str(tmp_path))
    with engine.connect() as connection, connection.begin():
        connection.execute(text("CREATE TABLE one (number INTEGER)"))
    log = tmp_path / "state.sqlite-wal"
    # When this fails, Buildbot keeps a connection, and SqliteHold can go.
    assert synchronous(engine) == FULL
    assert not log.exists()

    service = hold(engine)
    asyncio.run(service.startService())
    assert synchronous(engine) == NORMAL
    assert log.exists()

    asyncio.run(service.stopService())
    assert synchronous(engine) == FULL
    assert not log.exists()


def test_other_databases_are_left_alone(monkeypatch: Any) -> None:
    monkeypatch.setattr(SqliteHold, "master", None)
    for engine in (
        SimpleNamespace(dialect=SimpleNamespace(name="postgresql"), url=SimpleNamespace(database="x")),
        SimpleNamespace(dialect=SimpleNamespace(name="sqlite"), url=SimpleNamespace(database="")),
    ):
        service = hold(engine)
        asyncio.run(service.startService())
        asyncio.run(service.stopService())
