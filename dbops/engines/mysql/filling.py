"""Columns that come with another value for each row, where no single ALTER TABLE may or should add them.

The log for replicas holds ALTER TABLE as text. MySQL refuses one that adds such a column, be there a log or not (error 1674);
MariaDB takes it, whereupon each replica fills the rows with values of its own. So the column comes empty, gets its default, and
the rows that are there are filled by an UPDATE, which the log holds row by row where `binlog_format` is ROW or MIXED.
"""

from __future__ import annotations

from dataclasses import replace

from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, CreateObject
from dbops.catalog.model import CatalogObject, Check, Column, PrimaryKey, Table
from dbops.dataclass import dataclass
from dbops.engines.base.render import about
from dbops.engines.mysql.alter import TableChange, columns_of, left_of
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.cost import Fact, calls
from dbops.engines.mysql.versioning import is_versioned
from dbops.sql.statement import Statement

#: Functions that the log of statements cannot repeat (MySQL 8.4 manual, 7.4.4.3; MariaDB Knowledge Base, Unsafe Statements).
_UNSAFE = frozenset(
    {"uuid", "uuid_short", "uuid_v4", "uuid_v7", "sys_guid", "rand", "random_bytes", "sysdate"}
    | {"user", "current_user", "session_user", "system_user"}
)


@dataclass(frozen=True, slots=True)
class Filling:
    """One change of a table, divided: what makes the columns, with their default, what fills them, and what needs them filled."""

    making: tuple[TableChange, ...]
    columns: tuple[Column, ...]
    finishing: tuple[TableChange, ...]

    def updates(self) -> list[Statement]:
        """Return what fills the rows that are there, column by column; times of their last change stay as they are."""
        table = self.making[-1].after
        still = "".join(f", {quoted(c.name)} = {quoted(c.name)}" for c in table.columns if "on_update" in dict(c.options))
        return [
            Statement(f"UPDATE {quoted(table.name)} SET {name} = DEFAULT{still} WHERE {name} IS NULL")
            for name in (quoted(column.name) for column in self.columns)
        ]

    def facts(self, rows: int, triggers: list[str], *, has_replicas: bool) -> list[Fact]:
        """Return what that does to others; `triggers` are not there while it runs."""
        table = self.making[-1].after.name
        names = ", ".join(column.name for column in self.columns)
        facts = [
            Fact("DEFAULT_CHANGES_ROWS", f"every row of {table} is written with its own {names}"),
            Fact("BLOCKS_WRITES", f"writers of rows of {table} wait until all rows are filled, {about(rows)}"),
        ]
        if has_replicas:
            facts.append(Fact("REPLICATION_IMPACT", f"replicas get each filled row of {table}, {about(rows)}"))
        if triggers:
            listed = ", ".join(triggers)
            facts.append(Fact("BREAKS_DEPENDENTS", f"{listed} of {table} run for nobody while its rows are filled"))
        return facts


def divided(change: TableChange) -> Filling | None:
    """Divide a change; None where replicas can repeat its ALTER TABLE, and where rows of the past would not be filled."""
    added = {c.column.name: c.column for c in change.changes if isinstance(c, AddColumn) and is_unsafe(c.column)}
    if not added or is_versioned(change.after):
        return None
    return _Division(change, added).filling()


def is_unsafe(column: Column) -> bool:
    """Tell whether a replica that ran the statement again would get other values."""
    return bool(calls(column.default) & _UNSAFE)


