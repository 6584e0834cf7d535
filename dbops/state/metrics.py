"""The history of figures, and what alerts are doing: in a file of the workspace, or in any database that SQLAlchemy speaks to.

It lies beside the managed databases, never inside: losing it loses history, and nothing else. Points are kept as they came for
two days, then by steps of five minutes for a month and of an hour for a year and a month; a step has the least, the most and the
mean of its points.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import LONGTEXT

from dbops.dataclass import dataclass
from dbops.engines.base.metrics import Counters, Key, Value
from dbops.errors import MonitoringError
from dbops.state.metrics_folder import history_file
from dbops.state.statements import StatementHistory

_DAY_S = 86_400
RAW_S, STEPS = 2 * _DAY_S, ((300, 30 * _DAY_S), (3600, 400 * _DAY_S))
"""How long points are kept as they came, and each step in seconds with how long it is kept."""

_metadata = sa.MetaData()
_LONG = sa.Text().with_variant(LONGTEXT, "mysql", "mariadb")
_SERIES = sa.Table(
    "dbops_series",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("connection", sa.String(200), nullable=False),
    sa.Column("figure", sa.String(100), nullable=False),
    sa.Column("labels", sa.String(400), nullable=False),
    sa.UniqueConstraint("connection", "figure", "labels"),
)
_POINTS = sa.Table(
    "dbops_points",
    _metadata,
    sa.Column("series_id", sa.Integer, sa.ForeignKey("dbops_series.id"), primary_key=True, autoincrement=False),
    sa.Column("step_s", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Float(53), primary_key=True),
    sa.Column("mean", sa.Float(53), nullable=False),
    sa.Column("least", sa.Float(53), nullable=False),
    sa.Column("most", sa.Float(53), nullable=False),
    sa.Index("dbops_points_at", "step_s", "at"),
)
_COUNTERS = sa.Table(
    "dbops_counters",
    _metadata,
    sa.Column("connection", sa.String(200), primary_key=True),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("numbers", _LONG, nullable=False),
    sa.Column("epochs", sa.Text, nullable=False),
)
_ALERTS = sa.Table(
    "dbops_alerts",
    _metadata,
    sa.Column("policy", sa.String(200), primary_key=True),
    sa.Column("rule", sa.String(100), primary_key=True),
    sa.Column("labels", sa.String(400), primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a series, or a step of several: `step_s` is 0 for a point as it came."""

    at: float
    mean: float
    least: float
    most: float
    step_s: int = 0


def opened(url: str, metadata: sa.MetaData) -> sa.Engine:
    """Open a store, and make the tables that are missing.

    Raises:
        MonitoringError: it cannot be opened.
    """
    try:
        engine = sa.create_engine(url)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _prepare_file)
        metadata.create_all(engine)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        shown = sa.engine.make_url(url).render_as_string(hide_password=True) if "://" in url else "the store"
        raise MonitoringError(f"{shown}: the history of metrics cannot be opened: {error}") from error
    return engine


