"""Statements turned into a catalog by the engine itself, on a scratch database, and kept in a cache.

The cache is keyed by everything the result depends on: the statements, the server's version and settings, the scope and
the format. It holds no data of users, only structure, and can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.catalog.scope import Scope
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Server, Target
from dbops.engines.base.engine import Engine
from dbops.resources.schema.cache import CatalogCache
from dbops.sql.splitter import SourceStatement
from dbops.version import __version__

if TYPE_CHECKING:
    from dbops.resources.schema.partial import Outline


def cache_key(statements: Sequence[SourceStatement], circumstances: str) -> str:
    """Return the hash of everything the canonical catalog depends on."""
    state = hashlib.sha256(circumstances.encode())
    for statement in statements:
        state.update(statement.text.encode())
        state.update(b"\0")
    return state.hexdigest()


def circumstances_of(server: Server, database: str, options: Sequence[tuple[str, str]], scope: Scope) -> str:
    """Return the hash of everything but the statements that a canonical catalog depends on."""
    head = (__version__, codec.FORMAT, server.version_text, database, server.user, tuple(options), scope)
    return hashlib.sha256(repr(head).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Canonical:
    """A source as the engine reads it back, the server that did, and what a new database holds before anything is loaded.

    `blank` is None when the database exists, because then nobody needs it.
    """

    catalog: Catalog
    server: Server
    blank: Catalog | None = None


def canonical(
    statements: Sequence[SourceStatement],
    engine: Engine,
    target: Target,
    server: Server | None,
    options: Sequence[tuple[str, str]],
    scope: Scope,
    cache: CatalogCache,
) -> Canonical:
    """Return the canonical catalog of a source, its objects in the order of their refs.

    `server` and `options` are those of the live database; without one (it does not exist yet) the scratch is always asked,
    unless it would say the same of any database.
    A source that is known up to some of its statements is asked about those alone.

    Raises:
        Problems: statements do not load, each with its place.
        SchemaError: no scratch database can be had.
    """
    if server is None:
        return _without_database(statements, engine, target, scope, cache)
    are_alike = engine.features.has_databases_alike
    key = cache_key(statements, circumstances_of(server, "" if are_alike else server.identity, options, scope))
    if (found := cache.get(key)) is not None:
        return Canonical(found, server)
    from dbops.resources.schema.loading import from_known, whole
    from dbops.resources.schema.partial import Source

    source = Source(statements, engine.features)
    database = target.url.database or "" if are_alike else server.identity
    latest = f"outline-{circumstances_of(server, database, options, scope)}"
    last = _last(latest, cache)
    known = None if last is None else cache.get(last[0])
    catalog = None if last is None or known is None else from_known(source, last[1], known, engine, target, scope)
    if catalog is None:
        catalog = whole(source, engine, lambda: engine.scratch(target), scope)
    cache.put(key, catalog)
    cache.put_text(latest, json.dumps([key, source.outline()], separators=(",", ":")))
    return Canonical(catalog, server)


def _without_database(
    statements: Sequence[SourceStatement], engine: Engine, target: Target, scope: Scope, cache: CatalogCache
) -> Canonical:
    """Ask a scratch for what is blank and, unless that is known by now, for the source."""
    with engine.scratch(target) as conn:
        blank = engine.inspect(conn, scope)
        if not engine.features.has_databases_alike:
            engine.load(conn, statements)
            return Canonical(engine.inspect(conn, scope, declared=True).in_order(), conn.server, blank)
        server = conn.server
    found = canonical(statements, engine, target, server, blank.options, scope, cache)
    return replace(found, blank=blank)


def _last(name: str, cache: CatalogCache) -> tuple[str, Outline] | None:
    text = cache.get_text(name)
    try:
        if text is not None:
            key, outline = json.loads(text)
            return key, tuple((identity, tuple(names)) for identity, names in outline)
    except (ValueError, TypeError):  # damaged: it is only a cache
        return None
    return None
