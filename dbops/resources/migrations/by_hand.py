"""What changed in a database since its migrations ran last, though no migration did it: the catalog is remembered then."""

from __future__ import annotations

import json

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import CreateObject, DropObject, diff
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.reconcile.resource import Memory


def remember(key: str, engine: Engine, conn: Connection, memory: Memory, apply_id: str) -> None:
    """Keep what the database holds now; the token that says whether it was touched since is taken last."""
    catalog = engine.inspect(conn)
    memory.remember(key, "{}", apply_id)  # makes the table, so that the token below knows it
    text = json.dumps({"fingerprint": engine.fingerprint(conn), "catalog": codec.to_json(catalog)})
    memory.remember(key, text, apply_id)


def changed_by_hand(key: str, engine: Engine, conn: Connection, memory: Memory) -> list[tuple[str, str]]:
    """Return what differs from what is remembered: each object with what happened to it; empty when nothing is remembered."""
    known = _read(memory.recall(key))
    if known is None or known[0] == engine.fingerprint(conn):
        return []
    found = diff(known[1], engine.inspect(conn))
    whole = {change.ref for change in found if isinstance(change, CreateObject | DropObject) and not change.ref.parent}
    return [(str(change.ref), _in_words(change)) for change in found if not change.ref.parent or change.ref.table not in whole]


def _in_words(change: object) -> str:
    match change:
        case CreateObject():
            return "no migration made it"
        case DropObject():
            return "it is gone, and no migration dropped it"
        case _:
            return "no migration changed it"


def _read(text: str | None) -> tuple[str, Catalog] | None:
    """Read what was remembered; of another format it is as good as nothing."""
    try:
        data = json.loads(text) if text else {}
        return (data["fingerprint"], codec.from_json(data["catalog"])) if data else None
    except (ValueError, KeyError, TypeError):
        return None
