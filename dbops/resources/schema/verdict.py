"""What is known to be in order without reading it again.

When a database was found to be what its source says, the finding is kept under everything it depends on: the engine's
fingerprint of the live schema, the bytes of the sources, the scope, the server, the account. While none of them moves, a
plan needs neither the catalog of the database nor that of the source. Only findings of no difference are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.reconcile.change import Observation
from dbops.resources.schema.cache import CatalogCache
from dbops.resources.schema.model import DesiredSchema, Source, SqlSource, TableSource
from dbops.resources.schema.sources import sql_files
from dbops.version import __version__


@dataclass(frozen=True, slots=True)
class InOrder:
    """No difference: `fingerprints` as when it was found, `observations` are what there was to say all the same."""

    fingerprints: Mapping[str, str]
    observations: tuple[Observation, ...]


def verdict_key(schema: DesiredSchema, engine: Engine, conn: Connection) -> str | None:
    """Return what a finding about this schema and database depends on, hashed; None when that cannot be told cheaply.

    Models run code, reference rows and tolerated drift depend on more than schemas, and so do objects that a policy lets live.
    """
    if schema.data or schema.tolerated or not schema.unmanaged.drops_all:
        return None
    source = source_digest(schema.source)
    if source is None:
        return None
    state = hashlib.sha256(source)
    server = conn.server
    rest = (__version__, server.version_text, server.identity, server.user, engine.fingerprint(conn))
    state.update(repr((rest, schema.address, schema.scope, schema.renames)).encode())
    return f"verdict-{state.hexdigest()}"


def source_digest(source: Source) -> bytes | None:
    """Return a hash of all that a source says; None for one that only running it tells."""
    state = hashlib.sha256()
    match source:
        case SqlSource(paths):
            for file in sql_files(paths):
                state.update(str(file).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        case TableSource(tables, _):
            state.update(repr(tables).encode())
        case _:
            return None
    return state.digest()


def recall(key: str, connection: str, cache: CatalogCache) -> InOrder | None:
    """Return the finding kept under `key` for the database of a connection."""
    text = cache.get_text(key)
    try:
        if text is not None:
            data = json.loads(text)
            return InOrder({connection: data["digest"]}, tuple(Observation(**item) for item in data["observations"]))
    except (ValueError, KeyError, TypeError):  # damaged: it is only a cache
        return None
    return None


def keep(key: str, finding: InOrder, cache: CatalogCache) -> None:
    """Keep the finding that nothing differs."""
    [digest] = finding.fingerprints.values()
    cache.put_text(key, json.dumps({"digest": digest, "observations": [asdict(item) for item in finding.observations]}))
