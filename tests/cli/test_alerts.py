"""`dbops alerts` as people, cron, channels and Prometheus see it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from jsonschema import Draft7Validator

from dbops.cli.main import run
from dbops.engines.base.connect import Target, Timeouts
from dbops.engines.base.url import parse_url
from dbops.usecases.runtime import engine_for
from tests.databases import Database, PostgresDatabase, SqliteDatabase
from tests.resources.migrations.runners import typescript
from tests.servers.programs import free_port
from tests.servers.releases import NotToBeHad

CONNECTION = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: shop}}\nspec: {{url: '{url}'}}\n---\n"
POLICY = "apiVersion: dbops/v1\nkind: AlertPolicy\nmetadata: {name: watch}\nspec:\n  connection: shop\n"


class Channel:
    """A webhook that keeps what it hears, and refuses while `is_broken`."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.is_broken = False
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_broken = channel.is_broken  # who is answered goes on at once, and may mend it
                if not is_broken:
                    channel.heard.append(json.loads(body))
                self.send_response(500 if is_broken else 204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/s3cret"


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.server.shutdown()
    made.server.server_close()


def environment(folder: Path, database: Database, policy: str, url: str | None = None) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "all.yaml").write_text(CONNECTION.format(url=url or database.url) + POLICY + policy)
    return str(folder)


ROWS = '  rules: [{name: many, metric: table_rows, labels: {table: "t"}, above: 1, severity: error, summary: too many}]\n'


def rows(database: SqliteDatabase, number: int) -> None:
    insert = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) INSERT INTO t SELECT i FROM n"
    database.load(f"DROP TABLE IF EXISTS t; CREATE TABLE t (id integer PRIMARY KEY); {insert}; ANALYZE;")


