"""What of a table speaks of a column that is renamed: where the server refuses to rewrite it, it leaves and comes back.

Checks, functional indexes and generated columns are dropped and added in the statement that renames, defaults are said anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dbops.catalog.changes import ChangeSet, RenameColumn, RenameObject
from dbops.catalog.model import Check, Column, Generated, Index, IndexKey, Table
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.ddl import child_clause, column_clause
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.tokens import tokens, unquoted


@dataclass(frozen=True, slots=True)
class Speaking:
    """The parts of one table that speak of a column, in its order and under the names before any rename.

    `computed` are generated columns with the column to their left; `defaults` plain columns whose default is an expression.
    """

    computed: tuple[tuple[Column, str | None], ...] = ()
    defaults: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    checks: tuple[Check, ...] = ()

    def around(self, rename: str, before: Mapping[str, str], after: Mapping[str, str], flavour: Flavour) -> list[str]:
        """Return the clauses with `rename` among them; `before` and `after` map old names of columns to those around it."""
        return [
            *(f"DROP CONSTRAINT {quoted(check.name)}" for check in self.checks),
            *(f"DROP INDEX {quoted(index.name)}" for index in self.indexes),
            *(f"DROP COLUMN {quoted(before.get(column.name, column.name))}" for column, _ in self.computed),
            rename,
            *(f"MODIFY COLUMN {column_clause(_column(column, after), flavour)}" for column in self.defaults),
            *(
                f"ADD COLUMN {column_clause(_column(column, after), flavour)} {_place(left, after)}"
                for column, left in self.computed
            ),
            *(f"ADD {child_clause(_index(index, after), flavour)}" for index in self.indexes),
            *(
                f"ADD {child_clause(replace(check, expression=_renamed(check.expression, after)), flavour)}"
                for check in self.checks
            ),
        ]


def speaking_of(change: RenameColumn, changes: ChangeSet, tables: Mapping[str, str]) -> Speaking:
    """Return what speaks of the column; `tables` maps tables that are renamed to their new names."""
    old_names = {new: old for old, new in tables.items()}
    name = old_names.get(change.table.name, change.table.name)
    table = changes.before.objects.get(Ref("table", change.table.schema, name))
    if not isinstance(table, Table):
        return Speaking()
    moved = _moved(table, change.before)
    parts = [c for c in _renamed_parts(changes) if old_names.get(c.before.parent, c.before.parent) == name]
    new_names = {c.before.name: c.after.name for c in parts}
    children = [replace(item, name=new_names.get(item.name, item.name)) for item in changes.before if item.parent == name]
    lefts = [None, *(column.name for column in table.columns)]
    return Speaking(
        computed=tuple((column, left) for column, left in zip(table.columns, lefts, strict=False) if column.name in moved),
        defaults=tuple(c for c in table.columns if c.default and c.default[0] == "(" and change.before in _names(c.default)),
        indexes=tuple(item for item in children if isinstance(item, Index) and _stands_on(item, change.before, moved)),
        checks=tuple(item for item in children if isinstance(item, Check) and _names(item.expression) & {change.before, *moved}),
    )


def _renamed_parts(changes: ChangeSet) -> list[RenameObject]:
    """Renames of indexes and checks, which are done when columns are renamed."""
    return [c for c in changes.changes if isinstance(c, RenameObject) and c.before.kind in ("index", "check")]


def _moved(table: Table, name: str) -> set[str]:
    """The generated columns that are computed from a column, by way of others too."""
    moved: set[str] = set()
    while more := {
        column.name
        for column in table.columns
        if column.generated and column.name not in moved and _names(column.generated.expression) & {name, *moved}
    }:
        moved |= more
    return moved


def _stands_on(index: Index, name: str, moved: set[str]) -> bool:
    return any(key.column in moved or (key.expression and _names(key.expression) & {name, *moved}) for key in index.keys)


def _names(expression: str) -> set[str]:
    return {token.identifier or "" for token in tokens(expression) if token.kind == "name"}


def _renamed(expression: str, names: Mapping[str, str]) -> str:
    return "".join(
        quoted(names.get(unquoted(token.text), unquoted(token.text))) if token.kind == "name" else token.text
        for token in tokens(expression)
    )


def _column(column: Column, names: Mapping[str, str]) -> Column:
    generated = column.generated
    return replace(
        column,
        name=names.get(column.name, column.name),
        default=_renamed(column.default, names) if column.default else None,
        generated=Generated(_renamed(generated.expression, names), is_stored=generated.is_stored) if generated else None,
    )


def _index(index: Index, names: Mapping[str, str]) -> Index:
    def key(part: IndexKey) -> IndexKey:
        if part.expression:
            return replace(part, expression=_renamed(part.expression, names))
        return replace(part, column=names.get(part.column or "", part.column))

    return replace(index, keys=tuple(map(key, index.keys)))


def _place(left: str | None, names: Mapping[str, str]) -> str:
    return f"AFTER {quoted(names.get(left, left))}" if left else "FIRST"
