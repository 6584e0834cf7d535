"""Physical backups: files and log, restored to any moment, and never half."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dbops.archive.chains import chain_of
from dbops.archive.manifest import Manifest
from dbops.archive.parts import PartRecord
from dbops.engines.base.backup import LATEST, Point
from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.postgresql.backup import abilities
from dbops.engines.postgresql.backup.port import PostgresBackups
from dbops.engines.postgresql.backup.recovery import Cluster, fetched_from, recovered
from dbops.engines.postgresql.backup.slots import name_for
from dbops.engines.postgresql.connect import PostgresConnection, connect, on_database, refuses_replication
from dbops.errors import BackupError, DbopsError
from dbops.resources.backups.making import link
from dbops.usecases.apply import ApplyResult, Consent, apply
from dbops.usecases.backup.policies import one_policy
from dbops.usecases.backup.restore import point_of
from dbops.usecases.plan import plan
from tests import commands
from tests.databases import PostgresDatabase, fresh_postgres
from tests.engines.postgresql.backup.nasty import NASTY, OWNER, content
from tests.failures.trial import wait_until
from tests.servers import PostgresServer
from tests.usecases.policies import Shop

LOGGED = """[{type: full, cron: "0 3 * * 0"}, {type: incremental, cron: "0 * * * *"}, {type: log, cron: "* * * * *"}]"""


@pytest.fixture
def shop_database(own_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with fresh_postgres(own_server) as fresh:
        yield fresh
        for (slot,) in own_server.rows("postgres", "SELECT slot_name FROM pg_replication_slots"):
            own_server.rows("postgres", f"SELECT pg_drop_replication_slot('{slot}')")


def now(database: PostgresDatabase) -> datetime:
    [(moment,)] = database.rows("SELECT clock_timestamp()")
    time.sleep(0.01)
    assert isinstance(moment, datetime)
    return moment.astimezone(UTC)


def slots(server: PostgresServer) -> list[tuple[object, ...]]:
    return server.rows("postgres", "SELECT slot_name, active FROM pg_replication_slots")


def rows_of(hashes: dict[str, str]) -> dict[str, str]:
    """Leave out sequences: the log has their values 32 ahead, so that not each one is written (manual, CREATE SEQUENCE)."""
    return {name: digest for name, digest in hashes.items() if "_seq" not in name and "tickets" not in name}


@contextmanager
def writing(database: PostgresDatabase) -> Iterator[None]:
    """Move numbers between two tables, so that each state has all of them once."""
    stop = threading.Event()

    def write() -> None:
        with database.server.connect(database.name) as conn:
            while not stop.is_set():
                conn.execute("WITH gone AS (DELETE FROM a RETURNING id) INSERT INTO b SELECT id FROM gone")
                conn.execute("WITH gone AS (DELETE FROM b RETURNING id) INSERT INTO a SELECT id FROM gone")

    database.load("CREATE TABLE a AS SELECT generate_series(1, 100) AS id; CREATE TABLE b (id int)")
    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def tried(shop: Shop, sql: str, point: Point = LATEST) -> list[tuple[object, ...]]:
    """Ask a throwaway server on the newest backup."""
    with shop.workspace() as workspace:
        policy = one_policy(workspace)
        contents = policy.repository.contents()
        chain = [link(policy.engine.backups, policy.repository, one) for one in chain_of(contents.backups[-1], contents.backups)]
        with PostgresBackups().trial(chain, policy.target, point, shop.told.append) as conn:
            return conn.query(sql)


@contextmanager
def started(folder: Path, database: str) -> Iterator[PostgresConnection]:
    """Start the server of a restored folder as anybody would."""
    server = folder.with_name("sockets")
    server.mkdir()
    major = int((folder / "PG_VERSION").read_text())
    cluster = Cluster(folder, fetched_from(server / "no log"), major, "postgres", [(database, None)])
    with recovered(cluster, LATEST, server) as running, closing(connect(running.target)) as conn:
        yield conn
    shutil.rmtree(server)


def test_chain_leads_to_one_second_before_a_table_was_dropped(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    server = shop_database.server
    server.psql("postgres", f"DROP ROLE IF EXISTS {OWNER}; CREATE ROLE {OWNER}")
    shop_database.load(NASTY)
    shop = Shop(tmp_path / "shop", server.tcp_url(shop_database.name), schedule=LOGGED)
    with writing(shop_database):
        full = shop.run("full")
        shop_database.load("INSERT INTO public.plain (t) VALUES ('between full and incremental')")
        shop.run("incremental")
        shop_database.load("INSERT INTO public.plain (t) VALUES ('between incremental and log')")
    before, dump, hashes = now(shop_database), shop_database.dump(), content(server, shop_database.name)
    shop_database.load("DROP TABLE public.plain; CREATE TABLE later (id int)")
    log = shop.run("log")
    assert (full.tool, log.tool) == ("pg_basebackup", "pg_receivewal")
    assert full.schema_digest is None or full.schema_digest

    whole = shop.restore(server.url(f"{shop_database.name}_back"), point=point_of(at=before))
    try:
        assert server.dump(f"{shop_database.name}_back") == dump
        assert rows_of(content(server, f"{shop_database.name}_back")) == rows_of(hashes)
        assert [one.kind for one in whole.chain] == ["full", "incremental", "log"]
    finally:
        server.drop_database(f"{shop_database.name}_back")

    one = shop.restore(server.url(f"{shop_database.name}_one"), point=point_of(at=before), tables=("plain",))
    try:
        assert server.rows(f"{shop_database.name}_one", "SELECT count(*) FROM plain") == [(2002,)]
        assert any("foreign" not in text for text in one.restored.warnings)
    finally:
        server.drop_database(f"{shop_database.name}_one")

    evidence = shop.verify(3, log.id)
    assert evidence.ok, evidence.problems
    assert shop.verify(2, log.id).ok
    server.drop_database(shop_database.name)
    server.psql("postgres", f"DROP ROLE {OWNER}")


def test_folder_holds_a_server_that_was_shut_down(shop_database: PostgresDatabase, tmp_path: Path, quick_folder: Path) -> None:
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    with writing(shop_database):
        shop.run("full")
        shop.run("log")
    folder = quick_folder / "restored"
    result = shop.restore(f"file://{folder}")
    assert result.restored.reached["timeline"] == 2
    assert (folder.stat().st_mode & 0o777, sorted(path.name for path in quick_folder.glob("dbops-pg-*"))) == (0o700, [])
    assert not (folder / "recovery.signal").exists() and not (folder / "postmaster.pid").exists()
    with pytest.raises(BackupError, match=r"holds a PostgreSQL \d+ server; it was left as it is"):
        shop.restore(f"file://{folder}")
    again = shop.restore(f"file://{folder}", replaces=True)
    assert any("is in" in text for text in again.restored.warnings)
    assert len(list(quick_folder.glob("restored.before-*"))) == 1
    with started(folder, shop_database.name) as conn:
        assert conn.query("SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM a UNION ALL SELECT id FROM b) AS x") == [
            (100, 100)
        ]
    for path in quick_folder.glob("restored*"):
        shutil.rmtree(path)


def test_a_database_that_was_renamed_or_replaced_is_found_at_each_moment(
    shop_database: PostgresDatabase, own_server: PostgresServer, tmp_path: Path
) -> None:
    first, second = shop_database.name, f"{shop_database.name}_2"
    shop_database.load("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
    shop = Shop(tmp_path / "shop", own_server.url(first), schedule=LOGGED)
    shop.run("full")
    first_moment = now(shop_database)
    own_server.psql("postgres", f"ALTER DATABASE {first} RENAME TO {second}; CREATE DATABASE {first}")
    shop = Shop(tmp_path / "shop", own_server.url(second), schedule=LOGGED)
    try:
        shop.run("log")
        assert tried(shop, "SELECT count(*) FROM a") == [(1,)]
        assert tried(shop, "SELECT count(*) FROM a", point_of(at=first_moment)) == [(1,)]
        shop = Shop(tmp_path / "shop", own_server.url(first), schedule=LOGGED)
        own_server.psql(first, "CREATE TABLE b (id int)")
        shop.run("log")
        assert tried(shop, "SELECT count(*) FROM b") == [(0,)]
    finally:
        own_server.drop_database(second)


def test_log_leads_to_names_and_places_and_refuses_what_it_does_not_reach(
    shop_database: PostgresDatabase, tmp_path: Path
) -> None:
    server = shop_database.server
    shop_database.load("CREATE TABLE t (n int)")
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    full = shop.run("full")
    shop_database.load("INSERT INTO t VALUES (1); SELECT pg_create_restore_point('one'); INSERT INTO t VALUES (2)")
    [(lsn,)] = shop_database.rows("SELECT pg_current_wal_insert_lsn()::text")
    shop_database.load("INSERT INTO t VALUES (3)")
    shop.run("log")
    beyond = now(shop_database)

    def restored(point: Point) -> list[tuple[object, ...]]:
        return tried(shop, "SELECT n FROM t ORDER BY n", point)

    assert restored(point_of(name="one")) == [(1,)]
    assert restored(point_of(lsn=str(lsn))) == [(1,), (2,)]
    with pytest.raises(BackupError, match="the log ends before another is reached"):
        restored(point_of(name="another"))
    with pytest.raises(BackupError, match="lies behind the end of the log"):
        restored(point_of(at=beyond))
    with pytest.raises(BackupError, match="lies behind the end of the log"):
        restored(point_of(lsn="FF/0"))
    with pytest.raises(BackupError, match="no backup leads to"):
        shop.restore(server.url(f"{shop_database.name}_back"), point=point_of(at=datetime(2020, 1, 1, tzinfo=UTC)))
    with pytest.raises(BackupError, match="leads to its own end alone"):
        shop.restore(server.url(f"{shop_database.name}_back"), word=full.id, point=point_of(name="one"))


def test_a_named_point_is_looked_for_before_the_newest_base_too(
    shop_database: PostgresDatabase, tmp_path: Path, quick_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a temporary folder whose path is too long for a socket, moreover."""
    deep = quick_folder / ("d" * 90)
    deep.mkdir(mode=0o755)
    deep.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    shop_database.load("CREATE TABLE t (n int)")
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    first = shop.run("full")
    before = shop.run("log")
    shop_database.load("INSERT INTO t VALUES (1); SELECT pg_create_restore_point('early'); INSERT INTO t VALUES (2)")
    shop.run("full")
    behind = shop.run("log")
    new = f"{shop_database.name}_back"
    result = shop.restore(shop_database.server.url(new), point=point_of(name="early"))
    try:
        assert [one.id for one in result.chain] == [first.id, before.id, behind.id]
        assert shop_database.server.rows(new, "SELECT n FROM t") == [(1,)]
    finally:
        shop_database.server.drop_database(new)
    assert list(deep.iterdir()) == []


