"""Which events of a binary log concern one database, so that they can be replayed where no other is.

Rows say which table they are of. Statements are read: those given in the database, and those given elsewhere that name it. What a
statement given in another database does to this one by a trigger or routine cannot be seen in it; how many were left out is
counted. Accounts and what is done to the server as a whole are no part of a database.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.engines.mysql.backup import binlog
from dbops.engines.mysql.backup.binlog import Event, Format
from dbops.engines.mysql.tokens import Token, words
from dbops.errors import BackupError

_PLAIN = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA", "START"})
_OBJECTS = frozenset({"TABLE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SEQUENCE", "PACKAGE", "INDEX"})
#: What may stand between the verb, or the kind of object, and its name.
_BETWEEN = frozenset({"IF", "NOT", "EXISTS", "IGNORE", "INTO", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "BODY"})
#: Verbs of statements that change the one object they are about, whatever else they name.
_OF_ONE = frozenset({"CREATE", "ALTER", "INSERT", "REPLACE", "LOAD"})
_WHOLE = frozenset({"DATABASE", "SCHEMA"})
_DATA = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CALL", "WITH"})
_ACCOUNTS = frozenset({"USER", "ROLE"})
_SERVER = frozenset(
    {"GRANT", "REVOKE", "FLUSH", "INSTALL", "UNINSTALL", "SET", "ANALYZE", "OPTIMIZE", "CHECK", "REPAIR", "RESET"}
)
_SETTINGS = frozenset({binlog.INTVAR, binlog.RAND, binlog.USER_VAR})
_END_OF_STATEMENT = 1
_FILE_BYTES = 13  # of an EXECUTE_LOAD_QUERY event, behind what it has in common with a query


@dataclass(frozen=True, slots=True)
class Query:
    """A statement of the log and the database it was given in."""

    database: str
    sql: str


@dataclass(slots=True)
class Filter:
    """Passes on what concerns one database. `databases` are those it is given in, which must exist where it is replayed;
    `left_out` counts statements of other databases that changed rows.
    """

    database: str
    databases: set[str] = field(default_factory=set)
    left_out: int = 0
    _format: Format | None = None
    _tables: dict[int, bool] = field(default_factory=dict)
    _settings: list[bytes] = field(default_factory=list)
    _rows: Event | None = None

    def pass_on(self, event: Event) -> Iterator[bytes]:
        """Yield the events that are to be replayed, one or none or what was held back.

        Raises:
            BackupError: it cannot be told what an event concerns.
        """
        if event.kind == binlog.FORMAT:
            self._format = Format(event.data)
            yield event.data
        elif event.kind == binlog.PAYLOAD:
            raise BackupError(
                "the log holds compressed transactions, in which one database cannot be told from another",
                fix="set binlog_transaction_compression = OFF, or restore from physical backups",
            )
        elif event.kind in _SETTINGS:
            self._settings.append(event.data)
        elif event.kind in (binlog.QUERY, binlog.QUERY_COMPRESSED, binlog.EXECUTE_LOAD):
            settings, self._settings = self._settings, []
            if self._concerns(read_query(event, self._known())):
                yield from settings
                yield event.data
        elif event.kind == binlog.TABLE_MAP:
            number, database = _table(event)
            self._tables[number] = database == self.database
            if self._tables[number]:
                yield event.data
        elif event.kind in binlog.ROWS:
            yield from self._pass_rows(event)
        else:
            yield event.data

    def _pass_rows(self, event: Event) -> Iterator[bytes]:
        """The last rows of a statement say that it ends; where these are left out, those before have to say it."""
        number, flags = int.from_bytes(event.data[binlog.HEADER : binlog.HEADER + 6], "little"), event.data[binlog.HEADER + 6]
        if self._tables.get(number):
            if self._rows is not None:
                yield self._rows.data
            self._rows = event
        if flags & _END_OF_STATEMENT:
            held, self._rows = self._rows, None
            self._tables.clear()
            if held is event:
                yield event.data
            elif held is not None:
                data = bytearray(held.data)
                data[binlog.HEADER + 6] |= _END_OF_STATEMENT
                yield self._known().sealed(data)

    def _known(self) -> Format:
        if self._format is None:
            raise BackupError("the log begins without saying its format")
        return self._format

    def _concerns(self, query: Query) -> bool:
        concerned, changes_rows = concerns(query, self.database)
        if concerned:
            self.databases.add(query.database)
        elif changes_rows:
            self.left_out += 1
        return concerned


def read_query(event: Event, format_: Format) -> Query:
    """Read a statement. Layout: thread 4, seconds 4, length of the database 1, error 2, length of the settings 2."""
    body = format_.body(event)
    length, settings = body[8], struct.unpack_from("<H", body, 11)[0]
    start = 13 + (_FILE_BYTES if event.kind == binlog.EXECUTE_LOAD else 0) + settings
    text = body[start + length + 1 :]
    if event.kind == binlog.QUERY_COMPRESSED:  # a byte with the length of the length, the length, zlib
        text = zlib.decompress(text[1 + (text[0] & 0x07) :])
    return Query(body[start : start + length].decode("utf-8", "replace"), text.decode("utf-8", "replace"))


def concerns(query: Query, database: str) -> tuple[bool, bool]:
    """Tell whether a statement is to be replayed for a database, and whether it is one that changes rows."""
    found = words(query.sql)
    first = found[0].upper if found else ""
    if first in _PLAIN or not found:
        return True, False
    if first in _SERVER or any(
        token.upper in _ACCOUNTS for token in found[1:4] if first in ("CREATE", "ALTER", "DROP", "RENAME")
    ):
        return False, False
    changes_rows = first in _DATA
    names_it = _names(found, database)
    if any(token.upper in _WHOLE for token in found[1:4]) and first in ("CREATE", "ALTER", "DROP"):
        return names_it, False
    target = _target(found) or query.database
    if first in _OF_ONE:
        return target == database, changes_rows
    if query.database == database:
        return target == database or names_it, changes_rows
    return names_it, changes_rows


def _names(found: list[Token], database: str) -> bool:
    """Tell whether a database is named: before a dot, or behind DATABASE."""
    for place, token in enumerate(found):
        if token.identifier != database:
            continue
        before = [one.upper for one in found[max(0, place - 4) : place]]
        if (place + 1 < len(found) and found[place + 1].text == ".") or any(word in _WHOLE for word in before):
            return True
    return False


def _target(found: list[Token]) -> str | None:
    """Return the database that the object of a statement is named with, None when it is named without."""
    first = found[0].upper
    if first in ("INSERT", "REPLACE", "UPDATE"):
        place = 0
    elif first == "DELETE":
        place = next((i for i, token in enumerate(found[:24]) if token.upper == "FROM"), len(found))
    else:
        place = next((i for i, token in enumerate(found[:24]) if token.upper in _OBJECTS), len(found))
        if place < len(found) and found[place].upper == "INDEX":
            place = next((i for i, token in enumerate(found[:24]) if token.upper == "ON"), len(found))
    rest = [token for token in found[place + 1 : place + 10] if token.upper not in _BETWEEN]
    if len(rest) >= 3 and rest[1].text == ".":
        return rest[0].identifier
    return None


def _table(event: Event) -> tuple[int, str]:
    """Read the number of a table and its database."""
    number = int.from_bytes(event.data[binlog.HEADER : binlog.HEADER + 6], "little")
    length = event.data[binlog.HEADER + 8]
    return number, event.data[binlog.HEADER + 9 : binlog.HEADER + 9 + length].decode("utf-8", "replace")
