from __future__ import annotations

from typing import TYPE_CHECKING

from buildbot.db.enginestrategy import create_engine
from minios_master.database import database

if TYPE_CHECKING:
    from pathlib import Path


def test_a_connection_stays_open(tmp_path: Path) -> None:
    told = database()
    engine = create_engine(told["db_url"], basedir=str(tmp_path), **told["engine_kwargs"])
    seen = set()
    for _ in range(3):
        with engine.begin() as connection:
            seen.add(id(connection.connection.dbapi_connection))
            connection.exec_driver_sql("create table if not exists told (text)")
            # The one that is asked for in the middle of it.
            with engine.connect() as second:
                assert second.connection.dbapi_connection is not connection.connection.dbapi_connection
    assert len(seen) == 1
    log = tmp_path / "state.sqlite-wal"
    assert log.stat().st_size
    engine.dispose()
    assert not log.exists()
