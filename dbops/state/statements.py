"""The history of statements: what each cost from one look to the next, beside the history of figures and as easily lost.

Steps are kept as they came for two days, then by the hour for five weeks and by the day for a year and a month. Of each step the
costliest statements are kept by themselves, and the others as one, so that the size does not depend on how many there are.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import LONGTEXT

from dbops.engines.base.workload import OTHERS, Before, Cost, Step, Tally

_DAY_S = 86_400
RAW_S, STEPS = 2 * _DAY_S, ((3600, 35 * _DAY_S), (_DAY_S, 400 * _DAY_S))
"""How long steps are kept as they came, and each longer step in seconds with how long it is kept."""
KEPT = 100
"""So many statements of a step are kept by themselves."""

_metadata = sa.MetaData()
_LONG = sa.Text().with_variant(LONGTEXT, "mysql", "mariadb")
_STATEMENTS = sa.Table(
    "dbops_statements",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("connection", sa.String(200), nullable=False),
    sa.Column("statement", sa.String(100), nullable=False),
    sa.Column("text", _LONG, nullable=False),
    sa.UniqueConstraint("connection", "statement"),
)
_STEPS = sa.Table(
    "dbops_statement_steps",
    _metadata,
    sa.Column("statement_id", sa.Integer, sa.ForeignKey("dbops_statements.id"), primary_key=True, autoincrement=False),
    sa.Column("step_s", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Float(53), primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("total_s", sa.Float(53), nullable=False),
    sa.Column("rows_sent", sa.BigInteger, nullable=False),
    sa.Column("reads", sa.BigInteger),
    sa.Column("io", sa.BigInteger),
    sa.Column("p95_s", sa.Float(53)),
    sa.Index("dbops_statement_steps_at", "step_s", "at"),
)
_TALLIES = sa.Table(
    "dbops_statement_tallies",
    _metadata,
    sa.Column("connection", sa.String(200), primary_key=True),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("tallies", _LONG, nullable=False),
)


class StatementHistory:
    """History of statements by connection; tables are made when they are missing."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        _metadata.create_all(engine)

    def before(self, connection: str) -> Before | None:
        """Return the tallies of the last look, None before the first."""
        with self._engine.connect() as conn:
            row = conn.execute(sa.select(_TALLIES).where(_TALLIES.c.connection == connection)).one_or_none()
        if row is None:
            return None
        return Before(row.at, {key: Tally(key, "", since, Cost(*cost)) for key, since, cost in json.loads(row.tallies)})

    def last_look(self, connection: str) -> float | None:
        """Return when statements were looked at last, None before the first look; cheaper than `before`."""
        with self._engine.connect() as conn:
            return conn.execute(sa.select(_TALLIES.c.at).where(_TALLIES.c.connection == connection)).scalar_one_or_none()

    def without_text(self, connection: str, ids: Collection[str]) -> list[str]:
        """Return those of `ids` whose texts are not known yet."""
        with self._engine.connect() as conn:
            has_text = (_STATEMENTS.c.connection == connection) & (_STATEMENTS.c.text != "")
            return sorted(set(ids) - {OTHERS} - set(conn.execute(sa.select(_STATEMENTS.c.statement).where(has_text)).scalars()))

    def keep(
        self, connection: str, at: float, costs: Mapping[str, Cost], texts: Mapping[str, str], tallies: Iterable[Tally]
    ) -> None:
        """Add what `costliest_of` left of a look, and texts of some of it; what is past its time is rolled up on the way."""
        kept = json.dumps([[one.key, one.since, _numbers(one.cost)] for one in tallies])
        with self._engine.begin() as conn:
            ids = _ids(conn, connection, costs)
            if texts:
                told = sa.update(_STATEMENTS).where(_STATEMENTS.c.id == sa.bindparam("of")).values(text=sa.bindparam("said"))
                conn.execute(told, [{"of": ids[id_], "said": text} for id_, text in texts.items()])
            if costs:
                conn.execute(sa.insert(_STEPS), [_row(ids[id_], 0, at, cost) for id_, cost in costs.items()])
            conn.execute(sa.delete(_TALLIES).where(_TALLIES.c.connection == connection))
            conn.execute(sa.insert(_TALLIES), {"connection": connection, "at": at, "tallies": kept})
            _roll_up(conn, at)

    def steps(self, connection: str, since: float, until: float) -> dict[str, list[Step]]:
        """Return what each statement cost after `since`, until `until`, in the order of time; all others are `OTHERS`."""
        sql = (
            sa.select(_STATEMENTS.c.statement, _STEPS)
            .join(_STEPS, _STEPS.c.statement_id == _STATEMENTS.c.id)
            .where(_STATEMENTS.c.connection == connection, _STEPS.c.at > since, _STEPS.c.at <= until)
            .order_by(_STEPS.c.at)
        )
        found: defaultdict[str, list[Step]] = defaultdict(list)
        with self._engine.connect() as conn:
            for row in conn.execute(sql):
                found[row.statement].append(Step(row.at, _cost(row), row.step_s))
        return dict(found)

    def texts(self, connection: str, ids: Collection[str]) -> dict[str, str]:
        """Return the texts of statements by id."""
        with self._engine.connect() as conn:
            rows = conn.execute(sa.select(_STATEMENTS).where(_STATEMENTS.c.connection == connection))
            return {row.statement: row.text for row in rows if row.statement in ids}


