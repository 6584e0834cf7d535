"""Statements of a file that programs run through dbops are counted beside it, once somebody asks for that."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dbops import DatabaseManager
from dbops.engines.base.workload import Counted
from dbops.usecases.advise import advise
from dbops.usecases.monitor import metrics_store
from dbops.usecases.runtime import open_workspace
from dbops.usecases.workload import Wish, costliest
from tests.databases import SqliteDatabase

MANIFEST = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: shop}}\nspec: {{url: '{url}'}}\n"


@pytest.fixture
def shop(sqlite_database: SqliteDatabase, tmp_path: Path) -> SqliteDatabase:
    sqlite_database.load(
        "CREATE TABLE orders (id integer PRIMARY KEY, customer integer, note text); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
        "SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO orders SELECT i, i % 1000, 'a note' FROM n; ANALYZE;"
    )
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "c.yaml").write_text(MANIFEST.format(url=sqlite_database.url))
    return sqlite_database


def beside(shop: SqliteDatabase) -> Path:
    return shop.path.with_name(f"{shop.path.name}-statements")


def asked(folder: Path, now: float = 1000.0, since_s: float | None = None, plans: bool = False) -> dict[str, Counted]:
    with open_workspace(folder / "env") as workspace, metrics_store(workspace, None) as store:
        (one,) = costliest(workspace, store, Wish(limit=50, since_s=since_s, plans=plans), now=now)
    assert one.error is None and all(not plan.why for plan in one.plans.values()), one
    return {counted.text: counted for counted in one.workload.statements} if not one.workload.why else {"": one.workload.fix}  # type: ignore[dict-item]


def test_nothing_is_counted_unless_somebody_asks(shop: SqliteDatabase, tmp_path: Path) -> None:
    with DatabaseManager(shop.url) as manager:
        manager.execute_query("SELECT 1")
    assert not beside(shop).exists()
    (fix,) = asked(tmp_path).values()
    assert f"touch {beside(shop)}" in str(fix)


def test_statements_are_counted_without_their_values_and_told_with_history_and_plans(
    shop: SqliteDatabase, tmp_path: Path
) -> None:
    beside(shop).touch()
    with DatabaseManager(shop.url) as manager:
        for number in range(3):
            manager.execute_query("SELECT id FROM orders WHERE customer = ? AND note <> 'secret'", (number,))
        manager.execute_query("SELECT id FROM orders WHERE id = 7")
        found = asked(tmp_path, plans=True)
        one = found["SELECT id FROM orders WHERE customer = ? AND note <> ?"]
        assert (one.calls, one.rows, one.reads) == (3, 15, None)
        assert 0 < one.mean_s <= (one.most_s or 0) <= one.total_s
        manager.execute_query("SELECT id FROM orders WHERE id = 8")
        since = asked(tmp_path, now=1060.0, since_s=600)
        assert since["SELECT id FROM orders WHERE id = ?"].calls == 1
        assert "SELECT id FROM orders WHERE customer = ? AND note <> ?" not in since
    beside(shop).unlink()
    with DatabaseManager(shop.url) as manager:
        manager.execute_query("SELECT 2")
    assert not beside(shop).exists()


def test_index_advice_hears_of_what_was_counted(shop: SqliteDatabase, tmp_path: Path) -> None:
    beside(shop).touch()
    with DatabaseManager(shop.url) as manager:
        for number in range(20):
            manager.execute_query("SELECT note FROM orders WHERE customer = ?", (number,))
    with open_workspace(tmp_path / "env") as workspace:
        (one,) = advise(workspace, rules=["LT-IDX-004", "LT-QRY-001"])
    found = {verdict.rule.id: [finding.object for finding in verdict.findings] for verdict in one.verdicts}
    assert found["LT-IDX-004"] == ["orders (customer)"]


def test_threads_and_processes_count_into_one_file(shop: SqliteDatabase, tmp_path: Path) -> None:
    beside(shop).touch()
    program = f"from dbops import DatabaseManager\nm = DatabaseManager({shop.url!r})\n" + (
        "for _ in range(50): m.execute_query('SELECT count(*) FROM orders')\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    with DatabaseManager(shop.url) as manager:
        threads = [
            threading.Thread(target=lambda: [manager.execute_query("SELECT count(*) FROM orders") for _ in range(50)])
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [process.wait(30) for process in others] == [0, 0]
    assert asked(tmp_path)["SELECT count(*) FROM orders"].calls == 250


def test_asynchronous_sessions_count_too(shop: SqliteDatabase, tmp_path: Path) -> None:
    from sqlalchemy import text

    from dbops.engines.base.connect import Target
    from dbops.engines.base.sessions import Pooling
    from dbops.engines.base.url import parse_url
    from dbops.usecases.service.pools import open_pool

    beside(shop).touch()

    async def work() -> None:
        pool = open_pool(Target("shop", parse_url(shop.url)), Pooling())
        async with pool.reading() as session:
            assert len((await session.execute(text("SELECT id FROM orders WHERE customer = 5"))).all()) == 5
        await pool.close()

    asyncio.run(work())
    assert asked(tmp_path)["SELECT id FROM orders WHERE customer = ?"].calls == 1


def test_a_file_that_is_no_database_is_said_and_programs_go_on(shop: SqliteDatabase, tmp_path: Path) -> None:
    beside(shop).write_text("this is no database, and long enough to be seen as none" * 20)
    with DatabaseManager(shop.url) as manager:
        assert manager.execute_query("SELECT 1")
    (fix,) = asked(tmp_path).values()
    assert str(fix).startswith("rm ")
