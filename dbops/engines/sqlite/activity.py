"""SQLite knows no sessions but its own: who waits for a file is between the programs that use it."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.activity import Session
from dbops.engines.base.connect import Connection


class SqliteActivity:
    """Fills `engines.base.activity.Activity`."""

    def blocked(self, conn: Connection) -> Sequence[Session]:
        return []
