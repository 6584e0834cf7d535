"""The journal of applies inside a managed database: who did what when, every statement with its state and its undo."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection
from dbops.engines.base.features import Features
from dbops.errors import LostConnectionError
from dbops.reconcile import step as steps
from dbops.reconcile.step import Call, Step
from dbops.sql.statement import Parameter, Statement
from dbops.state.tables import create_tables, have_tables

UNFINISHED = "running"
UNDONE = "undone"

_ROWS_PER_INSERT = 50  # keeps the number of parameters under SQLite's old limit of 999 (sqlite.org/limits.html)


@dataclass(frozen=True, slots=True)
class ApplyRecord:
    """One apply; times are UTC in ISO 8601, `finished_at` None while it runs or when it died.

    `undoes` is the apply this one takes back, None for an ordinary one.
    """

    id: str
    started_at: str
    finished_at: str | None
    state: str
    who: str
    environment: str
    dbops_version: str
    plan_digest: str
    error: str | None
    undoes: str | None = None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One statement of an apply. `undo` stands with the first statement of each step, None when nothing takes it back."""

    order: int
    statement: int
    address: str
    title: str
    sql: str
    state: str
    finished_at: str | None
    error: str | None
    undo: tuple[Statement, ...] | Call | None


class DatabaseJournal:
    """Writes the record of one apply into one database (port `reconcile.journal.Journal`).

    `reopen` gives a new session for what has to be written when the session of the apply is gone.
    """

    def __init__(
        self,
        conn: Connection,
        features: Features,
        record: ApplyRecord,
        clock: Callable[[], str],
        reopen: Callable[[], Connection],
    ) -> None:
        self._conn, self._p, self._record, self._clock, self._reopen = conn, features.state_prefix, record, clock, reopen
        self._mark = (
            f"UPDATE {self._p}steps SET state = ?, finished_at = ?, error = ?"
            " WHERE apply_id = ? AND step_order >= ? AND step_order <= ? AND state <> 'done'"
        )
        create_tables(conn, features)

    def begin(self, planned: Sequence[tuple[str, Step]]) -> None:
        r = self._record
        with self._conn.transaction():
            self._conn.execute(
                f"INSERT INTO {self._p}applies (id, started_at, state, who, environment, dbops_version, plan_digest, undoes)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (r.id, r.started_at, UNFINISHED, r.who[:255], r.environment[:255], r.dbops_version, r.plan_digest, r.undoes),
            )
            rows = [row for address, step in planned for row in _rows(r.id, address, step)]
            for start in range(0, len(rows), _ROWS_PER_INSERT):
                chunk = rows[start : start + _ROWS_PER_INSERT]
                self._conn.execute_later(
                    f"INSERT INTO {self._p}steps (apply_id, step_order, statement, address, title, sql_text, undo_act, state)"
                    " VALUES " + ", ".join(["(?, ?, ?, ?, ?, ?, ?, 'pending')"] * len(chunk)),
                    tuple(value for row in chunk for value in row),
                )

    def mark(
        self, first: int, last: int, state: str, *, statement: int | None = None, error: str = "", in_transaction: bool = False
    ) -> None:
        sql = self._mark
        values: tuple[Parameter, ...] = (
            state,
            None if state == "running" else self._clock(),
            error or None,
            self._record.id,
            first,
            last,
        )
        if statement is not None:
            sql, values = sql + " AND statement = ?", (*values, statement)
        if in_transaction:
            self._conn.execute_later(sql, values)
        else:
            self._write(sql, values)

    def finish(self, state: str, error: str = "") -> None:
        if state != "done":
            self._write(
                f"UPDATE {self._p}steps SET state = 'interrupted', finished_at = ? WHERE apply_id = ? AND state = ?",
                (self._clock(), self._record.id, UNFINISHED),
            )
        self._write(
            f"UPDATE {self._p}applies SET state = ?, finished_at = ?, error = ? WHERE id = ?",
            (state, self._clock(), error or None, self._record.id),
        )

    def _write(self, sql: str, values: Sequence[Parameter]) -> None:
        try:
            self._conn.execute(sql, values)
        except LostConnectionError:
            self._conn = self._reopen()
            self._conn.execute(sql, values)


