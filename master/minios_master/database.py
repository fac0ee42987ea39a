"""The master's database: one file, on a connection that stays open."""

from __future__ import annotations

from typing import Any

from sqlalchemy.pool import QueuePool

_FILE = "sqlite:///state.sqlite"
"""Below Buildbot's base folder."""
_KEPT = 2
"""Buildbot uses a SQLite file from one thread, and asks for a second connection in the middle of some
work of its first start."""


def database() -> dict[str, Any]:
    """What Buildbot takes as `c['db']`.

    Buildbot opens and closes a SQLite file for each of the hundred or so transactions of a build. As
    each of them is then the last that is closed, it also empties the write-ahead log each time
    (sqlite.org/wal.html, "Automatic Checkpoint"). On connections that are kept a cell costs the master
    less than half of the time. When a transaction is on the disk is as before.
    """
    kept = {"poolclass": QueuePool, "pool_size": _KEPT, "pool_use_lifo": True}
    return {"db_url": _FILE, "engine_kwargs": kept}
