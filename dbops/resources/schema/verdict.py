"""What is known to be in order without reading it again.

When a database was found to be what its source says, the finding is kept under everything it depends on: the engine's
fingerprint of the live schema, the bytes of the sources, the scope, the server, the account. While none of them moves, a
plan needs neither the catalog of the database nor that of the source. Only findings of no difference are kept. Where the
engine can tell that nothing at all was written since, not even the fingerprint is taken again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dbops.dataclass import dataclass
from dbops.reconcile.change import Observation
from dbops.resources.schema.model import SqlSource, TableSource
from dbops.resources.schema.sources import sql_files
from dbops.version import __version__

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection
    from dbops.engines.base.engine import Engine
    from dbops.resources.schema.cache import CatalogCache
    from dbops.resources.schema.model import DesiredSchema, Source


@dataclass(frozen=True, slots=True)
class InOrder:
    """No difference: `fingerprints` as when it was found, `observations` are what there was to say all the same."""

    fingerprints: Mapping[str, str]
    observations: tuple[Observation, ...]


def circumstances(schema: DesiredSchema, conn: Connection) -> str | None:
    """Return what a finding depends on besides the live schema, hashed; None when that cannot be told cheaply.

    Models run code, reference rows and tolerated drift depend on more than schemas, and so do objects that a policy lets live.
    """
    if schema.data or schema.tolerated or not schema.unmanaged.drops_all:
        return None
    source = source_digest(schema.source)
    if source is None:
        return None
    state = hashlib.sha256(source)
    server = conn.server
    rest = (__version__, server.version_text, server.identity, server.user, schema.address, schema.scope, schema.renames)
    state.update(repr(rest).encode())
    return state.hexdigest()


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


def recall(around: str, connection: str, engine: Engine, conn: Connection, cache: CatalogCache) -> tuple[InOrder | None, str]:
    """Return the finding about these circumstances that still holds, None when there is none; and the fingerprint, if taken.

    Where nothing was written since, the fingerprint is not even taken.
    """
    last_write = engine.last_write(conn)
    if last_write is not None and (quiet := _read(f"quiet-{around}", cache)).get("last_write") == last_write:
        return _finding(quiet, connection), ""
    fingerprint = engine.fingerprint(conn)
    data = _read(_key(around, fingerprint), cache)
    found = _finding(data, connection)
    if found is not None and last_write is not None:
        cache.put_text(f"quiet-{around}", json.dumps({**data, "last_write": last_write}))
    return found, fingerprint


def keep(around: str, fingerprint: str, finding: InOrder, cache: CatalogCache) -> None:
    """Keep the finding that nothing differs while the live schema has this fingerprint."""
    [digest] = finding.fingerprints.values()
    data = {"digest": digest, "observations": [asdict(item) for item in finding.observations]}
    cache.put_text(_key(around, fingerprint), json.dumps(data))


def _key(around: str, fingerprint: str) -> str:
    return f"verdict-{hashlib.sha256(f'{around} {fingerprint}'.encode()).hexdigest()}"


def _read(key: str, cache: CatalogCache) -> Mapping[str, Any]:
    try:
        data = json.loads(cache.get_text(key) or "{}")
    except ValueError:  # damaged: it is only a cache
        return {}
    return data if isinstance(data, dict) else {}


def _finding(data: Mapping[str, Any], connection: str) -> InOrder | None:
    try:
        return InOrder({connection: data["digest"]}, tuple(Observation(**item) for item in data["observations"]))
    except (KeyError, TypeError):  # there is none, or it is damaged
        return None
