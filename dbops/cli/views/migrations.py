"""How migrations stand, what was proved of them, what was taken over: as a table and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.tables import table
from dbops.usecases.migrate.adopt import Adoption
from dbops.usecases.migrate.status import SetStatus
from dbops.usecases.migrate.verify import DryRun, Verified

_COLORS = {
    **dict.fromkeys(("applied", "cosmetic", "baselined"), "green"),
    **dict.fromkeys(("pending", "unknown"), "yellow"),
    "running": "cyan",
}
_WORDS = {"cosmetic": "applied, cosmetic edit"}


def status_texts(found: Sequence[SetStatus]) -> str:
    """Return how each set stands on each connection, and below, once for each folder, what differs from its lock file."""
    locks = dict.fromkeys(one.lock.explain() for one in found if one.lock is not None)
    return "\n\n".join([*map(status_text, found), *(style(wording.printable(text), fg="red") for text in locks)])


def status_text(found: SetStatus) -> str:
    """Return one line for each migration, what is wrong below, and a summary."""
    title = f"{style(found.name, bold=True)} on {wording.on_one_line(found.connection)}"
    if found.error is not None:
        return f"{title}: {style('unreachable', fg='red')}: {wording.on_one_line(found.error)}"
    if not found.standings:
        return f"{title}: no migrations."
    rows = [("MIGRATION", "STATE", "APPLIED", "TOOK", "WHO")]
    for one in found.standings:
        state = style(_WORDS.get(one.state, one.state), fg=_COLORS.get(one.state, "red"))
        record = one.record
        is_over = record is not None and record.state in ("applied", "failed", "baselined")
        rows.append(
            (
                wording.on_one_line(one.id),
                state,
                (record.finished_at or "") if record and is_over else "",
                wording.duration(record.duration_ms / 1000) if record and record.state == "applied" else "",
                wording.on_one_line(record.who) if record and is_over else "",
            )
        )
    details = [
        f"{style(one.id, bold=True)}: {wording.printable(one.detail)}"
        for one in found.standings
        if one.detail and one.state not in ("cosmetic", "baselined", "applied")
    ]
    return "\n\n".join([title, table(rows), *details, _summary(found)])


def _summary(found: SetStatus) -> str:
    parts = [f"{found.count('applied', 'cosmetic', 'baselined')} applied", f"{found.count('pending')} pending"]
    parts += [
        f"{found.count(state)} {state}"
        for state in ("running", "failed", "changed", "missing", "late", "unknown")
        if found.count(state)
    ]
    if found.runner is not None:
        parts.append(f"{wording.on_one_line(found.runner)} is at work")
    return ", ".join(parts) + (f"; the last was {wording.on_one_line(found.current)}." if found.current else ".")


def status_data(found: SetStatus) -> dict[str, Any]:
    """Return the status of one set as JSON values."""
    return {
        "set": found.name,
        "connection": found.connection,
        "current": found.current,
        "heads": list(found.heads),
        "applied": found.count("applied", "cosmetic", "baselined"),
        "pending": found.count("pending"),
        "running": found.count("running"),
        "failed": found.count("failed"),
        "runner": found.runner,
        "error": found.error,
        "lock": found.lock.message if found.lock else None,
        "is_clean": found.is_clean,
        "migrations": [
            {
                "id": one.id,
                "version": one.migration.version if one.migration else one.record.version if one.record else "",
                "state": one.state,
                "detail": one.detail,
                "file": one.migration.at.file if one.migration else None,
                "checksum": one.migration.checksum if one.migration else None,
                "applied_checksum": one.record.checksum if one.record else None,
                "applied_at": one.record.finished_at if one.record else None,
                "duration_ms": one.record.duration_ms if one.record else None,
                "who": one.record.who if one.record else None,
                "reached": one.record.reached if one.record else 0,
                "error": one.record.error if one.record else None,
            }
            for one in found.standings
        ],
    }


def dry_run_text(found: DryRun) -> str:
    """Return a line on what ran on a scratch database for one connection."""
    ran, took = wording.count(found.migrations, "migration"), wording.duration(found.duration_s)
    where = wording.on_one_line(found.connection)
    return f"{where}: {ran} ran from nothing on a scratch database in {took}; {found.pending} would run here"


def dry_run_data(found: DryRun) -> dict[str, Any]:
    """Return what ran on a scratch database as JSON values."""
    return {
        "connection": found.connection,
        "migrations": found.migrations,
        "would_run": found.pending,
        "duration_s": found.duration_s,
    }


def verified_text(found: Sequence[Verified]) -> str:
    """Return one line for each migration, and the verdict."""
    if not found:
        return "There are no migrations."
    lines = []
    for one in found:
        mark, text = (style("failed", fg="red"), one.problem) if one.problem else (style("ok", fg="green"), one.outcome)
        lines.append(f"{mark:>6} {wording.on_one_line(one.subject)}: {wording.on_one_line(text)}")
    failed = sum(1 for one in found if one.problem)
    lines.append(style(f"{wording.count(failed, 'problem')}.", fg="red") if failed else style("All is proved.", fg="green"))
    return "\n".join(lines)


def verified_data(one: Verified) -> dict[str, Any]:
    """Return what was proved of one migration as JSON values."""
    return {"subject": one.subject, "ok": not one.problem, "outcome": one.problem or one.outcome}


def adoption_text(found: Adoption, *, dry_run: bool) -> str:
    """Return what was taken over, one line for each migration, and what stays pending."""
    where = wording.on_one_line(found.history.table)
    did = "would take over" if dry_run else "took over"
    title = f"{style(found.name, bold=True)} on {wording.on_one_line(found.connection)}"
    head = f"{title} {did} {wording.count(len(found.taken), 'migration')} from {found.history.title}'s {where}"
    rows = [
        (
            f"  {wording.on_one_line(one.migration.id)}",
            one.state,
            (one.row.at if one.row else None) or "",
            one.row.who if one.row else "",
        )
        for one in found.taken
    ]
    left = f"{wording.count(len(found.left), 'migration')} pending: {', '.join(map(wording.on_one_line, found.left[:10]))}"
    more = f" and {len(found.left) - 10} more" if len(found.left) > 10 else ""
    return "\n".join([f"{head}{':' if rows else '.'}", *([table(rows)] if rows else []), *([left + more] if found.left else [])])


def adoption_data(found: Adoption) -> dict[str, Any]:
    """Return what one set took over as JSON values."""
    return {
        "set": found.name,
        "connection": found.connection,
        "tool": found.history.tool,
        "table": found.history.table,
        "adopted": [
            {
                "id": one.migration.id,
                "state": one.state,
                "called": one.row.label if one.row else None,
                "applied_at": one.row.at if one.row else None,
                "who": one.row.who if one.row else None,
            }
            for one in found.taken
        ],
        "pending": list(found.left),
    }
