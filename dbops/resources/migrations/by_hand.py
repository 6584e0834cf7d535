"""What changed in a database since its migrations ran last, though no migration did it: the catalog is remembered then.

Nothing is told behind an apply that failed or died: then what is remembered is not what dbops left. While nothing moved, what
compares catalogs is not imported.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection
    from dbops.engines.base.engine import Engine
    from dbops.reconcile.resource import Memory

KEY = "migrations"
"""One for all sets of a database: what another of them made, nobody made by hand."""


def remember(engine: Engine, conn: Connection, memory: Memory, apply_id: str) -> None:
    """Keep what the database holds now; the token that says whether it was touched since is taken last."""
    captured = engine.capture(conn)
    memory.remember(KEY, "{}", apply_id)  # makes the table, so that the token below knows it
    known = {"fingerprint": engine.fingerprint(conn), "apply": memory.latest_apply(), "catalog": captured}
    memory.remember(KEY, json.dumps(known), apply_id)


def changed_by_hand(engine: Engine, conn: Connection, memory: Memory) -> list[tuple[str, str]]:
    """Return what differs from what is remembered: each object with what happened to it; empty when nothing is remembered."""
    known = _read(memory.recall(KEY))
    if not known or known["fingerprint"] == engine.fingerprint(conn) or known["apply"] != memory.latest_apply():
        return []
    from dbops.catalog.changes import CreateObject, DropObject, diff

    try:
        catalog = engine.captured(known["catalog"])
    except (ValueError, KeyError, TypeError):
        return []  # of another format: as good as nothing
    found = diff(catalog, engine.inspect(conn))
    whole = {change.ref for change in found if isinstance(change, CreateObject | DropObject) and not change.ref.parent}
    words = {CreateObject: "no migration made it", DropObject: "it is gone, and no migration dropped it"}
    return [
        (str(change.ref), words.get(type(change), "no migration changed it"))
        for change in found
        if not change.ref.parent or change.ref.table not in whole
    ]


def _read(text: str | None) -> dict[str, Any]:
    """Read what was remembered; of another format it is as good as nothing."""
    try:
        data = json.loads(text) if text else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) and {"fingerprint", "apply", "catalog"} <= data.keys() else {}
