"""A shop at work with faults planted in it: each is found, nothing else is cried, and the advice makes the statement quicker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from dbops.engines.base.connect import Connection, Target, Timeouts
from dbops.engines.base.url import parse_url
from dbops.errors import LostConnectionError
from dbops.usecases import alerts
from dbops.usecases.advise import Finding, advise, source_of
from dbops.usecases.monitor import Reading, metrics_store, read
from dbops.usecases.runtime import engine_for, open_workspace
from dbops.usecases.workload import Wish, costliest
from tests.databases import Database, MysqlDatabase, PostgresDatabase, SqliteDatabase
from tests.servers import MysqlServer, PostgresServer
from tests.servers.alone import alone

pytestmark = pytest.mark.campaign

ENVIRONMENT = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: '{url}'}}
---
apiVersion: dbops/v1
kind: AlertPolicy
metadata: {{name: shop}}
spec:
  connection: shop
  packs: [essentials]
  rules: [{{name: blocked, metric: longest_block_seconds, above: 0.5, severity: error, summary: somebody waits}}]
"""

TABLES = """\
CREATE TABLE customers (id integer PRIMARY KEY, email varchar(50) NOT NULL);
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer NOT NULL, reference integer NOT NULL, total integer NOT NULL);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_customer_again ON orders (customer_id);
"""
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT"
ROWS = {
    "postgresql": "SELECT i, i % 500, i, i FROM generate_series(1, 100000) AS i",
    "mysql": "SELECT a.i + 1000 * b.i, a.i % 500 + 1, a.i + 1000 * b.i, a.i FROM thousand AS a JOIN thousand AS b ON b.i < 100",
    "sqlite": f"{NUMBERS.format(100000)} i, i % 500, i, i FROM n",
}
MISSING = "SELECT total FROM orders WHERE reference = {};"
USUAL = "SELECT email FROM customers WHERE id = {0}; SELECT sum(total) FROM orders WHERE customer_id = {0};"
SLOW = {"postgresql": "SELECT pg_sleep(3);", "mysql": "SELECT SLEEP(3);"}
FOUND = {
    "postgresql": {
        ("PG-IDX-002", "public.orders_customer_again"),
        ("PG-IDX-008", "public.orders (reference)"),
        ("PG-TBL-002", "public.orders"),  # what the missing index makes of it
    },
    "mysql": {("MY-IDX-001", "orders.orders_customer_again"), ("MY-IDX-004", "orders (reference)")},
    "sqlite": {("LT-IDX-001", "orders.orders_customer_again"), ("LT-IDX-004", "orders (reference)")},
}


@contextmanager
def shop(engine: str, folder: Path) -> Iterator[Database]:
    """Give a database on a server that counts statements, with rows and without statistics that are too old."""
    with ExitStack() as stack:
        database: Database
        if engine == "postgresql":
            postgres = stack.enter_context(alone(PostgresServer, {"shared_preload_libraries": "pg_stat_statements"}))
            database = PostgresDatabase(postgres, postgres.new_database())
            database.load("CREATE EXTENSION pg_stat_statements;")
        elif engine == "mysql":
            mysql = stack.enter_context(alone(MysqlServer, {"performance_schema": "ON"}))
            database = MysqlDatabase(mysql, mysql.new_database())
        else:
            database = SqliteDatabase(folder / "shop.db")
        database.load(TABLES + _thousand(engine))
        database.load(f"INSERT INTO orders {ROWS[engine]};")
        database.load("INSERT INTO customers SELECT id, 'a@b.c' FROM orders WHERE id <= 500 AND id > 0;")
        database.load(
            {"postgresql": "VACUUM ANALYZE;", "mysql": "DROP TABLE thousand; ANALYZE TABLE orders, customers;"}.get(
                engine, "ANALYZE;"
            )
        )
        yield database


def _thousand(engine: str) -> str:
    if engine != "mysql":
        return ""
    digits = " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10))
    rows = f"SELECT a.d + 10 * b.d + 100 * c.d FROM ({digits}) AS a JOIN ({digits}) AS b JOIN ({digits}) AS c"
    return f"CREATE TABLE thousand (i integer PRIMARY KEY); INSERT INTO thousand {rows};"


