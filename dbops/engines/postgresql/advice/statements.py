"""Rules about statements, as pg_stat_statements counts them; `{statements}` is the function, in the schema it is in."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.advice import Rule

_FROM = """FROM {statements}(true) AS s
WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"""
_ID = "coalesce(s.queryid::text, 'unknown')"
_TEXT = "left(regexp_replace(s.query, '\\s+', ' ', 'g'), 300)"

RULES: Sequence[Rule] = (
    Rule(
        "PG-STM-001",
        "warning",
        "database",
        "a slow statement",
        f"""
SELECT {_ID}, format('%s ms on average, %s calls: %s', round(s.mean_exec_time::numeric, 1), s.calls, {_TEXT}), NULL
{_FROM} AND s.calls >= :min_calls AND s.mean_exec_time >= :milliseconds ORDER BY s.total_exec_time DESC LIMIT 25""",
        "look at its plan; an index for what it looks for",
        requires=("sessions", "statements"),
        thresholds={"min_calls": 100, "milliseconds": 50},
    ),
    Rule(
        "PG-STM-002",
        "warning",
        "database",
        "a statement that takes most of the time",
        f"""
SELECT id, format('%s%% of the time, %s calls: %s', round(100 * share), calls, text), NULL FROM (
  SELECT {_ID} AS id, s.calls, {_TEXT} AS text, s.total_exec_time / nullif(sum(s.total_exec_time) OVER (), 0) AS share
  {_FROM}) AS q
WHERE share >= :share AND calls >= :min_calls ORDER BY share DESC""",
        "to make it cheaper helps more than anything else",
        requires=("sessions", "statements"),
        thresholds={"share": 0.25, "min_calls": 100},
    ),
    Rule(
        "PG-STM-003",
        "info",
        "database",
        "a statement that spills to disk",
        f"""
SELECT {_ID}, format('%s blocks each time: %s', s.temp_blks_written / s.calls, {_TEXT}), NULL
{_FROM} AND s.calls > 0 AND s.temp_blks_written / s.calls >= :blocks ORDER BY s.temp_blks_written DESC LIMIT 25""",
        "more work_mem for it",
        requires=("sessions", "statements"),
        thresholds={"blocks": 100},
    ),
    Rule(
        "PG-STM-004",
        "info",
        "database",
        "very many reads of single rows",
        f"""
SELECT {_ID}, format('%s calls, %s rows each: %s', s.calls, round(s.rows::numeric / s.calls, 2), {_TEXT}), NULL
{_FROM} AND s.calls >= :min_calls AND s.rows::float8 / s.calls <= 1.01 AND s.mean_exec_time < 1
  AND s.query ~* '^\\s*select\\M' AND s.query ~ '=\\s*\\$' ORDER BY s.calls DESC LIMIT 25""",
        "a loop in the program that could ask once: WHERE ... = ANY ($1)",
        requires=("sessions", "statements"),
        thresholds={"min_calls": 10_000},
    ),
)
