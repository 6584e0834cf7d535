"""Backups that pgBackRest makes and keeps: a policy's chain leads to them, and none is left that no policy knows."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from dbops.engines.postgresql.backup.stanzas import Stanza, stanza_in
from dbops.errors import BackupError
from dbops.usecases.backup.prune import delete
from dbops.usecases.backup.restore import point_of
from tests.databases import PostgresDatabase, fresh_postgres
from tests.failures.trial import wait_until
from tests.servers import PostgresServer
from tests.servers.programs import clean_environment, free_port, run, server_account
from tests.usecases.policies import Shop

_KINDS = {"full": "0 3 * * 0", "incremental": "0 * * * *", "differential": "0 3 * * *", "log": "* * * * *"}
SCHEDULE = ", ".join(f'{{type: {kind}, cron: "{cron}", tool: pgbackrest}}' for kind, cron in _KINDS.items())
_CONFIG = """\
[global]
repo1-path={place}/repository
log-path={place}/log
lock-path={place}/lock
spool-path={place}/spool
log-level-file=off
compress-type=lz4
[shop]
pg1-path={place}/data
pg1-socket-path={place}
pg1-port={port}
"""


class Archived:
    """A server whose log goes to pgBackRest, and what that has of it."""

    def __init__(self, place: Path) -> None:
        self.place, self.config, self.server = place, place / "pgbackrest.conf", PostgresServer(place, free_port())
        self.command = f"pgbackrest --config={self.config} --stanza=shop archive-push %p"
        self.config.write_text(_CONFIG.format(place=place, port=self.server.port))

    def start(self) -> subprocess.Popen[bytes]:
        self.server.prepare()
        with (self.place / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"archive_mode = on\narchive_command = '{self.command}'\n")
        options: dict[str, Any] = {"cwd": self.place, "env": clean_environment(), **server_account(self.server.account)}
        process = subprocess.Popen(self.server.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        wait_until(self.server.is_ready)
        return process

    def pgbackrest(self, *words: str) -> str:
        command = ["pgbackrest", f"--config={self.config}", "--stanza=shop", *words]
        return run(command, cwd=self.place, **server_account(self.server.account))

    def labels(self) -> list[str]:
        return [one["label"] for one in json.loads(self.pgbackrest("info", "--output=json"))[0]["backup"]]


@pytest.fixture(scope="module")
def archived(quick_folder: Path) -> Iterator[Archived]:
    if not shutil.which("pgbackrest"):
        pytest.skip("pgbackrest is not installed: apt install pgbackrest")
    place = quick_folder / "archived"
    place.mkdir()
    if "user" in server_account(PostgresServer.account):
        shutil.chown(place, PostgresServer.account)
    found = Archived(place)
    process = found.start()
    yield found
    process.send_signal(signal.SIGQUIT)
    process.wait()


@pytest.fixture
def stored(archived: Archived) -> Iterator[PostgresDatabase]:
    with fresh_postgres(archived.server) as fresh:
        yield fresh


@pytest.fixture
def shop(stored: PostgresDatabase, tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop", stored.url, schedule=f"[{SCHEDULE}]")


def test_chain_leads_to_the_moment_before_a_table_was_dropped(archived: Archived, stored: PostgresDatabase, shop: Shop) -> None:
    stored.load("CREATE TABLE items (id int); INSERT INTO items VALUES (1)")
    full = shop.run("full")
    stored.load("INSERT INTO items VALUES (2)")
    incremental = shop.run("incremental")
    stored.load("INSERT INTO items VALUES (3)")
    time.sleep(0.01)
    [(before,)] = stored.rows("SELECT clock_timestamp()")
    stored.load("DROP TABLE items")
    log = shop.run("log")

    assert [one.tool for one in (full, incremental, log)] == ["pgbackrest"] * 3
    assert full.stored_size > 1 << 20 > incremental.stored_size
    assert archived.labels()[-2:] == [one.details["label"] for one in (full, incremental)]
    assert shop.verify(2, log.id).ok
    shop.restore(archived.server.url(f"{stored.name}_back"), point=point_of(at=before.astimezone(UTC)))
    assert archived.server.rows(f"{stored.name}_back", "SELECT count(*) FROM items") == [(3,)]
    archived.server.drop_database(f"{stored.name}_back")


@pytest.mark.campaign
def test_each_backup_leads_to_its_own_end(archived: Archived, stored: PostgresDatabase, shop: Shop, quick_folder: Path) -> None:
    stored.load("CREATE TABLE items (id int); INSERT INTO items VALUES (1)")
    full = shop.run("full")
    stored.load("INSERT INTO items VALUES (2)")
    differential = shop.run("differential")
    stored.load("DROP TABLE items")
    shop.run("log")
    shop.restore(archived.server.url(f"{stored.name}_back"), word=differential.id)
    assert archived.server.rows(f"{stored.name}_back", "SELECT count(*) FROM items") == [(2,)], "its archive goes on"
    archived.server.drop_database(f"{stored.name}_back")
    shop.restore(f"file://{quick_folder}/restored", word=full.id, options={"process_max": "2"})
    assert (quick_folder / "restored" / "PG_VERSION").exists()
    assert shop.verify(3, differential.id).ok


@pytest.mark.campaign
def test_what_the_policy_lets_go_leaves_pgbackrest_too(archived: Archived, shop: Shop) -> None:
    first = shop.run("full")
    incremental = shop.run("incremental")
    shop.verify(3, shop.run("full").id)
    archived.pgbackrest("backup", "--type=full", "--start-fast", "--repo1-retention-full=9")
    *_, second, foreign = archived.labels()
    with shop.workspace() as workspace:
        delete(workspace, first.id, None, shop.told.append, cascades=True)
    left = archived.labels()
    assert {first.details["label"], incremental.details["label"]}.isdisjoint(left)
    assert left[-2:] == [second, foreign]
    assert shop.verify(2).ok

    with pytest.raises(BackupError, match=f"would go on from {foreign}"):
        shop.run("incremental")


@pytest.mark.campaign
def test_a_record_that_is_missing_is_no_reason_to_remove_a_backup(archived: Archived, shop: Shop) -> None:
    lost = shop.run("full")
    shutil.rmtree(shop.manifest(lost).parent)
    shop.run("full")
    with shop.keeper() as keeper:
        keeper.prune()
    assert lost.details["label"] in archived.labels()


@pytest.mark.campaign
def test_damage_in_its_repository_is_found_and_nothing_is_restored(
    archived: Archived, stored: PostgresDatabase, shop: Shop
) -> None:
    label = shop.run("full").details["label"]
    place = archived.place / "repository" / "backup" / "shop" / label
    parts = sorted(place.rglob("*.lz4"), key=lambda path: path.stat().st_size)
    damaged = bytearray(parts[-1].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    parts[-1].write_bytes(damaged)

    evidence = shop.verify(2)
    assert not evidence.ok
    assert label in evidence.problems[0]
    with pytest.raises(BackupError, match="pgBackRest"):
        shop.restore(archived.server.url(f"{stored.name}_back"))
    assert archived.server.rows("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{stored.name}_back'") == []
    shutil.rmtree(place)


def test_it_is_taken_only_by_name_and_refused_with_what_to_set(
    own_server: PostgresServer, archived: Archived, tmp_path: Path
) -> None:
    with fresh_postgres(archived.server) as fresh:
        assert Shop(tmp_path / "plain", fresh.url, schedule='[{type: full, cron: "0 3 * * 0"}]').run().tool == "pg_dump"
    with fresh_postgres(own_server) as fresh:
        shop = Shop(tmp_path / "shop", fresh.url, schedule=f"[{SCHEDULE}]")
        with pytest.raises(BackupError, match="archive_mode is off") as refused:
            shop.run("full")
    assert "ALTER SYSTEM SET archive_command = 'pgbackrest --stanza=NAME archive-push %p'" in (refused.value.fix or "")


@pytest.mark.parametrize(
    ("command", "stanza"),
    [
        ("pgbackrest --stanza=main archive-push %p", Stanza("main")),
        ("/usr/bin/pgbackrest --config='/etc/a b.conf' --stanza=x archive-push \"%p\"", Stanza("x", ("--config=/etc/a b.conf",))),
        ("test -f x && pgbackrest --stanza=main archive-push %p", Stanza("main")),
        ("pgbackrest archive-push %p", None),
        ("cp %p /archive/%f", None),
        ("cp '%p", None),
        ("", None),
    ],
)
def test_stanza_is_read_from_archive_command(command: str, stanza: Stanza | None) -> None:
    assert stanza_in(command) == stanza
