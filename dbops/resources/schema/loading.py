"""Loading a source on scratch databases: all of it, or what differs from a source that is known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from dbops.catalog.catalog import Catalog
from dbops.catalog.scope import Scope
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.interrupt import holding
from dbops.errors import Problems, QueryError, SchemaError
from dbops.resources.schema.copying import build
from dbops.resources.schema.partial import Choice, Outline, Source, affected, changed_names, choose, merge
from dbops.resources.schema.portions import joined, portions
from dbops.sql.splitter import SourceStatement

logger: logging.Logger = logging.getLogger(__name__)


Scratches = Callable[[], AbstractContextManager[Connection]]
"""Opens one empty scratch database after another."""


def whole(source: Source, engine: Engine, scratch: Scratches, scope: Scope) -> Catalog:
    """Return the canonical catalog of a source, all of it loaded now; raises as `canonical` does."""

    def loaded(statements: Sequence[SourceStatement]) -> Catalog:
        with scratch() as conn:
            with holding():
                engine.load(conn, statements)
            return engine.inspect(conn, scope, declared=True).in_order()

    try:
        found = in_portions(source, engine, loaded)
    except Problems as error:
        logger.info("the source is loaded in one piece: a portion of it alone does not load: %s", error)
        found = None
    return loaded(source.statements) if found is None else found


def in_portions(source: Source, engine: Engine, read: Callable[[Sequence[SourceStatement]], Catalog]) -> Catalog | None:
    """Return what `read` makes of the portions of a source, joined; None where that is of no use or cannot be done."""
    parts = portions(source, engine.features.portion) if 0 < engine.features.portion < len(source.statements) else None
    return None if parts is None else joined([read(part) for part in parts])


def from_known(source: Source, outline: Outline, known: Catalog, engine: Engine, target: Target, scope: Scope) -> Catalog | None:
    """Return the canonical catalog of a source that differs a little from one of which outline and catalog are known.

    None where that does not help: then the whole of it must be loaded.
    """
    names = changed_names(source, outline)
    for _ in range(_ROUNDS):
        choice = None if names is None else choose(names, source, known)
        if choice is None or names is None:
            return None
        merged = _with_choice(choice, source, known, engine, target, scope)
        more = None if merged is None else affected(source, known, merged, choice)
        if not more:
            return merged if more is not None else None
        names = {*choice.names, *more}
    return None


_ROUNDS = 4
"""Each asks a new scratch about what the changes of the one before reach; what reaches farther is loaded as a whole."""


def _with_choice(choice: Choice, source: Source, known: Catalog, engine: Engine, target: Target, scope: Scope) -> Catalog | None:
    """Load what was chosen; what does not load here may do so, or fail with a better message, among all the rest."""
    try:
        with engine.scratch(target) as conn:
            build(choice.scaffold, engine, conn)
            engine.load(conn, [source.statements[place] for place in choice.statements])
            outcome = engine.inspect(conn, scope, declared=True)
    except (QueryError, Problems, SchemaError) as error:
        logger.info("the whole source is loaded: the changed part alone does not load: %s", error)
        return None
    return merge(known, choice, outcome, engine.features)
