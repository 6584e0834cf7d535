"""Loading a source into a scratch database, in an order that works.

Statements run in file order, a whole file in one round trip where all goes well. One that fails is put aside; when what it
missed has been made, or nothing else is left to run, it is tried again, until nothing moves any more.

Session settings (`SET`, `set_config`) hold for the statements of their file that follow, also when those run later. What is
about rows, transactions, upkeep, or the server as a whole (databases, roles) is no part of a schema and is skipped with a note
in the log; commands for psql are skipped where they cannot change the schema, refused where they can.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import field
from itertools import groupby

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection
from dbops.engines.postgresql.connect import PostgresConnection, quoted
from dbops.engines.postgresql.statements import (
    Role,
    created_name,
    drops,
    in_line,
    role_of,
    takes_away_from,
    without_leading_comments,
)
from dbops.errors import DbopsError, Problems, QueryError, SchemaError
from dbops.sql.splitter import SourceStatement

logger: logging.Logger = logging.getLogger(__name__)

_UNDEFINED_OBJECT, _INVALID_SCHEMA, _UNDEFINED_TABLE = "42704", "3F000", "42P01"
_MISSING = frozenset({_UNDEFINED_TABLE, _UNDEFINED_OBJECT, "42883", "42703", _INVALID_SCHEMA})
"""undefined table, object, function, column; invalid schema name (PostgreSQL manual, appendix A)."""
_SYNTAX_ERROR, _INVALID_FUNCTION = "42601", "42P13"
_NEW_LABEL = "55P04"
"""Unsafe use of a new enum value: the transaction that adds a label may not use it (manual, ALTER TYPE)."""
_DUPLICATE_SCHEMA = "42P06"
_PUBLIC = re.compile(r'CREATE\s+SCHEMA\s+"?public"?(?:\s+AUTHORIZATION\s+("(?:[^"]|"")+"|[\w$]+))?\s*', re.IGNORECASE)
_UNKNOWN_SETTING = re.compile(r"unrecognized configuration parameter")
_MISSING_ROLE = re.compile(r'role "(.+)" does not exist')
_NAMES_IN_MESSAGE = re.compile(r'"((?:[^"]|"")+)"|function ([\w.$]+)\(')
_TOGETHER = 500
"""Statements per round trip: a failure costs running those before it once more."""


@dataclass(slots=True)
class _Item:
    """A statement of the schema, with the settings of its file that stood before it."""

    statement: SourceStatement
    sql: str
    settings: tuple[str, ...] = ()
    is_setting: bool = False
    error: QueryError | None = None


@dataclass(slots=True)
class _File:
    items: list[_Item] = field(default_factory=list)
    has_settings: bool = False


def load(conn: Connection, statements: Sequence[SourceStatement]) -> None:
    """Load as the engine port says; `conn` comes from this engine's `scratch`."""
    if not isinstance(conn, PostgresConnection):
        raise TypeError("sources are loaded over a session of this engine")
    loader = _Loader(conn, _divided_elsewhere(statements))
    for _, group in groupby(statements, key=lambda statement: statement.at.file):
        loader.run_file(_prepare(group))
    loader.run_deferred()


def _prepare(statements: Iterator[SourceStatement]) -> _File:
    """Keep what makes the schema, and what must hold while it is made."""
    file, skipped = _File(), Counter[Role]()
    settings: list[str] = []
    for statement in statements:
        role = role_of(statement)
        if role is Role.REFUSED:
            raise Problems([_refusal(statement)])
        if role is Role.SETTING:
            file.has_settings = True
            file.items.append(_Item(statement, statement.text, tuple(settings), is_setting=True))
            settings.append(statement.text)
        elif role is Role.SCHEMA:
            file.items.append(_Item(statement, in_line(statement.text), tuple(settings)))
        else:
            skipped[role] += 1
    for role, count in skipped.items():
        logger.info("%s: skipped %d statements that are no part of a schema (%s)", _file_of(file), count, role.value)
    return file


def _file_of(file: _File) -> str:
    return file.items[0].statement.at.file if file.items else "source"


