"""Monitoring from Python: databases looked at live, numbers that programs bring, alerts, slow statements, recommendations.

A database is named by its URL, by the name of its file or database where the monitor has its `database_url`, or by a Connection
of an environment in the workspace. Any other name is that of numbers which the program brings itself. What was seen stays in
`.dbops/metrics.db` of the workspace, which `dbops monitor` keeps too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbops.api.performance_data import (
    FIGURES,
    SLOW_S,
    DatabaseMetrics,
    DatabaseStats,
    PerformanceAlert,
    QueryMetrics,
    SlowQuery,
    alert_of,
    issue_of,
    kind_stats,
    metrics_of,
    moment_at,
    number_of,
    query_metrics_of,
    recommendation_of,
    seconds_of,
    slow_query_of,
    stats_of,
)
from dbops.arguments import checked
from dbops.errors import MonitoringError

if TYPE_CHECKING:
    from dbops.usecases.performance.moments import Moment
    from dbops.usecases.performance.statements import Timing, Timings

__all__ = [
    "DatabaseMetrics",
    "DatabaseMonitor",
    "DatabasePerformanceMonitor",
    "DatabaseStats",
    "PerformanceAlert",
    "PerformanceMonitor",
    "QueryMetrics",
    "SlowQuery",
    "monitor_database",
    "optimize_database",
]

_HOUR_S = 3600
_NO_METRICS = "No database metrics found for analysis"


@checked
class DatabasePerformanceMonitor:
    """What databases do, as looks and programs tell it, kept in a workspace; for any number of threads.

    `workspace_dir` defaults to the working directory. `database_url` is the database of what names none. What programs record
    of statements stays for `keep_days`; looks are kept as `dbops monitor` keeps them, 400 days in ever longer steps.
    """

    def __init__(
        self, workspace_dir: str | Path | None = None, database_url: str | None = None, *, keep_days: float = 30.0
    ) -> None:
        self.workspace_dir: Path = Path(workspace_dir or Path.cwd())
        self.database_url = database_url
        self.keep_days = keep_days
        self._open: Timings | None = None

    # --- what programs bring

    def record_query_metrics(self, query_hash: str, query_metrics: Mapping[str, Any]) -> None:
        """Keep one run of a statement.

        `execution_time_ms` is required; `query_text`, `query_type`, `rows_affected` and `timestamp` are known besides, and
        whatever else is given is kept as it is, if JSON can say it.

        Raises:
            MonitoringError: the time is missing, or no number that a time can be; or JSON cannot say something else.
        """
        from dbops.usecases.performance.statements import Timing, kind_of

        known = dict(query_metrics)
        took_ms = number_of("execution_time_ms", known.pop("execution_time_ms", None))
        text = str(known.pop("query_text", ""))
        kind = str(known.pop("query_type", "") or kind_of(text, self.database_url)).upper()
        rows, at = int(number_of("rows_affected", known.pop("rows_affected", 0))), seconds_of(known.pop("timestamp", None))
        try:
            json.dumps(known)
        except (TypeError, ValueError) as error:
            raise MonitoringError(f"{', '.join(map(str, known))}: {error}", expected="what JSON can say") from error
        self._timings().keep(Timing(at, query_hash, text, kind, took_ms / 1000, rows, known))

    def record_database_metrics(self, database_name: str, metrics: Mapping[str, Any]) -> None:
        """Keep numbers of a database under the names of `DatabaseMetrics`, all of them or some; `timestamp` is now unless given.

        Raises:
            MonitoringError: an unknown name, or a value that is no number.
        """
        from dbops.usecases.performance.moments import Moment, keep

        at = seconds_of(metrics.get("timestamp"))
        given = {name: value for name, value in metrics.items() if name != "timestamp" and value is not None}
        if unknown := sorted(set(given) - set(FIGURES)):
            raise MonitoringError(f"unknown metric {unknown[0]!r}", expected=f"one of {', '.join(FIGURES)}")
        figures = {FIGURES[name][0]: number_of(name, value) * FIGURES[name][1] for name, value in given.items()}
        keep(self.workspace_dir, database_name, Moment(at, figures))

    def monitor_query_performance(self, query: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> QueryMetrics:
        """Run a statement on the monitor's database, time it, and keep that; what it changes is committed.

        Raises:
            MonitoringError: the monitor has no `database_url`.
            QueryError: the database refused the statement; nothing is kept.
        """
        from dbops.api.db_manager import connect_database
        from dbops.usecases.performance.statements import Timing, id_of, kind_of

        url = self._required_url()
        connection = connect_database(url)
        try:
            started = time.perf_counter()
            rows = connection.execute_query(query, params)
            took_s = time.perf_counter() - started
        finally:
            connection.disconnect()
        timing = Timing(time.time(), id_of(query), query, kind_of(query, url), took_s, len(rows))
        self._timings().keep(timing)
        return query_metrics_of(timing)

    # --- databases

    def collect(self, database_name: str | None = None, *, settle_s: float = 1.0) -> DatabaseMetrics:
        """Look at a database now, keep what was seen, and return it.

        Rates are those since the look before; where there was none, a server is looked at twice, `settle_s` seconds apart.

        Raises:
            MonitoringError: the name leads to no database, or it cannot be looked at.
        """
        from dbops.usecases.performance.moments import look, moment_of

        database = self._named(database_name)
        reading = look(self.workspace_dir, database, self.database_url, settle_s=settle_s)
        if reading is None:
            raise _out_of_reach(database)
        return metrics_of(reading.connection, moment_of(reading))

    def get_database_stats(self, database_name: str | None = None) -> DatabaseStats:
        """Look at a database now, and return all that it tells.

        Raises:
            MonitoringError: the name leads to no database, or it cannot be looked at.
        """
        from dbops.usecases.performance.moments import look

        database = self._named(database_name)
        reading = look(self.workspace_dir, database, self.database_url)
        if reading is None:
            raise _out_of_reach(database)
        figures: dict[str, float] = {}
        tables: dict[str, dict[str, float]] = {}
        for number in reading.numbers:
            if not number.labels:
                figures[number.figure] = number.number
            elif set(number.labels) == {"table"}:
                tables.setdefault(number.labels["table"], {})[number.figure] = number.number
        unseen = {one.metric: f"{one.why}; {one.fix}" if one.fix else one.why for one in reading.unseen}
        return DatabaseStats(reading.connection, reading.engine, moment_at(reading.at), figures, tables, unseen)

    def analyze_database_performance(self, database_name: str, hours: float = 24) -> dict[str, Any]:
        """Return what the last hours say of a database, by what was kept.

        `{database_name, analysis_period_hours, metrics_count, connections_stats, query_rate_stats, query_time_stats,
        performance_issues: [{type, severity, description, impact, recommendations}]}`. Each of the stats is `{count, mean,
        median, min, max, p95}`, times in milliseconds, `count` 0 and the others None where the database does not show it. Issues
        are those of the last moment. Nothing was kept: `metrics_count` 0 and a `message`.
        """
        found, shown = self._moments(database_name, hours), _shown(database_name)
        answer = {"database_name": shown, "analysis_period_hours": hours, "metrics_count": len(found)}
        if not found:
            return answer | {"message": _NO_METRICS}
        from dbops.usecases.performance.judging import broken_then

        metrics = [metrics_of(shown, moment) for moment in found]
        return answer | {
            "connections_stats": stats_of([one.connections_active for one in metrics]),
            "query_rate_stats": stats_of([one.queries_per_second for one in metrics]),
            "query_time_stats": stats_of([one.average_query_time_ms for one in metrics]),
            "performance_issues": [issue_of(one) for one in broken_then(shown, found[-1])],
        }

    def get_performance_history(self, database_name: str, days: float = 7) -> list[dict[str, Any]]:
        """Return the fields of `DatabaseMetrics` for every moment of the last days that is kept, in the order of time."""
        shown = _shown(database_name)
        return [asdict(metrics_of(shown, moment)) for moment in self._moments(database_name, days * 24)]

    def check_alerts(self, database_name: str) -> list[PerformanceAlert]:
        """Return the rules that a database breaks: looked at now, or by the last numbers that a program brought within a day.

        The rules are those of the workspace's AlertPolicies where some watch it, else the pack `essentials`. Nobody is told.
        """
        from dbops.usecases.performance.judging import broken_now, broken_then

        shown = _shown(database_name)
        broken = broken_now(self.workspace_dir, database_name, self.database_url)
        if broken is None:
            last = self._moments(database_name, 24)[-1:]
            broken = [one for moment in last for one in broken_then(shown, moment)]
        return [alert_of(shown, one) for one in broken]

    def get_performance_report(self, database_name: str) -> dict[str, Any]:
        """Return all of it, ready for JSON.

        `{database_name, report_timestamp, query_performance, database_performance, active_alerts, alerts, recommendations:
        [{rule, severity, description, object, remedy, sql, is_safe}]}`. A database that can be reached is looked at, and asked by
        the rules of `dbops advise`.
        """
        from dbops.usecases.performance.advising import recommendations

        alerts = [asdict(one) | {"timestamp": one.timestamp.isoformat()} for one in self.check_alerts(database_name)]
        performance = self.analyze_database_performance(database_name)
        advised = recommendations(self.workspace_dir, database_name, self.database_url) or ()
        return {
            "database_name": _shown(database_name),
            "report_timestamp": datetime.now(UTC).isoformat(),
            "query_performance": self.analyze_query_performance(),
            "database_performance": performance,
            "active_alerts": len(alerts),
            "alerts": alerts,
            "recommendations": [recommendation_of(one) for one in advised],
        }

    # --- statements

    def analyze_query_performance(self, hours: float = 24) -> dict[str, Any]:
        """Return what the recorded statements of the last hours took.

        `{analysis_period_hours, queries_analyzed, query_types: {SELECT: {count, avg_time_ms, median_time_ms, min_time_ms,
        max_time_ms, slow_queries}}, slow_queries: [{query_hash, execution_time_ms, query_type, timestamp, query_text}]}`: slow is
        what took a second and more, the slowest first.
        """
        timings = self._kept_timings(hours)
        by_kind: dict[str, list[Timing]] = {}
        for timing in timings:
            by_kind.setdefault(timing.kind, []).append(timing)
        slow = sorted((one for one in timings if one.took_s >= SLOW_S), key=lambda one: -one.took_s)
        return {
            "analysis_period_hours": hours,
            "queries_analyzed": len(timings),
            "query_types": {kind: kind_stats(of) for kind, of in sorted(by_kind.items())},
            "slow_queries": [
                {
                    "query_hash": one.statement,
                    "execution_time_ms": one.took_s * 1000,
                    "query_type": one.kind,
                    "timestamp": moment_at(one.at).isoformat(),
                    "query_text": one.text,
                }
                for one in slow
            ],
        }

    def analyze_slow_queries(self, threshold: float = 1.0) -> list[SlowQuery]:
        """Return the statements whose mean is at least `threshold` seconds, the slowest first.

        Those that programs recorded as long as they are kept, and those that the server of the monitor's database counts
        (`pg_stat_statements`, `performance_schema`).

        Raises:
            MonitoringError: the database cannot be looked at.
        """
        from dbops.usecases.performance.statements import counted, kind_of

        by_statement: dict[str, list[Timing]] = {}
        for timing in self._kept_timings(self.keep_days * 24):
            by_statement.setdefault(timing.statement, []).append(timing)
        found = [slow for of in by_statement.values() if (slow := slow_query_of(of)).execution_time_ms >= threshold * 1000]
        if self.database_url is not None:
            url = self.database_url
            found += [
                SlowQuery(
                    *(one.id, one.text, kind_of(one.text, url), one.calls),
                    *(one.mean_s * 1000, (one.most_s or 0.0) * 1000, one.total_s * 1000),
                    "server",
                )
                for one in counted(self.workspace_dir, url, None, threshold)
            ]
        return sorted(found, key=lambda one: -one.execution_time_ms)

    def close(self) -> None:
        """Close the workspace's files; the next call opens them again."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def __enter__(self) -> DatabasePerformanceMonitor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _timings(self) -> Timings:
        if self._open is None:
            from dbops.usecases.performance.statements import timings_in

            self._open = timings_in(self.workspace_dir, self.keep_days * 24 * _HOUR_S)
        return self._open

    def _kept_timings(self, hours: float) -> list[Timing]:
        from dbops.usecases.performance.statements import is_anything_kept

        return self._timings().since(time.time() - hours * _HOUR_S) if is_anything_kept(self.workspace_dir) else []

    def _moments(self, database_name: str, hours: float) -> list[Moment]:
        from dbops.usecases.performance.moments import moments

        now = time.time()
        return moments(self.workspace_dir, database_name, now - hours * _HOUR_S, now)

    def _named(self, database_name: str | None) -> str:
        return database_name if database_name is not None else self._required_url()

    def _required_url(self) -> str:
        if self.database_url is None:
            raise MonitoringError("no database is named", fix="give the monitor a database_url, or name a database")
        return self.database_url