def test_moments_during_and_before_a_new_base_are_led_to_by_the_log_behind_it(
    shop_database: PostgresDatabase, tmp_path: Path
) -> None:
    shop_database.load("CREATE TABLE t (n int)")
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    first = shop.run("full")
    before = shop.run("log")
    shop_database.load("INSERT INTO t VALUES (1)")
    moment = now(shop_database)
    shop_database.load("INSERT INTO t VALUES (2)")
    second = shop.run("full")
    behind = shop.run("log")
    assert (behind.parent_id, dict(behind.start)) == (second.id, dict(before.end))
    result = shop.restore(shop_database.server.url(f"{shop_database.name}_back"), point=point_of(at=moment))
    try:
        assert [one.id for one in result.chain] == [first.id, before.id, behind.id]
        assert shop_database.server.rows(f"{shop_database.name}_back", "SELECT n FROM t") == [(1,)]
    finally:
        shop_database.server.drop_database(f"{shop_database.name}_back")
    assert shop.run("log").start == behind.end


def test_differential_goes_back_to_the_full_whatever_came_between(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    schedule = LOGGED[:-1] + ', {type: differential, cron: "0 3 * * *"}]'
    shop_database.load("CREATE TABLE t (n int)")
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=schedule)
    full = shop.run("full")
    for number in range(3):
        shop_database.load(f"INSERT INTO t VALUES ({number})")
        shop.run("incremental")
    made = shop.run("differential")
    assert (made.parent_id, made.start) == (full.id, full.end)
    assert made.details["segments"] >= 3
    assert tried(shop, "SELECT count(*) FROM t") == [(3,)]


