"""Rows about to be deleted, copied aside first, and brought back by undo.

The copy is a plain table without keys of its own, so that it depends on nothing that may be dropped later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, DropColumn
from dbops.catalog.model import Column, PrimaryKey, Table
from dbops.dataclass import dataclass
from dbops.engines.mysql.alter import TableChange, left_of
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.ddl import names
from dbops.engines.mysql.matching import Match
from dbops.engines.mysql.statements import ddl, under
from dbops.engines.mysql.types import comes_back, is_reshaped, is_spatial
from dbops.engines.mysql.versioning import is_versioned
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
    """The columns whose values one ALTER TABLE drops, and by what their rows are known again afterwards."""

    change: TableChange
    columns: tuple[Column, ...]
    match: Match

    @classmethod
    def of(cls, change: TableChange) -> LostColumns | None:
        """Return None where no values are lost."""
        keys = {name for item in change.before_children if isinstance(item, PrimaryKey) for name in item.columns}
        dropped = tuple(
            c.column if isinstance(c, DropColumn) else c.before
            for c in change.changes
            if (isinstance(c, DropColumn) and _is_stored(c.column)) or (isinstance(c, AlterColumn) and _loses_values(c, keys))
        )
        if not dropped:
            return None
        gone = {column.name for column in dropped}
        staying = [name for name in stored(change.before) if name not in gone]
        return cls(change, dropped, Match.of(change.before, change.after, change.before_children, staying))

    def copy(self, name: str) -> Statement:
        """Copy the columns, and those that tell their rows apart."""
        return copy_rows(self.change.before, name, (*self.match.columns, *(column.name for column in self.columns)))

    def fill(self, name: str) -> tuple[Statement, ...]:
        """Write the copied values into the columns that are back; times of the last change stay as they are.

        A versioned column that is set, be it to itself, leaves an old version of the row: `way_back` has made them still.
        """
        moving = [c.name for c in self.change.after.columns if "on_update" in dict(c.options)] if not self._has_history else []
        return self.match.filled(name, [column.name for column in self.columns], moving)

    def way_back(self) -> tuple[TableChange, TableChange]:
        """Return undo in two halves: first the columns come back, loosened; when they are filled, everything else.

        Where no key tells the rows apart, a column of numbers is there between the halves.
        """
        back = self.change.reversed()
        loose = {column.name: _loosened(column, self._has_history) for column in self.columns}
        number = self.match.row_column()
        numbers = (_loosened(number, self._has_history),) if number else ()
        still = {c.name: _still(c) for c in back.before.columns if self._has_history and "on_update" in dict(c.options)}
        columns = tuple(
            loose.get(column.name) or still.get(column.name) or back.before.column(column.name) or column
            for column in back.after.columns
            if column.name in loose or back.before.column(column.name)
        )
        room = _roomier(back.before, back.after)
        if back.after.partition_by is None and any(is_spatial(column.type) for column in self.columns):
            room = replace(room, partition_by=None)
        middle = replace(room, columns=(*columns, *numbers))
        table = (AlterObject(back.before, room),) if room != back.before else ()
        adds: tuple[AddColumn | AlterColumn, ...] = tuple(
            replace(c, column=loose[c.column.name])
            if isinstance(c, AddColumn)
            else replace(c, after=loose[c.after.name], moved=True)
            for c in back.changes
            if (isinstance(c, AddColumn) and c.column.name in loose) or (isinstance(c, AlterColumn) and c.after.name in loose)
        )
        adds += tuple(AddColumn(back.after.ref, column, None) for column in numbers)
        calmed = (AlterColumn(back.after.ref, c, still[c.name]) for c in back.before.columns if c.name in still)
        added = (*table, *calmed, *self._placed(adds, middle))
        first = TableChange(back.before, middle, back.before_children, back.before_children, added)
        rest = tuple(self._second(c, loose, still) for c in back.changes)
        spoken_of = {change.ref.name for change in rest if isinstance(change, AlterColumn | DropColumn)}
        rest += tuple(
            AlterColumn(back.after.ref, still[c.name], c) for c in back.after.columns if c.name in still.keys() - spoken_of
        )
        rest += tuple(DropColumn(back.after.ref, column) for column in numbers)
        return first, TableChange(middle, back.after, back.before_children, back.after_children, rest)

    def _placed(self, adds: tuple[AddColumn | AlterColumn, ...], middle: Table) -> tuple[AddColumn | AlterColumn, ...]:
        order = [column.name for column in middle.columns]
        return tuple(
            replace(c, after_column=order[place - 1] if (place := order.index(c.ref.name)) else None)
            for c in sorted(adds, key=lambda c: order.index(c.ref.name))
        )

    @property
    def _has_history(self) -> bool:
        return is_versioned(self.change.after)

    def _second(self, change: CatalogChange, loose: dict[str, Column], still: dict[str, Column]) -> CatalogChange:
        if isinstance(change, AddColumn) and change.column.name in loose:
            return AlterColumn(change.table, loose[change.column.name], change.column, True, change.after_column)
        if isinstance(change, AlterColumn) and change.after.name in loose:
            return replace(
                change, before=loose[change.after.name], moved=True, after_column=left_of(self.change.before, change.after.name)
            )
        if isinstance(change, AlterColumn) and change.before.name in still:
            return replace(change, before=still[change.before.name])
        return change


def _loses_values(change: AlterColumn, keys: set[str]) -> bool:
    """A column that becomes computed, or gets a type that takes no value of the old one, or gives none back, is filled anew.

    So is one whose values get another shape, but for keys, by which rows are known.
    """
    types = change.before.type, change.after.type
    is_kept = change.after.generated is None and comes_back(*types) and (change.before.name in keys or not is_reshaped(*types))
    return _is_stored(change.before) and not is_kept


def _roomier(table: Table, other: Table) -> Table:
    """The table as it can hold columns of both where it goes to another engine: InnoDB refuses no type that others take.

    Its partitions, which name their engine, are none meanwhile.
    """
    options = dict(table.options)
    if options.get("engine") == dict(other.options).get("engine") or options.get("engine") == "InnoDB":
        return table
    kept = {name: value for name, value in options.items() if name == "collation" or "versioning" in name or "period" in name}
    return replace(table, options=tuple(sorted({**kept, "engine": "InnoDB"}.items())), partition_by=None)


def _still(column: Column) -> Column:
    """The column as it keeps its value when others are written."""
    return replace(column, options=tuple(pair for pair in column.options if pair[0] != "on_update"))


def _loosened(column: Column, has_history: bool) -> Column:
    """The column as it can be added to a table with rows: any value, no numbering, no check.

    Rows of the past are not filled, so that a NULL in them would stay. Filling must not add to them either: what changes in a
    column WITHOUT SYSTEM VERSIONING alone leaves no old version of the row (MariaDB Knowledge Base, System-Versioned Tables).
    """
    later = {"check", "invisible", "on_update", "without_versioning"}  # who is invisible needs a default (error 4108)
    options = tuple(pair for pair in column.options if pair[0] not in later)
    if has_history:
        options = tuple(sorted((*options, ("without_versioning", ""))))
    return replace(column, nullable=column.nullable or not has_history, default=None, identity=None, options=options)
