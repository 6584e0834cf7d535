"""Backups, their evidence, and what was restored: as text and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.tables import table

if TYPE_CHECKING:
    from datetime import datetime

    from dbops.archive.manifest import Manifest
    from dbops.usecases.backup.look import Failure, Listed, Listing, Shown
    from dbops.usecases.backup.prune import Pruned
    from dbops.usecases.backup.restore import RestoreResult
    from dbops.usecases.backup.run import Done
    from dbops.usecases.backup.verify import Evidence

_FAILURES = 5
_COLORS = {"verified": "green", "unverified": "yellow", "failed": "red", "broken": "red"}


def done_text(done: Done) -> str:
    """Return what a run did for one policy, one line for each thing."""
    lines = [_made(one) for one in done.made] + [evidence_text(one) for one in done.verified]
    lines += [f"{style(backup_id, bold=True)} was deleted: retention let it go" for backup_id in done.deleted]
    if done.busy is not None:
        lines.append(f"{done.policy}: nothing was done: {wording.printable(done.busy)}")
    if done.error is not None:
        lines.append(f"{done.policy}: {style('failed', fg='red', bold=True)}: {wording.printable(done.error.explain())}")
    return "\n".join(lines) or f"{done.policy}: nothing is due"


def _made(one: Manifest) -> str:
    notes = "".join(f"\n  note: {wording.printable(text)}" for text in one.warnings)
    return f"{style(one.id, bold=True)}: {_sizes(one)}{notes}"


def _sizes(one: Manifest) -> str:
    return f"{wording.size(one.plain_size)} as {wording.size(one.stored_size)} in {wording.duration(one.duration_s)}"


def done_json(done: Done) -> dict[str, Any]:
    return {
        "policy": done.policy,
        "made": [manifest_json(one) for one in done.made],
        "verified": [evidence_json(one) for one in done.verified],
        "deleted": list(done.deleted),
        "busy": done.busy,
        "error": done.error.to_dict() if done.error is not None else None,
    }


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
    """Return the backups of a policy as a table, what is broken below, and until when the promise holds."""
    title = f"{style(found.policy, bold=True)} on {wording.on_one_line(found.connection)}, {wording.on_one_line(found.storage)}"
    failed = _failures(found.failures)
    if not found.backups and not found.broken:
        others = f" The storage has those of {wording.on_one_line(', '.join(found.others))}." if found.others else ""
        return "\n\n".join([f"{title}: no backups.{others}", *failed])
    rows: list[tuple[str, ...]] = [
        ("BACKUP", "KIND", "LEADS TO", "STATE", "CONTENT", "STORED", "GROWTH", "TOOK", "RESTORE", "KEPT FOR")
    ]
    rows += [_row(one) for one in found.backups]
    broken = [
        f"{style('broken', fg='red')}: {wording.printable(one.key)}: {wording.printable(one.reason)}" for one in found.broken
    ]
    return "\n\n".join([title, table(rows), *broken, *failed, _promise(found)])


def _failures(failures: Sequence[Failure]) -> list[str]:
    """Return the last runs that made no backup, a line for each, and how many there were before."""
    shown = failures[-_FAILURES:]
    lines = [f"{style('failed', fg='red')}: {_second(one.at)}, {one.kind}: {wording.printable(one.error)}" for one in shown]
    if before := len(failures) - len(shown):
        lines.insert(0, f"{wording.count(before, 'run')} before these failed too")
    return ["\n".join(lines)] if lines else []


def _promise(found: Listing) -> str:
    parts = [f"{wording.count(len(found.backups), 'backup')}, {wording.size(found.stored_size)} stored"]
    parts += [f"next {kind} due {moment:%Y-%m-%d %H:%M}Z" for kind, moment in found.due.items()]
    stretches = [f"{_second(one.start)} to {_second(one.end)}" for one in found.windows if one.start != one.end]
    if stretches:
        parts.append(f"any moment from {', from '.join(stretches)} can be restored")
    if found.restore_s is not None:
        parts.append(f"the last restore took {wording.duration(found.restore_s)}")
    if found.breaks_at is not None:
        parts.append(f"without a further backup the promise breaks {found.breaks_at:%Y-%m-%d %H:%M}Z")
    return "; ".join(parts) + "."


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def _row(one: Listed) -> tuple[str, ...]:
    manifest = one.manifest
    state = style(one.state, fg=_COLORS[one.state]) + (", held" if one.held is not None else "")
    state += "" if one.opens else style(", another key", fg="yellow")
    return (
        manifest.id,
        manifest.kind,
        _second(manifest.ended_at),
        state,
        wording.size(manifest.plain_size),
        wording.size(manifest.stored_size),
        f"{one.growth:+.0%}" if one.growth is not None else "",
        wording.duration(manifest.duration_s),
        wording.duration(one.restore_s) if one.restore_s is not None else "",
        ", ".join(one.kept) if one.kept else style("goes next", fg="yellow"),
    )


def listed_json(one: Listed) -> dict[str, Any]:
    return {
        **manifest_json(one.manifest),
        "state": one.state,
        "held": one.held,
        "opens": one.opens,
        "restore_s": one.restore_s,
        "growth": round(one.growth, 4) if one.growth is not None else None,
        "kept_for": list(one.kept),
    }


def listing_json(found: Listing) -> dict[str, Any]:
    return {
        "policy": found.policy,
        "connection": found.connection,
        "storage": found.storage,
        "others": list(found.others),
        "stored_size": found.stored_size,
        "promise_breaks_at": found.breaks_at.isoformat() if found.breaks_at else None,
        "restore_s": found.restore_s,
        "due": {kind: moment.isoformat() for kind, moment in found.due.items()},
        "windows": [{"from": one.start.isoformat(), "to": one.end.isoformat()} for one in found.windows],
        "backups": [listed_json(one) for one in found.backups],
        "broken": [{"key": one.key, "reason": one.reason} for one in found.broken],
        "failed": [
            {"id": one.backup_id, "kind": one.kind, "at": one.at.isoformat(), "error": one.error} for one in found.failures
        ],
    }


def shown_text(found: Shown) -> str:
    """Return all that is known of one backup."""
    manifest, listed = found.listed.manifest, found.listed
    lines = [
        f"{style(manifest.id, bold=True)}: {style(listed.state, fg=_COLORS[listed.state])}",
        f"  {manifest.kind}, {manifest.method}, by {manifest.tool} of {manifest.engine} {manifest.server_version}",
        f"  leads to {', '.join([f'{manifest.ended_at:%Y-%m-%d %H:%M:%S}Z', *_position(manifest.end)])}",
        f"  {_sizes(manifest)}",
        f"  encryption: {manifest.encryption['method']}; tools: {', '.join(f'{k} {v}' for k, v in manifest.tools.items())}",
        f"  kept for: {', '.join(listed.kept) or 'nothing: it goes next'}" + (f"; held: {listed.held}" if listed.held else ""),
    ]
    if len(found.chain) > 1:
        lines.append(f"  needs {', '.join(one.id for one in found.chain[:-1])}")
    if found.dependents:
        lines.append(f"  needed by {', '.join(one.id for one in found.dependents)}")
    rows = [("STREAM", "CONTENT", "STORED", "PARTS")]
    rows += [
        (one.name, wording.size(one.plain_size), wording.size(one.stored_size), str(len(one.parts))) for one in manifest.streams
    ]
    proofs = [f"{one.at:%Y-%m-%d %H:%M:%S}Z {evidence_text(one)}" for one in found.evidence]
    counts = [f"{wording.count(len(found.rows), 'table')}, {sum(found.rows.values())} rows"] if found.rows else []
    return "\n\n".join(["\n".join(lines), table(rows), *counts, *proofs])


def _position(position: Mapping[str, Any]) -> list[str]:
    return [f"{name} {value}" for name, value in position.items()]


def shown_json(found: Shown) -> dict[str, Any]:
    return {
        **listed_json(found.listed),
        "chain": [one.id for one in found.chain],
        "needed_by": [one.id for one in found.dependents],
        "streams": [
            {"name": one.name, "plain_size": one.plain_size, "stored_size": one.stored_size, "parts": len(one.parts)}
            for one in found.listed.manifest.streams
        ],
        "tools": dict(found.listed.manifest.tools),
        "details": dict(found.listed.manifest.details),
        "rows": dict(found.rows) if found.rows is not None else None,
        "evidence": [evidence_json(one) for one in found.evidence],
    }


def pruned_text(pruned: Pruned, *, is_dry: bool) -> str:
    """Return what was deleted, or would be."""
    verb = "would go" if is_dry else "deleted"
    if pruned.lost:
        return f"what was left of {', '.join(pruned.lost)} was deleted"
    if not pruned.deleted and not pruned.orphans:
        return "nothing goes" if is_dry else "nothing was deleted"
    lines = [f"{wording.count(len(pruned.deleted), 'backup')} {verb}, {wording.size(pruned.freed)}"]
    lines += [f"  {one.id}" for one in pruned.deleted]
    if pruned.orphans:
        lines.append(f"  {wording.count(len(pruned.orphans), 'part')} of runs that died {verb}")
    return "\n".join(lines)


def pruned_json(pruned: Pruned, *, is_dry: bool) -> dict[str, Any]:
    return {
        "dry_run": is_dry,
        "deleted": [*(one.id for one in pruned.deleted), *pruned.lost],
        "orphans": list(pruned.orphans),
        "freed": pruned.freed,
    }


def evidence_text(one: Evidence) -> str:
    """Return one line for a verification, and what was found below."""
    short = style("NOT OPENED", fg="yellow", bold=True)
    state = style("FAILED", fg="red", bold=True) if not one.ok else short if one.falls_short else style("ok", fg="green")
    took = f", restored in {wording.duration(one.seconds)}" if one.seconds is not None else ""
    lines = [f"{style(one.backup_id, bold=True)}: {state}, level {one.level}{took}"]
    return "\n".join([*lines, *(f"  {wording.printable(text)}" for text in (*one.problems, *_unopened(one), *_unkept(one)))])


def _unkept(one: Evidence) -> list[str]:
    return [f"the evidence of it cannot be kept: {one.unkept}"] if one.unkept is not None else []


def _unopened(one: Evidence) -> list[str]:
    """Say what could not be checked, and what is known all the same."""
    if one.unopened is None or not one.ok:
        return []
    what = "its stored bytes are sound" if one.level else "the sizes of its parts are right"
    notes = [f"checked without a key, {what}: {one.unopened}"]
    return (
        [*notes, "it is not known to restore: give its key in encryption.key of the policy, or with --storage and --key-env"]
        if one.falls_short
        else notes
    )


def evidence_json(one: Evidence) -> dict[str, Any]:
    return {
        "backup_id": one.backup_id,
        "at": one.at.isoformat(),
        "level": one.level,
        "ok": one.ok,
        "problems": list(one.problems),
        "restore_s": one.seconds,
        "details": dict(one.details),
        "unopened": one.unopened,
        "falls_short": one.falls_short,
        "unkept": one.unkept,
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