def _refusal(statement: SourceStatement) -> SchemaError:
    word = statement.text.split(None, 1)[0]
    fix = "name the file among the sources instead" if word in ("\\i", "\\ir", "\\include", "\\include_relative") else None
    if not word.startswith("\\"):
        return SchemaError(f"{' '.join(statement.text.split()[:2]).upper()} would reach beyond this database", at=statement.at)
    return SchemaError(f"the psql command '{word}' cannot be loaded", at=statement.at, expected="SQL statements", fix=fix)


_NAME = r'(?:(?:"(?:[^"]|"")+"|[\w$]+)\s*\.\s*)?("(?:[^"]|"")+"|[\w$]+)'
_DIVIDES = re.compile(
    rf"(?:CREATE\s+(?:UNLOGGED\s+|FOREIGN\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+PARTITION\s+OF\s+{_NAME}"
    rf"|ALTER\s+TABLE\s+(?:ONLY\s+)?{_NAME}\s+ATTACH\s+PARTITION\b)",
    re.IGNORECASE,
)
_INDEX_OF = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:{_NAME}\s+)?ON\s+{_NAME}\s*(?:USING\b|\()", re.IGNORECASE
)


def _divided_elsewhere(statements: Sequence[SourceStatement]) -> frozenset[tuple[str, str]]:
    """Return tables, each with a file that makes it, whose partitions another file makes."""
    files = {statement.at.file for statement in statements}
    found = [(match, s.at.file) for s in statements if len(files) > 1 and (match := _DIVIDES.match(s.text))]
    return frozenset((match[2] or match[3], other) for match, file in found for other in files - {file})


class _Loader:
    """The statements put aside, and those among them that wait for a name.

    An index of a divided table adopts the indexes that its partitions have, and makes those that they lack: where the
    partitions are made in another file, it waits for all files.
    """

    def __init__(self, conn: PostgresConnection, divided: frozenset[tuple[str, str]] = frozenset()) -> None:
        self._conn = conn
        self._divided = divided
        self._deferred: list[_Item] = []
        self._last: list[_Item] = []

    # --- first pass

    def run_file(self, file: _File) -> None:
        """Run a file in order; what fails is put aside."""
        items = file.items
        if self._divided:
            self._last += [item for item in items if self._adopts(item)]
            items = [item for item in items if not self._adopts(item)]
        for start in range(0, len(items), _TOGETHER):
            self._run_in_order(items[start : start + _TOGETHER], file)
        if file.has_settings:
            self._conn.reset()

    def _adopts(self, item: _Item) -> bool:
        match = _INDEX_OF.match(item.sql)
        return match is not None and (match[2], item.statement.at.file) in self._divided

    def _run_in_order(self, items: list[_Item], file: _File) -> None:
        while items:
            done, error = self._conn.run_together([item.sql for item in items])
            if error is None:
                return
            if done:  # the failure took those before it back
                self._run_in_order(items[:done], file)
            if error.context.get("sqlstate") == _NEW_LABEL:  # those before it are committed now
                _, error = self._conn.run_together([items[done].sql])
            if error is not None:
                self._put_aside(items[done], error, file)
            items = items[done + 1 :]

    def _put_aside(self, item: _Item, error: QueryError, file: _File) -> None:
        item.error = error
        if not self._is_superfluous(item, error, file):
            self._deferred.append(item)

    def _is_superfluous(self, item: _Item, error: QueryError, file: _File) -> bool:
        """Tell whether psql too would go on without it: a setting this server does not know, a drop of what was never there."""
        if item.is_setting:
            return _UNKNOWN_SETTING.search(error.message) is not None
        if error.context.get("sqlstate") == _DUPLICATE_SCHEMA:
            return self._is_public(item)
        if error.context.get("sqlstate") not in _MISSING:
            return False
        if drops(item.sql):
            return True
        table = takes_away_from(item.sql)
        return table is not None and any(
            other.statement.at > item.statement.at and created_name(other.sql) == table for other in file.items
        )

    def _is_public(self, item: _Item) -> bool:
        """Tell whether it makes the schema that every new database has; whom it shall belong to is said to that."""
        match = _PUBLIC.fullmatch(without_leading_comments(item.sql))
        if match is None or match[1] is None:
            return match is not None
        item.sql = f"ALTER SCHEMA public OWNER TO {match[1]}"
        return self._run_alone(item)

    # --- later passes

    def run_deferred(self) -> None:
        """Try what was put aside, in order, each again when something it missed has been made.

        Raises:
            Problems: what cannot run even when everything else is there.
        """
        stuck = [*self._deferred, *self._last]
        while stuck:
            left = self._pass(stuck)
            if len(left) == len(stuck):
                left = self._without_body_checks(left)
            if len(left) == len(stuck):
                raise Problems([_problem(item) for item in _roots(stuck)])
            stuck = left

    def _pass(self, items: list[_Item]) -> list[_Item]:
        """Run items until none can run any more; return those left, in their order."""
        ready, waiting = deque(items), defaultdict[str, list[_Item]](list)
        left = {id(item): item for item in items}
        while ready:
            item = ready.popleft()
            if id(item) not in left:
                continue
            if self._run_alone(item):
                del left[id(item)]
                if (name := created_name(item.sql)) is not None:
                    ready.extend(waiting.pop(name, ()))
            else:
                for name in _names_in(item.error):
                    waiting[name].append(item)
        return list(left.values())

    def _run_alone(self, item: _Item, *before: str) -> bool:
        """Run one statement under the settings of its file."""
        try:
            if item.settings or before:
                self._conn.run_together([*item.settings, *before])
            _, item.error = self._conn.run_together([item.sql])
        finally:
            if item.settings or before:
                self._conn.reset()
        if item.error is not None and self._made_role(item.error):
            return self._run_alone(item, *before)
        return item.error is None

    def _without_body_checks(self, items: list[_Item]) -> list[_Item]:
        """Routines may need each other, or tables that need them: make them as pg_dump does, without looking into bodies.

        A body that is wrong whatever is there stays refused.
        """
        return [item for item in items if not (_may_miss(item) and self._run_alone(item, "SET check_function_bodies = off"))]

    def _made_role(self, error: QueryError) -> bool:
        """On a scratch server of our own a role that only the real server has is made when it is asked for."""
        match = _MISSING_ROLE.search(error.message)
        if not (self._conn.is_own_cluster and match):
            return False
        _, failure = self._conn.run_together([f"CREATE ROLE {quoted(match[1])}"])
        return failure is None


