"""Plan and apply without a manifest: what the tests of this folder do with a database and a wanted schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import groupby

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import CatalogChange, ChangeSet, diff
from dbops.catalog.declared import as_declared
from dbops.catalog.model import ForeignTable, Table
from dbops.engines.base.connect import Connection, TableSize
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.postgresql.render.names import named
from dbops.sql.statement import Statement
from tests.databases import PostgresDatabase, accounts_of
from tests.engines.postgresql.sessions import ENGINE
from tests.servers import PostgresServer


@dataclass(frozen=True)
class Planned:
    """What apply would do."""

    live: Catalog
    wanted: Catalog
    changes: tuple[CatalogChange, ...]
    acts: list[Act]

    @property
    def sql(self) -> list[str]:
        return [statement.sql for act in self.acts for statement in act.do]

    @property
    def hazards(self) -> set[str]:
        return {hazard.code for act in self.acts for hazard in act.hazards}


def plan(conn: Connection, wanted: Catalog, *, rows: int | None = None, archive: str | None = None) -> Planned:
    """Plan what leads to `wanted`; `rows` are what every table pretends to hold."""
    live = ENGINE.inspect(conn)
    changes = diff(as_declared(live, wanted), wanted)
    sizes = dict(ENGINE.sizes(conn)) if rows is None else {table.ref: TableSize(rows, rows * 50) for table in live.all(Table)}
    context = RenderContext(conn.server, sizes, archive=archive)
    return Planned(live, wanted, changes, ENGINE.render(ChangeSet(live, wanted, changes), context))


def run(conn: Connection, acts: Iterable[Act]) -> None:
    _run(conn, [statement for act in acts for statement in act.do])


def take_back(conn: Connection, acts: Iterable[Act]) -> None:
    _run(conn, [statement for act in reversed(list(acts)) for statement in act.undo or ()])


def _run(conn: Connection, statements: list[Statement]) -> None:
    for together, group in groupby(statements, key=lambda statement: statement.transactional):
        if together:
            with conn.transaction():
                for statement in group:
                    conn.execute(statement.sql, statement.parameters)
        else:
            for statement in group:
                conn.execute(statement.sql, statement.parameters)


def copy(catalog: Catalog, conn: Connection) -> list[Act]:
    """Build a catalog in an empty database, and return what did."""
    acts = ENGINE.render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), RenderContext(conn.server))
    run(conn, acts)
    return acts


def untold_losses(acts: Iterable[Act]) -> list[str]:
    """The titles of acts that remove something for good without a hazard that says so."""
    acts = list(acts)
    come_back = {ref for act in acts if act.creates for ref in (act.ref, *act.covers)}
    losses = {"DELETES_DATA", "DELETES_OBJECT", "AUTHZ_CHANGE"}
    return [
        act.title
        for act in acts
        if act.drops and act.ref not in come_back and not {hazard.code for hazard in act.hazards} & losses
    ]


def content(conn: Connection, catalog: Catalog) -> dict[str, list[str]]:
    """Every row of every table as JSON, sorted; what has partitions on other servers is left out."""
    found = {}
    elsewhere = {part.partition_of.parent for part in catalog.all(ForeignTable) if part.partition_of}
    for table in [table for table in catalog.all(Table) if table.ref not in elsewhere]:
        only = "" if table.partition_by else "ONLY "
        rows = conn.query(f"SELECT to_jsonb(t) FROM {only}{named(table.ref)} AS t")
        found[str(table.ref)] = sorted(json.dumps(row, sort_keys=True) for (row,) in rows)
    return found


def told(database: PostgresDatabase) -> set[str]:
    """What pg_dump says, statement by statement, the columns of a table in any order, also where others name them."""
    text = re.sub(r"(?m)^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict.*)$", "", database.dump())
    text = re.sub(r' CONSTRAINT (\w+_not_null\d*|"[^"]+_not_null\d*") NOT NULL', " NOT NULL", text)  # named by the server
    return {
        "\n".join(sorted(_in_any_order(part.strip().strip(",;")) for part in sql.split("\n")))
        for sql in re.split(r";\n(?:\n|$)", text)
        if sql.strip()
    }


def _in_any_order(line: str) -> str:
    """Statistics and publications list columns in the order of their table."""
    is_list = line.startswith(("CREATE STATISTICS", "ALTER PUBLICATION"))
    return " ".join(sorted(re.findall(r'[^\s(),"]+|"[^"]*"', line))) if is_list else line


@contextmanager
def roles(server: PostgresServer, names: list[str]) -> Iterator[None]:
    """Have roles for a while; what they own or were granted goes with the databases."""
    with accounts_of(server) if names else nullcontext():
        for name in names:
            server.psql("postgres", f"DROP ROLE IF EXISTS {name}; CREATE ROLE {name}")
        try:
            yield
        finally:
            for name in names:
                server.psql("postgres", f"DROP ROLE IF EXISTS {name}")
