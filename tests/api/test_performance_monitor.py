"""Monitoring from Python: live databases of each engine, numbers that programs bring, and what is said of both."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbops import (
    DatabaseMetrics,
    DatabaseMonitor,
    DatabasePerformanceMonitor,
    PerformanceMonitor,
    monitor_database,
    optimize_database,
)
from dbops.errors import MonitoringError, QueryError
from tests.databases import Database, PostgresDatabase, SqliteDatabase

ITEMS = "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(40)); INSERT INTO items VALUES (1, 'a'), (2, 'b');"


def test_the_class_has_three_names() -> None:
    assert DatabaseMonitor is PerformanceMonitor is DatabasePerformanceMonitor


def test_a_database_is_looked_at_live(database: Database, tmp_path: Path) -> None:
    database.load(ITEMS)
    with DatabaseMonitor(tmp_path, database.url) as monitor:
        seen = monitor.collect(database.url, settle_s=0.05)
        assert isinstance(seen, DatabaseMetrics)
        assert abs(datetime.now(UTC) - seen.timestamp) < timedelta(minutes=5)
        has_server = database.engine != "sqlite"
        assert isinstance(seen.connections_active, int) == has_server
        assert (seen.disk_io_mb is not None) == has_server
        assert seen.average_query_time_ms is not None and seen.average_query_time_ms > 0
        stats = monitor.get_database_stats()
        assert stats.figures["database_size_bytes"] > 0 and stats["database_type"] == database.engine
        assert len(monitor.get_performance_history(database.url, days=1)) == (3 if has_server else 2)


def test_sessions_that_a_server_has_are_counted(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    with pg_database.server.connect(pg_database.name), DatabaseMonitor(tmp_path, pg_database.url) as monitor:
        assert (monitor.collect(settle_s=0).connections_idle or 0) >= 1


def test_what_was_seen_is_there_for_another_program_and_by_the_name_of_the_database(
    sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    sqlite_database.load(ITEMS)
    name = sqlite_database.path.stem
    DatabaseMonitor(tmp_path, sqlite_database.url).collect(name)
    found = DatabaseMonitor(tmp_path).analyze_database_performance(name)
    assert found["metrics_count"] == 1 and found["query_time_stats"]["count"] == 1
    assert found["connections_stats"] == {"count": 0, "mean": None, "median": None, "min": None, "max": None, "p95": None}


def test_two_files_of_one_name_have_two_histories(tmp_path: Path) -> None:
    urls = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        SqliteDatabase(tmp_path / folder / "app.db").load("CREATE TABLE t (id INTEGER)")
        urls.append(f"sqlite:///{tmp_path / folder / 'app.db'}")
    assert [monitor_database(url, tmp_path)["metrics_count"] for url in urls] == [1, 1]


def test_a_password_is_not_kept_or_shown(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    url = pg_database.server.tcp_url(pg_database.name)
    monitor = DatabaseMonitor(tmp_path, url)
    seen = [monitor.collect(settle_s=0), monitor.get_performance_report(url), monitor.get_performance_history(url)]
    monitor.record_database_metrics(url, {"cache_hit_ratio": 0.1, "connections_active": 10_000})
    seen += [monitor.check_alerts(url), monitor.analyze_database_performance(url)]
    kept = (tmp_path / ".dbops" / "metrics.db").read_bytes() + repr(seen).encode()
    assert b"***" in kept and url.split(":")[2].split("@")[0].encode() not in kept


def test_a_connection_of_the_workspace_is_known_by_its_name(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load(ITEMS)
    manifest = f"apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: shop}}\nspec: {{url: '{sqlite_database.url}'}}\n"
    (tmp_path / "shop.yaml").write_text(manifest)
    assert monitor_database("shop", tmp_path)["metrics_count"] >= 1
    assert optimize_database("shop", tmp_path)["database_performance"]["metrics_count"] >= 1


def test_a_policy_of_the_workspace_says_what_an_alert_is(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load(ITEMS)
    (tmp_path / "shop.yaml").write_text(f"""\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: '{sqlite_database.url}'}}
---
apiVersion: dbops/v1
kind: AlertPolicy
metadata: {{name: size}}
spec:
  connection: shop
  rules: [{{name: large, metric: database_size_bytes, above: 1KiB, severity: error, summary: "the disk fills: delete rows"}}]
