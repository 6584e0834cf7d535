"""One ALTER TABLE out of all the changes of one table.

Clauses stand in the order in which the server has to see them; what it cannot do in place (a column that becomes virtual)
is dropped and added within the same statement. What each clause costs is asked of `cost`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field, replace

from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    CreateObject,
    DropColumn,
    DropObject,
    inverse,
)
from dbops.catalog.model import CatalogObject, Check, Column, ForeignKey, Index, PrimaryKey, Table
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.mysql import cost, implied, partitions
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.cost import Clause
from dbops.engines.mysql.ddl import (
    child_clause,
    column_clause,
    literal,
    option_word,
)
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.row_keys import loses_order
from dbops.engines.mysql.show_create import collation_of
from dbops.engines.mysql.types import charset_of, is_convertible, is_textual

Child = PrimaryKey | Index | Check

#: What puts a table option back to what it is when nobody asks for it; others take DEFAULT (MySQL 8.4 manual, 15.1.20).
_UNSET = {
    "autoextend_size": "0",
    "avg_row_length": "0",
    "checksum": "0",
    "compression": "''",
    "connection": "''",
    "delay_key_write": "0",
    "encryption": "'N'",
    "insert_method": "NO",
    "key_block_size": "0",
    "max_rows": "0",
    "min_rows": "0",
    "union": "()",
}


@dataclass(frozen=True, slots=True)
class TableChange:
    """All changes of one table but those of its foreign keys and triggers.

    `before` and `after` are the whole tables with their keys, indexes and checks; `changes` what of their differences is
    to be carried out.
    """

    before: Table
    after: Table
    before_children: tuple[CatalogObject, ...]
    after_children: tuple[CatalogObject, ...]
    changes: tuple[CatalogChange, ...]

    def reversed(self) -> TableChange:
        """Return the way back; columns return to the places they had."""
        return TableChange(
            self.after,
            self.before,
            self.after_children,
            self.before_children,
            tuple(self._inverse(c) for c in reversed(self.changes)),
        )

    def _inverse(self, change: CatalogChange) -> CatalogChange:
        back = inverse(change)
        if isinstance(back, AddColumn):
            return replace(back, after_column=left_of(self.before, back.column.name))
        if isinstance(back, AlterColumn) and back.moved:
            return replace(back, after_column=left_of(self.before, back.after.name))
        return back


def left_of(table: Table, name: str) -> str | None:
    """Return the column that stands before another, None for the first."""
    names = [column.name for column in table.columns]
    place = names.index(name)
    return names[place - 1] if place else None


@dataclass(slots=True)
class _Builder:
    change: TableChange
    flavour: Flavour
    clauses: list[Clause] = field(default_factory=list)

    def build(self) -> list[Clause]:
        columns = self._column_changes()
        remade = self._remade(columns)
        self._drop_children(remade)
        self._drop_columns(columns, remade)
        self._place_columns(columns, remade)
        self._add_children(remade)
        self._table_attributes()
        return self.clauses

    def _add(self, text: str, speed: cost.Speed, *facts: cost.Fact) -> None:
        self.clauses.append(Clause(text, speed, facts))

    # --- columns

    def _column_changes(self) -> dict[str, AddColumn | DropColumn | AlterColumn]:
        found = {c.ref.name: c for c in self.change.changes if isinstance(c, AddColumn | DropColumn | AlterColumn)}
        for column in self._converted():  # the table's default collation moves, and this column with it
            found.setdefault(column.name, AlterColumn(self.change.after.ref, column, column))
        return found

    def _converted(self) -> list[Column]:
        """Columns whose text changes its collation with the table's, though nothing is said on themselves."""
        if not any(isinstance(c, AlterObject) and isinstance(c.after, Table) for c in self.change.changes):
            return []
        before, after = self.change.before, self.change.after
        return [
            column
            for column in after.columns
            if (old := before.column(column.name)) and collation_of(old, before) != collation_of(column, after)
        ]

    def _remade(self, columns: dict[str, AddColumn | DropColumn | AlterColumn]) -> set[str]:
        """Columns to be dropped and added again.

        A virtual column cannot become stored or plain, nor the other way round (MySQL 8.4 manual, 15.1.9.2; MariaDB
        error 1907), nor a type another that has no values in common with it; those computed from such a column go with it.
        """
        remade = {
            name
            for name, change in columns.items()
            if isinstance(change, AlterColumn)
            and (
                is_virtual(change.before) != is_virtual(change.after) or not is_convertible(change.before.type, change.after.type)
            )
        }
        while True:
            more = {
                column.name
                for column in self.change.after.columns
                if column.generated and column.name not in remade and self.change.before.column(column.name)
                if any(quoted(name) in column.generated.expression for name in remade)
            }
            if not more:
                return remade
            remade |= more

    def _drop_columns(self, columns: dict[str, AddColumn | DropColumn | AlterColumn], remade: set[str]) -> None:
        indexed = {name for item in self.change.before_children for name in columns_of(item)}
        for name, change in columns.items():
            if isinstance(change, DropColumn):
                self._add(f"DROP COLUMN {quoted(name)}", cost.dropped_column(change.column, name in indexed, self.flavour))
        for column in self.change.before.columns:
            if column.name in remade:
                altered = columns.get(column.name)
                facts = cost.altered_column(altered, self.change, self.flavour)[1] if isinstance(altered, AlterColumn) else ()
                self._add(f"DROP COLUMN {quoted(column.name)}", cost.Speed.COPY, *facts)

    def _place_columns(self, columns: dict[str, AddColumn | DropColumn | AlterColumn], remade: set[str]) -> None:
        """Additions and alterations in the order of the table to be, so that each left neighbour is in its place."""
        table = self.change.after
        collation = dict(table.options).get("collation")
        moves = collation != dict(self.change.before.options).get("collation")
        said = collation if moves and not self.flavour.remembers_said_collations else None
        for column in table.columns:
            change = columns.get(column.name)
            text = column_clause(column, self.flavour, collation=said if is_textual(column.type) else None)
            if column.name in remade:
                self._add(f"ADD COLUMN {text} {_place(left_of(table, column.name))}", cost.Speed.COPY)
            elif isinstance(change, AddColumn):
                speed, facts = cost.added_column(column, self.change, self.flavour)
                self._add(f"ADD COLUMN {text}{self._place_of_new(change)}", speed, *facts)
            elif isinstance(change, AlterColumn):
                speed, facts = cost.altered_column(change, self.change, self.flavour)
                place = f" {_place(change.after_column)}" if change.moved else ""
                if _is_json(change.before, self.change.before) and _is_json(column, table):
                    text = column_clause(_as_json(column), self.flavour)
                self._add(f"MODIFY COLUMN {text}{place}", speed, *facts)
            if (
                change is not None
                and not isinstance(change, DropColumn)
                and any(name == "no_default" for name, _ in column.options)
            ):
                self._add(f"ALTER COLUMN {quoted(column.name)} DROP DEFAULT", cost.Speed.INSTANT)

    def _place_of_new(self, change: AddColumn) -> str:
        """Nothing is said of a column that comes last anyway."""
        old_last = self.change.before.columns[-1].name if self.change.before.columns else None
        added = [c.column.name for c in self.change.changes if isinstance(c, AddColumn)]
        names = [column.name for column in self.change.after.columns]
        is_tail = names[-len(added) :] == [name for name in names if name in added] and old_last in names[: -len(added)]
        if is_tail and names[-len(added) - 1] == old_last:
            return ""
        return f" {_place(change.after_column)}"

    # --- keys, indexes, checks

    def _drop_children(self, remade: set[str]) -> None:
        for item in self._leaving(remade):
            match item:
                case PrimaryKey():
                    self._add("DROP PRIMARY KEY", cost.Speed.INPLACE_REBUILD)
                case Index():
                    is_kept = any(child.ref == item.ref for child in self.change.after_children)
                    fact = (
                        ()
                        if is_kept
                        else (cost.Fact("INDEX_DROPPED", f"queries that used index {item.name} of {item.parent} may slow down"),)
                    )
                    speed = cost.dropped_index(item, is_alone=len(self.change.changes) == 1)
                    self._add(f"DROP INDEX {quoted(item.name)}", speed, *fact)
                case Check():
                    self._add(f"DROP CONSTRAINT {quoted(item.name)}", cost.Speed.INSTANT)
                case _:
                    pass

    def _add_children(self, remade: set[str]) -> None:
        arriving = self._arriving(remade)
        staying = [item for item in self.change.before_children if item in self.change.after_children and item not in arriving]
        for claim in implied.claims(staying, arriving):
            self._add(claim, cost.Speed.INSTANT)
        for item in arriving:
            speed, facts = cost.added_child(item, self.change)
            self._add(f"ADD {child_clause(item, self.flavour)}", speed, *facts)
        for change in self.change.changes:
            if isinstance(change, AlterObject) and _only_hides(change) and change.after not in arriving:
                hidden, shown = self.flavour.hidden_index
                word = hidden if ("hidden", "") in getattr(change.after, "options", ()) else shown
                self._add(f"ALTER INDEX {quoted(change.ref.name)} {word}", cost.Speed.INSTANT)

    def _leaving(self, remade: set[str]) -> list[CatalogObject]:
        left = [
            c.item if isinstance(c, DropObject) else c.before
            for c in self.change.changes
            if isinstance(c, DropObject) or (isinstance(c, AlterObject) and not isinstance(c.after, Table) and not _only_hides(c))
        ]
        return [*left, *(item for item in self._touched(self.change.before_children, remade) if item not in left)]

    def _arriving(self, remade: set[str]) -> list[CatalogObject]:
        come = [
            c.item if isinstance(c, CreateObject) else c.after
            for c in self.change.changes
            if isinstance(c, CreateObject)
            or (isinstance(c, AlterObject) and not isinstance(c.after, Table) and not _only_hides(c))
        ]
        return [*come, *(item for item in self._touched(self.change.after_children, remade) if item not in come)]

    def _touched(self, children: Sequence[CatalogObject], remade: set[str]) -> list[CatalogObject]:
        """Unchanged children that stand on a column made anew, or that would hold on to the table's old block size."""
        return [
            item
            for item in children
            if any(name in remade for name in columns_of(item))
            or (isinstance(item, Check) and any(quoted(name) in item.expression for name in remade))
            or (isinstance(item, PrimaryKey | Index) and self._leaves_block_size())
        ]

    def _leaves_block_size(self) -> bool:
        """Keys keep the block size they were made with, and say it once their table has another (MariaDB 10.11)."""
        old, new = (dict(table.options).get("key_block_size") for table in (self.change.before, self.change.after))
        return old != new and _changes_table(self.change)

    # --- the table itself

    def _table_attributes(self) -> None:
        before, after = self.change.before, self.change.after
        if not any(isinstance(c, AlterObject) and isinstance(c.after, Table) for c in self.change.changes):
            return
        old, new = dict(before.options), dict(after.options)
        if old.get("engine") != new.get("engine") and "engine" in new:
            fact = cost.Fact("REWRITES_TABLE", f"{after.name} moves from {old.get('engine')} to {new['engine']}")
            facts = [fact]
            if keeps_no_rows(self.change):
                facts.append(cost.Fact("DELETES_DATA", f"all rows of {after.name} are deleted: {new['engine']} keeps none"))
            self._add(f"ENGINE={new['engine']}", cost.Speed.COPY, *facts)
        if old.get("collation") != new.get("collation") and (collation := new.get("collation")):
            self._add(f"DEFAULT CHARACTER SET {charset_of(collation)} COLLATE {collation}", cost.Speed.INPLACE)
        spelled = {name.lower() for name in new}
        for name in sorted({*old, *new} - {"engine", "collation", "with system versioning", *_set_by_engine(self.change)}):
            if old.get(name) != new.get(name) and (name in new or name.lower() not in spelled):
                self._option(name, old.get(name), new.get(name))
        if before.comment != after.comment:
            self._add(f"COMMENT={literal(after.comment or '')}", cost.commented_table(self.flavour))

    def _option(self, name: str, old: str | None, new: str | None) -> None:
        if name.startswith("period:"):
            self._period(name.removeprefix("period:"), old, new)
            return
        text = (
            option_word(name, new) if new else f"{name if name.startswith('`') else name.upper()}={_UNSET.get(name, 'DEFAULT')}"
        )
        rebuilds = name in ("row_format", "key_block_size") or name.startswith("`")
        self._add(text, cost.Speed.INPLACE_REBUILD if rebuilds else cost.Speed.UNKNOWN)

    def _period(self, name: str, old: str | None, new: str | None) -> None:
        """That of SYSTEM_TIME comes and goes with the versioning itself."""
        is_history = name == "SYSTEM_TIME"
        period = name if is_history else quoted(name)
        if old is not None:
            self._add(f"DROP PERIOD FOR {period}", cost.Speed.COPY)
            if is_history:
                lost = cost.Fact("DELETES_DATA", f"the history of {self.change.after.name} is deleted", needs_rows=False)
                self._add("DROP SYSTEM VERSIONING", cost.Speed.COPY, lost)
        if new is not None:
            self._add(f"ADD PERIOD FOR {period} ({new})", cost.Speed.COPY)
            if is_history:
                self._add("ADD SYSTEM VERSIONING", cost.Speed.COPY)


