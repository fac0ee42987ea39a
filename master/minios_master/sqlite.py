"""`SqliteHold`: SQLite without the work that Buildbot's way of using it makes.

Buildbot opens a connection for each transaction. When the last connection is closed, SQLite moves the
write-ahead log into the database and removes it (sqlite.org/wal.html, "Checkpointing"): with one
connection at a time that is after every transaction, and takes longer than the transaction. And it
waits for the disk at each commit, which a log of builds does not need: with `synchronous = normal`
a power failure can undo the last seconds, but cannot damage the database (sqlite.org/pragma.html).
"""

from __future__ import annotations

import sqlite3
from typing import Any

from buildbot.util.service import BuildbotService
from sqlalchemy import event


class SqliteHold(BuildbotService):  # type: ignore[misc]
    """Keeps one connection open for as long as the master runs; does nothing for another database."""

    name = "sqlite-hold"

    async def startService(self) -> None:
        """Open it."""
        await super().startService()
        self._held: sqlite3.Connection | None = None
        engine = self.master.db.pool.engine
        if engine.dialect.name == "sqlite" and engine.url.database:
            # Threads of no matter: nothing is asked of it but to be there.
            self._held = sqlite3.connect(engine.url.database, check_same_thread=False)
            self._held.execute("SELECT count(*) FROM sqlite_master").fetchone()
            event.listen(engine.pool, "connect", _be_quick)

    async def stopService(self) -> None:
        """Close it: the last connection of the master tidies up."""
        if self._held is not None:
            event.remove(self.master.db.pool.engine.pool, "connect", _be_quick)
            self._held.close()
        await super().stopService()


def _be_quick(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = normal")
