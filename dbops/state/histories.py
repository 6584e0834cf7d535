"""The tables in which other migration runners remember what they applied: where they are, what their columns mean.

They are read, never written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Row
from dbops.errors import MigrationError, MissingTableError, QueryError, TransientError
from dbops.reconcile.history import History, Remembered, Tool
from dbops.sql.dialect import Dialect


@dataclass(frozen=True, slots=True)
class _Layout:
    """One tool's table: where it is unless told otherwise, the columns to read, by which to order, and what a row means.

    A row that says nothing about a migration means None.
    """

    tool: Tool
    title: str
    tables: tuple[str, ...]
    columns: tuple[str, ...]
    order: tuple[str, ...]
    read: Callable[[Row], Remembered | None]


def _flyway(row: Row) -> Remembered | None:
    version, description, kind, script, checksum, by, on, took, success = row
    if kind == "SCHEMA":
        return None
    undone = kind in ("UNDO_SQL", "UNDO_JDBC", "UNDO_SCRIPT", "DELETE")
    # By a baseline, and by a baseline migration, everything up to its version counts as applied.
    outcome = "failed" if not success else "undone" if undone else "baseline" if kind == "BASELINE" else "applied"
    return Remembered(
        label=str(script),
        version=None if version is None else str(version),
        name=str(description or ""),
        checksum=None if checksum is None or kind == "BASELINE" else str(checksum),
        is_repeatable=version is None,
        outcome=outcome,  # type: ignore[arg-type]  # one of its words
        at=_moment(on),
        who=str(by or ""),
        duration_ms=int(took or 0),
    )


def _golang_migrate(row: Row) -> Remembered | None:
    version, dirty = row
    if int(version) < 0:  # what is left when everything was taken back
        return None
    return Remembered(str(version), version=str(version), outcome="failed" if dirty else "applied")


def _versions(row: Row) -> Remembered:
    return Remembered(str(row[0]), version=str(row[0]))


def _yoyo(row: Row) -> Remembered:
    return Remembered(str(row[0]), name=str(row[0]), at=_moment(row[1]))


def _django(row: Row) -> Remembered:
    app, name, applied = row
    return Remembered(f"{app}.{name}", name=str(name), part=str(app), at=_moment(applied))


def _sqitch(row: Row) -> Remembered:
    change, project, script_hash, committed_at, committer = row
    hashed = None if script_hash is None else str(script_hash)
    return Remembered(
        str(change), name=str(change), part=str(project), checksum=hashed, at=_moment(committed_at), who=str(committer or "")
    )


_FLYWAY_COLUMNS = (
    *("version", "description", "type", "script", "checksum"),
    *("installed_by", "installed_on", "execution_time", "success"),
)
_LAYOUTS = (
    _Layout("flyway", "Flyway", ("flyway_schema_history", "schema_version"), _FLYWAY_COLUMNS, ("installed_rank",), _flyway),
    _Layout("alembic", "Alembic", ("alembic_version",), ("version_num",), ("version_num",), _versions),
    _Layout("golang-migrate", "golang-migrate", ("schema_migrations",), ("version", "dirty"), ("version",), _golang_migrate),
    _Layout("dbmate", "dbmate", ("schema_migrations",), ("version",), ("version",), _versions),
    _Layout("yoyo", "yoyo", ("_yoyo_migration",), ("migration_id", "applied_at_utc"), ("applied_at_utc", "migration_id"), _yoyo),
    _Layout("django", "Django", ("django_migrations",), ("app", "name", "applied"), ("id",), _django),
    _Layout(
        "sqitch",
        "sqitch",
        ("sqitch.changes",),
        ("change", "project", "script_hash", "committed_at", "committer_name"),
        ("committed_at",),
        _sqitch,
    ),
)
TOOLS: tuple[Tool, ...] = tuple(layout.tool for layout in _LAYOUTS)


def find_history(conn: Connection, dialect: Dialect, tool: Tool | None = None, table: str | None = None) -> History:
    """Return the only history there is in a database, or that of `tool`, kept in `table` where that is not the tool's own.

    Costs a query for each place where one could be.

    Raises:
        MigrationError: there is none, there are several, or the one named cannot be read.
    """
    found = list(_found(conn, dialect, tool, table))
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(f"{one.title} ({one.table})" for one in found)
        raise MigrationError(f"this database has the histories of {names}", fix=f"say which: --from {found[0].tool}")
    looked = [layout for layout in _LAYOUTS if tool in (None, layout.tool)]
    places = ", ".join(dict.fromkeys(table or layout.tables[0] for layout in looked))
    raise MigrationError(
        f"there is no history of {looked[0].title if tool else 'another runner'} in this database",
        expected=f"a table {places if tool or table is None else table}",
        fix="--from TOOL --table NAME where it has another name",
    )


def _found(conn: Connection, dialect: Dialect, tool: Tool | None, table: str | None) -> Iterator[History]:
    claimed: set[str] = set()
    for layout in _LAYOUTS:
        if tool not in (None, layout.tool):
            continue
        for name in (table,) if table else layout.tables:
            if name in claimed:
                continue
            rows = _rows(conn, dialect, layout, name, is_named=tool is not None and table is not None)
            if rows is not None:
                claimed.add(name)
                yield History(layout.tool, layout.title, name, tuple(filter(None, map(layout.read, rows))))


def _rows(conn: Connection, dialect: Dialect, layout: _Layout, table: str, *, is_named: bool) -> list[Row] | None:
    """Return the rows of a table that has the layout's columns, else None."""
    columns = ", ".join(map(dialect.identifier, layout.columns))
    order = ", ".join(map(dialect.identifier, layout.order))
    place = ".".join(map(dialect.identifier, table.split(".")))
    try:
        return conn.query(f"SELECT {columns} FROM {place} ORDER BY {order}")
    except TransientError:
        raise
    except MissingTableError:
        return None
    except QueryError as error:
        if is_named:
            raise MigrationError(f"{table} cannot be read as {layout.title}'s: {error.message}") from error
        return None


def _moment(value: object) -> str | None:
    """Return a driver's moment as the ledger writes it; one without a zone is taken for UTC, where tools of this kind keep it."""
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value[:32]
    if not isinstance(moment, datetime):
        return None
    return f"{moment.astimezone(UTC) if moment.tzinfo else moment:%Y-%m-%dT%H:%M:%SZ}"
