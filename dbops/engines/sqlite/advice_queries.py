"""Rules about the plans of single statements, by the words of EXPLAIN QUERY PLAN (https://www.sqlite.org/eqp.html)."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.advice import Rule

SCAN, AUTOMATIC, SORT, CORRELATED = "LT-QRY-001", "LT-QRY-002", "LT-QRY-003", "LT-QRY-004"
_LARGE = {"rows": 10_000.0}

QUERIES: Sequence[Rule] = (
    Rule(
        SCAN,
        "info",
        "database",
        "a statement that reads a whole table",
        "",
        "an index for what it looks for (LT-IDX-004), unless it wants every row",
        thresholds=_LARGE,
    ),
    Rule(
        AUTOMATIC,
        "warning",
        "database",
        "a statement that builds an index each time it runs",
        "",
        "keep the index: the planner found it worth building for one run",
    ),
    Rule(
        SORT,
        "info",
        "database",
        "a statement that sorts many rows",
        "",
        "an index in the order that it wants",
        thresholds=_LARGE,
    ),
    Rule(
        CORRELATED,
        "info",
        "database",
        "a subquery that runs for each row",
        "",
        "a join, or an index that makes each run cheap",
    ),
)
