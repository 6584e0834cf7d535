"""The ledger of versioned migrations inside a managed database (port `reconcile.ledger.Ledger`)."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from struct import pack

from dbops.engines.base.connect import Connection, Row
from dbops.engines.base.features import Features
from dbops.reconcile.ledger import LONGEST_NAME, Record
from dbops.sql.redact import shows_password
from dbops.state.tables import create_table, is_there

_COLUMNS = (
    "set_name varchar(200) NOT NULL, version varchar(200) NOT NULL, name varchar(255) NOT NULL, place integer NOT NULL,"
    " checksum varchar(64) NOT NULL, state varchar(32) NOT NULL, direction varchar(8) NOT NULL, started_at varchar(32) NOT NULL,"
    " finished_at varchar(32), duration_ms bigint NOT NULL, who varchar(255) NOT NULL, dbops_version varchar(32) NOT NULL,"
    " total integer, reached integer NOT NULL, trace {text}, error {text}, up_text {text}, down_text {text},"
    " PRIMARY KEY (set_name, version)"
)
_WRITTEN = (
    *("name", "place", "checksum", "state", "started_at", "finished_at", "duration_ms", "who", "dbops_version", "total"),
    *("reached", "direction", "trace", "error"),
)
_FIELDS = ", ".join(("version", *_WRITTEN))
LONGEST_KEPT = 1 << 20
"""Longer texts are not kept, nor those with a password: of their edits is told only that there are some."""


class DatabaseLedger:
    """One set's rows of the ledger table `table`, a name that begins with dbops_."""

    def __init__(
        self,
        reader: Callable[[], Connection | None],
        writer: Callable[[], Connection],
        features: Features,
        table: str,
        set_name: str,
    ) -> None:
        self._reader, self._writer, self._features, self._set = reader, writer, features, set_name
        self._name = table.removeprefix("dbops_")
        self._table = f"{features.state_prefix}{self._name}"
        self._last = 0
        self._places: dict[str, int] | None = None
        """The place of every version in the order of applying, as far as the table was read."""
        self._writes = {is_ahead: _writes(self._table, features.time_ahead if is_ahead else None) for is_ahead in (False, True)}

    def exists(self) -> bool:
        conn = self._reader()
        return conn is not None and is_there(conn, self._features, self._name)

    def create(self) -> None:
        create_table(self._writer(), self._features, self._name, _COLUMNS, "the ledger of migrations")

    def records(self) -> list[Record]:
        conn = self._reader()
        rows: list[Row] = []
        if conn is not None and is_there(conn, self._features, self._name):
            rows = conn.query(f"SELECT {_FIELDS} FROM {self._table} WHERE set_name = ? ORDER BY place, version", (self._set,))
        found = [Record(*row) for row in rows]
        self._places = {record.version: record.position for record in found}
        self._last = max(self._places.values(), default=0)
        return found

    def texts(self, version: str) -> tuple[str | None, str | None]:
        conn = self._reader()
        assert conn is not None
        rows = conn.query(
            f"SELECT up_text, down_text FROM {self._table} WHERE set_name = ? AND version = ?", (self._set, version)
        )
        return (_unpacked(rows[0][0]), _unpacked(rows[0][1])) if rows else (None, None)

    def put(self, record: Record, *, is_ahead: bool = False) -> int:
        self.look()
        assert self._places is not None
        place = record.position or self._last + 1
        values = (
            record.name[:LONGEST_NAME],
            place,
            record.checksum,
            record.state,
            record.started_at,
            record.finished_at,
            record.duration_ms,
            record.who[:255],
            record.dbops_version,
            record.total,
            record.reached,
            record.direction,
            record.trace,
            record.error,
            _packed(record.text),
            _packed(record.down_text),
            self._set,
            record.version,
        )
        update, insert = self._writes[is_ahead]
        self._writer().execute_later(update if record.version in self._places else insert, values)
        self._places[record.version] = place
        self._last = max(self._last, place)
        return place

    def reach(self, version: str, reached: int, trace: str | None) -> None:
        self._writer().execute_later(
            f"UPDATE {self._table} SET reached = ?, trace = ? WHERE set_name = ? AND version = ?",
            (reached, trace, self._set, version),
        )

    def forget(self) -> None:
        self._places = None

    def look(self) -> None:
        if self._places is None:
            self.records()

    def remove(self, versions: Sequence[str]) -> None:
        for version in versions:
            self._writer().execute(f"DELETE FROM {self._table} WHERE set_name = ? AND version = ?", (self._set, version))
            if self._places is not None:
                self._places.pop(version, None)


def _writes(table: str, time_ahead: tuple[str, str] | None) -> tuple[str, str]:
    """Return the UPDATE and the INSERT of a record, with the same parameters."""
    marks = dict.fromkeys((*_WRITTEN, "up_text", "down_text"), "?")
    if time_ahead is not None:
        marks["finished_at"], marks["duration_ms"] = time_ahead
    settings = ", ".join(f"{name} = {mark}" for name, mark in marks.items())
    update = f"UPDATE {table} SET {settings} WHERE set_name = ? AND version = ?"
    return update, f"INSERT INTO {table} ({', '.join(marks)}, set_name, version) VALUES ({', '.join(marks.values())}, ?, ?)"


def _packed(text: str | None) -> str | None:
    if text is None or len(text) > LONGEST_KEPT or shows_password(text):
        return None
    data = text.encode()
    return base64.b64encode(_small(data) if len(data) < _SMALL else zlib.compress(data)).decode()


_SMALL = 1 << 9
"""Bytes up to which deflating takes six times as long as it is worth, a tenth."""


def _small(data: bytes) -> bytes:
    """Put a few lines into zlib's form as they are: one stored block (RFC 1950, 2.2; RFC 1951, 3.2.4)."""
    size = len(data)
    return b"\x78\x01\x01" + pack("<HH", size, size ^ 0xFFFF) + data + pack(">I", zlib.adler32(data))


def _unpacked(text: str | None) -> str | None:
    return None if text is None else zlib.decompress(base64.b64decode(text)).decode()
