"""What is seen of a server that counts statements (performance_schema)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from dbops.engines.base.advice import Verdict
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.url import parse_url
from dbops.engines.base.workload import NOT_PLANNED, Before, costs_between
from dbops.usecases.advise import advise, source_of
from dbops.usecases.runtime import engine_for, open_workspace
from tests.engines.three_states import sees_what_is_true_and_all_once_granted
from tests.servers import MysqlServer
from tests.servers.alone import alone
from tests.servers.mysql_makes import chosen_make

SETTINGS = {"performance_schema": "ON", "tmp_table_size": "16384", "max_heap_table_size": "16384"}
SPILLS = {"mariadb": {"tmp_memory_table_size": "16384"}, "mysql": {"internal_tmp_mem_storage_engine": "MEMORY"}}
"""What else lets temporary tables outgrow their memory."""

REMEMBERS = "UPDATE performance_schema.setup_consumers SET enabled = 'YES' WHERE name LIKE 'events\\_statements\\_%'"


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with alone(MysqlServer, SETTINGS | SPILLS[chosen_make().name]) as made:
        made.rows("mysql", "CREATE DATABASE shop")
        made.client(
            "shop",
            """
            CREATE TABLE numbers (n int PRIMARY KEY);
            INSERT INTO numbers WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 1000) SELECT n FROM r;
            CREATE TABLE visits (id int PRIMARY KEY, person int NOT NULL, at int NOT NULL, note varchar(200), KEY unused (at));
            INSERT INTO visits SELECT 1000 * a.n + b.n, (1000 * a.n + b.n) % 1500, b.n, REPEAT('x', 150)
              FROM numbers AS a JOIN numbers AS b ON a.n <= 15;
            ANALYZE TABLE visits;
            CREATE TABLE t (id int PRIMARY KEY, n int);
            INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
            """,
        )
        yield made


def ask(server: MysqlServer, id_: str, **thresholds: float) -> Verdict:
    target = Target("watched", parse_url(server.url("shop")))
    engine = engine_for(target.url)
    with closing(engine.connect(target, readonly=True)) as conn:
        rules = [rule for rule in engine.advice.rules if rule.id == id_]
        (verdict,) = engine.advice.ask(conn, rules, {id_: thresholds})
    return verdict


def run(server: MysqlServer, sql: str) -> None:
    """Run statements in `shop`, all of them counted on return.

    A session counts a statement after it has answered, before it takes the next: the answer to a last `DO` tells that all
    before it are counted.
    """
    server.client("shop", sql + "DO 0;")


def counted(server: MysqlServer, sql: str) -> None:
    server.rows("mysql", "TRUNCATE performance_schema.events_statements_summary_by_digest")
    run(server, sql)


def test_statements_that_are_slow_read_whole_tables_spill_or_fail_are_found(server: MysqlServer) -> None:
    counted(server, "SELECT SLEEP(0.06); SELECT SLEEP(0.06);" + "SELECT id FROM visits WHERE person = 7;" * 3)
    assert "2 calls" in ask(server, "MY-STM-001", min_calls=2, milliseconds=50).findings[0].evidence
    assert ask(server, "MY-STM-001").state == "pass"
    (whole,) = ask(server, "MY-STM-002", min_calls=3, rows=10_000).findings
    assert "`person` = ?" in whole.evidence
    (reads,) = ask(server, "MY-STM-003", min_calls=3, rows=1000).findings
    assert "`person` = ?" in reads.evidence
    assert {ask(server, id_).state for id_ in ("MY-STM-002", "MY-STM-003", "MY-STM-004", "MY-STM-005")} == {"pass"}
    counted(server, "SELECT note, COUNT(*) FROM visits GROUP BY id, note ORDER BY 2 LIMIT 1;")
    assert ask(server, "MY-STM-004", min_calls=1).state == "fail"
    with closing(server.connect("shop")) as conn, conn.cursor() as cursor:
        for _ in range(2):
            with pytest.raises(Exception, match="Duplicate"):
                cursor.execute("INSERT INTO visits (id, person, at) VALUES (1001, 1, 1)")
        cursor.execute("DO 0")
    assert "2 of 2 calls" in ask(server, "MY-STM-005", min_calls=2).findings[0].evidence


def test_indexes_that_nothing_uses_are_found(server: MysqlServer) -> None:
    assert {one.object for one in ask(server, "MY-IDX-002", min_uptime=0).findings} == {"visits.unused"}
    assert ask(server, "MY-IDX-002").state == "pass"


def test_index_advice_hears_of_the_statements_that_are_counted(server: MysqlServer, tmp_path: Path) -> None:
    slow = "SELECT at FROM visits WHERE person IN ({0}, 1) AND note > 'a' LIMIT 5;"
    counted(server, "".join(slow.format(n) for n in range(20)))
    (tmp_path / "c.yaml").write_text(
        f"apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: w}}\nspec: {{url: '{server.url('shop')}'}}\n"
    )
    with open_workspace(tmp_path) as workspace:
        ((verdict,),) = [one.verdicts for one in advise(workspace, rules=["MY-IDX-004"], source=source_of(None, 5000))]
    (found,) = verdict.findings
    assert found.object == "visits (person)"
    assert found.details["statements"][0]["calls"] == 20


@pytest.fixture
def asking(server: MysqlServer) -> Iterator[tuple[Engine, Connection]]:
    target = Target("watched", parse_url(server.url("shop")))
    engine = engine_for(target.url)
    with closing(engine.connect(target, readonly=True)) as conn:
        yield engine, conn


def bare(text: str) -> str:
    """Return a text as all makes and versions write it."""
    return "".join(text.replace("`", "").split()).upper()


def test_the_statements_that_cost_most_are_told_with_texts_and_plans(
    server: MysqlServer, asking: tuple[Engine, Connection]
) -> None:
    engine, conn = asking
    server.client("mysql", f"{REMEMBERS};")
    run(server, "SELECT n FROM t WHERE n = 1; SELECT n FROM t WHERE n = 2; SELECT SLEEP(0.2); DO 1;")
    found = {bare(one.text): one for one in engine.workloads.costliest(conn, by="mean", limit=10_000).statements}
    slow, read = found["SELECTSLEEP(?)"], found["SELECTNFROMTWHEREN=?"]
    assert slow.calls == 1 and slow.mean_s >= 0.2
    assert (slow.p95_s is not None) is (server.make.name == "mysql")
    assert read.calls == 2 and read.reads == 6
    plan = engine.workloads.plan(conn, read)
    assert plan.lines[0].split()[0] == "id" and " ALL " in plan.lines[1]
    assert engine.workloads.plan(conn, found["DO?"]).why == NOT_PLANNED.why
    assert "remembers no call" in engine.workloads.plan(conn, replace(read, id="0" * 32)).why


def test_what_statements_cost_between_looks(server: MysqlServer, asking: tuple[Engine, Connection]) -> None:
    engine, conn = asking
    query = "SELECT n FROM t WHERE id = 1;"
    run(server, query * 3)

    def since(before: Before) -> dict[str, int]:
        costs = costs_between(before, engine.workloads.tallies(conn).of)
        texts = engine.workloads.texts(conn, list(costs))
        return {bare(texts[id_]): cost.calls for id_, cost in costs.items()}

    before = Before(0.0, {one.key: one for one in engine.workloads.tallies(conn).of})
    run(server, query * 2)
    text = "SELECTNFROMTWHEREID=?"
    assert since(before)[text] == 2
    run(server, "TRUNCATE performance_schema.events_statements_summary_by_digest; DO SLEEP(1.1);" + query * 4)
    assert since(before)[text] == 4


MONITORS = """
GRANT PROCESS, REPLICATION CLIENT /*M! , SLAVE MONITOR */ ON *.* TO {0};
GRANT SELECT ON performance_schema.* TO {0}; GRANT SELECT ON mysql.* TO {0};
"""


@pytest.mark.parametrize("grants", [MONITORS, ""], ids=["monitors", "nothing"])
def test_no_account_is_told_that_all_is_well_where_it_cannot_see(server: MysqlServer, tmp_path: Path, grants: str) -> None:
    case = yaml.safe_load((Path(__file__).parents[2] / "conformance" / "advice" / "mysql.yaml").read_text())
    thresholds = {id_: one["thresholds"] for id_, one in case["finds"].items() if "thresholds" in one}
    name, database = f"sees_{len(grants)}", server.new_database("seen")
    server.client(database, case["bad"])
    account = f"{name}@'%'"
    server.client(
        database, f"CREATE USER {account} IDENTIFIED BY 'pw'; GRANT SELECT ON parent TO {account};" + grants.format(account)
    )
    hidden = sees_what_is_true_and_all_once_granted(
        tmp_path, server.tcp_url(database, name, "pw"), server.url(database), lambda sql: server.client(database, sql), thresholds
    )
    assert hidden == []
