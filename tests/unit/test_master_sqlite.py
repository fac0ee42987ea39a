from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from buildbot.db.enginestrategy import create_engine
from minios_master.sqlite import SqlitePool
from sqlalchemy import text

if TYPE_CHECKING:
    from pathlib import Path

FULL, NORMAL = 2, 1
"""Of `PRAGMA synchronous`."""


def start(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    master = SimpleNamespace(db=SimpleNamespace(pool=SimpleNamespace(engine=engine)))
    # Buildbot gives a service its master through its parent.
    monkeypatch.setattr(SqlitePool, "master", master)
    asyncio.run(SqlitePool().startService())


def synchronous(engine: Any) -> int:
    """A transaction as Buildbot makes it."""
    with engine.connect() as connection, connection.begin():
        connection.execute(text("INSERT INTO one VALUES (1)"))
        return int(connection.execute(text("PRAGMA synchronous")).scalar())


def test_log_stays_between_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine("sqlite:///state.sqlite", basedir=str(tmp_path))
    with engine.connect() as connection, connection.begin():
        connection.execute(text("CREATE TABLE one (number INTEGER)"))
    log = tmp_path / "state.sqlite-wal"
    # When this fails, Buildbot keeps its connections, and SqlitePool can go.
    assert synchronous(engine) == FULL
    assert not log.exists()

    start(engine, monkeypatch)
    assert [synchronous(engine) for _ in range(3)] == [NORMAL] * 3
    assert log.exists()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM one")).scalar() == 4

    # What Buildbot does when it stops.
    engine.dispose()
    assert not log.exists()


@pytest.mark.parametrize(("dialect", "database"), [("postgresql", "x"), ("sqlite", "")])
def test_other_databases_are_left_alone(dialect: str, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SimpleNamespace(
        dialect=SimpleNamespace(name=dialect), url=SimpleNamespace(database=database), pool="theirs"
    )
    start(engine, monkeypatch)
    assert engine.pool == "theirs"