def test_account_that_may_only_replicate_takes_the_log_up_to_the_middle_of_a_segment(
    shop_database: PostgresDatabase, tmp_path: Path
) -> None:
    server = shop_database.server
    server.psql("postgres", "CREATE ROLE keeper LOGIN REPLICATION PASSWORD 'keeper'")
    try:
        shop_database.load("CREATE TABLE t (n int)")
        shop = Shop(tmp_path / "shop", server.tcp_url(shop_database.name, "keeper", "keeper"), schedule=LOGGED)
        shop.run("full")
        made = []
        for number in range(3):
            shop_database.load(f"INSERT INTO t VALUES ({number})")
            made.append(shop.run("log"))
        assert [one.details["segments"] for one in made[1:]] == [1, 1]
        assert all(not str(one.end["lsn"]).endswith("000000") for one in made)
        assert tried(shop, "SELECT count(*) FROM t") == [(3,)]
        evidence = shop.verify(2)
        assert evidence.ok, evidence.problems
    finally:
        server.psql("postgres", "DROP ROLE keeper")


def test_files_for_which_there_is_no_room_are_refused(
    shop_database: PostgresDatabase, tmp_path: Path, quick_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    shop.run("full")
    usage = shutil.disk_usage(quick_folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=1 << 20))
    with pytest.raises(BackupError, match="has 1 MiB left; nothing was touched"):
        shop.restore(f"file://{quick_folder / 'large'}")
    assert not (quick_folder / "large").exists()
    with pytest.raises(BackupError, match="left"):  # which says nothing of the backup
        shop.verify(3)


