"""inspect: what a database contains, as data or as SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import ChangeSet, diff
from dbops.catalog.ref import Ref
from dbops.catalog.scope import Scope
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Server, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import Act, RenderContext
from dbops.errors import MissingDatabaseError, PlanError
from dbops.sql.script import spaced
from dbops.usecases.runtime import Workspace, connected, looks_like_url, target_for_url


@dataclass(frozen=True, slots=True)
class Inspection:
    """A database as it is; `url` is redacted."""

    name: str
    url: str
    engine: Engine
    target: Target
    server: Server
    catalog: Catalog


def inspect(what: str, workspace: Workspace | None, scope: Scope | None = None) -> Inspection:
    """Read the database behind a URL, or behind a connection of the environment.

    Raises:
        ConnectError: it cannot be reached.
        PlanError: `what` is neither a URL nor a connection of the environment.
    """
    with _opened(what, workspace) as (name, target, engine, conn):
        catalog = engine.inspect(conn, scope or Scope(), declared=True)
        return Inspection(name, target.url.redacted(), engine, target, conn.server, catalog)


@contextmanager
def _opened(what: str, workspace: Workspace | None) -> Iterator[tuple[str, Target, Engine, Connection]]:
    if looks_like_url(what):
        target = target_for_url(what)
        with connected(target) as (engine, conn):
            yield target.url.database or "database", target, engine, conn
        return
    if workspace is None:
        raise PlanError(f"{what!r} is not a database URL", expected="a URL, or the name of a connection of the environment")
    if what not in workspace.targets.known and Path(what).is_dir():
        raise PlanError(
            f"{what} is a folder, and what is inspected is a database",
            expected="a URL, or the name of a connection",
            fix=f"the folder of an environment comes behind it: dbops inspect CONNECTION {what}",
        )
    name = workspace.require_connection(what)
    reader = workspace.targets.reader(name)
    if reader is None:
        raise MissingDatabaseError(f"the database of connection {name!r} does not exist yet", fix="dbops apply creates it")
    yield name, workspace.targets.target(name), workspace.targets.engine(name), reader


def creation(inspection: Inspection, *, order_free: bool = False) -> list[Act]:
    """Return the acts that build the inspected catalog in an empty database, in an order that names alone decide.

    `order_free` is for files that are loaded in any order.
    """
    catalog = inspection.catalog.in_order()
    changes = ChangeSet(EMPTY, catalog, diff(EMPTY, catalog))
    return inspection.engine.render(changes, RenderContext(inspection.server, online=False, order_free=order_free))


def to_sql(inspection: Inspection) -> str:
    """Return one script that builds the inspected catalog in an empty database."""
    checks = inspection.engine.features.body_checks
    has_bodies = checks and any(ref.kind == "routine" for ref in inspection.catalog.objects)
    first = [f"SET {checks} = off"] if has_bodies else []  # bodies may name what comes later, or is gone
    return script(creation(inspection), inspection.engine, first)


def script(acts: list[Act], engine: Engine, first: Sequence[str] = ()) -> str:
    """Return the statements of acts as a script of the engine's dialect, each terminated, behind those that come `first`.

    Settings of the transaction that the acts were meant for are left out.
    """
    statements = [statement.sql for act in acts for statement in act.do if not statement.is_local_setting]
    return spaced([engine.dialect.terminated(sql) for sql in (*first, *statements)])


def by_owner(acts: list[Act], catalog: Catalog) -> dict[Ref, list[Act]]:
    """Group acts by the object they belong to: constraints, indexes and triggers go with their table or view."""
    owners = Owners(catalog)
    groups: dict[Ref, list[Act]] = {}
    for act in acts:
        groups.setdefault(owners.of(act.ref), []).append(act)
    return groups


class Owners:
    """Finds the free-standing object that something belongs to; a ref names the owner of a part only by schema and name."""

    def __init__(self, catalog: Catalog) -> None:
        self._relations = {(ref.schema, ref.name): ref for ref in catalog.objects if not ref.parent and ref.kind in _RELATIONS}

    def of(self, ref: Ref) -> Ref:
        """Return the owner; the ref itself for what stands by itself."""
        if not ref.parent and ref.kind != "table":
            return ref
        return self._relations.get((ref.schema, ref.parent or ref.name), ref.table)


_RELATIONS = {"table", "view", "materialized_view", "foreign_table", "virtual_table"}
