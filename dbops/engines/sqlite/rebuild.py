"""Building a table anew, for what ALTER TABLE cannot do (https://www.sqlite.org/lang_altertable.html, section 7).

Foreign keys must be off, which only the connection can see to (`SqliteConnection.transaction`): dropping the old table would
delete the rows that refer to it. legacy_alter_table keeps the final rename from touching, or minding, views and triggers
that still speak of the table by its proper name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dbops.catalog.model import Column
from dbops.engines.sqlite.ddl import create_index, create_table, default_value, names
from dbops.engines.sqlite.errors import REBUILD_PREFIX
from dbops.engines.sqlite.state import TableState
from dbops.engines.sqlite.tokens import literal, quote

FOREIGN_KEYS_OFF = "PRAGMA foreign_keys = OFF"
LEGACY_ON = "PRAGMA legacy_alter_table = ON"
LEGACY_OFF = "PRAGMA legacy_alter_table = OFF"


def rebuild(
    before: TableState, after: TableState, triggers: Sequence[str] = (), values: Mapping[str, str] | None = None
) -> list[str]:
    """Return the statements that turn one table into another with its rows, its indexes and `triggers`.

    Columns are matched by name, whatever the case. `values` are expressions over the old table, by lower-case column, for
    columns that have none there.
    """
    new = REBUILD_PREFIX + after.table.name
    copied = copy_rows(before, after, new, values or {})
    return [
        FOREIGN_KEYS_OFF,
        LEGACY_ON,
        create_table(after.table, after.constraints, new),
        *([copied] if copied else []),
        *_keep_sequence(before, after, new),
        f"DROP TABLE {quote(before.table.name)}",
        f"ALTER TABLE {quote(new)} RENAME TO {quote(after.table.name)}",
        LEGACY_OFF,
        *(create_index(index, after.names) for index in after.indexes),
        *triggers,
    ]


def copy_rows(before: TableState, after: TableState, target: str, values: Mapping[str, str]) -> str | None:
    """Return the statement that copies all rows, None when the new table can hold nothing but computed values."""
    columns: list[str] = []
    sources: list[str] = []
    for column in after.table.columns:
        source = _source(before, column, values)
        if source is not None:
            columns.append(quote(column.name))
            sources.append(source)
    kept = before.rowid_name
    if kept is not None and after.rowid_column is None and after.rowid_name is not None:
        columns.insert(0, after.rowid_name)
        sources.insert(0, kept)
    elif kept is not None and after.rowid_column is not None and before.column(after.rowid_column) is None:
        columns.insert(0, quote(after.rowid_column))  # a new key takes the rowids that the rows already have
        sources.insert(0, kept)
    if not columns:  # no value goes over, but the rows do, with the defaults of the new columns
        first = next((column for column in after.table.columns if column.generated is None), None)
        if first is None:
            return None
        columns, sources = [quote(first.name)], [default_value(first.default) if first.default is not None else "NULL"]
    verb = "INSERT OR ABORT" if _has_conflict_clauses(after) else "INSERT"
    return f"{verb} INTO {quote(target)} ({', '.join(columns)})\nSELECT {', '.join(sources)} FROM {quote(before.table.name)}"


def keeps_rowids(before: TableState, after: TableState) -> bool:
    """Tell whether rows keep their rowids: not when another column with values of its own becomes the rowid."""
    if not (before.has_rowid and after.has_rowid):
        return False
    alias = after.rowid_column
    return alias is None or before.column(alias) is None or (before.rowid_column or "").lower() == alias.lower()


def _has_conflict_clauses(state: TableState) -> bool:
    """ON CONFLICT IGNORE or REPLACE in the table would drop rows in silence while they are copied."""
    options = [*(item.options for item in state.constraints), *(column.options for column in state.table.columns)]
    return any(name.endswith("on_conflict") for own in options for name, _ in own)


def _source(before: TableState, column: Column, values: Mapping[str, str]) -> str | None:
    if column.generated is not None:
        return None
    given = values.get(column.name.lower())
    if given is not None:
        return given
    old = before.column(column.name)
    if old is None:
        return None
    default = default_for_nulls(old, column)
    return quote(old.name) if default is None else f"coalesce({quote(old.name)}, {default})"


def default_for_nulls(old: Column, new: Column) -> str | None:
    """Return what NULLs of a column become that must not be NULL any longer; None where they do not give way."""
    if not old.nullable or new.nullable or new.generated or new.default is None or new.default.upper() == "NULL":
        return None
    return default_value(new.default)


def _keep_sequence(before: TableState, after: TableState, new: str) -> Iterable[str]:
    """AUTOINCREMENT never uses a number twice, also those of rows long deleted: the highest goes over to the new table."""
    if not (before.is_autoincrement and after.is_autoincrement):
        return
    yield f"DELETE FROM sqlite_sequence WHERE name = {literal(new)}"
    yield (
        f"INSERT INTO sqlite_sequence (name, seq) SELECT {literal(new)}, seq FROM sqlite_sequence "
        f"WHERE name = {literal(before.table.name)}"
    )


def insertable(state: TableState) -> str:
    """Write the names of all columns that hold values of their own."""
    return names(column.name for column in state.table.columns if column.generated is None)
