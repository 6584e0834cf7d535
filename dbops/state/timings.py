"""How long statements took, as programs that timed them say: beside the history of figures, in the same file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dbops.dataclass import dataclass
from dbops.state.metrics import opened, url_in

_metadata = sa.MetaData()
_TIMINGS = sa.Table(
    "dbops_timings",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float(53), nullable=False, index=True),
    sa.Column("statement", sa.String(200), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("took_s", sa.Float(53), nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("details", sa.Text, nullable=False),
)
_KINDS_OF_VALUES = ("at", "statement", "text", "kind", "took_s", "rows")


@dataclass(frozen=True, slots=True)
class Timing:
    """One run of a statement: `statement` is its id, `kind` its first word, `at` the moment in seconds since 1970."""

    at: float
    statement: str
    text: str
    kind: str
    took_s: float
    rows: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


class Timings:
    """The timings of a workspace, kept for `keep_s` seconds; for any number of threads and programs.

    Raises:
        MonitoringError: the store cannot be opened.
    """

    def __init__(self, folder: Path, keep_s: float) -> None:
        self._engine = opened(url_in(folder), _metadata)
        self._keep_s = keep_s

    def keep(self, timing: Timing) -> None:
        """Add a timing, and drop those that are past their time."""
        values = {name: getattr(timing, name) for name in _KINDS_OF_VALUES}
        with self._engine.begin() as conn:
            conn.execute(sa.insert(_TIMINGS), values | {"details": json.dumps(dict(timing.details))})
            conn.execute(sa.delete(_TIMINGS).where(_TIMINGS.c.at < timing.at - self._keep_s))

    def since(self, at: float, least_s: float = 0.0) -> list[Timing]:
        """Return the timings from a moment on that took at least so long, in the order of time."""
        wanted = (
            sa.select(_TIMINGS).where(_TIMINGS.c.at >= at, _TIMINGS.c.took_s >= least_s).order_by(_TIMINGS.c.at, _TIMINGS.c.id)
        )
        with self._engine.connect() as conn:
            rows = conn.execute(wanted).all()
        return [Timing(row.at, row.statement, row.text, row.kind, row.took_s, row.rows, json.loads(row.details)) for row in rows]

    def close(self) -> None:
        """Close the store."""
        self._engine.dispose()