@pytest.mark.parametrize("engine", ["postgresql", "mysql", "sqlite"])
def test_planted_faults_are_found_and_nothing_else_is_cried(engine: str, tmp_path: Path) -> None:
    with shop(engine, tmp_path) as database:
        (tmp_path / "env.yaml").write_text(ENVIRONMENT.format(url=database.url))
        asked = tmp_path / "asked.sql"
        asked.write_text("\n".join(MISSING.format(n) for n in range(60)))
        with open_workspace(tmp_path) as workspace, metrics_store(workspace, None) as store:
            read(workspace, store)
            _work(database)
            (advised,) = advise(workspace, least="warning", source=source_of(asked if engine == "sqlite" else None, 20_000))
            found = {
                (verdict.rule.id, finding.object): finding
                for verdict in advised.verdicts
                if verdict.rule.scope == "object"
                for finding in verdict.findings
            }
            assert found.keys() == FOUND[engine]
            if engine != "sqlite":
                wish = Wish(by="mean", limit=1, since_s=600)
                (by_mean,) = costliest(workspace, store, wish, now=time.time())
                assert "sleep" in by_mean.workload.statements[0].text.lower()
                (reading, firing) = _while_blocked(database, tmp_path)
                assert sorted(bool(one.blocked_by) for one in reading.blocked) == [False, True]
                assert firing == {"blocked"}
            (policy,) = alerts.check(workspace, store, notify=False)
            assert {alert.rule for alert in policy.alerts if alert.state == "firing"} <= {"idle"}
        missing = next(finding for (rule, _), finding in found.items() if "reference" in finding.object)
        _must_be_ten_times_quicker(database, missing)


def _work(database: Database) -> None:
    rounds = [USUAL.format(n % 499 + 1) + MISSING.format(n) for n in range(60)]
    clients = [threading.Thread(target=database.load, args=("".join(rounds),)) for _ in range(3)]
    for client in clients:
        client.start()
    if database.engine in SLOW:
        database.load(SLOW[database.engine] * 2)
    for client in clients:
        client.join(60)


def _run(conn: Connection, sql: str) -> None:
    """Wait until it runs, or until the session is closed, for enough was seen."""
    with suppress(LostConnectionError):
        conn.execute(sql)


def _while_blocked(database: Database, folder: Path) -> tuple[Reading, set[str]]:
    """Look while one session keeps another waiting, until the wait is long enough to be an alert."""
    change = "UPDATE orders SET total = 0 WHERE id = 1"
    target = Target("shop", parse_url(database.url), timeouts=Timeouts(lock_s=60))
    engine = engine_for(target.url)
    with ExitStack() as stack:
        holder, waiter = (stack.enter_context(closing(engine.connect(target))) for _ in range(2))
        waiting = threading.Thread(target=_run, args=(waiter, change))
        with holder.transaction():
            holder.execute(change)
            waiting.start()
            try:
                for _ in range(100):
                    with open_workspace(folder) as workspace, metrics_store(workspace, None) as store:
                        (policy,) = alerts.check(workspace, store, notify=False)
                        (reading,) = read(workspace, store)
                    firing = {alert.rule for alert in policy.alerts if alert.state == "firing"}
                    if firing and reading.blocked:
                        return reading, firing
                    time.sleep(0.2)
            finally:
                holder.execute("SELECT 1")
        waiting.join(60)
    raise AssertionError("nobody was seen waiting")


def _must_be_ten_times_quicker(database: Database, finding: Finding) -> None:
    def took_s() -> float:
        query = MISSING.format(4321).rstrip(";")
        times = []
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(20):
                conn.query(query)
            times.append(time.perf_counter() - started)
        return min(times)

    target = Target("shop", parse_url(database.url))
    engine = engine_for(target.url)
    with closing(engine.connect(target)) as conn:
        before = took_s()
        database.load(f"{finding.sql};")
        after = took_s()
    assert after < before / 10, (before, after)