_ROUTINE = re.compile(r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\b", re.IGNORECASE)


def _may_miss(item: _Item) -> bool:
    """Tell whether a routine may have been refused for something that its body mentions."""
    state = item.error.context.get("sqlstate") if item.error else None
    return _ROUTINE.match(item.sql) is not None and state not in (_SYNTAX_ERROR, _INVALID_FUNCTION)


def _names_in(error: QueryError | None) -> set[str]:
    """The bare names a message of the server speaks of."""
    found = _NAMES_IN_MESSAGE.findall(error.message) if error else []
    return {(name or called).rsplit(".", 1)[-1].replace('""', '"') for name, called in found}


def _roots(items: list[_Item]) -> list[_Item]:
    """Leave out what only fails because another statement fails, where there are others."""
    made = {name for item in items if (name := created_name(item.sql)) is not None}
    roots = [item for item in items if not _names_in(item.error) & made]
    return roots or items


def _problem(item: _Item) -> DbopsError:
    error = item.error
    assert error is not None
    position = error.context.get("position")
    at = item.statement.mark(position - 1) if isinstance(position, int) else item.statement.at
    detail = error.context.get("detail")
    message = f"{error.message} ({detail})" if isinstance(detail, str) else error.message
    return SchemaError(message, {"sqlstate": error.context.get("sqlstate")}, at=at, fix=_fix(error))


def _fix(error: QueryError) -> str | None:
    if match := _MISSING_ROLE.search(error.message):
        create = f"CREATE ROLE {quoted(match[1])}"
        return f"create the role on the server ({create}), or give the connection a scratch.url on another server"
    if error.context.get("sqlstate") == "42501" and "extension" in error.message:
        return "creating this extension needs a privilege: let an administrator create it in template1, or give a scratch.url"
    return error.fix
