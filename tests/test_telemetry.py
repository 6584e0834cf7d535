"""What dbops runs, as a program hears of it through the OpenTelemetry that it has set up."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dbops import DatabaseManager
from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.errors import DbopsError, QueryError
from dbops.usecases.apply import Consent, apply
from dbops.usecases.backup.run import run
from dbops.usecases.databases.database import Database as ProgramDatabase
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, SqliteDatabase

SPANS = InMemorySpanExporter()
READER = InMemoryMetricReader()

MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: 'sqlite:///{folder}/shop.db'}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec: {{connection: shop, source: {{sql: [shop.sql]}}}}
---
apiVersion: dbops/v1
kind: BackupPolicy
metadata: {{name: shop}}
spec:
  connection: shop
  storage: {{url: 'file://{folder}/kept'}}
  schedule: [{{type: full, cron: '0 3 * * *'}}]
"""


@pytest.fixture(scope="module", autouse=True)
def listening() -> None:
    """A program sets its providers once."""
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(SPANS))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider(metric_readers=[READER]))


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    SPANS.clear()
    yield SPANS


def of(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def durations(name: str) -> list[Mapping[str, Any]]:
    """Return the attributes of the points of a histogram."""
    data = READER.get_metrics_data()
    assert data is not None
    found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics if m.name == name]
    assert all(m.unit == "s" for m in found)
    return [dict(point.attributes or {}) for m in found for point in m.data.data_points]


def test_statements_of_sessions_are_spans_without_values(database: Database, spans: InMemorySpanExporter) -> None:
    database.load("CREATE TABLE t (id integer PRIMARY KEY, n varchar(20)); INSERT INTO t VALUES (1, 'one'), (2, 'two');")
    manager = DatabaseManager(database.url)
    try:
        spans.clear()
        assert len(manager.execute_query("SELECT id FROM t WHERE n = ? OR n = 'secret' OR id = 2", ("one",))) == 2
        with pytest.raises(QueryError):
            manager.execute_query("SELECT nothing FROM t WHERE n = 'secret'")
    finally:
        manager.disconnect()
    good, bad = (span for span in spans.get_finished_spans() if span.name.startswith("SELECT"))
    system = of(good)["db.system.name"]
    assert system == database.engine or (database.engine == "mysql" and system in ("mysql", "mariadb"))
    assert good.name == f"SELECT {of(good)['db.namespace']}" and good.kind is trace.SpanKind.CLIENT
    assert of(good)["db.operation.name"] == "SELECT" and of(good)["db.response.returned_rows"] == 2
    assert of(good)["db.query.text"] == "SELECT id FROM t WHERE n = ? OR n = ? OR id = ?"
    assert bad.status.status_code is trace.StatusCode.ERROR and of(bad)["error.type"] == "QueryError"
    assert all("secret" not in span.to_json() and not span.events for span in (good, bad))
    points = [one for one in durations("db.client.operation.duration") if one["db.namespace"] == of(good)["db.namespace"]]
    assert {one.get("error.type") for one in points} == {None, "QueryError"}


def pool_numbers(of: str) -> dict[str, float]:
    """Return what is told of a pool: by the instrument's name, and the state where there is one."""
    data = READER.get_metrics_data()
    assert data is not None
    found: dict[str, float] = {}
    for metric in (m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics):
        for point in metric.data.data_points:
            attributes = dict(point.attributes or {})
            if attributes.get("db.client.connection.pool.name") == of:
                name = f"{metric.name} {attributes.get('db.client.connection.state', '')}".strip()
                found[name.removeprefix("db.client.connection.")] = getattr(point, "value", getattr(point, "count", None))
    return found


def test_pools_tell_who_has_their_sessions_and_who_waits(sqlite_database: SqliteDatabase) -> None:
    target = Target("shop", parse_url(sqlite_database.url))
    manager = ProgramDatabase(target, size=1, wait_s=1)
    try:
        manager.run("SELECT 1")
        name = str(sqlite_database.path)
        before = pool_numbers(name)
        assert (before["count idle"], before["count used"], before["max"], before["pending_requests"]) == (1, 0, 1, 0)
        failed: list[DbopsError] = []

        def ask() -> None:
            try:
                manager.run("SELECT 2")
            except DbopsError as error:
                failed.append(error)

        with manager.transaction():
            manager.run("SELECT 3")
            waiter = threading.Thread(target=ask)
            waiter.start()
            during = pool_numbers(name)
            while waiter.is_alive() and not during["pending_requests"]:
                during = pool_numbers(name)
            waiter.join()
        after = pool_numbers(name)
    finally:
        manager.close()
    assert (during["count idle"], during["count used"], during["pending_requests"]) == (0, 1, 1)
    assert (len(failed), after["timeouts"], after["count used"], after["pending_requests"]) == (1, 1, 0, 0)
    assert after["wait_time"] > before["wait_time"] and after["use_time"] > before["use_time"]


def test_a_plan_an_apply_and_a_backup_are_spans_with_what_runs_in_them(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    (tmp_path / "env.yaml").write_text(MANIFEST.format(folder=tmp_path))
    (tmp_path / "shop.sql").write_text("CREATE TABLE t (id integer PRIMARY KEY);")
    SqliteDatabase(tmp_path / "shop.db").load("VACUUM")
    with open_workspace(tmp_path) as workspace:
        plan(workspace)
        apply(workspace, Consent(lambda _: True, allow=frozenset({"all"})), only=["schema/shop"])
    with open_workspace(tmp_path) as workspace:
        run(workspace, "full", None, lambda text: None)
        (tmp_path / "shop.sql").write_text("CREATE TABLE (;")
    with open_workspace(tmp_path) as workspace, pytest.raises(DbopsError):
        plan(workspace)
    names = [span.name for span in spans.get_finished_spans()]
    assert names == ["dbops plan", "dbops steps", "dbops apply", "dbops backup", "dbops plan"]
    _, steps, whole, backup, failed = spans.get_finished_spans()
    assert steps.parent is not None and whole.context is not None and steps.parent.span_id == whole.context.span_id
    assert of(steps)["dbops.connection"] == "shop" and of(backup)["dbops.backup.kind"] == "full"
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert {one["dbops.operation"] for one in durations("dbops.operation.duration")} >= {"plan", "apply", "steps", "backup"}


def test_statements_of_asynchronous_sessions_are_spans(database: Database, spans: InMemorySpanExporter) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from dbops.engines.base.connect import Target
    from dbops.engines.base.sessions import Pooling
    from dbops.engines.base.url import parse_url
    from dbops.usecases.service.pools import open_pool

    async def story() -> None:
        pool = open_pool(Target("shop", parse_url(database.url)), Pooling(size=1))
        try:
            async with pool.engine.connect() as conn:
                await conn.execute(text("SELECT 'secret'"))
                with pytest.raises(DBAPIError):
                    await conn.execute(text("SELECT nothing FROM nowhere"))
        finally:
            await pool.close()

    database.load("CREATE TABLE t (id integer PRIMARY KEY);")
    asyncio.run(story())
    good, bad = [span for span in spans.get_finished_spans() if "SELECT ?" in str(of(span)) or "nowhere" in str(of(span))]
    assert of(good)["db.query.text"] == "SELECT ?" and "error.type" in of(bad)


def test_nothing_of_it_is_loaded_or_measured_where_the_program_did_not(tmp_path: Path) -> None:
    code = (
        "import sys; from dbops import DatabaseManager; m = DatabaseManager(sys.argv[1]); m.execute_query('SELECT 1');"
        " assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code, f"sqlite:///{tmp_path}/t.db"], check=True)