def _only_hides(change: CatalogChange) -> bool:
    """Tell whether an index only becomes visible or invisible."""
    if not (isinstance(change, AlterObject) and isinstance(change.before, Index) and isinstance(change.after, Index)):
        return False
    without = [tuple(pair for pair in index.options if pair[0] != "hidden") for index in (change.before, change.after)]
    return change.before != change.after and replace(change.before, options=without[0]) == replace(
        change.after, options=without[1]
    )


def is_virtual(column: Column) -> bool:
    """Tell whether a column is computed when it is read, and stored nowhere."""
    return column.generated is not None and not column.generated.is_stored


def begins_to_count(change: TableChange) -> bool:
    """Tell whether a column that is there becomes AUTO_INCREMENT."""
    return any(isinstance(c, AlterColumn) and c.after.identity is not None and c.before.identity is None for c in change.changes)


def _is_json(column: Column, table: Table) -> bool:
    """Tell whether a column of MariaDB is what JSON stands for there (MariaDB Knowledge Base, "JSON Data Type")."""
    collation = column.collation or dict(table.options).get("collation")
    is_text = column.type == "longtext" and collation == "utf8mb4_bin"
    return is_text and dict(column.options).get("check") == f"json_valid({quoted(column.name)})"


def _as_json(column: Column) -> Column:
    """The column as MODIFY has to say it: in its long form the server takes it for another type (MariaDB 10.11, error 1846)."""
    return replace(column, type="json", collation=None, options=tuple(pair for pair in column.options if pair[0] != "check"))


