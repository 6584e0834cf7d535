"""Rows and values about to be deleted, put aside in tables of dbops's own, and taken back from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dbops.catalog.model import Column, PrimaryKey
from dbops.dataclass import dataclass
from dbops.engines.base.features import Features
from dbops.engines.sqlite.rebuild import default_for_nulls, insertable, keeps_rowids
from dbops.engines.sqlite.state import TableState
from dbops.engines.sqlite.tokens import literal, quote


@dataclass(slots=True)
class Archive:
    """Gives out names; without a token nothing is archived."""

    features: Features
    token: str | None
    used: int = 0

    def name(self) -> str | None:
        """Return the next archive table's name, None when nothing is to be archived."""
        if self.token is None:
            return None
        self.used += 1
        return f"{self.features.state_prefix}archive_{self.token}_{self.used}"


def keep_rows(state: TableState, name: str) -> str:
    """Return the statement that copies a whole table, with its hidden rowids."""
    rowid = _hidden_rowid(state)
    columns = (f"{rowid} AS dbops_rowid, " if rowid else "") + insertable(state)
    return f"CREATE TABLE {quote(name)} AS SELECT {columns} FROM {quote(state.table.name)}"


def restore_rows(state: TableState, name: str) -> list[str]:
    """Return the statements that fill the table again and remove the archive."""
    rowid = _hidden_rowid(state)
    columns = insertable(state)
    return [
        f"INSERT INTO {quote(state.table.name)} ({f'{rowid}, ' if rowid else ''}{columns})\n"
        f"SELECT {'dbops_rowid, ' if rowid else ''}{columns} FROM {quote(name)}",
        f"DROP TABLE {quote(name)}",
    ]


def keep_last_number(state: TableState, name: str) -> list[str]:
    """Return what keeps the number that AUTOINCREMENT gave last: it gives none twice, also those of rows long deleted."""
    if not state.is_autoincrement:
        return []
    return [f"CREATE TABLE {quote(_numbers(name))} AS SELECT seq FROM sqlite_sequence WHERE name = {literal(state.table.name)}"]


def restore_last_number(state: TableState, name: str) -> list[str]:
    """Return what lets a table that is there again go on after that number."""
    if not state.is_autoincrement:
        return []
    table, kept = literal(state.table.name), quote(_numbers(name))
    return [
        f"DELETE FROM sqlite_sequence WHERE name = {table}",
        f"INSERT INTO sqlite_sequence (name, seq) SELECT {table}, seq FROM {kept}",
        f"DROP TABLE {kept}",
    ]


def _numbers(name: str) -> str:
    return f"{name}_seq"


def _hidden_rowid(state: TableState) -> str | None:
    return state.rowid_name if state.rowid_column is None else None


def keep_values(before: TableState, after: TableState, columns: Sequence[Column], name: str) -> Iterator[str]:
    """Yield the statements that copy the values of `columns` with the key of their rows.

    The archive's columns have no type, so that every value stays what it is.
    """
    keys = _keys(before, after)
    own = [f"key{place}" for place, _ in enumerate(keys)] + [f"value{place}" for place, _ in enumerate(columns)]
    theirs = [*(old for old, _ in keys), *(quote(column.name) for column in columns)]
    yield f"CREATE TABLE {quote(name)} ({', '.join(own)})"
    yield f"INSERT INTO {quote(name)} SELECT {', '.join(theirs)} FROM {quote(before.table.name)}"
    yield f"CREATE INDEX {quote(name + '_key')} ON {quote(name)} ({', '.join(own[: len(keys)])})"


def keep_filled(before: TableState, after: TableState, place: int, name: str, current: str) -> list[str]:
    """Return what keeps, after the change, what became of the NULLs of a column: a default may give each row another value."""
    archive, given = quote(name), f"{quote(after.table.name)}.{quote(current)}"
    found = _found(before, after, archive)
    return [
        f"ALTER TABLE {archive} ADD COLUMN filled{place}",
        f"UPDATE {archive} SET filled{place} = {given} FROM {quote(after.table.name)} WHERE value{place} IS NULL AND {found}",
    ]


def kept_value(before: TableState, after: TableState, place: int, name: str, current: str | None) -> str:
    """Return an expression over the table as it is after the change: the value that `keep_values` kept.

    A value that was written since is not overwritten: where the column is still there (`current`), only what is equal goes.
    """
    value = f"(SELECT kept.value{place} FROM {quote(name)} AS kept WHERE {_found(before, after)}"
    if current is None:
        return f"{value})"
    column = f"{quote(after.table.name)}.{quote(current)}"
    return f"coalesce({value} AND kept.value{place} = {column}), {column})"


def null_or(value: str, before: TableState, after: TableState, place: int, name: str, current: str) -> str:
    """Return an expression like `kept_value`'s: NULL where it gave way to what `keep_filled` kept, and nobody wrote since."""
    filled = f"kept.value{place} IS NULL AND kept.filled{place} IS {quote(after.table.name)}.{quote(current)}"
    was_null = f"EXISTS (SELECT 1 FROM {quote(name)} AS kept WHERE {_found(before, after)} AND {filled})"
    return f"CASE WHEN {was_null} THEN NULL ELSE {value} END"


def _found(before: TableState, after: TableState, archive: str = "kept") -> str:
    """Return the condition that a row of the archive is that of a row after the change.

    With an affinity, a value would be converted to be compared, and the archive's index not be used.
    """
    return " AND ".join(f"{archive}.key{at} IS +{new}" for at, (_, new) in enumerate(_keys(before, after)))


def _keys(before: TableState, after: TableState) -> list[tuple[str, str]]:
    """Return what names a row before and after: the primary key, since hidden rowids may change in a VACUUM, else the rowid.

    Several rows may have the same primary key with a NULL in it; these go by their rowids.
    """
    table = quote(after.table.name)
    rowid: list[tuple[str, str]] = []
    if before.rowid_name and after.rowid_name and keeps_rowids(before, after):
        rowid = [(before.rowid_name, f"{table}.{after.rowid_name}")]
    key = next((item for item in before.constraints if isinstance(item, PrimaryKey)), None)
    if key is None or not all(_is_kept(before, after, column) for column in key.columns):
        return rowid
    columns = [(quote(column), f"{table}.{quote(column)}") for column in key.columns]
    unsure = [pair for pair, name in zip(columns, key.columns, strict=True) if _may_be_null(before, after, name)]
    if not unsure or not rowid:
        return columns if not unsure else []
    [(before_id, after_id)] = rowid
    return [*columns, (_of_nulls([old for old, _ in unsure], before_id), _of_nulls([new for _, new in unsure], after_id))]


def _of_nulls(names: Iterable[str], rowid: str) -> str:
    return f"CASE WHEN {' OR '.join(f'{name} IS NULL' for name in names)} THEN {rowid} END"


def _may_be_null(before: TableState, after: TableState, name: str) -> bool:
    """Tell whether a column of a primary key may hold NULL on both sides (https://www.sqlite.org/lang_createtable.html, 3.5)."""
    old, new = before.column(name), after.column(name)
    return before.rowid_column is None and old is not None and new is not None and old.nullable and new.nullable


def _is_kept(before: TableState, after: TableState, name: str) -> bool:
    old, new = before.column(name), after.column(name)
    return old is not None and new is not None and old.type == new.type and default_for_nulls(old, new) is None


def can_keep(before: TableState, after: TableState) -> bool:
    """Tell whether rows can be found again after the change."""
    return bool(_keys(before, after))