DatabaseMonitor = PerformanceMonitor = DatabasePerformanceMonitor


@checked
def monitor_database(database_name: str, workspace_dir: str | Path | None = None) -> dict[str, Any]:
    """Return what the last day says of a database; a URL, or a Connection of the workspace, is looked at first.

    See `DatabasePerformanceMonitor.analyze_database_performance`.

    Raises:
        MonitoringError: it cannot be looked at.
    """
    from dbops.usecases.performance.moments import look

    with DatabasePerformanceMonitor(workspace_dir) as monitor:
        look(monitor.workspace_dir, database_name, None)
        return monitor.analyze_database_performance(database_name)


@checked
def optimize_database(database_name: str, workspace_dir: str | Path | None = None, *, apply: bool = False) -> dict[str, Any]:
    """Return the report of a database with what would make it better; with `apply`, carry out what is safe of that.

    See `DatabasePerformanceMonitor.get_performance_report`; `apply` adds `applied: {done, files, left: [{rule, object, why,
    fix}]}`: steps that ran, files of a Schema that were edited first, and what was left for a person. Safe is what loses nothing
    and keeps nobody waiting. The report is that of before.

    Raises:
        MonitoringError: it cannot be looked at, or with `apply` the name leads to no database.
        HazardError: what a Schema of the workspace would be applied with needs approval; nothing was done.
        ApplyError: a step failed; the journal of the database says what stands.
    """
    with DatabasePerformanceMonitor(workspace_dir) as monitor:
        report = monitor.get_performance_report(database_name)
        return report | {"applied": _applied(monitor.workspace_dir, database_name)} if apply else report


def _applied(workspace_dir: Path, database_name: str) -> dict[str, Any]:
    from dbops.usecases.performance.advising import mend_what_is_safe

    mended = mend_what_is_safe(workspace_dir, database_name, None)
    if mended is None:
        raise _out_of_reach(database_name)
    left = [dict(zip(("rule", "object", "why", "fix"), one, strict=True)) for one in mended.left]
    return {"done": list(mended.done), "files": list(mended.files), "left": left}


def _shown(database: str) -> str:
    """Return the name of a database as answers have it: a URL without its password."""
    from dbops.usecases.performance.places import name_of

    return name_of(database)


def _out_of_reach(database: str) -> MonitoringError:
    expected = "a URL, the name of the monitor's database_url, or a Connection of the workspace"
    return MonitoringError(f"{database!r} leads to no database", expected=expected)
