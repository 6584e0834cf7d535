"""Connections and applies as tables and data: status, history, and one apply with its statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.tables import table
from dbops.cli.views.text import indented
from dbops.usecases.history import AppliedTo
from dbops.usecases.status import BackupStatus, ConnectionStatus

_STATE_COLORS = {
    "in sync": "green",
    "done": "green",
    "pending": "yellow",
    "running": "yellow",
    "missing": "yellow",
    "rolled back": "yellow",
    "interrupted": "yellow",
}


def status_text(found: Sequence[ConnectionStatus]) -> str:
    """Return one line for each connection, errors below."""
    if not found:
        return "This environment has no connections."
    rows = [("CONNECTION", "STATE", "CHANGES", "DRIFTED", "DATABASE", "LAST APPLY")]
    for one in found:
        rows.append(
            (
                wording.on_one_line(one.name),
                _state(one.state),
                str(one.pending),
                str(one.drifted),
                wording.on_one_line(f"{one.engine} {one.version.split()[0]}" if one.version else one.engine),
                _last(one),
            )
        )
    errors = [f"{style(one.name, bold=True)}: {wording.printable(one.error)}" for one in found if one.error]
    backups = [_backups(policy) for one in found for policy in one.backups]
    return "\n\n".join([table(rows), *errors, *backups])


def _backups(found: BackupStatus) -> str:
    """Return what stands of a policy in one sentence, and what is wrong below."""
    parts = [f"{wording.count(found.count, 'backup')}, {wording.size(found.stored_size)}"]
    if found.growth is not None:
        parts.append(f"the last {found.growth:+.0%} beside the one before")
    if found.newest_at is not None:
        parts.append(f"the newest leads to {_minute(found.newest_at)}")
    stretches = [f"{_minute(start)} to {_minute(end)}" for start, end in found.windows if start != end]
    if stretches:
        parts.append(f"any moment from {', from '.join(stretches)} can be restored")
    if found.restore_s is not None:
        parts.append(f"the last restore took {wording.duration(found.restore_s)}")
    if found.breaks_at is not None:
        parts.append(f"without a further one the promise breaks {_minute(found.breaks_at)}")
    problems = [f"\n  {style('!', fg='yellow')} {wording.printable(text)}" for text in found.problems]
    return f"backups of {style(wording.on_one_line(found.policy), bold=True)}: {'; '.join(parts)}.{''.join(problems)}"


def _minute(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')}Z"


def _last(one: ConnectionStatus) -> str:
    record = one.last_apply
    if record is None:
        return "never"
    state = f"took back {record.undoes}" if record.undoes and record.state == "done" else record.state
    return f"{record.started_at} {state}, {wording.on_one_line(record.who)}"


def status_data(one: ConnectionStatus) -> dict[str, Any]:
    """Return one connection as JSON values."""
    return asdict(one)


def history_text(found: Sequence[AppliedTo]) -> str:
    """Return one line for each apply."""
    if not found:
        return "Nothing was applied yet."
    rows = [("APPLY", "STARTED", "CONNECTION", "STATE", "WHO", "ENVIRONMENT")]
    for one in found:
        record = one.record
        who, environment = wording.on_one_line(record.who), wording.on_one_line(record.environment)
        rows.append((record.id, record.started_at, one.connection, _state(record.state), who, environment))
    return table(rows)


def apply_text(found: Sequence[AppliedTo]) -> str:
    """Return an apply as every database remembers it, statement by statement."""
    return "\n\n".join("\n".join(_apply(one)) for one in found)


def record_data(one: AppliedTo) -> dict[str, Any]:
    """Return an apply as JSON values; `statements` only where they were read."""
    data = {"connection": one.connection, **asdict(one.record)}
    if one.steps:
        data["statements"] = [
            {
                "order": step.order,
                "statement": step.statement,
                "address": step.address,
                "title": step.title,
                "sql": step.sql,
                "state": step.state,
                "finished_at": step.finished_at,
                "error": step.error,
                "has_undo": step.undo is not None,
            }
            for step in one.steps
        ]
    return data


def _apply(one: AppliedTo) -> Iterator[str]:
    record = one.record
    yield f"{style(f'Apply {record.id}', bold=True)} on {wording.on_one_line(one.connection)}: {_state(record.state)}"
    yield f"  {record.started_at} to {record.finished_at or '?'} by {wording.on_one_line(record.who)}"
    yield f"  environment {wording.on_one_line(record.environment)}, plan {record.plan_digest}, dbops {record.dbops_version}"
    if record.error:
        yield f"  {style(wording.printable(record.error), fg='red')}"
    for step in one.steps:
        if step.statement == 0:
            yield f"\n  {wording.on_one_line(step.address)}: {wording.on_one_line(step.title)}"
        yield f"    {_state(step.state)}{f': {wording.on_one_line(step.error)}' if step.error else ''}"
        yield indented(step.sql, 8) + ";"


def _state(state: str) -> str:
    return style(state, fg=_STATE_COLORS.get(state, "red"))
