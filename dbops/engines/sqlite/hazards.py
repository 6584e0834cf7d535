"""What SQLite's statements may lose, refuse or cost, as hazards with the table's name and size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Check, Column, Constraint, ForeignKey, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.engines.base.render import about
from dbops.engines.sqlite.state import TableState
from dbops.engines.sqlite.types import loses
from dbops.sql.hazard import Hazard

T = TypeVar("T", bound=Constraint)


def rows_text(rows: int) -> str:
    return about(rows) if rows else "its rows, if it has any"


def of_table_drop(name: str, rows: int) -> Hazard:
    return Hazard("DELETES_DATA", f"table {name} is dropped with {rows_text(rows)}")


def of_column_drop(table: str, column: Column) -> list[Hazard]:
    if column.generated is not None:
        return [Hazard("DELETES_OBJECT", f"column {table}.{column.name}, computed from others, is dropped")]
    return [Hazard("DELETES_DATA", f"the values of column {table}.{column.name} are deleted")]


def of_rebuild(before: TableState, after: TableState, rows: int) -> tuple[list[Hazard], list[Hazard]]:
    """Return what copying the rows may mean, and what is lost with the old table."""
    name = after.table.name
    lost = [
        hazard for column in before.table.columns if after.column(column.name) is None for hazard in of_column_drop(name, column)
    ]
    lost += [Hazard("DELETES_OBJECT", f"{what} of {name} is dropped") for what in _dropped_constraints(before, after)]
    for column, text in losses(before, after):
        lost.append(Hazard("DELETES_DATA", f"column {name}.{column.name} changes its type to {column.type or 'none'}: {text}"))
    if not rows:
        return [], lost
    copying = [Hazard("REWRITES_TABLE", f"table {name}, {about(rows)}, is written again; other writers wait meanwhile")]
    copying.append(Hazard("DISK_SPACE", f"the file grows by about the size of table {name} until the old copy goes"))
    copying += [
        Hazard("MAY_FAIL_ON_DATA", f"{what}: fails when the rows of {name} do not keep it") for what in _new_rules(before, after)
    ]
    copying += [
        Hazard("FOREIGN_KEY_SUPPORT_MISSING", f"no index of {name} begins with the columns of the foreign key {key.name}")
        for key in _added(before, after, ForeignKey)
        if not has_index(after, key.columns)
    ]
    return copying, lost


def losses(before: TableState, after: TableState) -> Iterator[tuple[Column, str]]:
    """Yield the columns, as they become, whose values may not stay what they are, with what they lose."""
    for column in after.table.columns:
        old = before.column(column.name)
        if old is not None and old.generated is None and column.generated is not None:
            yield column, "it is computed from now on, stored values go"
        elif old is not None and old.generated is None and (text := loses(old.type, column.type)):
            yield column, text


def has_index(state: TableState, columns: tuple[str, ...]) -> bool:
    """Tell whether an index or key begins with these columns, in any order."""
    wanted = {column.lower() for column in columns}
    keys: list[tuple[str | None, ...]] = [item.columns for item in state.constraints if isinstance(item, PrimaryKey | Unique)]
    keys += [tuple(key.column for key in index.keys) for index in state.indexes if index.predicate is None]
    return any({str(name).lower() for name in key[: len(wanted)]} == wanted for key in keys)


def _added(before: TableState, after: TableState, kind: type[T]) -> list[T]:
    """Return the constraints that say what none said before; another name says nothing else."""
    said = {_nameless(item) for item in before.constraints}
    return [item for item in after.constraints if isinstance(item, kind) and _nameless(item) not in said]


def _dropped_constraints(before: TableState, after: TableState) -> Iterator[str]:
    kept = {item.ref for item in after.constraints}
    said = {_nameless(item) for item in after.constraints}
    for item in before.constraints:
        if item.ref not in kept and _nameless(item) not in said:
            yield f"{item.kind.replace('_', ' ')} {item.name}"


def _nameless(item: Constraint) -> Constraint:
    return replace(item, name="", parent="", is_named=False)


def _new_rules(before: TableState, after: TableState) -> Iterator[str]:
    for column in after.table.columns:
        old = before.column(column.name)
        if not column.nullable and (old is None or old.nullable) and column.default is None:
            yield f"NOT NULL of {column.name}"
    for kind, words in ((PrimaryKey, "primary key"), (Unique, "unique key"), (Check, "check")):
        for item in _added(before, after, kind):
            yield f"{words} {item.name}"
    for key in _added(before, after, ForeignKey):
        yield f"foreign key {key.name}"
    if ("strict", "true") in after.table.options and ("strict", "true") not in before.table.options:
        yield "STRICT typing"


def breaks(ref: Ref, before: Catalog, after: Catalog) -> list[Hazard]:
    """Name the views and triggers that stay, used `ref`, and no longer compile."""
    lost = {ref, *_columns_of(before, ref)}
    broken = [
        f"{user.kind} {user.name}"
        for user, needs in before.dependencies.items()
        if needs & lost and user.kind in ("view", "trigger") and user in after and user not in after.dependencies
    ]
    return [Hazard("BREAKS_DEPENDENTS", f"{', '.join(broken)} used {ref.qualified}")] if broken else []


def _columns_of(catalog: Catalog, ref: Ref) -> Iterable[Ref]:
    table = catalog.get(ref)
    return (Ref("column", ref.schema, column.name, ref.name) for column in table.columns) if isinstance(table, Table) else ()
