"""transfer: tables with their rows from one database into another, of another engine too.

Tables are made without foreign keys and indexes, filled in batches, and then completed as a plan would complete them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import ChangeSet, diff
from dbops.catalog.model import Column, ForeignKey, Index, Schema, Table, Unique
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.errors import DbopsError, Mark, SchemaError
from dbops.resources.schema.copying import run
from dbops.resources.schema.portable import portable_tables
from dbops.resources.schema.table_spec import TableSpec
from dbops.resources.schema.tables import table_statements
from dbops.usecases.databases.address import target_of
from dbops.usecases.databases.database import Database
from dbops.usecases.databases.tables import rows_of, write_rows
from dbops.usecases.runtime import connected, engine_for
from dbops.usecases.schemas.numbering import numbered

Change = Callable[[dict[str, Any]], dict[str, Any]]
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Transferred:
    """The rows written by table, what is no table and stayed, and why it ended early; None when all was done."""

    rows: Mapping[str, int]
    left_out: tuple[str, ...] = ()
    error: str | None = None


@dataclass(slots=True)
class _Route:
    """Where tables come from and go to, and what they are."""

    source: Target
    target: Target
    there: Engine
    chosen: list[Table]
    wanted: Catalog
    kinds: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def transfer(
    source_url: str, target_url: str, tables: Sequence[str] | None, batch_size: int, changes: Mapping[str, Change]
) -> Transferred:
    """Move tables; see `dbops.api.migration_manager.transfer`.

    Raises:
        SchemaError: what the other engine cannot have, a table that is not there, or is there already.
        ConnectError: a database cannot be reached.
    """
    source = target_of(source_url, timeout_s=30.0, attempts=3, tls_mode="prefer")
    target = target_of(target_url, timeout_s=30.0, attempts=3, tls_mode="prefer")
    here, there = engine_for(source.url), engine_for(target.url)
    with connected(source) as (_, conn):
        catalog = numbered(here.inspect(conn))
    chosen = _chosen(catalog, tables, here)
    specs = _specs(catalog, chosen, here)
    if not there.features.has_servers:
        there.create_database(target)
    with closing(there.connect(target)) as conn:
        with there.scratch(target) as scratch:
            there.load(scratch, table_statements(specs, [Mark(spec.qualified) for spec in specs], there))
            wanted = there.inspect(scratch, declared=True)
        _must_be_free(there.inspect(conn), wanted)
        _make(conn, there, wanted, complete=False)
        route = _Route(source, target, there, chosen, wanted, _kinds(chosen, here))
        rows: dict[str, int] = {}
        left_out = tuple(str(one.ref) for one in catalog if not one.parent and not isinstance(one, Table | Schema))
        try:
            _fill(route, batch_size, changes, rows)
            _make(conn, there, wanted, complete=True)
        except DbopsError as error:
            return Transferred(rows, left_out, error.message)
    return Transferred(rows, left_out)


def _chosen(catalog: Catalog, names: Sequence[str] | None, engine: Engine) -> list[Table]:
    tables = {_name(one, engine): one for one in catalog if isinstance(one, Table)}
    if names is None:
        return list(tables.values())
    for name in names:
        if name not in tables:
            raise SchemaError(f"there is no table {name!r} to transfer", expected=f"one of {', '.join(sorted(tables))}")
    return [tables[name] for name in dict.fromkeys(names)]


def _name(table: Table, engine: Engine) -> str:
    return f"{table.schema}.{table.name}" if table.schema and table.schema != engine.features.default_schema else table.name


def _specs(catalog: Catalog, chosen: Sequence[Table], engine: Engine) -> list[TableSpec]:
    """Return the tables in portable form; a foreign key to a table that stays behind stays too.

    Raises:
        SchemaError: names all that has no portable form.
    """
    refs = {table.ref for table in chosen}
    parts = [one for one in catalog if one.ref.table in refs and not (isinstance(one, ForeignKey) and one.references not in refs)]
    found = portable_tables(Catalog.of(parts), engine)
    if found.obstacles:
        lines = "\n".join(f"  {one.where}: {one.reason}" for one in found.obstacles)
        raise SchemaError(f"these cannot be transferred to another engine; nothing was done:\n{lines}")
    return [TableSpec.model_validate(table) for table in found.tables]


def _must_be_free(live: Catalog, wanted: Catalog) -> None:
    there = {one.ref for one in live}
    if taken := [one.name for one in wanted if isinstance(one, Table) and one.ref in there]:
        raise SchemaError(
            f"the target has a table {taken[0]} already; nothing was done", fix="take it away, or name other tables"
        )


def _make(conn: Connection, engine: Engine, wanted: Catalog, *, complete: bool) -> None:
    """Make the tables alone, or `complete` them by their foreign keys and indexes."""
    live = engine.inspect(conn)
    late = (ForeignKey, Index, Unique)
    new = [one for one in wanted if live.get(one.ref) is None and (complete or not isinstance(one, late))]
    goal = Catalog.of([*live, *new], {**live.dependencies, **wanted.dependencies}, options=live.options)
    changes = diff(live, goal)
    acts = engine.render(ChangeSet(live, goal, changes), RenderContext(conn.server, online=False)) if changes else []
    run((statement for act in acts for statement in act.do), engine, conn)


def _fill(route: _Route, batch_size: int, changes: Mapping[str, Change], rows: dict[str, int]) -> None:
    with (
        closing(Database(route.source, size=1, wait_s=30.0)) as before,
        closing(Database(route.target, size=1, wait_s=30.0)) as after,
    ):
        here = engine_for(route.source.url)
        for table in route.chosen:
            name = _name(table, here)
            into = name if route.there.features.has_schemas else table.name
            converting, change = _converters(table, route), changes.get(name, dict)
            rows[name] = 0
            with after.transaction():
                for batch in rows_of(before, name, batch_size):
                    rows[name] += write_rows(after, into, [_converted(change(row), converting) for row in batch])
                for column in table.columns:
                    if column.identity is not None:
                        after.advance(into, column.name)


def _converted(row: dict[str, Any], converting: Mapping[str, Convert]) -> dict[str, Any]:
    return {name: converting[name](value) if name in converting and value is not None else value for name, value in row.items()}


def _kinds(tables: Sequence[Table], engine: Engine) -> Mapping[str, Mapping[str, str]]:
    def kind(column: Column) -> str:
        return (engine.portable_type_of(column) or "").partition("(")[0]

    return {table.name: {column.name: kind(column) for column in table.columns} for table in tables}


def _converters(table: Table, route: _Route) -> Mapping[str, Convert]:
    """Return what turns values into those that any driver takes for a column, by column, where it is not the value itself."""
    made: dict[str, Convert] = {}
    for column, kind in route.kinds[table.name].items():
        convert = _CONVERT.get(kind)
        if convert is not None:
            made[column] = convert
    return made


def _bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


def _time(value: Any) -> Any:
    return (datetime.min + value).time() if isinstance(value, timedelta) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _json(value: Any) -> Any:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_CONVERT: Mapping[str, Convert] = {"boolean": bool, "binary": _bytes, "time": _time, "uuid": _text, "json": _json}