@dataclass(frozen=True, slots=True)
class _Division:
    change: TableChange
    added: dict[str, Column]

    def filling(self) -> Filling:
        """The columns come in their places, so that none moves later."""
        change = self.change
        late = [c for c in change.changes if self._is_late(c)]
        held = {
            name for c in late if isinstance(c, AlterObject) and isinstance(c.before, PrimaryKey) for name in c.before.columns
        }
        early = [self._loosened(c, held) for c in change.changes if c not in late]
        loose = {c.ref.name: _column(c) for c in early if isinstance(c, AddColumn | AlterColumn)}
        waiting = {c.ref.name for c in late if isinstance(c, AddColumn)}
        table = change.before if any(_is_of_table(c) for c in late) else change.after
        empty = replace(table, columns=tuple(loose.get(c.name, c) for c in change.after.columns if c.name not in waiting))
        children = self._children(late)
        moves = tuple(_placed(c, empty) for c in early if not _is_idle(c))
        first = TableChange(change.before, empty, change.before_children, children, moves)
        ready = _with(empty, {name: replace(loose[name], default=column.default) for name, column in self.added.items()})
        final = _with(ready, {c.name: c for c in change.after.columns if c.name not in held})
        steps = [(empty, ready), (ready, final)]
        given, tightened = (TableChange(old, new, children, children, _altered(old, new)) for old, new in steps)
        freed = _altered(final, _with(final, {c.name: c for c in change.after.columns}))
        rest = TableChange(final, change.after, children, change.after_children, (*freed, *late))
        return Filling((first, given), tuple(self.added.values()), tuple(one for one in (tightened, rest) if one.changes))

    def _is_late(self, change: CatalogChange) -> bool:
        """What needs the columns filled: keys, checks and computed columns over them, and partitions by them."""
        match change:
            case AddColumn(column=column):
                return column.generated is not None and self._names_new(column.generated.expression)
            case CreateObject(item) | AlterObject(after=item):
                return self._stands_on_new(item)
            case _:
                return False

    def _stands_on_new(self, item: CatalogObject) -> bool:
        match item:
            case Table():
                return item.partition_by != self.change.before.partition_by
            case Check():
                return self._names_new(item.expression)
            case _:
                return bool(columns_of(item) & self.added.keys())

    def _names_new(self, expression: str) -> bool:
        return any(quoted(name) in expression for name in self.added)

    def _loosened(self, change: CatalogChange, held: set[str]) -> CatalogChange:
        """A column as it can be added to rows, one without its new default where the log could not repeat that either, and one
        that changes only when the key over it is gone.
        """
        match change:
            case AddColumn(column=column) if column.name in self.added:
                options = tuple(pair for pair in column.options if pair[0] != "check")
                return replace(change, column=replace(column, nullable=True, default=None, options=options))
            case AlterColumn(before=before) if change.ref.name in held:
                return replace(change, after=before)
            case AlterColumn(before=before, after=after) if is_unsafe(after):
                kept = before.default if before.type == after.type and not is_unsafe(before) else None
                return replace(change, after=replace(after, default=kept))
            case _:
                return change

    def _children(self, late: list[CatalogChange]) -> tuple[CatalogObject, ...]:
        """The keys and checks of the table between: those that come late are not there yet, or are what they were."""
        coming = {c.ref for c in late}
        before = {item.ref: item for item in self.change.before_children}
        return tuple(
            found for item in self.change.after_children if (found := before.get(item.ref) if item.ref in coming else item)
        )


def _with(table: Table, columns: dict[str, Column]) -> Table:
    return replace(table, columns=tuple(columns.get(column.name, column) for column in table.columns))


def _column(change: AddColumn | AlterColumn) -> Column:
    return change.column if isinstance(change, AddColumn) else change.after


def _is_of_table(change: CatalogChange) -> bool:
    return isinstance(change, AlterObject) and isinstance(change.after, Table)


def _is_idle(change: CatalogChange) -> bool:
    return isinstance(change, AlterColumn) and change.before == change.after and not change.moved


def _placed(change: CatalogChange, table: Table) -> CatalogChange:
    """A change of a column with the neighbour that it has in `table`."""
    if not isinstance(change, AddColumn | AlterColumn) or (isinstance(change, AlterColumn) and not change.moved):
        return change
    return replace(change, after_column=left_of(table, change.ref.name))


def _altered(before: Table, after: Table) -> tuple[CatalogChange, ...]:
    pairs = zip(before.columns, after.columns, strict=True)
    return tuple(AlterColumn(after.ref, old, new) for old, new in pairs if old != new)
