"""Manifests made by hand, for what is decided from manifests alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dbops.archive.manifest import Manifest

START = datetime(2026, 1, 1, 3, tzinfo=UTC)


def backup(name: str, hours: float = 0, parent: Manifest | None = None, kind: str = "", **more: Any) -> Manifest:
    """Return a backup that ended `hours` behind the start; a child is an incremental unless told otherwise."""
    at = START + timedelta(hours=hours)
    facts: dict[str, Any] = {
        "id": name,
        "target": "shop",
        "timeline": "t1",
        "engine": "sqlite",
        "server_version": "3",
        "kind": kind or ("incremental" if parent else "full"),
        "method": "physical",
        "tool": "pages",
        "family": "pages",
        "begun_at": at,
        "ended_at": at,
        "finished_at": at,
        "start": {},
        "end": {},
        "parent_id": parent.id if parent else None,
        "parent_digest": parent.seal if parent else None,
        "full_id": parent.full_id if parent else name,
        "seal": name,
    }
    return Manifest(**{**facts, **more})
