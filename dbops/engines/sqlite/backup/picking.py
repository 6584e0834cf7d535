"""A restored file of which some tables are wanted: the others go, and what could not do without them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target
from dbops.engines.base.url import DatabaseUrl
from dbops.engines.sqlite.connect import SqliteConnection, connect
from dbops.engines.sqlite.shown import look
from dbops.engines.sqlite.statements import parse_virtual
from dbops.engines.sqlite.tokens import literal, quote
from dbops.engines.sqlite.virtual import content_of
from dbops.errors import BackupError, QueryError

_TABLES = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
_SHADOWS = "SELECT lower(name) FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
_CODE = "SELECT type, name, tbl_name FROM sqlite_schema WHERE type IN ('view', 'trigger')"


def only_tables(path: Path, tables: Sequence[str]) -> list[str]:
    """Drop every table of a file but those chosen with what they are made of, all views, and triggers that use what goes.

    Returns what is to be said of it.

    Raises:
        BackupError: there is no such table, or one that goes is of a module that is not there.
    """
    with closing(connect(Target("", DatabaseUrl("sqlite", database=str(path))))) as conn:
        there = _read(conn)
        wanted, warnings = there.wanted({table.rpartition(".")[2].lower() for table in tables})
        triggers = list(_orphaned(conn, wanted))
        conn.query("PRAGMA journal_mode = DELETE")
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute("BEGIN")
        for kind, name, _ in conn.query(_CODE):
            if kind == "view" or name in triggers:
                conn.execute(f"DROP {kind} {quote(name)}")
        for name in [*there.virtual, *there.names]:  # the first take their shadows with them
            if name not in wanted and conn.query("SELECT 1 FROM sqlite_schema WHERE lower(name) = ?", (name,)):
                _drop(conn, there.names[name])
        warnings += _dangling(conn, wanted)
        conn.execute("COMMIT")
        try:
            conn.execute("VACUUM")
        except QueryError as error:
            if error.context["sqlstate"] == "SQLITE_FULL":
                raise
            warnings.append(
                f"the file keeps the room of what went: {error.message}"
            )  # an index needs its application's collation
    left_out = [f"the trigger {name} was left out, for it uses what was not restored" for name in triggers]
    return [*warnings, *left_out]


@dataclass(frozen=True, slots=True)
class _There:
    """The tables of a file by their names in lower case; of the virtual ones the statement, and the tables that they keep
    their content in.
    """

    names: dict[str, str]
    virtual: dict[str, str]
    parts: dict[str, frozenset[str]]

    def wanted(self, chosen: Collection[str]) -> tuple[set[str], list[str]]:
        """Return the chosen tables with all that they are made of, and what is to be said of that."""
        of = {part: owner for owner, parts in self.parts.items() for part in parts}
        if missing := sorted(set(chosen) - set(self.names)):
            whole = ", ".join(sorted(self.names[name] for name in self.names if name not in of))
            raise BackupError(f"the backup has no table {missing[0]!r}", expected=f"one of {whole}")
        for name in sorted(chosen):
            if name in of and of[name] not in chosen:
                owner = self.names[of[name]]
                raise BackupError(f"{self.names[name]} is a part of {owner}, and means nothing alone", fix=f"--table {owner}")
        wanted, warnings = set(chosen), []
        for name in sorted(set(chosen) & set(self.virtual)):
            wanted |= self.parts[name]
            content = (content_of(parse_virtual(self.virtual[name])) or "").lower()
            if content in self.names and content not in wanted:
                wanted.add(content)
                warnings.append(f"{self.names[content]} came too, for {self.names[name]} takes its text from it")
        return wanted, warnings


def _read(conn: SqliteConnection) -> _There:
    rows = [(str(name), str(sql)) for name, sql in conn.query(_TABLES)]
    names = {name.lower(): name for name, _ in rows}
    virtual = {name.lower(): sql for name, sql in rows if sql[:14].upper() == "CREATE VIRTUAL"}
    shadows = {str(name) for (name,) in conn.query(_SHADOWS)}
    parts = {}
    for name in virtual:
        longer = tuple(f"{other}_" for other in virtual if other.startswith(f"{name}_"))
        own = {other for other in names if other.startswith(f"{name}_") and other not in virtual and not other.startswith(longer)}
        # of a module that is not there nobody says what is a shadow
        parts[name] = frozenset(own & shadows if _works(conn, name) else own)
    return _There(names, virtual, parts)


def _works(conn: SqliteConnection, name: str) -> bool:
    try:
        conn.query(f"SELECT 1 FROM {quote(name)} LIMIT 0")
    except QueryError as error:
        if error.message.startswith("no such module"):
            return False
        raise
    return True


def _orphaned(conn: SqliteConnection, wanted: Collection[str]) -> Iterator[str]:
    """Yield the triggers of wanted tables that use a table or view which goes; one that does not compile anyway stays."""
    uses = look(conn).uses
    for kind, name, table in conn.query(_CODE):
        used = {use[0].lower() for use in uses.get(str(name).lower(), ())}
        if kind == "trigger" and str(table).lower() in wanted and not used <= set(wanted):
            yield str(name)


def _dangling(conn: SqliteConnection, wanted: Collection[str]) -> Iterator[str]:
    """Say of foreign keys whose table is not there any more."""
    for (name,) in conn.query("SELECT name FROM sqlite_schema WHERE type = 'table'"):
        for (parent,) in conn.query(f'SELECT DISTINCT "table" FROM pragma_foreign_key_list({literal(str(name))})'):
            if str(parent).lower() not in wanted:
                yield f"{name} refers to {parent}, which was not restored: while foreign_keys is ON nothing can be written there"


def _drop(conn: SqliteConnection, name: str) -> None:
    try:
        conn.execute(f"DROP TABLE {quote(name)}")
    except QueryError as error:
        raise BackupError(
            f"{name} cannot be left out: {error.message}", fix="restore all tables, to another path, and copy those from there"
        ) from error
