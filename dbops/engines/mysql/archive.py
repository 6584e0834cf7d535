"""Rows about to be deleted, copied aside first, and brought back by undo.

The copy is a plain table without keys of its own, so that it depends on nothing that may be dropped later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, DropColumn
from dbops.catalog.model import Column, PrimaryKey, Table
from dbops.dataclass import dataclass
from dbops.engines.mysql.alter import TableChange
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.ddl import names
from dbops.engines.mysql.show_create import collation_of
from dbops.engines.mysql.statements import ddl, under
from dbops.engines.mysql.types import is_comparable, is_spatial, is_textual
from dbops.sql.statement import Statement


@dataclass(slots=True)
class Archive:
    """Gives out the names of copies: `dbops_archive_<token>_<n>`; without a token nothing is copied."""

    token: str | None
    count: int = 0

    def next_name(self) -> str | None:
        """Return the name of the next copy, None when nothing is to be copied."""
        if self.token is None:
            return None
        self.count += 1
        return f"dbops_archive_{self.token}_{self.count}"


def stored(table: Table) -> list[str]:
    """Return the columns that hold values of their own."""
    return [column.name for column in table.columns if _is_stored(column)]


def _is_stored(column: Column) -> bool:
    return column.generated is None and not any(name == "as_row" for name, _ in column.options)


def copy_rows(table: Table, copy: str, columns: Iterable[str], partitions: Iterable[str] = ()) -> Statement:
    """Copy columns of all rows, or of those in some partitions."""
    where = f" PARTITION ({names(partitions)})" if (partitions := tuple(partitions)) else ""
    return ddl(f"CREATE TABLE {quoted(copy)} AS SELECT {names(columns)} FROM {quoted(table.name)}{where}")


def restore_rows(table: Table, copy: str) -> tuple[Statement, ...]:
    """Put whole rows back, zeros in numbered columns and rows that refer to each other included."""
    listed = names(stored(table))
    settings = {"foreign_key_checks": "0"}
    if any(column.identity for column in table.columns):
        settings["sql_mode"] = "CONCAT(@@SESSION.sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"
    insert = f"INSERT INTO {quoted(table.name)} ({listed}) SELECT {listed} FROM {quoted(copy)}"
    return under(settings, Statement(insert))


@dataclass(frozen=True, slots=True)
class LostColumns:
    """The columns one ALTER TABLE drops, and what tells their rows apart afterwards."""

    change: TableChange
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @classmethod
    def of(cls, change: TableChange) -> LostColumns | None:
        """Return None where no values are lost. The key is the primary key, else all that stays of a row."""
        dropped = tuple(c.column for c in change.changes if isinstance(c, DropColumn) and _is_stored(c.column))
        if not dropped:
            return None
        gone = {column.name for column in dropped}
        kept = [name for name in stored(change.before) if name not in gone and _is_comparable(name, change)]
        primary = next((item for item in change.before_children if isinstance(item, PrimaryKey)), None)
        has_key = primary is not None and set(primary.columns) <= set(kept)
        return cls(change, dropped, primary.columns if primary is not None and has_key else tuple(kept))

    def copy(self, name: str) -> Statement:
        """Copy key and columns."""
        return copy_rows(self.change.before, name, (*self.key, *(column.name for column in self.columns)))

    def fill(self, name: str) -> tuple[Statement, ...]:
        """Write the copied values into the columns that are back; times of the last change stay as they are.

        A versioned column that is set, be it to itself, leaves an old version of the row: `way_back` has made them still.
        """
        if not self.key:
            return ()
        same = " AND ".join(map(self._same, self.key))
        values = [f"t.{quoted(column.name)} = a.{quoted(column.name)}" for column in self.columns]
        table = self.change.after
        moving = [c for c in table.columns if "on_update" in dict(c.options)] if not self._has_history else []
        values += [f"t.{quoted(c.name)} = t.{quoted(c.name)}" for c in moving]
        return (Statement(f"UPDATE {quoted(table.name)} AS t JOIN {quoted(name)} AS a ON {same} SET {', '.join(values)}"),)

    def _same(self, name: str) -> str:
        """Compare a column with its copy; text whose collation changed meanwhile by its characters."""
        before, after = self.change.before, self.change.after
        old, new = before.column(name), after.column(name)
        sides = [f"{side}.{quoted(name)}" for side in ("t", "a")]
        if old and new and is_textual(old.type) and collation_of(old, before) != collation_of(new, after):
            sides = [f"CONVERT({side} USING utf8mb4) COLLATE utf8mb4_bin" for side in sides]
        return " <=> ".join(sides)

    def way_back(self) -> tuple[TableChange, TableChange]:
        """Return undo in two halves: first the columns come back, loosened; when they are filled, everything else."""
        back = self.change.reversed()
        loose = {column.name: _loosened(column, self._has_history) for column in self.columns}
        still = {c.name: _still(c) for c in back.before.columns if self._has_history and "on_update" in dict(c.options)}
        columns = tuple(
            loose.get(column.name) or still.get(column.name) or back.before.column(column.name) or column
            for column in back.after.columns
            if column.name in loose or back.before.column(column.name)
        )
        middle = replace(back.before, columns=columns)
        table: tuple[CatalogChange, ...] = ()
        if back.after.partition_by is None and any(is_spatial(column.type) for column in self.columns):
            undivided = replace(middle, partition_by=None)
            middle, table = undivided, (AlterObject(replace(undivided, partition_by=back.before.partition_by), undivided),)
        adds = tuple(
            replace(c, column=loose[c.column.name]) for c in back.changes if isinstance(c, AddColumn) and c.column.name in loose
        )
        calmed = (AlterColumn(back.after.ref, c, still[c.name]) for c in back.before.columns if c.name in still)
        added = (*table, *calmed, *self._placed(adds, middle))
        first = TableChange(back.before, middle, back.before_children, back.before_children, added)
        rest = tuple(self._second(c, loose, still) for c in back.changes)
        spoken_of = {change.ref.name for change in rest if isinstance(change, AlterColumn | DropColumn)}
        rest += tuple(
            AlterColumn(back.after.ref, still[c.name], c) for c in back.after.columns if c.name in still.keys() - spoken_of
        )
        return first, TableChange(middle, back.after, back.before_children, back.after_children, rest)

    def _placed(self, adds: tuple[AddColumn, ...], middle: Table) -> tuple[AddColumn, ...]:
        order = [column.name for column in middle.columns]
        return tuple(
            replace(c, after_column=order[place - 1] if (place := order.index(c.column.name)) else None)
            for c in sorted(adds, key=lambda c: order.index(c.column.name))
        )

    @property
    def _has_history(self) -> bool:
        return "with system versioning" in dict(self.change.after.options)

    def _second(self, change: CatalogChange, loose: dict[str, Column], still: dict[str, Column]) -> CatalogChange:
        if isinstance(change, AddColumn) and change.column.name in loose:
            return AlterColumn(change.table, loose[change.column.name], change.column, True, change.after_column)
        if isinstance(change, AlterColumn) and change.before.name in still:
            return replace(change, before=still[change.before.name])
        return change


def _still(column: Column) -> Column:
    """The column as it keeps its value when others are written."""
    return replace(column, options=tuple(pair for pair in column.options if pair[0] != "on_update"))


def _is_comparable(name: str, change: TableChange) -> bool:
    old, new = change.before.column(name), change.after.column(name)
    return old is not None and new is not None and is_comparable(old.type, new.type)


def _loosened(column: Column, has_history: bool) -> Column:
    """The column as it can be added to a table with rows: any value, no numbering, no check.

    Rows of the past are not filled, so that a NULL in them would stay. Filling must not add to them either: what changes in a
    column WITHOUT SYSTEM VERSIONING alone leaves no old version of the row (MariaDB Knowledge Base, System-Versioned Tables).
    """
    later = {"check", "on_update", "without_versioning"}
    options = tuple(pair for pair in column.options if pair[0] not in later)
    if has_history:
        options = tuple(sorted((*options, ("without_versioning", ""))))
    return replace(column, nullable=column.nullable or not has_history, default=None, identity=None, options=options)
