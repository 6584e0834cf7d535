"""The index by which CLUSTER sorts a table: there is one at most, and another takes its place by itself."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.catalog.model import CatalogObject, Constraint, Index
from dbops.engines.postgresql.render.names import parent_of, quote
from dbops.engines.postgresql.render.scene import Scene
from dbops.sql.statement import Statement


def clustering(item: Index | Constraint, without: Index | Constraint | None, scene: Scene) -> Iterator[Statement]:
    """Yield what makes the index of `item` the one of its table, or takes that away; `without` is how it was."""
    head, was, will_be = f"ALTER TABLE {parent_of(item.ref)}", without is not None and _is_it(without), _is_it(item)
    if will_be and not was:
        yield Statement(f"{head} CLUSTER ON {quote(item.name)}")
    elif was and not will_be and not any(map(_is_it, scene.new.children(item.ref.table))):
        yield Statement(f"{head} SET WITHOUT CLUSTER")


def _is_it(item: CatalogObject) -> bool:
    return isinstance(item, Index | Constraint) and "clustered" in dict(item.options)
