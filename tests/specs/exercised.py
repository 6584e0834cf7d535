"""Which kinds of objects the case rows of an engine exercise, and how: found by planning every row on a real server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    ChangeSet,
    CreateObject,
    DropColumn,
    DropObject,
    diff,
)
from dbops.catalog.declared import as_declared
from dbops.catalog.model import CatalogObject, ForeignTable, Routine, Table
from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.engine import MysqlEngine
from dbops.engines.postgresql.engine import PostgresEngine
from dbops.engines.sqlite.engine import SqliteEngine
from dbops.sql.splitter import split
from tests.databases import Database, SqliteDatabase, fresh_mysql, fresh_postgres
from tests.engines.postgresql.loop import roles
from tests.servers import MysqlServer, PostgresServer

ENGINES: dict[str, Engine] = {"postgresql": PostgresEngine(), "mysql": MysqlEngine(), "sqlite": SqliteEngine()}
_CASES = Path(__file__).parents[1] / "engines"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a case file, and what it exercises as (kind, column of the page); None where this server cannot run it."""

    file: str
    name: str
    exercises: frozenset[tuple[str, str]] | None


def rows(engine: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all rows of an engine's case files with their files, as links from the page have it."""
    for file in sorted((_CASES / engine / "cases").rglob("*.yaml")):
        for row in yaml.safe_load(file.read_text(encoding="utf-8")):
            yield f"../{file.relative_to(_CASES.parents[1])}", row


def on_sqlite() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return [
            Row(file, row["name"], _planned("sqlite", row, SqliteDatabase(Path(folder) / f"{number}.db")))
            for number, (file, row) in enumerate(rows("sqlite"))
        ]


def on_mysql(server: MysqlServer) -> list[Row]:
    found = []
    for file, row in rows("mysql"):
        exercises = None
        if all(server.has(feature) for feature in row.get("needs", ())):
            with fresh_mysql(server) as database:
                exercises = _planned("mysql", row, database)
        found.append(Row(file, row["name"], exercises))
    return found


def on_postgresql(server: PostgresServer) -> list[Row]:
    found = []
    for file, row in rows("postgresql"):
        exercises = None
        if server.version >= row.get("since", 0):
            with roles(server, row.get("roles", [])), fresh_postgres(server) as database:
                exercises = _planned("postgresql", row, database) if "to" in row else _inspected(row, database)
        found.append(Row(file, row["name"], exercises))
    return found


def _inspected(row: dict[str, Any], database: Database) -> frozenset[tuple[str, str]]:
    """A row about inspection alone."""
    database.load(row["sql"])
    try:
        with closing(ENGINES["postgresql"].connect(_target(database))) as conn:
            return frozenset(_seen(ENGINES["postgresql"].inspect(conn)))
    finally:
        database.load(row.get("cleanup", ""))


def _planned(name: str, row: dict[str, Any], database: Database) -> frozenset[tuple[str, str]]:
    """A row about the way from one schema to another, its hazards as far as it names them."""
    engine = ENGINES[name]
    before = row.get("rows", "")
    analyze = "ANALYZE;" if name == "postgresql" and row.get("analyze", True) else ""
    database.load(f"{row.get('from', '')};\n{before if isinstance(before, str) else ';'.join(before)};\n{analyze}")
    target = _target(database)
    with closing(engine.connect(target)) as conn:
        live, wanted = engine.inspect(conn), _declared(engine, row["to"], target)
        changes = diff(
            as_declared(live, wanted),
            wanted,
            column_order=engine.features.has_column_order,
            constraint_renames=engine.features.renames_constraints,
        )
        context = RenderContext(conn.server, engine.sizes(conn), archive="t")
        acts = engine.render(ChangeSet(live, wanted, changes), context)
    named = {*(row.get("hazards") or ()), *row.get("has", ())}
    found = {*_seen(live), *_seen(wanted), *_told(acts, named)}
    return frozenset(found.union(*map(_changed, changes)))


def _target(database: Database) -> Target:
    return Target("test", parse_url(database.url))


def _declared(engine: Engine, sql: str, target: Target) -> Catalog:
    with engine.scratch(target) as scratch:
        engine.load(scratch, split(sql, engine.dialect, "case.sql"))
        return engine.inspect(scratch, declared=True)


def _seen(catalog: Catalog) -> Iterator[tuple[str, str]]:
    for item in catalog.objects.values():
        yield item.ref.kind, "inspect"
        if isinstance(item, Table | ForeignTable) and item.columns:
            yield "column", "inspect"


def _changed(change: CatalogChange) -> set[tuple[str, str]]:
    """What a change does to its kind of object; a comment counts where one is made or differs."""
    match change:
        case CreateObject(item):
            columns = item.columns if isinstance(item, Table | ForeignTable) else ()
            commented = {("column", "comment") for column in columns if column.comment}
            return _with_comment(change, "create", _has_comment(item)) | commented
        case AddColumn(column=column):
            return _with_comment(change, "create", column.comment is not None)
        case AlterObject() | AlterColumn():
            others = set(change.attributes) != {"comment"}
            told = _with_comment(change, "alter", "comment" in change.attributes)
            return told if others else told - {(change.ref.kind, "alter")}
        case DropObject() | DropColumn():
            return {(change.ref.kind, "drop")}
        case _:
            return set()


def _has_comment(item: CatalogObject) -> bool:
    """MySQL says the comment of a routine in its statement, before the body."""
    return item.comment is not None or (isinstance(item, Routine) and " COMMENT '" in item.definition)


def _with_comment(change: CatalogChange, action: str, has_comment: bool) -> set[tuple[str, str]]:
    kind = change.ref.kind
    return {(kind, action), (kind, "comment")} if has_comment else {(kind, action)}


def _told(acts: Iterable[Act], named: set[str]) -> Iterator[tuple[str, str]]:
    for act in acts:
        if named & {hazard.code for hazard in act.hazards}:
            yield act.ref.kind, "hazards"