def test_failed_run_loses_no_log_and_is_no_parent(
    shop_database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop_database.load("CREATE TABLE t (n int)")
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    full = shop.run("full")
    shop_database.load("INSERT INTO t VALUES (1)")
    false = tmp_path / "bin"
    false.mkdir()
    real = shutil.which("pg_receivewal") or next(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin/pg_receivewal"))
    script = f'#!/bin/sh\n[ "$1" = --version ] && exec {real} --version\n{real} "$@"\nexit 7\n'
    (false / "pg_receivewal").write_text(script)
    (false / "pg_receivewal").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr("dbops.engines.postgresql.backup.programs._FOLDERS", ())
        patch.setenv("PATH", f"{false}{os.pathsep}{Path(real).parent}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(BackupError, match="pg_receivewal ended with exit code 7"):
            shop.run("log")
    assert [one.id for one in shop.backups()] == [full.id]
    made = shop.run("log")
    assert made.parent_id == full.id and made.start == full.end


def test_gap_in_the_log_is_refused(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    server = shop_database.server
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    shop.run("full")
    [(slot, _)] = slots(server)
    server.rows("postgres", f"SELECT pg_drop_replication_slot('{slot}')")
    for _ in range(3):
        shop_database.load("CREATE TABLE x AS SELECT 1; DROP TABLE x; SELECT pg_switch_wal(); CHECKPOINT")
    with pytest.raises(BackupError, match="the server has removed log that came after") as caught:
        shop.run("log")
    assert caught.value.error_code == "WAL_GAP"
    assert "--type full" in str(caught.value.fix)
    shop.run("full")
    shop.run("log")


def test_damaged_log_is_refused_before_anything_is_made(
    shop_database: PostgresDatabase, tmp_path: Path, quick_folder: Path
) -> None:
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    shop.run("full")
    made = shop.run("log")
    part = shop.parts(made)[0]
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(BackupError, match="nothing was touched"):
        shop.restore(f"file://{quick_folder / 'damaged'}")
    assert not (quick_folder / "damaged").exists()
    assert not shop.verify(1, made.id).ok


def test_slot_is_dropped_when_the_schedule_needs_it_no_more(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    made = shop.run("full")
    assert [active for _, active in slots(shop_database.server)] == [False]
    assert any("max_slot_wal_keep_size" in text for text in made.warnings)
    shop = Shop(tmp_path / "shop", shop_database.url, schedule='[{type: full, cron: "0 3 * * 0", method: physical}]')
    made = shop.run("full")
    assert slots(shop_database.server) == [] and any("dropped the slot" in text for text in made.warnings)


def test_tablespaces_come_back_beside_the_folder(shop_database: PostgresDatabase, tmp_path: Path, quick_folder: Path) -> None:
    server = shop_database.server
    place = server.home / "space"
    place.mkdir()
    shutil.chown(place, (server.home / "data").owner())
    server.psql("postgres", f"CREATE TABLESPACE space LOCATION '{place}'")
    try:
        shop_database.load("CREATE TABLE far TABLESPACE space AS SELECT generate_series(1, 1000) AS id")
        shop = Shop(tmp_path / "shop", shop_database.url, schedule='[{type: full, cron: "0 3 * * 0", method: physical}]')
        made = shop.run("full")
        assert len([stream for stream in made.streams if stream.name.endswith(".tar")]) == 2
        folder = quick_folder / "spaced"
        shop.restore(f"file://{folder}")
        [link] = (folder / "pg_tblspc").iterdir()
        assert link.resolve().parent == quick_folder / "spaced.tablespaces"
        with started(folder, shop_database.name) as conn:
            assert conn.query("SELECT count(*) FROM far") == [(1000,)]
        for path in quick_folder.glob("spaced*"):
            shutil.rmtree(path)
    finally:
        shop_database.load("DROP TABLE IF EXISTS far")
        server.psql("postgres", "DROP TABLESPACE space")


def test_what_cannot_be_made_is_refused_with_a_reason_and_a_fix(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    server = shop_database.server
    server.psql("postgres", "CREATE ROLE plain LOGIN PASSWORD 'plain'")
    try:
        shop = Shop(tmp_path / "plain", server.tcp_url(shop_database.name, "plain", "plain"), schedule=LOGGED)
        with pytest.raises(BackupError, match="'plain' lacks the attribute REPLICATION") as caught:
            shop.run("log")
        assert caught.value.fix == 'ALTER ROLE "plain" REPLICATION'
        url = server.tcp_url(shop_database.name, "plain", "plain")
        files = '[{type: full, cron: "0 3 * * 0", method: physical}, {type: log, cron: "0 * * * *"}]'
        with pytest.raises(BackupError, match="a backup of type full cannot be made: 'plain' lacks the attribute REPLICATION"):
            Shop(tmp_path / "files", url, schedule=files).run("full")
        shop_database.load("CREATE TABLE hidden (id int); CREATE SEQUENCE numbers")
        with pytest.raises(BackupError, match="'plain' may not read all of hidden and 1 more") as caught:
            Shop(tmp_path / "dump", url, schedule='[{type: full, cron: "0 3 * * 0"}]').run("full")
        assert str(caught.value.fix).startswith("GRANT ")
    finally:
        server.psql("postgres", "DROP ROLE plain")
    hba = server.home / "data" / "pg_hba.conf"
    lines, over_tcp = hba.read_text(), Target("", parse_url(server.tcp_url(shop_database.name)))
    hba.write_text("\n".join(line for line in lines.splitlines() if "replication" not in line) + "\n")
    try:
        server.rows("postgres", "SELECT pg_reload_conf()")
        wait_until(lambda: refuses_replication(over_tcp) is not None, 300)
        shop = Shop(tmp_path / "shop", server.tcp_url(shop_database.name), schedule=LOGGED)
        with pytest.raises(BackupError, match="no replication session is let in") as caught:
            shop.run("log")
        assert "pg_hba.conf" in str(caught.value.fix)
    finally:
        hba.write_text(lines)
        server.rows("postgres", "SELECT pg_reload_conf()")
        wait_until(lambda: refuses_replication(over_tcp) is None, 300)
    shop = Shop(tmp_path / "logical", shop_database.url, schedule=LOGGED.replace("}", ", method: logical}"))
    with pytest.raises(BackupError, match="a dump has no increments"):
        shop.run("incremental")


@pytest.mark.parametrize(
    ("refused", "reason", "fix"),
    [
        (abilities._setting("minimal", 10), "wal_level is minimal", "wal_level = replica"),
        (abilities._setting("replica", 0), "max_wal_senders is 0", "max_wal_senders = 10"),
        (abilities._archive(0, False), "max_replication_slots is 0", "max_replication_slots = 10"),
        (abilities._archive(10, True), "the server is a standby", "lead there"),
        (abilities._blocks(16, None), "cannot tell which blocks changed", "pg_receivewal"),
        (abilities._blocks(17, "off"), "summarize_wal is off", "summarize_wal = on"),
    ],
)
def test_settings_that_rule_a_kind_out_are_named_with_what_helps(refused: abilities.Refused, reason: str, fix: str) -> None:
    assert reason in refused.reason
    assert fix in refused.fix


def test_an_index_that_does_not_fit_its_table_is_found(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    shop_database.load(
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';"
        "CREATE TABLE t AS SELECT generate_series(1, 100) AS a; CREATE INDEX fine ON t (a); CREATE INDEX wrong ON t (f(a))"
    )
    shop = Shop(tmp_path / "shop", shop_database.url, schedule='[{type: full, cron: "0 3 * * 0", method: physical}]')
    made = shop.run("full")
    sound = shop.verify(3, made.id)
    assert sound.ok, sound.problems
    assert any("pg_amcheck" in text for text in shop.told)
    shop_database.load("CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT -$1'")
    made = shop.run("full")
    evidence = shop.verify(3, made.id)
    assert not evidence.ok
    assert "pg_amcheck found" in evidence.problems[0] and "wrong" in evidence.problems[0]


def test_what_a_database_forbids_its_sessions_does_not_disturb_a_proof(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    shop_database.load(
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
        "CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION no();"
        'CREATE EVENT TRIGGER "never at all" ON ddl_command_end EXECUTE FUNCTION no();'
        'ALTER EVENT TRIGGER "never at all" ENABLE ALWAYS;'
        f'ALTER DATABASE "{shop_database.name}" SET default_transaction_read_only = on'
    )
    shop = Shop(tmp_path / "shop", shop_database.url, schedule='[{type: full, cron: "0 3 * * 0", method: physical}]')
    made = shop.run("full")
    assert shop.verify(3, made.id).problems == ()
    for to, option in ((f"file://{tmp_path}/files", "roles"), (shop_database.server.url("never"), "rolls")):
        with pytest.raises(BackupError, match=f"--option {option} means nothing"):
            shop.restore(to, options={option: "skip"})


def test_a_backup_made_before_a_restore_leaves_the_slot_of_the_policy(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    shop.run("full")
    kept = slots(shop_database.server)
    other = shop_database.server.new_database("other")
    try:
        shop_database.server.psql(other, "CREATE TABLE t (a int)")
        with shop.workspace() as workspace:
            policy = one_policy(workspace, told=shop.told.append)
            target = on_database(policy.target, other)
            with closing(connect(target)) as conn:
                assert policy.save(conn, target, "a restore").tool == "pg_dump"
        assert slots(shop_database.server) == kept != []
    finally:
        shop_database.server.drop_database(other)


def test_a_retired_policy_lets_go_of_its_slot_when_that_is_allowed(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)
    made = shop.run("full")
    [(slot, _)] = slots(shop_database.server)
    shop = Shop(tmp_path / "shop", shop_database.url, "  retired: true\n  objectives: {rpo: 1s}\n", schedule=LOGGED)

    def apply_(*allow: str) -> ApplyResult:
        with shop.workspace() as workspace:
            return apply(workspace, Consent(lambda _: True, allow=frozenset(allow)))

    with shop.workspace() as workspace:
        [entry] = plan(workspace).entries
    assert (entry.change.address, entry.steps[0].title) == ("backuppolicy/shop/server", f"drop the replication slot {slot}")
    with pytest.raises(DbopsError, match="DELETES_OBJECT"):
        apply_()
    assert len(slots(shop_database.server)) == 1
    apply_("DELETES_OBJECT")
    assert slots(shop_database.server) == []
    with shop.workspace() as workspace:
        assert plan(workspace).is_empty
    with pytest.raises(BackupError, match="is retired"):
        shop.run("full")
    assert [one.made for one in shop.due()] == [()]
    assert shop.backups() == (made,)


def test_slots_of_long_names_differ() -> None:
    one, two = (name_for(f"{'x' * 60}-{mark}") for mark in ("12345678", "87654321"))
    assert len(one) == len(two) == 63 and one != two
    assert name_for("shop@one-12345678") == "dbops_shop_one_12345678"


def test_plan_names_what_a_slot_may_do_until_it_is_bounded(shop_database: PostgresDatabase, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", shop_database.url, schedule=LOGGED)

    def plan() -> str:
        done = commands.run("plan", str(shop.folder), "-o", "json")
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "max_slot_wal_keep_size" in plan()
    shop_database.load("ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf()")
    try:
        while shop_database.rows("SELECT current_setting('max_slot_wal_keep_size')") != [("10GB",)]:
            time.sleep(0.05)
        assert "max_slot_wal_keep_size" not in plan()
    finally:
        shop_database.load("ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf()")


def test_programs_older_than_the_server_are_refused_with_their_package(
    newest_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".servers" not in part)
    monkeypatch.setenv("PATH", usual)
    shop = Shop(tmp_path / "shop", newest_server.url("postgres"), schedule='[{type: full, cron: "0 3 * * 0"}]')
    with pytest.raises(BackupError, match=r"pg_dump \d+ is older than the server, which is 18") as caught:
        shop.run()
    assert caught.value.fix == "install it: apt install postgresql-client-18"


def test_changed_blocks_are_joined_on_the_newest_version(
    newest_server: PostgresServer, tmp_path: Path, quick_folder: Path
) -> None:
    newest_server.psql("postgres", "ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf()")
    schedule = """[{type: full, cron: "0 3 * * 0"}, {type: incremental, cron: "0 * * * *"}, {type: log, cron: "* * * * *"}]"""
    with fresh_postgres(newest_server) as database:
        database.load("CREATE TABLE t AS SELECT i AS n, md5(i::text) AS t FROM generate_series(1, 50000) AS i; CHECKPOINT")
        shop = Shop(tmp_path / "shop", newest_server.tcp_url(database.name), schedule=schedule)
        full = shop.run("full")
        made = []
        for number in range(2):
            database.load(f"UPDATE t SET t = 'changed {number}' WHERE n = 100 + {number}")
            made.append(shop.run("incremental"))
        database.load("UPDATE t SET t = 'changed 2' WHERE n = 102")
        before = now(database)
        database.load("DROP TABLE t")
        log = shop.run("log")
        assert [one.tool for one in (full, *made, log)] == ["pg_basebackup"] * 3 + ["pg_receivewal"]
        assert sum(part.plain_size for part in _base(made[1])) * 2 < sum(part.plain_size for part in _base(full))
        shop.restore(newest_server.url(f"{database.name}_back"), point=point_of(at=before))
        rows = newest_server.rows(f"{database.name}_back", "SELECT n, t FROM t WHERE t LIKE 'changed%' ORDER BY n")
        assert rows == [(100, "changed 0"), (101, "changed 1"), (102, "changed 2")]
        newest_server.drop_database(f"{database.name}_back")
        evidence = shop.verify(2, log.id)
        assert evidence.ok, evidence.problems
        slot = newest_server.rows("postgres", "SELECT slot_name FROM pg_replication_slots")[0][0]
        newest_server.rows("postgres", f"SELECT pg_drop_replication_slot('{slot}')")


def _base(manifest: Manifest) -> list[PartRecord]:
    return [part for stream in manifest.streams if stream.name == "base.tar" for part in stream.parts]
