"""`dbops monitor` as people, programs and scrapers see it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from dbops.cli.main import run
from dbops.usecases.monitor import metrics_store, read
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, PostgresDatabase, SqliteDatabase

MANIFEST = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: shop}}\nspec: {{url: '{url}'}}\n"


@pytest.fixture
def env(sqlite_database: SqliteDatabase, tmp_path: Path) -> Path:
    sqlite_database.load("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1), (2); ANALYZE;")
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / "c.yaml").write_text(MANIFEST.format(url=sqlite_database.url))
    return folder


def test_a_look_is_shown_kept_and_found_again(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["monitor", str(env), "--every", "10ms", "--count", "2"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"table_rows +t +2\n", shown)
    assert re.search(r"free_ratio +0%\n", shown)
    assert run(["monitor", "history", "table_rows", str(env)]) == 0
    assert re.search(r"shop +t +2 +2 +2 +2 +▁▁\n", capsys.readouterr().out)
    assert run(["monitor", "history", "table_rows", str(env), "-o", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["series"][0]["labels"] == {"table": "t"}
    assert [point["mean"] for point in found["series"][0]["points"]] == [2, 2]


def test_a_look_as_data(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["monitor", "now", str(env), "-o", "json"]) == 0
    (look,) = json.loads(capsys.readouterr().out)
    assert {"figure": "table_rows", "unit": "1", "labels": {"table": "t"}, "value": 2.0} in look["figures"]
    assert look["error"] is None and look["queries"] > 0


def test_a_database_that_is_gone_is_told_and_exits_with_1(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (env / "d.yaml").write_text(MANIFEST.format(url="sqlite:///gone.db").replace("shop", "gone"))
    assert run(["monitor", str(env)]) == 1
    shown = capsys.readouterr().out
    assert "gone: not seen: the database does not exist" in shown and "table_rows" in shown


def test_a_session_that_was_ended_and_a_database_that_came_are_seen_at_the_next_look(
    pg_database: PostgresDatabase, tmp_path: Path
) -> None:
    coming = tmp_path / "coming.db"
    text = MANIFEST.format(url=pg_database.url) + "---\n" + MANIFEST.format(url=f"sqlite:///{coming}").replace("shop", "coming")
    (tmp_path / "c.yaml").write_text(text)
    with open_workspace(tmp_path) as workspace, metrics_store(workspace, None) as store:
        assert [one.error is None for one in read(workspace, store)] == [False, True]
        own = "pid <> pg_backend_pid() AND datname = current_database()"
        pg_database.rows(f"SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE {own}")
        SqliteDatabase(coming).load("CREATE TABLE t (a);")
        assert [one.error for one in read(workspace, store)] == [None, None]


def test_an_unknown_figure_is_answered_with_the_nearest(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["monitor", "history", "table_row", str(env)]) == 1
    assert "did you mean 'table_rows'?" in capsys.readouterr().err
    assert run(["monitor", "history", "deadlocks_per_second", str(env)]) == 0
    assert "Nothing was seen" in capsys.readouterr().out


def test_the_vocabulary_says_who_has_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["monitor", "figures", "-o", "json"]) == 0
    engines = {one["name"]: one["engines"] for one in json.loads(capsys.readouterr().out)}
    assert engines["database_size_bytes"] == ["sqlite", "postgresql", "mysql"]
    assert engines["cache_hit_ratio"] == ["postgresql", "mysql"]
    assert engines["purge_lag"] == ["mysql"]


def test_a_scraper_gets_what_the_database_says(env: Path) -> None:
    command = [sys.executable, "-m", "dbops", "monitor", str(env), "--serve", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        where = re.search(r"http://\S+/metrics", process.stderr.readline())
        assert where is not None
        with urlopen(where[0], timeout=20) as answer:
            text = answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert 'dbops_up{connection="shop"} 1.0' in text
    assert 'dbops_table_rows{connection="shop",table="t"} 2.0' in text


def test_a_wrong_address_is_refused(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["monitor", str(env), "--serve", "nine"]) == 1
    assert "is no address" in capsys.readouterr().err


def test_statements_that_nobody_counts_are_said_to_be_unseen(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database.load("CREATE TABLE t (id integer PRIMARY KEY);")
    (tmp_path / "c.yaml").write_text(MANIFEST.format(url=database.url))
    assert run(["monitor", "queries", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    wanted = {
        "sqlite": "test.db-statements; programs",
        "postgresql": "pg_stat_statements is not in this database",
        "mysql": "performance_schema is off",
    }
    assert wanted[database.engine] in shown or "no statement was counted yet" in shown or "SHARE" in shown
    assert run(["monitor", "queries", str(tmp_path), "-o", "json", "--by", "mean"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["error"] is None and bool(one["workload"]["why"]) == bool(one["workload"]["fix"])