def _place(left: str | None) -> str:
    return f"AFTER {quoted(left)}" if left else "FIRST"


def keeps_no_rows(change: TableChange) -> bool:
    """Tell whether a table goes to the engine that takes rows and forgets them (MariaDB Knowledge Base, "BLACKHOLE")."""
    before, after = (dict(table.options).get("engine") for table in (change.before, change.after))
    return _changes_table(change) and after == "BLACKHOLE" and before != after


def columns_of(item: CatalogObject) -> set[str]:
    """Return the columns that a key or an index stands on."""
    match item:
        case PrimaryKey() | ForeignKey():
            return set(item.columns)
        case Index():
            named = {key.column for key in item.keys if key.column}
            return named | {name for key in item.keys if key.expression for name in re.findall(r"`([^`]+)`", key.expression)}
        case _:
            return set()


def clauses(change: TableChange, flavour: Flavour) -> list[Clause]:
    """Return the clauses of one ALTER TABLE, the division into partitions anew last where that is asked for."""
    built = _Builder(change, flavour).build()
    if loses_order(change, flavour):
        built = [replace(clause, speed=max(clause.speed, cost.Speed.COPY)) for clause in built]
    if _is_divided_anew(change):
        after = change.after.partition_by
        text = partitions.partition_clause(after) if after else "REMOVE PARTITIONING"
        fact = cost.Fact("REWRITES_TABLE", f"all rows of {change.after.name} are divided anew")
        built.append(Clause(text, cost.Speed.COPY, (fact,), is_partitioning=True))
    return built


