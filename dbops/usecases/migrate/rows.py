"""Rows that migrations wrote on a scratch, as statements that write them again: in the order that keys want, counters last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import PrimaryKey, Table, VirtualTable
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.errors import Mark, MigrationError
from dbops.resources.schema.data import ReferenceRows, overriding_clause, qualified
from dbops.resources.schema.data_file import Row
from dbops.resources.schema.row_order import RowChange, ordered_rows

Written = Mapping[Ref, tuple[Row, ...]]
"""The rows of each table that has some, sorted; every value as the literal that gives it back, None for NULL."""


def written(catalog: Catalog, engine: Engine, conn: Connection) -> Written:
    """Read all rows of a scratch but those of virtual tables."""
    found = {table.ref: conn.query(engine.scripts.literals(table)) for table in catalog.all(Table) if columns_of(table)}
    return {
        ref: tuple(sorted((tuple(None if value == "NULL" else str(value) for value in row) for row in rows), key=str))
        for ref, rows in found.items()
        if rows
    }


def of_modules(catalog: Catalog, engine: Engine, conn: Connection) -> dict[Ref, tuple[str, ...]]:
    """Return the statements that write what virtual tables hold, by table, in the order of their names.

    Raises:
        MigrationError: no statement writes what one holds.
    """
    found = {}
    for virtual in catalog.all(VirtualTable):
        filling = engine.scripts.of_module(conn, virtual)
        if filling is None:
            raise MigrationError(
                f"the migrations write rows into {virtual.ref.qualified}, which nothing reads back: {_shortened(virtual)}",
                expected="rows of FTS or R*Tree tables, with their content or with that of a table they agree with",
                fix="end the checkpoint before them",
            )
        if filling:
            found[virtual.ref] = tuple(filling)
    return found


def _shortened(virtual: VirtualTable) -> str:
    text = " ".join(virtual.definition.split())
    return text if len(text) <= 100 else f"{text[:99]}…"


def statements(rows: Written, catalog: Catalog, engine: Engine) -> list[str]:
    """Return what writes the rows into empty tables; a row comes after those that it refers to.

    Raises:
        SchemaError: rows refer to each other in a circle that no statement can begin.
    """
    tables = [table for ref in rows if isinstance(table := catalog.objects[ref], Table)]
    keys = {key.ref.table: key.columns for key in catalog.all(PrimaryKey)}
    wanted = [
        ReferenceRows(
            table=table.ref,
            file="",
            at=Mark(""),
            key=keys.get(table.ref, columns_of(table)),
            columns=columns_of(table),
            wanted={(str(number),): row for number, row in enumerate(rows[table.ref])},
            live={},
        )
        for table in tables
    ]
    by_ref = {table.ref: table for table in tables}
    return [_statement(move, by_ref[move.rows.table], engine) for move in ordered_rows(wanted, catalog)]


def columns_of(table: Table) -> tuple[str, ...]:
    """Return the names of the columns that a row gives values, those of `written` in their order."""
    return tuple(column.name for column in table.columns if column.generated is None)


def _statement(move: RowChange, table: Table, engine: Engine) -> str:
    """Return the INSERT of a row, or the UPDATE that gives it what had to wait for another row."""
    quote, name = engine.dialect.identifier, qualified(table.ref, engine)
    after = move.rows.named(move.after or ())
    if move.before is None:
        listed = ", ".join(map(quote, after))
        overriding = f" {clause}" if (clause := overriding_clause(table)) else ""
        return f"INSERT INTO {name} ({listed}){overriding} VALUES ({_listed(list(after.values()))})"
    before = move.rows.named(move.before)
    changed = ", ".join(f"{quote(column)} = {value or 'NULL'}" for column, value in after.items() if before[column] != value)
    where = " AND ".join(f"{quote(column)} = {after[column]}" for column in move.rows.key if after[column] is not None)
    return f"UPDATE {name} SET {changed} WHERE {where}"


def _listed(values: Sequence[str | None]) -> str:
    return ", ".join(value or "NULL" for value in values)
