"""A Grafana dashboard over the metrics that `dbops monitor --serve` answers with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dbops.resources.monitoring.figures import FIGURES, sources_of
from dbops.resources.monitoring.promql import expression

#: Rows of the dashboard, with the figures of each panel; what no database of the environment has is left out.
_ROWS: Sequence[tuple[str, Sequence[Sequence[str]]]] = (
    (
        "At a glance",
        (("up",), ("connections_used", "connections_max"), ("transactions_per_second",), ("database_size_bytes",)),
    ),
    (
        "Sessions",
        (
            ("connections_active", "connections_idle", "connections_idle_in_transaction"),
            ("sessions_blocked",),
            ("sessions_waiting",),
            (
                "longest_query_seconds",
                "longest_transaction_seconds",
                "longest_idle_in_transaction_seconds",
                "longest_block_seconds",
            ),
        ),
    ),
    (
        "Work",
        (
            ("statements_per_second", "statements_slow_per_second"),
            ("mean_statement_seconds",),
            ("deadlocks_per_second", "rollback_ratio"),
            ("temp_files_per_second", "temp_bytes_per_second"),
        ),
    ),
    (
        "Memory and disk",
        (
            ("cache_hit_ratio",),
            ("read_bytes_per_second", "written_bytes_per_second", "log_bytes_per_second"),
            ("checkpoints_timed_per_second", "checkpoints_requested_per_second"),
            ("free_ratio",),
        ),
    ),
    (
        "What runs out",
        (("transaction_id_age", "multixact_id_age"), ("sequence_used_ratio",), ("purge_lag",), ("pages_used_ratio",)),
    ),
    (
        "Replication",
        (("replication_lag_seconds", "replay_lag_seconds"), ("replication_lag_bytes",), ("slot_retained_bytes",)),
    ),
    (
        "Largest tables",
        (("table_size_bytes",), ("table_dead_rows",), ("table_full_scans_per_second",), ("index_scans_per_second",)),
    ),
)
_UNITS = {"bytes": "bytes", "seconds": "s", "ratio": "percentunit", "bytes/s": "Bps", "1/s": "ops", "1": "short"}
_WIDTH, _HEIGHT = 24, 8


def dashboard_json(environment: str, has: frozenset[str]) -> str:
    """Return the dashboard as Grafana imports it; `has` are the metrics that the environment's engines have."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, wanted in _ROWS:
        shown = [kept for group in wanted if (kept := [name for name in group if sources_of(name) <= has])]
        if not shown:
            continue
        panels.append(_row(len(panels) + 1, title, y))
        y += 1
        width = _WIDTH // len(shown)
        for place, names in enumerate(shown):
            panels.append(_panel(len(panels) + 1, names, {"x": place * width, "y": y, "w": width, "h": _HEIGHT}))
        y += _HEIGHT
    board = {
        "title": f"Databases of {environment}",
        "schemaVersion": 39,
        "editable": True,
        "annotations": {"list": []},
        "tags": ["dbops"],
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [_source(), _connections()]},
        "panels": panels,
    }
    return json.dumps(board, indent=2) + "\n"


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": place}


def _source() -> dict[str, Any]:
    return {"name": "source", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _connections() -> dict[str, Any]:
    return {
        "name": "connection",
        "type": "query",
        "label": "Connection",
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "query": {"query": "label_values(dbops_up, connection)", "refId": "connections"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
    }


def _panel(number: int, names: Sequence[str], place: dict[str, int]) -> dict[str, Any]:
    first = FIGURES[names[0]]
    return {
        "id": number,
        "type": "timeseries",
        "title": names[0].removesuffix("_per_second").replace("_", " "),
        "description": first.meaning,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": _UNITS.get(first.unit, "short"), "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "expr": expression(name, '{connection=~"$connection"}'),
                "legendFormat": " ".join(["{{connection}}", *(f"{{{{{label}}}}}" for label in FIGURES[name].labels), name]),
            }
            for at, name in enumerate(names)
        ],
    }