def _rows(apply_id: str, address: str, step: Step) -> list[tuple[str | int | None, ...]]:
    undo = None if step.undo is None else json.dumps(steps.to_dict(step)["undo"])
    if isinstance(step.do, Call):
        text = json.dumps({"name": step.do.name, "arguments": dict(step.do.arguments)})
        return [(apply_id, step.order, 0, address[:700], step.title, text, undo)]
    return [
        (apply_id, step.order, place, address[:700], step.title, statement.sql, undo if place == 0 else None)
        for place, statement in enumerate(step.do)
    ]


def close_interrupted(conn: Connection, features: Features, clock: Callable[[], str]) -> int:
    """Mark applies whose program died as interrupted, and the statements that were running in them.

    Call it under the apply lock, when nobody else can be running. Returns how many there were.
    """
    p = features.state_prefix
    dead = conn.query(f"SELECT id FROM {p}applies WHERE state = ?", (UNFINISHED,)) if have_tables(conn, features) else []
    for (apply_id,) in dead:
        with conn.transaction():
            for table, id_column in (("steps", "apply_id"), ("applies", "id")):
                conn.execute(
                    f"UPDATE {p}{table} SET state = 'interrupted', finished_at = ? WHERE {id_column} = ? AND state = ?",
                    (clock(), apply_id, UNFINISHED),
                )
    return len(dead)


def applies(conn: Connection, features: Features, limit: int = 50) -> list[ApplyRecord]:
    """Return the latest applies, newest first; empty when this database was never applied to."""
    if not have_tables(conn, features):
        return []
    rows = conn.query(
        "SELECT id, started_at, finished_at, state, who, environment, dbops_version, plan_digest, error, undoes"
        f" FROM {features.state_prefix}applies ORDER BY started_at DESC, id DESC LIMIT {int(limit)}"
    )
    return [ApplyRecord(*row) for row in rows]


_NOTHING_TO_UNDO = json.dumps({"sql": []})


def standing_after(conn: Connection, features: Features, apply_id: str) -> list[str]:
    """Return the ids of later applies of which anything stands, oldest first; applies that were taken back do not count.

    Nor do steps that left nothing to be taken back, such as a backup.
    """
    p = features.state_prefix
    rows = conn.query(
        f"SELECT DISTINCT a.id FROM {p}applies a JOIN {p}steps s ON s.apply_id = a.id"
        " WHERE a.id > ? AND a.undoes IS NULL AND a.state <> ? AND s.state = 'done'"
        " AND (s.undo_act IS NULL OR s.undo_act <> ?) ORDER BY a.id",
        (apply_id, UNDONE, _NOTHING_TO_UNDO),
    )
    return [str(row[0]) for row in rows]


def mark_undone(conn: Connection, features: Features, apply_id: str) -> None:
    """Remember that an apply was taken back."""
    conn.execute(f"UPDATE {features.state_prefix}applies SET state = ? WHERE id = ?", (UNDONE, apply_id))


def step_records(conn: Connection, features: Features, apply_id: str) -> list[StepRecord]:
    """Return the statements of one apply, in order."""
    rows = conn.query(
        "SELECT step_order, statement, address, title, sql_text, state, finished_at, error, undo_act"
        f" FROM {features.state_prefix}steps WHERE apply_id = ? ORDER BY step_order, statement",
        (apply_id,),
    )
    return [_step_record(*row) for row in rows]


def _step_record(
    order: int,
    statement: int,
    address: str,
    title: str,
    sql: str,
    state: str,
    finished_at: str | None,
    error: str | None,
    undo: str | None,
) -> StepRecord:
    act = steps.act_from_json(undo)
    return StepRecord(order, statement, address, title, sql, state, finished_at, error, act)