def costliest_of(costs: Mapping[str, Cost]) -> dict[str, Cost]:
    """Return the costliest `KEPT` by themselves, and the others as one."""
    if len(costs) <= KEPT:
        return dict(costs)
    known = sorted((id_ for id_ in costs if id_ != OTHERS), key=lambda id_: -costs[id_].total_s)
    found = {id_: costs[id_] for id_ in known[:KEPT]}
    for id_ in [*known[KEPT:], *([OTHERS] if OTHERS in costs else [])]:
        found[OTHERS] = found[OTHERS].plus(costs[id_]) if OTHERS in found else costs[id_]
    return found


def _numbers(cost: Cost) -> list[Any]:
    return [cost.calls, cost.total_s, cost.rows, cost.reads, cost.io]


def _cost(row: Any) -> Cost:
    return Cost(row.calls, row.total_s, row.rows_sent, row.reads, row.io, row.p95_s)


def _row(statement_id: int, step_s: int, at: float, cost: Cost) -> dict[str, Any]:
    numbers = {"calls": cost.calls, "total_s": cost.total_s, "rows_sent": cost.rows, "reads": cost.reads}
    return {"statement_id": statement_id, "step_s": step_s, "at": at, **numbers, "io": cost.io, "p95_s": cost.p95_s}


def _ids(conn: sa.Connection, connection: str, wanted: Iterable[str]) -> dict[str, int]:
    known = _known(conn, connection)
    missing = [id_ for id_ in wanted if id_ not in known]
    if missing:
        rows = [{"connection": connection, "statement": id_, "text": ""} for id_ in missing]
        conn.execute(sa.insert(_STATEMENTS), rows)
        known = _known(conn, connection)
    return known


def _known(conn: sa.Connection, connection: str) -> dict[str, int]:
    sql = sa.select(_STATEMENTS.c.statement, _STATEMENTS.c.id).where(_STATEMENTS.c.connection == connection)
    return {row.statement: row.id for row in conn.execute(sql)}


def _roll_up(conn: sa.Connection, now: float) -> None:
    """Gather what is past its time into the next step, drop what is past the last, and statements that nothing is told of."""
    finer, kept_s = 0, RAW_S
    gathered = False
    for step_s, step_kept_s in STEPS:
        border = (now - kept_s) // step_s * step_s  # whole steps only: a step is gathered once
        gathered = _gather(conn, finer, step_s, border) or gathered
        finer, kept_s = step_s, step_kept_s
    conn.execute(sa.delete(_STEPS).where(_STEPS.c.step_s == finer, _STEPS.c.at < now - kept_s))
    if gathered:
        used = sa.select(_STEPS.c.statement_id)
        conn.execute(sa.delete(_STATEMENTS).where(_STATEMENTS.c.id.not_in(used)))


def _gather(conn: sa.Connection, finer_s: int, step_s: int, before: float) -> bool:
    old = (
        sa.select(_STATEMENTS.c.connection, _STATEMENTS.c.statement, _STEPS)
        .join(_STATEMENTS, _STATEMENTS.c.id == _STEPS.c.statement_id)
        .where(_STEPS.c.step_s == finer_s, _STEPS.c.at < before)
    )
    steps: defaultdict[tuple[str, float], dict[str, Cost]] = defaultdict(dict)
    for row in conn.execute(old):
        costs = steps[row.connection, row.at // step_s * step_s]
        costs[row.statement] = costs[row.statement].plus(_cost(row)) if row.statement in costs else _cost(row)
    if not steps:
        return False
    for (connection, at), costs in steps.items():
        left = costliest_of(costs)
        ids = _ids(conn, connection, left)
        conn.execute(sa.insert(_STEPS), [_row(ids[id_], step_s, at, cost) for id_, cost in left.items()])
    conn.execute(sa.delete(_STEPS).where(_STEPS.c.step_s == finer_s, _STEPS.c.at < before))
    return True
