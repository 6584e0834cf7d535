"""diff A B: the changes that lead from one database or source to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import CatalogChange, ChangeSet, diff
from dbops.catalog.declared import as_declared
from dbops.catalog.scope import Scope
from dbops.engines.base.connect import Server, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import Act, RenderContext
from dbops.errors import PlanError
from dbops.usecases.inspect import inspect
from dbops.usecases.runtime import Workspace, looks_like_url, target_for_url


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison, read."""

    title: str
    engine: Engine
    target: Target
    server: Server
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class Comparison:
    """`changes` lead from `before` to `after`; `acts` are the SQL that would make them, in order."""

    before: str
    after: str
    engine: Engine
    changes: tuple[CatalogChange, ...]
    acts: tuple[Act, ...]


def compare(a: str, b: str, workspace: Workspace | None) -> Comparison:
    """Compare two of: a URL, a connection of the environment, a folder or file of SQL.

    SQL is read in the dialect of the other side, on a scratch database beside it.

    Raises:
        PlanError: two SQL sources (no engine is named), two different engines, or neither of the three.
    """
    from dbops.resources.schema.wording import in_words_of

    sides: dict[str, Side] = {name: _live(name, workspace) for name in (a, b) if not _is_sql(name, workspace)}
    if not sides:
        raise PlanError("two SQL sources name no engine to compare on", fix="give a URL or a connection on one side")
    anchor = next(iter(sides.values()))
    before, after = (sides.get(name) or _loaded(name, anchor) for name in (a, b))
    if before.engine.name != after.engine.name:
        raise PlanError(
            f"{before.engine.name} and {after.engine.name} cannot be compared", expected="two databases of one engine"
        )
    start = in_words_of(after.catalog, before.catalog, before.engine, before.target)
    changes = diff(as_declared(start, after.catalog), after.catalog, column_order=before.engine.features.has_column_order)
    acts = before.engine.render(ChangeSet(start, after.catalog, changes), RenderContext(before.server)) if changes else []
    return Comparison(before.title, after.title, before.engine, changes, tuple(acts))


def _is_sql(name: str, workspace: Workspace | None) -> bool:
    return not looks_like_url(name) and not (workspace and name in workspace.targets.known)


def _live(name: str, workspace: Workspace | None) -> Side:
    found = inspect(name, workspace)
    known: Mapping[str, Target] = workspace.targets.known if workspace else {}
    target = known.get(name) or target_for_url(name)
    return Side(name if name in known else found.url, found.engine, target, found.server, found.catalog)


def _loaded(name: str, anchor: Side) -> Side:
    from dbops.resources.schema.model import SqlSource
    from dbops.resources.schema.sources import read_source

    path = Path(name)
    if not path.exists():
        raise PlanError(f"{name!r} is no URL, no connection of the environment and no file", expected="two of those")
    statements = read_source(SqlSource((path.absolute(),)), anchor.engine, anchor.target)
    with anchor.engine.scratch(anchor.target) as conn:
        anchor.engine.load(conn, statements)
        catalog = anchor.engine.inspect(conn, Scope(), declared=True)
    return Side(name, anchor.engine, anchor.target, anchor.server, catalog)
