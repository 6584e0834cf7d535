"""A migration that fails or dies anywhere: what stands is as told, and the next run completes it, each statement once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dbops.errors import ApplyError
from tests.databases import Database
from tests.failures.trial import in_child, is_on
from tests.resources.migrations.cutting import Moment, cutting
from tests.resources.migrations.sets import Migrations

COUNT = 10
_DDL = {
    "sqlite": "PRAGMA user_version = 1",
    "postgresql": "CREATE INDEX CONCURRENTLY i{n} ON t{m} (id)",
    "mysql": "ALTER TABLE t{m} ADD COLUMN c{n} integer",
}


def statements(engine: str) -> list[str]:
    """Ten statements: tables, rows that would be double if they ran twice, and what stands alone on the engine."""
    found = []
    for n in range(COUNT):
        if n % 3 == 0:
            found.append(f"CREATE TABLE t{n} (id integer NOT NULL)")
        elif n % 3 == 1:
            found.append(f"INSERT INTO t{n - 1} VALUES ({n})")
        else:
            found.append(_DDL[engine].format(n=n, m=n - 2))
    return found


def script(parts: list[str], *, transaction: bool = True) -> str:
    return ("" if transaction else "-- dbops:transaction off\n") + ";\n".join(parts) + ";\n"


def counts(database: Database) -> list[int]:
    return [database.rows(f"SELECT count(*) FROM t{n}")[0][0] for n in range(0, COUNT, 3)]


ALL_ONCE = [1, 1, 1, 0]


@pytest.mark.parametrize("transaction", [True, False], ids=["transaction", "off"])
def test_a_failure_at_every_statement_is_told_and_mended(database: Database, tmp_path: Path, transaction: bool) -> None:
    """Each database sees the failures of one place after the other, so that the file is mended again and again."""
    shop = Migrations.make(database, tmp_path / "env")
    good = statements(database.engine)
    stood = 0
    for place in range(COUNT):
        shop.write(
            "0001_all.sql", script([*good[:place], "INSERT INTO nowhere VALUES (1)", *good[place:]], transaction=transaction)
        )
        with pytest.raises(ApplyError) as caught:
            shop.up()
        assert f"statement {place + 1}" in caught.value.message and "nowhere" in caught.value.message
        state = shop.status().standings[0]
        assert state.state == "failed" and state.record is not None
        reached = state.record.reached
        told = caught.value.fix or ""
        assert (f"{reached} of its statements stand" if reached else "nothing of the migration stands") in told
        assert reached >= stood, "what stood before stands still"
        if not transaction:
            assert reached == place
        stood = reached
    shop.write("0001_all.sql", script(good, transaction=transaction))
    assert shop.up().state == "done"
    assert shop.states() == {"0001_all": "applied"}
    assert counts(database) == ALL_ONCE


def test_where_all_can_be_rolled_back_nothing_stands(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    parts = ["CREATE TABLE a (id integer)", "CREATE TABLE b (id integer)", "CREATE TABLE b (id integer)"]
    shop.write("0001_ab.sql", script(parts))
    with pytest.raises(ApplyError):
        shop.up()
    standing = shop.status().standings[0]
    assert standing.record is not None
    assert standing.record.reached == (2 if database.engine == "mysql" else 0)
    shop.write("0001_ab.sql", script([*parts[:2], "CREATE TABLE c (id integer)"]))
    assert shop.up().state == "done"
    assert database.rows("SELECT count(*) FROM c") == [(0,)]


def test_an_edit_of_what_stands_is_refused(my_database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(my_database, tmp_path / "env")
    parts = ["CREATE TABLE a (id integer)", "CREATE TABLE b (id integer)", "CREATE TABLE b (id integer)"]
    shop.write("0001_ab.sql", script(parts))
    with pytest.raises(ApplyError):
        shop.up()
    shop.write("0001_ab.sql", script(["CREATE TABLE a (id bigint)", parts[1], "CREATE TABLE c (id integer)"]))
    with pytest.raises(ApplyError, match="its statement 1, which stands, was edited"):
        shop.up()


@contextmanager
def struck(database: Database, place: int, strike: Callable[[], None]) -> Iterator[list[str]]:
    """Call `strike` at moment number `place`: before and after everything that a session sends on the way to the database."""
    from dbops.engines.mysql.connect import MysqlConnection
    from dbops.engines.postgresql.connect import PostgresConnection
    from dbops.engines.sqlite.connect import SqliteConnection

    kind: Any = {"sqlite": SqliteConnection, "postgresql": PostgresConnection, "mysql": MysqlConnection}[database.engine]
    moments: list[str] = []
    usual = {name: getattr(kind, name) for name in ("execute", "run_each", "run_together") if hasattr(kind, name)}

    def around(name: str) -> Callable[..., Any]:
        def sent(self: Any, what: Any, *others: Any) -> Any:
            if not is_on(self, database) or (isinstance(what, str) and what.startswith("SET ")):
                return usual[name](self, what, *others)
            for moment in ("before", "after"):
                moments.append(f"{moment} {what}")
                if len(moments) == place:
                    strike()
                if moment == "before":
                    done = usual[name](self, what, *others)
            return done

        return sent

    for name in usual:
        setattr(kind, name, around(name))
    try:
        yield moments
    finally:
        for name, function in usual.items():
            setattr(kind, name, function)


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_runner_killed_anywhere_is_gone_on_with(
    database: Database, tmp_path: Path, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    shop = Migrations.make(database, tmp_path / "env")
    good = statements(database.engine)
    shop.write("0001_first.sql", "CREATE TABLE first (id integer);")
    shop.up()
    place, version = 1, 2
    while True:
        renamed = [part.replace(" t", f" v{version}_t").replace(" i", f" i{version}_") for part in good]
        renamed = [part.replace(f" i{version}_nteger", " integer") for part in renamed]
        shop.write(f"{version:04}_all.sql", script(renamed))

        def work(place: int = place) -> None:
            with struck(database, place, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                shop.up()

        code = in_child(work)
        assert code in (0, -signal.SIGKILL)
        if code:
            shop.up()
        found = [database.rows(f"SELECT count(*) FROM v{version}_t{n}")[0][0] for n in range(0, COUNT, 3)]
        assert found == ALL_ONCE, f"killed at moment {place}"
        assert set(shop.states().values()) == {"applied"}
        if not code:
            break
        place += stride
        version += 1
    assert place > 10


def outcomes(processes: list[Any]) -> list[tuple[int, str]]:
    found = []
    for process in processes:
        _, err = process.communicate(timeout=300)
        found.append((process.returncode, err))
    return found


@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.campaign)])
def test_runners_that_start_together_apply_each_migration_once(database: Database, tmp_path: Path, count: int) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    for n in range(1, 51):
        shop.write(f"{n:04}_t.sql", f"CREATE TABLE t{n} (id integer);\nINSERT INTO t{n} VALUES ({n});")
    runners = [shop.start("up", "--auto-approve", "--lock-timeout", "300s") for _ in range(count)]
    for code, err in outcomes(runners):
        assert code == 0, err
    assert [database.rows(f"SELECT count(*) FROM t{n}")[0][0] for n in range(1, 51)] == [1] * 50
    standings = shop.status().standings
    assert [one.record.position for one in standings if one.record] == list(range(1, 51))


@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.campaign)])
def test_when_half_of_them_are_killed_the_others_finish(database: Database, tmp_path: Path, count: int) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    for n in range(1, 51):
        shop.write(f"{n:04}_t.sql", f"CREATE TABLE t{n} (id integer);\nINSERT INTO t{n} VALUES ({n});")
    runners = [shop.start("up", "--auto-approve", "--lock-timeout", "300s") for _ in range(count)]
    for place, process in enumerate(runners[::2]):
        try:
            process.wait(timeout=1.0 + 0.2 * place)
        except Exception:
            process.kill()
    for code, err in outcomes(runners[1::2]):
        assert code == 0, err
    outcomes(runners[::2])
    assert [database.rows(f"SELECT count(*) FROM t{n}")[0][0] for n in range(1, 51)] == [1] * 50
    assert set(shop.states().values()) == {"applied"}


@pytest.fixture(params=["postgresql", "mysql"])
def served(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue({"postgresql": "pg_database", "mysql": "my_database"}[request.param])
    found.load("CREATE TABLE marked (id integer);")
    return found


@pytest.mark.parametrize("moment", ["before", "behind"])
def test_a_connection_cut_at_a_commit_leaves_the_next_run_to_find_out(served: Any, tmp_path: Path, moment: Moment) -> None:
    """Nobody can tell from here whether the commit arrived; the ledger, which it holds, tells the next run."""
    real = served.server.home / f".s.PGSQL.{served.server.port}" if served.engine == "postgresql" else served.server.socket
    front = tmp_path / real.name
    named, instead = (real.parent, tmp_path) if served.engine == "postgresql" else (real, front)
    url = served.url.replace(quote(str(named)), quote(str(instead)))
    assert url != served.url
    if served.engine == "mysql":
        url += "&ssl_disabled=true"  # MySQL offers TLS on its socket too, where nobody between sees a COMMIT
    shop = Migrations.make(served, tmp_path / "env", url=url)
    shop.write("0001_rows.sql", "INSERT INTO marked VALUES (1);\n")
    with cutting(real, front, b"INSERT INTO marked", moment) as cutter:
        with pytest.raises(ApplyError) as caught:
            shop.up()
        assert cutter.cuts, "the cut came"
        told = f"{caught.value.message} {caught.value.fix}"
        assert "whether the transaction that was being committed stands is not known here" in told
        assert served.rows("SELECT id FROM marked") == ([] if moment == "before" else [(1,)])
        assert shop.up().state == ("done" if moment == "before" else "nothing")
        assert served.rows("SELECT id FROM marked") == [(1,)]
        assert shop.states() == {"0001_rows": "applied"}