def test_what_fires_is_told_once_and_its_end_too(
    sqlite_database: SqliteDatabase,
    channel: Channel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALERT_URL", channel.url)
    env = environment(tmp_path / "env", sqlite_database, ROWS + "  notify: [{webhook: {env: ALERT_URL}}]\n")
    rows(sqlite_database, 1)
    assert run(["alerts", env]) == 0
    rows(sqlite_database, 3)
    assert run(["alerts", env, "--no-notify"]) == 2
    assert channel.heard == []
    assert run(["alerts", env]) == 2
    shown = capsys.readouterr().out
    assert "firing error many: table_rows of t is 3, above 1, since 20" in shown and "told now" in shown
    assert run(["alerts", env]) == 2
    (heard,) = channel.heard
    assert heard["state"] == "firing" and heard["labels"] == {"table": "t"} and heard["value"] == 3
    assert heard["title"] == "[firing error] shop: many"
    rows(sqlite_database, 1)
    assert run(["alerts", env]) == 0
    assert [one["state"] for one in channel.heard] == ["firing", "resolved"]
    assert run(["alerts", env]) == 0
    assert len(channel.heard) == 2


def test_a_channel_that_does_not_answer_is_tried_again_and_its_url_is_not_shown(
    sqlite_database: SqliteDatabase,
    channel: Channel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALERT_URL", channel.url)
    env = environment(tmp_path / "env", sqlite_database, ROWS + "  notify: [{webhook: {env: ALERT_URL}}]\n")
    rows(sqlite_database, 3)
    channel.is_broken = True
    assert run(["alerts", env]) == 2
    told = capsys.readouterr().err
    assert "not told: the webhook at 127.0.0.1 did not take it: 500" in told and "s3cret" not in told
    channel.is_broken = False
    assert run(["alerts", env]) == 2
    assert len(channel.heard) == 1


def test_apprise_speaks_to_everybody_else(
    sqlite_database: SqliteDatabase, channel: Channel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("apprise")
    url = channel.url.replace("http://", "json://")
    env = environment(tmp_path / "env", sqlite_database, ROWS + f"  notify: [{{apprise: '{url}'}}, {{apprise: 'nowhere://x'}}]\n")
    rows(sqlite_database, 3)
    assert run(["alerts", env]) == 2
    assert channel.heard[0]["title"] == "[firing error] shop: many"
    assert "does not understand a URL of nowhere://" in capsys.readouterr().err


def test_a_database_that_is_down_is_an_alert(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = environment(tmp_path / "env", sqlite_database, "  packs: [essentials]\n", url="postgresql://x@127.0.0.1:1/none")
    assert run(["alerts", env, "-o", "json"]) == 2
    (policy,) = json.loads(capsys.readouterr().out)
    states = {alert["rule"]: alert["state"] for alert in policy["alerts"]}
    assert states.pop("down") == "firing"
    assert set(states.values()) == {"unknown"}
    assert run(["alerts", env]) == 2
    assert capsys.readouterr().out.count("cannot connect to 'shop'") == 1


def test_a_plan_shows_what_is_wrong_and_leaves_no_trace(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = environment(tmp_path / "env", sqlite_database, ROWS)
    rows(sqlite_database, 3)
    assert run(["plan", env]) == 0
    shown = capsys.readouterr().out
    assert "error ALERT_FIRING: table_rows of t is 3, above 1: too many" in shown
    assert "No changes." in shown
    assert [file.name for file in Path(env).iterdir()] == ["all.yaml"]


def test_a_session_that_keeps_another_waiting_fires(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if database.engine == "sqlite":
        return
    database.load("CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t VALUES (1, 0);")
    env = environment(tmp_path / "env", database, "  rules: [{name: blocked, metric: sessions_blocked, above: 0}]\n")
    target = Target("shop", parse_url(database.url), timeouts=Timeouts(lock_s=30))
    engine, change = engine_for(target.url), "UPDATE t SET n = n + 1 WHERE id = 1"
    with closing(engine.connect(target)) as holder, closing(engine.connect(target)) as waiter:
        waiting = threading.Thread(target=waiter.execute, args=(change,))
        with holder.transaction():
            holder.execute(change)
            waiting.start()
            codes = [run(["alerts", env])]
            while codes[-1] != 2 and len(codes) < 50:
                threading.Event().wait(0.1)
                codes.append(run(["alerts", env]))
        waiting.join(30)
    assert codes[-1] == 2
    assert "firing warning blocked: sessions_blocked is" in capsys.readouterr().out


def test_what_an_account_cannot_see_is_unknown_until_it_may(
    pg_database: PostgresDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"watch_{pg_database.name}"
    pg_database.load(f"CREATE ROLE {name} LOGIN PASSWORD 'pw';")
    try:
        url = pg_database.server.tcp_url(pg_database.name, name, "pw")
        env = environment(tmp_path / "env", pg_database, "  packs: [essentials]\n", url=url)
        assert run(["alerts", env]) == 0
        shown = capsys.readouterr().out
        assert "unknown warning long-transaction" in shown and f"GRANT pg_monitor TO {name};" in shown.replace('"', "")
        pg_database.load(f"GRANT pg_monitor TO {name};")
        run(["alerts", env])
        assert "unknown warning long-transaction" not in capsys.readouterr().out
    finally:
        pg_database.load(f"DROP ROLE {name};")


def test_rules_are_listed_and_exported(pg_database: PostgresDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = """  packs: [essentials]
  rules:
    - {name: full, metric: database_size_bytes, forecast: 3d, over: 1d, above: 1GiB, for: 10m}
    - {name: grows, metric: table_size_bytes, labels: {table: "public.*"}, of: change, over: 1h, above: 1GiB}
    - {name: gone, metric: statements_per_second, absent: true}
    - {name: hits, metric: cache_hit_ratio, of: least, over: 1h, below: 90%, clear: 95%}
"""
    env = environment(tmp_path / "env", pg_database, rules)
    assert run(["alerts", "rules", env]) == 0
    assert "in 3 d as over 1 d above 1 GiB" in capsys.readouterr().out
    file = tmp_path / "rules.json"
    assert run(["alerts", "export", env, "--out", str(file)]) == 0
    expressions = {rule["alert"]: rule["expr"] for rule in json.loads(file.read_text())["groups"][0]["rules"]}
    assert (
        expressions["watch: full"]
        == 'predict_linear((dbops_database_size_bytes{connection="shop"})[86400s:1m], 259200) > 1.07374e+09'
    )
    assert expressions["watch: gone"] == 'absent(rate(dbops_statements_total{connection="shop"}[5m]))'
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "check", "rules", str(file)], check=True, capture_output=True)


GRAFANA = Path(__file__).parent / "grafana_dashboard.schema.json"
"""What Grafana documents of its dashboards (Dashboard kind 0.0, schema reference), strict about what a dashboard of ours has."""


def test_the_dashboard_asks_for_what_is_served(
    pg_database: PostgresDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = environment(tmp_path / "env", pg_database, "  packs: [essentials]\n")
    assert run(["alerts", "export", env, "--format", "grafana"]) == 0
    board = json.loads(capsys.readouterr().out)
    Draft7Validator(json.loads(GRAFANA.read_text(encoding="utf-8"))).validate(board)
    panels = [panel for panel in board["panels"] if panel["type"] == "timeseries"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    assert 'dbops_connections_used{connection=~"$connection"}' in asked
    assert not any("purge_lag" in expression for expression in asked)  # PostgreSQL has none


@pytest.mark.campaign
def test_the_dashboard_is_of_the_type_that_grafana_publishes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`@grafana/schema` describes dashboards as types of TypeScript; its compiler holds the JSON against them."""
    try:
        place = typescript()
    except NotToBeHad as why:
        pytest.skip(str(why))
    (tmp_path / "c.yaml").write_text(
        "".join(CONNECTION.replace("shop", name).format(url=url) for name, url in EVERY_ENGINE.items()), encoding="utf-8"
    )
    assert run(["alerts", "export", str(tmp_path), "--format", "grafana"]) == 0
    types = place / "node_modules" / "@grafana" / "schema" / "dist" / "types" / "raw" / "dashboard" / "x" / "types.gen"
    board = capsys.readouterr().out
    Draft7Validator(json.loads(GRAFANA.read_text(encoding="utf-8"))).validate(json.loads(board))
    compiler = [
        str(place / "node_modules" / ".bin" / "tsc"),
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--moduleResolution",
        "node",
    ]
    for said, is_right in ((board, True), (board.replace('"schemaVersion": 39', '"schemaVersion": "39"'), False)):
        file = tmp_path / "board.ts"
        file.write_text(
            f'import type {{ Dashboard }} from "{types}";\nexport const board: Dashboard = {said};\n', encoding="utf-8"
        )
        done = subprocess.run([*compiler, str(file)], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is is_right, done.stdout


EVERY_ENGINE = {"a": "sqlite:///a.db", "b": "postgresql://u@localhost/b", "c": "mysql://u@localhost/c"}


@pytest.mark.campaign
def test_a_prometheus_server_scrapes_and_watches_by_the_exported_rules(
    tmp_path: Path, sqlite_database: SqliteDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    if (prometheus := shutil.which("prometheus")) is None:
        pytest.skip("no Prometheus: apt install prometheus")
    own, other = free_port(), free_port()
    (tmp_path / "c.yaml").write_text(CONNECTION.format(url=sqlite_database.url) + POLICY + "  packs: [essentials]\n")
    sqlite_database.load("CREATE TABLE t (a)")
    assert run(["alerts", "export", str(tmp_path)]) == 0
    (tmp_path / "rules.yml").write_text(capsys.readouterr().out)
    scrape = f"[{{job_name: dbops, static_configs: [{{targets: ['127.0.0.1:{own}']}}]}}]"
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\nscrape_configs: {scrape}\n"
    )
    served = [sys.executable, "-m", "dbops", "monitor", str(tmp_path), "--serve", f"127.0.0.1:{own}"]
    options = [f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{other}"]
    scraping = [prometheus, f"--config.file={tmp_path / 'prometheus.yml'}", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(served, **quiet) as exporter, subprocess.Popen(scraping, **quiet) as server:
        try:
            for _ in range(150):
                if asked(other, "query?query=dbops_up").get("data", {}).get("result"):
                    break
                time.sleep(0.2)
            (up,) = asked(other, "query?query=dbops_up")["data"]["result"]
            (target,) = asked(other, "targets")["data"]["activeTargets"]
            groups = asked(other, "rules")["data"]["groups"]
        finally:
            for process in (exporter, server):
                process.terminate()
                process.wait(30)
    assert (up["metric"]["connection"], up["value"][1], target["health"]) == ("shop", "1", "up")
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"} and groups


def asked(port: int, question: str) -> Any:
    """Return what Prometheus answers, nothing while it is not there."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/{question}", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return {}