""")
    (alert,) = DatabaseMonitor(tmp_path).check_alerts("shop")
    assert (alert.alert_id, alert.severity, alert.metric_name) == ("shop:large", "error", "database_size_bytes")
    assert alert.threshold_value == 1024 and (alert.current_value or 0) > 1024
    assert alert.resolution_suggestions == ["delete rows"]


def test_a_database_that_cannot_be_reached_is_an_error(tmp_path: Path) -> None:
    gone = f"sqlite:///{tmp_path / 'gone.db'}"
    with pytest.raises(MonitoringError, match="does not exist"):
        monitor_database(gone, tmp_path)
    (alert,) = DatabaseMonitor(tmp_path, gone).check_alerts("gone")
    assert (alert.metric_name, alert.current_value, alert.severity) == ("up", 0, "critical")
    with pytest.raises(MonitoringError, match="'app' leads to no database"):
        DatabaseMonitor(tmp_path).collect("app")
    with pytest.raises(MonitoringError, match="no database is named"):
        DatabaseMonitor(tmp_path).collect()


# --- numbers of programs


def test_nothing_was_seen(tmp_path: Path) -> None:
    place = tmp_path / "perf_data"
    nothing = {"metrics_count": 0, "message": "No database metrics found for analysis"}
    assert monitor_database("my_database", workspace_dir=str(place)).items() >= nothing.items()
    report = optimize_database("my_database", workspace_dir=str(place))
    assert report["database_performance"].items() >= nothing.items()
    assert (report["alerts"], report["active_alerts"], report["recommendations"]) == ([], 0, [])
    assert report["query_performance"]["queries_analyzed"] == 0
    assert not place.exists()


def test_numbers_of_a_program_are_kept_and_summed_up(tmp_path: Path) -> None:
    with DatabaseMonitor(tmp_path) as monitor:
        for number in range(1, 6):
            monitor.record_database_metrics(
                "app",
                {
                    "connections_active": number,
                    "connections_idle": 2,
                    "queries_per_second": 10.0 * number,
                    "average_query_time_ms": 4.0,
                    "cache_hit_ratio": 0.99,
                    "disk_io_mb": 1.5,
                    "timestamp": datetime.now(UTC) - timedelta(minutes=number),
                },
            )
    found = DatabaseMonitor(tmp_path).analyze_database_performance("app", hours=1)
    assert found["metrics_count"] == 5 and found["performance_issues"] == []
    assert found["connections_stats"] == {"count": 5, "mean": 3, "median": 3, "min": 1, "max": 5, "p95": pytest.approx(4.8)}
    assert found["query_rate_stats"]["max"] == 50 and found["query_time_stats"]["mean"] == pytest.approx(4.0)
    history = DatabaseMonitor(tmp_path).get_performance_history("app", days=1)
    assert [one["connections_active"] for one in history] == [5, 4, 3, 2, 1]
    assert history[0]["disk_io_mb"] == pytest.approx(1.5)
    assert DatabaseMonitor(tmp_path).analyze_database_performance("app", hours=0.001)["metrics_count"] == 0


def test_numbers_that_are_wrong_are_alerts_and_issues(tmp_path: Path) -> None:
    monitor = DatabaseMonitor(tmp_path)
    monitor.record_database_metrics("app", {"average_query_time_ms": 2500, "cache_hit_ratio": 0.5, "connections_active": 90})
    alerts = {alert.metric_name: alert for alert in monitor.check_alerts("app")}
    assert set(alerts) == {"average_query_time_ms", "cache_hit_ratio", "connections_active"}
    slow = alerts["average_query_time_ms"]
    assert (slow.current_value, slow.threshold_value, slow.alert_id) == (2500, 1000, "app:slow-statements")
    issues = monitor.analyze_database_performance("app")["performance_issues"]
    assert {issue["type"] for issue in issues} == {"slow-statements", "cache", "sessions-at-work"}
    assert all(set(issue) == {"type", "severity", "description", "impact", "recommendations"} for issue in issues)
    report = monitor.get_performance_report("app")
    assert report["active_alerts"] == 3 and json.dumps(report)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"cache_hits": 1}, "unknown metric 'cache_hits'"),
        ({"cache_hit_ratio": "0.9"}, "cache_hit_ratio is '0.9'"),
        ({"queries_per_second": float("nan")}, "queries_per_second is nan"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, metrics: dict[str, object], message: str) -> None:
    with pytest.raises(MonitoringError, match=message):
        DatabaseMonitor(tmp_path).record_database_metrics("app", metrics)
    with pytest.raises(MonitoringError, match="execution_time_ms is None"):
        DatabaseMonitor(tmp_path).record_query_metrics("a", {})
    assert not (tmp_path / ".dbops").exists()


# --- statements


def test_statements_of_a_program_are_analysed_by_kind(tmp_path: Path) -> None:
    with DatabaseMonitor(tmp_path) as monitor:
        for took in (1, 2, 3, 2000):
            monitor.record_query_metrics("a", {"query_text": "select 1 -- one", "execution_time_ms": took, "index_used": True})
        monitor.record_query_metrics("b", {"query_type": "INSERT", "execution_time_ms": 5, "rows_affected": 7})
    monitor = DatabaseMonitor(tmp_path)
    found = monitor.analyze_query_performance(hours=1)
    assert found["queries_analyzed"] == 5 and set(found["query_types"]) == {"SELECT", "INSERT"}
    assert found["query_types"]["SELECT"] == {
        "count": 4,
        "avg_time_ms": pytest.approx(501.5),
        "median_time_ms": pytest.approx(2.5),
        "min_time_ms": pytest.approx(1),
        "max_time_ms": pytest.approx(2000),
        "slow_queries": 1,
    }
    (slow,) = found["slow_queries"]
    assert slow["query_hash"] == "a" and slow["query_text"] == "select 1 -- one"
    assert set(slow) == {"query_hash", "execution_time_ms", "query_type", "timestamp", "query_text"}
    (slowest,) = monitor.analyze_slow_queries(0.4)
    assert (slowest["query_hash"], slowest.calls, slowest.source) == ("a", 4, "recorded")
    assert monitor.analyze_slow_queries() == []


@pytest.mark.parametrize("wrong", [{}, {"rows_affected": None}, {"timestamp": "yesterday"}, {"by": object()}])
def test_a_run_that_cannot_be_kept_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    metrics = wrong and {"execution_time_ms": 1.0, **wrong}
    with DatabaseMonitor(tmp_path) as monitor:
        with pytest.raises(MonitoringError, match=next(iter(wrong), "execution_time_ms")):
            monitor.record_query_metrics("a", metrics)
        assert monitor.analyze_query_performance()["queries_analyzed"] == 0


def test_a_statement_is_run_and_timed(database: Database, tmp_path: Path) -> None:
    database.load(ITEMS)
    with DatabaseMonitor(tmp_path, database.url) as monitor:
        one = monitor.monitor_query_performance("SELECT name FROM items WHERE id = ?", (2,))
        assert (one.query_type, one.rows_affected) == ("SELECT", 1) and one.execution_time_ms > 0
        assert monitor.analyze_slow_queries(0.0)[-1].query_text
        with pytest.raises(QueryError):
            monitor.monitor_query_performance("SELECT nothing FROM items")
        assert monitor.analyze_query_performance()["queries_analyzed"] == 1


# --- recommendations


def test_what_would_be_better_is_recommended_and_what_is_safe_of_it_carried_out(database: Database, tmp_path: Path) -> None:
    database.load("CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER); CREATE INDEX a1 ON a (b); CREATE INDEX a2 ON a (b);")
    report = optimize_database(database.url, tmp_path, apply=True)
    found = next(one for one in report["recommendations"] if "a1" in str(one["sql"]) or "a2" in str(one["sql"]))
    assert set(found) == {"rule", "severity", "description", "object", "remedy", "sql", "is_safe"}
    is_left = [one["rule"] for one in report["applied"]["left"]]
    assert (found["rule"] in is_left) != found["is_safe"] and json.dumps(report)
    again = optimize_database(database.url, tmp_path)["recommendations"]
    assert [one for one in again if one["is_safe"] and one["sql"]] == []
    with pytest.raises(MonitoringError, match="leads to no database"):
        optimize_database("my_database", tmp_path, apply=True)
