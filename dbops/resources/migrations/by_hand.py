"""What changed in a database since its migrations ran last, though no migration did it: the catalog is remembered then.

Nothing is told behind an apply that failed or died: then what is remembered is not what dbops left.
"""

from __future__ import annotations

import json

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import CreateObject, DropObject, diff
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.reconcile.resource import Memory

KEY = "migrations"
"""One for all sets of a database: what another of them made, nobody made by hand."""


def remember(engine: Engine, conn: Connection, memory: Memory, apply_id: str) -> None:
    """Keep what the database holds now; the token that says whether it was touched since is taken last."""
    catalog = engine.inspect(conn)
    memory.remember(KEY, "{}", apply_id)  # makes the table, so that the token below knows it
    known = {"fingerprint": engine.fingerprint(conn), "apply": memory.latest_apply(), "catalog": codec.to_json(catalog)}
    memory.remember(KEY, json.dumps(known), apply_id)


def changed_by_hand(engine: Engine, conn: Connection, memory: Memory) -> list[tuple[str, str]]:
    """Return what differs from what is remembered: each object with what happened to it; empty when nothing is remembered."""
    known = _read(memory.recall(KEY))
    if known is None or known[0] == engine.fingerprint(conn) or known[1] != memory.latest_apply():
        return []
    found = diff(known[2], engine.inspect(conn))
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


def _read(text: str | None) -> tuple[str, str | None, Catalog] | None:
    """Read what was remembered; of another format it is as good as nothing."""
    try:
        data = json.loads(text) if text else {}
        return (data["fingerprint"], data["apply"], codec.from_json(data["catalog"])) if data else None
    except (ValueError, KeyError, TypeError):
        return None
