"""Backups, their evidence, and what was restored: as text and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.journal import table

if TYPE_CHECKING:
    from dbops.archive.manifest import Manifest
    from dbops.usecases.backup.look import Listed, Listing
    from dbops.usecases.backup.restore import RestoreResult
    from dbops.usecases.backup.verify import Evidence

_COLORS = {"verified": "green", "unverified": "yellow", "failed": "red", "broken": "red"}


def made_text(made: Sequence[Manifest]) -> str:
    """Return one line for each backup made."""
    return "\n".join(
        f"{style(one.id, bold=True)}: {wording.size(one.plain_size)} as {wording.size(one.stored_size)}"
        f" in {wording.duration(one.duration_s)}" + "".join(f"\n  note: {wording.printable(text)}" for text in one.warnings)
        for one in made
    )


def made_json(made: Sequence[Manifest]) -> list[dict[str, Any]]:
    return [manifest_json(one) for one in made]


def manifest_json(one: Manifest) -> dict[str, Any]:
    """Return what a backup is, without its parts."""
    return {
        "id": one.id,
        "kind": one.kind,
        "method": one.method,
        "tool": one.tool,
        "engine": one.engine,
        "server_version": one.server_version,
        "timeline": one.timeline,
        "parent_id": one.parent_id,
        "full_id": one.full_id,
        "begun_at": one.begun_at.isoformat(),
        "ended_at": one.ended_at.isoformat(),
        "duration_s": round(one.duration_s, 3),
        "start": dict(one.start),
        "end": dict(one.end),
        "plain_size": one.plain_size,
        "stored_size": one.stored_size,
        "encryption": one.encryption["method"],
        "schema_digest": one.schema_digest,
        "warnings": list(one.warnings),
        "labels": dict(one.labels),
    }


def listing_text(found: Listing) -> str:
    """Return the backups of a policy as a table, and what is broken below."""
    title = f"{style(found.policy, bold=True)} on {wording.on_one_line(found.connection)}, {wording.on_one_line(found.storage)}"
    if not found.backups and not found.broken:
        return f"{title}: no backups."
    rows = [("BACKUP", "KIND", "STATE", "CONTENT", "STORED", "TOOK", "RESTORE")]
    rows += [_row(one) for one in found.backups]
    broken = [
        f"{style('broken', fg='red')}: {wording.printable(one.key)}: {wording.printable(one.reason)}" for one in found.broken
    ]
    total = f"{wording.count(len(found.backups), 'backup')}, {wording.size(found.stored_size)} stored."
    return "\n\n".join([title, table(rows), *broken, total])


def _row(one: Listed) -> tuple[str, str, str, str, str, str, str]:
    manifest = one.manifest
    state = style(one.state, fg=_COLORS[one.state]) + (", held" if one.held is not None else "")
    return (
        manifest.id,
        manifest.kind,
        state,
        wording.size(manifest.plain_size),
        wording.size(manifest.stored_size),
        wording.duration(manifest.duration_s),
        wording.duration(one.restore_s) if one.restore_s is not None else "",
    )


def listing_json(found: Listing) -> dict[str, Any]:
    return {
        "policy": found.policy,
        "connection": found.connection,
        "storage": found.storage,
        "stored_size": found.stored_size,
        "backups": [
            {**manifest_json(one.manifest), "state": one.state, "held": one.held, "restore_s": one.restore_s}
            for one in found.backups
        ],
        "broken": [{"key": one.key, "reason": one.reason} for one in found.broken],
    }


def evidence_text(one: Evidence) -> str:
    """Return one line for a verification, and what was found below."""
    state = style("ok", fg="green") if one.ok else style("FAILED", fg="red", bold=True)
    took = f", restored in {wording.duration(one.seconds)}" if one.seconds is not None else ""
    lines = [f"{style(one.backup_id, bold=True)}: {state}, level {one.level}{took}"]
    return "\n".join([*lines, *(f"  {wording.printable(problem)}" for problem in one.problems)])


def evidence_json(one: Evidence) -> dict[str, Any]:
    return {
        "backup_id": one.backup_id,
        "at": one.at.isoformat(),
        "level": one.level,
        "ok": one.ok,
        "problems": list(one.problems),
        "restore_s": one.seconds,
        "details": dict(one.details),
    }


def restored_text(result: RestoreResult) -> str:
    """Return what was restored where."""
    last = result.chain[-1]
    place, took = wording.on_one_line(result.restored.place), wording.duration(result.seconds)
    lines = [f"{style(last.id, bold=True)} was restored to {place} in {took}"]
    if len(result.chain) > 1:
        lines.append(f"  from {wording.count(len(result.chain), 'backup')}, the full one {result.chain[0].id}")
    if result.safety is not None:
        lines.append(f"  what stood there is the backup {result.safety.id}")
    return "\n".join([*lines, *(f"  note: {wording.printable(text)}" for text in result.restored.warnings)])


def restored_json(result: RestoreResult) -> dict[str, Any]:
    return {
        "id": result.chain[-1].id,
        "chain": [one.id for one in result.chain],
        "place": result.restored.place,
        "reached": dict(result.restored.reached),
        "restore_s": result.seconds,
        "safety": result.safety.id if result.safety else None,
        "warnings": list(result.restored.warnings),
    }