def _changes_table(change: TableChange) -> bool:
    return any(isinstance(c, AlterObject) and isinstance(c.after, Table) for c in change.changes)


def _is_divided_anew(change: TableChange) -> bool:
    before, after = change.before.partition_by, change.after.partition_by
    if before == after or not _changes_table(change):
        return False
    return before is None or after is None or partitions.changes(before, after) is None


def partition_clauses(change: TableChange) -> tuple[list[str], list[str]]:
    """Return the changes of single partitions, each a statement of its own, and the partitions whose rows they delete."""
    before, after = change.before.partition_by, change.after.partition_by
    if before is None or after is None or before == after or not _changes_table(change):
        return [], []
    return partitions.changes(before, after) or ([], [])


def _set_by_engine(change: TableChange) -> list[str]:
    """Options of the engine that a table leaves, which the statement that moves it cannot take away.

    Those in backticks and TRANSACTIONAL are known to the old engine alone (MariaDB error 1911), and some only
    together; PAGE_CHECKSUM is set by Aria itself until the table has left it, or is divided, which Aria does not see.
    """
    old, new = (dict(table.options) for table in (change.before, change.after))
    moves = old.get("engine") != new.get("engine")
    divides = change.before.partition_by is None and change.after.partition_by is not None
    if not _changes_table(change) or not (moves or divides):
        return []
    left = [name for name in old if name not in new and (name.startswith("`") or name in ("page_checksum", "transactional"))]
    return left if moves else [name for name in left if name == "page_checksum"]


def parting_clauses(change: TableChange) -> tuple[list[str], list[str]]:
    """Return what of the engine that a table leaves is taken away before it moves, and what after."""
    names = _set_by_engine(change)
    early = [f"{name if name.startswith('`') else name.upper()}=DEFAULT" for name in names if name != "page_checksum"]
    return [", ".join(early)] if early else [], ["PAGE_CHECKSUM=DEFAULT"] if "page_checksum" in names else []


def table_ref(change: CatalogChange) -> Ref:
    """The table a change belongs to."""
    match change:
        case AddColumn() | DropColumn() | AlterColumn():
            return change.table
        case _:
            return change.ref.table
