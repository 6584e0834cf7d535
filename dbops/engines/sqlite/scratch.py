"""A scratch database: in memory, gone with its session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dbops.engines.base.connect import Target
from dbops.engines.base.url import MEMORY
from dbops.engines.sqlite.connect import SqliteConnection, connect_memory


@contextmanager
def scratch(target: Target) -> Iterator[SqliteConnection]:
    """Open an empty database in memory, without the settings of the target, which are about its file."""
    conn = connect_memory(replace(target, url=target.url.with_database(MEMORY), settings=()))
    try:
        yield conn
    finally:
        conn.close()
