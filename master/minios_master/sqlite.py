"""`SqlitePool`: SQLite without the work that Buildbot's way of using it makes.

Buildbot opens and closes a connection for each transaction. When the last connection is closed, SQLite
moves the write-ahead log into the database and removes it (sqlite.org/wal.html, "Checkpointing"): with
one connection at a time that is after every transaction, and takes longer than the transaction. And it
waits for the disk at each commit, which a log of builds does not need: with `synchronous = normal` a
power failure can undo the last seconds, but cannot damage the database (sqlite.org/pragma.html).
"""

from __future__ import annotations

from typing import Any

from buildbot.util.service import BuildbotService
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

CONNECTIONS = 5
"""As many as Buildbot has threads for its database."""


class SqlitePool(BuildbotService):  # type: ignore[misc]
    """Lets the master keep its connections for as long as it runs; does nothing for another database."""

    name = "sqlite-pool"

    async def startService(self) -> None:
        """Put a pool that keeps connections in the place of the one that does not."""
        await super().startService()
        engine = self.master.db.pool.engine
        if engine.dialect.name == "sqlite" and engine.url.database:
            words, options = engine.dialect.create_connect_args(engine.url)
            pool = QueuePool(
                lambda: engine.dialect.connect(*words, **options),
                pool_size=CONNECTIONS,
                dialect=engine.dialect,
            )
            event.listen(pool, "connect", _be_quick)
            # Buildbot itself empties it when the master stops.
            engine.pool = pool


def _be_quick(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = normal")
