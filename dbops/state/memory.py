"""Texts by key inside a managed database (port `reconcile.resource.Memory`)."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable

from dbops.engines.base.connect import Connection
from dbops.engines.base.features import Features
from dbops.state.tables import create_tables, have_tables


class DatabaseMemory:
    """Texts are kept compressed: a catalog of a thousand tables would fill a page of any history otherwise."""

    def __init__(self, reader: Callable[[], Connection | None], writer: Callable[[], Connection], features: Features) -> None:
        self._reader, self._writer, self._features = reader, writer, features

    def recall(self, key: str) -> str | None:
        conn = self._reader()
        if conn is None or not have_tables(conn, self._features):
            return None
        rows = conn.query(f"SELECT content FROM {self._features.state_prefix}memory WHERE name = ?", (key,))
        return zlib.decompress(base64.b64decode(rows[0][0])).decode() if rows else None

    def latest_apply(self) -> str | None:
        from dbops.state.journal import applies

        conn = self._reader()
        found = applies(conn, self._features, limit=1) if conn is not None else []
        return found[0].id if found else None

    def remember(self, key: str, text: str, apply_id: str) -> None:
        conn, table = self._writer(), f"{self._features.state_prefix}memory"
        create_tables(conn, self._features)
        content = base64.b64encode(zlib.compress(text.encode())).decode()
        with conn.transaction():
            conn.execute(f"DELETE FROM {table} WHERE name = ?", (key,))
            conn.execute(f"INSERT INTO {table} (name, apply_id, content) VALUES (?, ?, ?)", (key, apply_id, content))
