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
#: What follows ALTER DATABASE where it names none, and means that of the session.
_OF_DATABASE = frozenset({"CHARACTER", "CHARSET", "COLLATE", "COMMENT", "DEFAULT", "ENCRYPTION", "READ"})
_ABOUT = frozenset({"CREATE", "ALTER", "DROP", "RENAME"})
_ACCOUNTS = frozenset({"USER", "ROLE"})
_SERVER = frozenset(
    {"GRANT", "REVOKE", "FLUSH", "INSTALL", "UNINSTALL", "SET", "ANALYZE", "OPTIMIZE", "CHECK", "REPAIR", "RESET"}
)
_SETTINGS = frozenset({binlog.INTVAR, binlog.RAND, binlog.USER_VAR})
_END_OF_STATEMENT = 1
_FILE_BYTES = 13  # of an EXECUTE_LOAD_QUERY event, behind what it has in common with a query

#: What an event says of the session, by number, up to the sql_mode: how many bytes that has (MySQL 8.4 Source Code Documentation,
#: "Query_event", Status variables).
_FLAGS, _SQL_MODE = 0, 1
_OF_SESSION = {_FLAGS: 4, _SQL_MODE: 8}
_MODES = {1 << 2: "ANSI_QUOTES", 1 << 20: "NO_BACKSLASH_ESCAPES"}


@dataclass(frozen=True, slots=True)
class Query:
    """A statement of the log, the database it was given in, and the sql_mode of its session as far as texts are read by it."""

    database: str
    sql: str
    sql_mode: str = ""


@dataclass(slots=True)
class Filter:
    """Passes on what concerns one database. `databases` are those it is given in, which must exist where it is replayed;
    `left_out` counts statements of other databases that changed rows; `folds_case` where names are alike in any case.
    """

    database: str
    folds_case: bool = False
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
            self._tables[number] = _is(database, self.database, folds_case=self.folds_case)
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
        concerned, changes_rows = concerns(query, self.database, folds_case=self.folds_case)
        if concerned:
            self.databases.add(query.database)
        elif changes_rows:
            self.left_out += 1
        return concerned


def read_query(event: Event, format_: Format) -> Query:
    """Read a statement. Layout: thread 4, seconds 4, length of the database 1, error 2, length of the settings 2."""
    body = format_.body(event)
    length, settings = body[8], struct.unpack_from("<H", body, 11)[0]
    begin = 13 + (_FILE_BYTES if event.kind == binlog.EXECUTE_LOAD else 0)
    start = begin + settings
    text = body[start + length + 1 :]
    if event.kind == binlog.QUERY_COMPRESSED:  # a byte with the length of the length, the length, zlib
        text = zlib.decompress(text[1 + (text[0] & 0x07) :])
    mode = _mode_in(body[begin:start])
    return Query(body[start : start + length].decode("utf-8", "replace"), text.decode("utf-8", "replace"), mode)


def _mode_in(settings: bytes) -> str:
    """Read under which sql_mode a statement was given."""
    place = 0
    while place < len(settings) and (kind := settings[place]) in _OF_SESSION:
        if kind == _SQL_MODE:
            (bits,) = struct.unpack_from("<Q", settings, place + 1)
            return ",".join(name for bit, name in _MODES.items() if bits & bit)
        place += 1 + _OF_SESSION[kind]
    return ""


def _is(name: str | None, database: str, *, folds_case: bool) -> bool:
    return name == database or (folds_case and name is not None and name.lower() == database.lower())


def concerns(query: Query, database: str, *, folds_case: bool = False) -> tuple[bool, bool]:
    """Tell whether a statement is to be replayed for a database, and whether it is one that changes rows."""
    found = _run_by(words(query.sql, query.sql_mode))
    first = found[0].upper if found else ""
    if first in _PLAIN or not found:
        return True, False
    kind = _kind(found)
    if first in _SERVER or kind in _ACCOUNTS:
        return False, False
    changes_rows = first in _DATA
    names_it = _names(found, database, folds_case=folds_case)
    is_given_here = _is(query.database, database, folds_case=folds_case)
    if kind in _WHOLE:
        is_nameless = first == "ALTER" and len(found) > 2 and found[2].upper in _OF_DATABASE
        return names_it or (is_given_here and is_nameless), False
    target = _target(found)
    is_of_it = is_given_here if target is None else _is(target, database, folds_case=folds_case)
    if first in _OF_ONE:
        return is_of_it, changes_rows
    return names_it or (is_given_here and is_of_it), changes_rows


def _run_by(found: list[Token]) -> list[Token]:
    """Return what a statement runs: that of SET STATEMENT name = value FOR, and of ANALYZE before one that changes rows."""
    if [token.upper for token in found[:2]] == ["SET", "STATEMENT"]:
        depth = 0
        for place, token in enumerate(found):
            depth += (token.text == "(") - (token.text == ")")
            if depth == 0 and token.upper == "FOR":
                return _run_by(found[place + 1 :])
    if found and found[0].upper == "ANALYZE":
        behind = found[4:] if len(found) > 1 and found[1].upper == "FORMAT" else found[1:]
        if behind and behind[0].upper in _DATA:
            return behind
    return found


def _kind(found: list[Token]) -> str:
    """Return the word for what is made, changed, dropped or renamed; a table may be called as accounts are: CREATE TABLE user."""
    if found[0].upper not in _ABOUT:
        return ""
    place = 3 if [token.upper for token in found[1:3]] == ["OR", "REPLACE"] else 1
    return found[place].upper if place < len(found) else ""


def _names(found: list[Token], database: str, *, folds_case: bool) -> bool:
    """Tell whether a database is named: before a dot, or behind DATABASE."""
    for place, token in enumerate(found):
        if not _is(token.identifier, database, folds_case=folds_case):
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
    elif first == "TRUNCATE":
        place = 1 if len(found) > 1 and found[1].upper == "TABLE" else 0
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