def url_in(folder: Path) -> str:
    """Return the URL of the store of a workspace, whose folder is made.

    Raises:
        MonitoringError: it cannot be made.
    """
    file = history_file(folder)
    home = file.parent
    try:
        home.mkdir(exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise MonitoringError(
            f"{home}: no place for the history of metrics: {error.strerror}", fix="--store URL names another"
        ) from error
    return f"sqlite:///{file}"


def _prepare_file(raw: Any, record: Any) -> None:
    """Writers wait for each other, and readers for nobody."""
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA busy_timeout = 10000")
    raw.execute("PRAGMA synchronous = NORMAL")


class MetricsStore:
    """History by connection; `url` is SQLAlchemy's. Tables are made when they are missing.

    Raises:
        MonitoringError: the store cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._engine = opened(url, _metadata)

    @classmethod
    def in_folder(cls, folder: Path) -> MetricsStore:
        """Return the store of a workspace: `.dbops/metrics.db` in its folder, which git leaves alone."""
        return cls(url_in(folder))

    def close(self) -> None:
        self._engine.dispose()

    @cached_property
    def statements(self) -> StatementHistory:
        """The history of statements, in the same place."""
        return StatementHistory(self._engine)

    def counters(self, connection: str) -> Counters | None:
        """Return the counters of the last look, None before the first."""
        with self._engine.connect() as conn:
            row = conn.execute(sa.select(_COUNTERS).where(_COUNTERS.c.connection == connection)).one_or_none()
        if row is None:
            return None
        numbers = {(str(name), tuple(labels)): float(number) for name, labels, number in json.loads(row.numbers)}
        return Counters(row.at, numbers, json.loads(row.epochs))

    def keep(self, connection: str, at: float, figures: Sequence[Value], counters: Counters) -> None:
        """Add the figures of a look; what was older than the raw points is rolled up on the way."""
        numbers = json.dumps([[name, list(labels), number] for (name, labels), number in counters.numbers.items()])
        with self._engine.begin() as conn:
            ids = self._ids(conn, connection, [(one.metric, one.labels) for one in figures])
            own = sa.select(_SERIES.c.id).where(_SERIES.c.connection == connection)
            conn.execute(sa.delete(_POINTS).where(_POINTS.c.series_id.in_(own), _POINTS.c.step_s == 0, _POINTS.c.at == at))
            if figures:
                conn.execute(
                    sa.insert(_POINTS),
                    [_point(ids[one.metric, one.labels], 0, at, one.number, one.number, one.number) for one in figures],
                )
            conn.execute(sa.delete(_COUNTERS).where(_COUNTERS.c.connection == connection))
            conn.execute(
                sa.insert(_COUNTERS),
                {"connection": connection, "at": at, "numbers": numbers, "epochs": json.dumps(dict(counters.epochs))},
            )
            _roll_up(conn, at)

    def series(self, connection: str, figure: str, since: float, until: float) -> dict[tuple[str, ...], list[Point]]:
        """Return the points of a figure by its labels, in the order of time; the finest that are kept of each stretch."""
        sql = (
            sa.select(_SERIES.c.labels, _POINTS)
            .join(_POINTS, _POINTS.c.series_id == _SERIES.c.id)
            .where(_SERIES.c.connection == connection, _SERIES.c.figure == figure)
            .where(_POINTS.c.at >= since, _POINTS.c.at <= until)
            .order_by(_POINTS.c.at)
        )
        found: defaultdict[tuple[str, ...], list[Point]] = defaultdict(list)
        with self._engine.connect() as conn:
            for row in conn.execute(sql):
                found[tuple(json.loads(row.labels))].append(Point(row.at, row.mean, row.least, row.most, row.step_s))
        return dict(found)

    def alerts(self, policy: str) -> dict[tuple[str, tuple[str, ...]], Mapping[str, Any]]:
        """Return what was kept of a policy's alerts, by rule and labels."""
        with self._engine.connect() as conn:
            rows = conn.execute(sa.select(_ALERTS).where(_ALERTS.c.policy == policy)).all()
        return {(row.rule, tuple(json.loads(row.labels))): json.loads(row.state) for row in rows}

    def keep_alerts(self, policy: str, states: Mapping[tuple[str, tuple[str, ...]], Mapping[str, Any]]) -> None:
        """Keep what a policy's alerts are doing, in place of what was kept."""
        with self._engine.begin() as conn:
            conn.execute(sa.delete(_ALERTS).where(_ALERTS.c.policy == policy))
            rows = [
                {"policy": policy, "rule": rule, "labels": _text(labels), "state": json.dumps(state)}
                for (rule, labels), state in states.items()
            ]
            if rows:
                conn.execute(sa.insert(_ALERTS), rows)

    def _ids(self, conn: sa.Connection, connection: str, keys: Iterable[Key]) -> dict[Key, int]:
        known = self._known(conn, connection)
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        if missing:
            conn.execute(
                sa.insert(_SERIES),
                [{"connection": connection, "figure": name, "labels": _text(labels)} for name, labels in missing],
            )
            known = self._known(conn, connection)
        return known

    def _known(self, conn: sa.Connection, connection: str) -> dict[Key, int]:
        rows = conn.execute(sa.select(_SERIES).where(_SERIES.c.connection == connection))
        return {(row.figure, tuple(json.loads(row.labels))): row.id for row in rows}


def _text(labels: tuple[str, ...]) -> str:
    return json.dumps(labels, ensure_ascii=False)


def _point(series_id: int, step_s: int, at: float, mean: float, least: float, most: float) -> dict[str, float]:
    return {"series_id": series_id, "step_s": step_s, "at": at, "mean": mean, "least": least, "most": most}


def _roll_up(conn: sa.Connection, now: float) -> None:
    """Gather what is past its time into the next step, and drop what is past the last."""
    finer, kept_s = 0, RAW_S
    for step_s, step_kept_s in STEPS:
        border = (now - kept_s) // step_s * step_s  # whole steps only: a step is gathered once
        _gather(conn, finer, step_s, border)
        finer, kept_s = step_s, step_kept_s
    conn.execute(sa.delete(_POINTS).where(_POINTS.c.step_s == finer, _POINTS.c.at < now - kept_s))


def _gather(conn: sa.Connection, finer_s: int, step_s: int, before: float) -> None:
    old = sa.select(_POINTS).where(_POINTS.c.step_s == finer_s, _POINTS.c.at < before)
    steps: defaultdict[tuple[int, float], list[Any]] = defaultdict(list)
    for row in conn.execute(old):
        steps[row.series_id, row.at // step_s * step_s].append(row)
    if not steps:
        return
    rows = [
        _point(series, step_s, at, _mean(of), min(row.least for row in of), max(row.most for row in of))
        for (series, at), of in steps.items()
    ]
    conn.execute(sa.insert(_POINTS), rows)
    conn.execute(sa.delete(_POINTS).where(_POINTS.c.step_s == finer_s, _POINTS.c.at < before))


def _mean(rows: Sequence[Any]) -> float:
    return float(sum(row.mean for row in rows) / len(rows))
