"""A policy in plan and apply, what is due, what goes, and what must not."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbops.archive.lease import leased
from dbops.archive.repository import Draft
from dbops.errors import ApplyError, BackupError, Problems
from dbops.reconcile.plan import Plan
from dbops.usecases.apply import ApplyResult, Consent, apply
from dbops.usecases.backup.look import listing, show
from dbops.usecases.backup.prune import delete, hold, prune_all, release
from dbops.usecases.backup.verify import verify
from dbops.usecases.history import undo
from dbops.usecases.plan import plan
from dbops.usecases.status import status
from dbops.usecases.validate import validate
from tests.databases import SqliteDatabase
from tests.usecases.policies import Shop

START = datetime(2026, 3, 1, 3, 0, 30, tzinfo=UTC)  # a Sunday


class Clock:
    """The time of a test, which every look at it moves on a little."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=10)
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """A clock for policies; the databases keep the real one."""
    from dbops.engines.sqlite.backup import making
    from dbops.usecases import runtime

    clock = Clock()

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return clock()

    monkeypatch.setattr(runtime, "moment", clock)
    monkeypatch.setattr(making, "datetime", Datetime)
    return clock


@pytest.fixture
def shop(tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Shop:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a');")
    return Shop(
        tmp_path / "env", sqlite_database.url, "  retention: {last: 3}\n  objectives: {rpo: 2h, rto: 10s, budget: 1KiB}\n"
    )


def planned(shop: Shop) -> Plan:
    with shop.workspace() as workspace:
        return plan(workspace)


def applied(shop: Shop) -> ApplyResult:
    with shop.workspace() as workspace:
        return apply(workspace, Consent(lambda _: True))


def addresses(made: Plan) -> list[str]:
    return [entry.change.address for entry in made.entries]


def test_what_is_overdue_is_a_change_that_apply_mends(shop: Shop, clock: Clock) -> None:
    assert addresses(planned(shop)) == ["backuppolicy/shop/full", "backuppolicy/shop/verify"]
    assert applied(shop).state == "done"
    assert planned(shop).is_empty
    clock.now += timedelta(hours=1)
    (entry,) = planned(shop).entries
    assert entry.change.address == "backuppolicy/shop/incremental"
    assert entry.change.reason.startswith("due since 2026-03-01 04:00Z")
    assert entry.change.at is not None
    assert entry.change.at.line > 1
    applied(shop)
    assert [one.kind for one in shop.backups()] == ["full", "incremental"]


def test_a_file_whose_pages_have_another_size_since_gets_a_full(
    shop: Shop, clock: Clock, sqlite_database: SqliteDatabase
) -> None:
    """Until the next full of the schedule nothing could follow, and each run would fail."""
    shop.due()
    with closing(sqlite3.connect(sqlite_database.path, isolation_level=None)) as conn:
        conn.executescript("PRAGMA page_size = 8192; VACUUM")
    clock.now += timedelta(hours=2)
    (done,) = shop.due()
    assert done.error is None
    assert [one.kind for one in done.made] == ["full"]


def test_the_journal_has_the_calls(shop: Shop) -> None:
    from dbops.usecases.history import history

    applied(shop)
    with shop.workspace() as workspace:
        (record,) = history(workspace)
    assert record.record.state == "done"


def test_due_runs_do_the_same_without_a_plan(shop: Shop, clock: Clock) -> None:
    (done,) = shop.due()
    assert [one.kind for one in done.made] == ["full"]
    assert [one.ok for one in done.verified] == [True]
    assert shop.due()[0].made == ()
    for _ in range(4):
        clock.now += timedelta(hours=1)
        (done,) = shop.due()
        assert [one.kind for one in done.made] == ["incremental"]
        assert done.error is None


def test_one_runner_at_a_time(shop: Shop) -> None:
    with shop.keeper() as keeper, leased(keeper.repository.storage, keeper.repository.target, keeper.clock):
        (done,) = shop.due()
    assert done.busy is not None
    assert shop.backups() == ()


def test_retention_deletes_and_is_planned(shop: Shop, clock: Clock) -> None:
    for _ in range(3):
        applied(shop)
        clock.now += timedelta(weeks=1)
    made = planned(shop)
    assert addresses(made) == ["backuppolicy/shop/full", "backuppolicy/shop/verify", "backuppolicy/shop/prune"]
    oldest = shop.backups()[0].id
    assert [hazard.message for hazard in made.steps[-1].hazards] == [f"the backup {oldest} is deleted"]
    applied(shop)
    assert oldest not in [one.id for one in shop.backups()]
    assert planned(shop).is_empty


def test_a_backup_that_does_not_restore_is_told_and_made_anew(shop: Shop) -> None:
    applied(shop)
    (made,) = shop.backups()
    shop.parts(made)[0].unlink()
    with shop.keeper() as keeper, pytest.raises(BackupError, match="does not restore"):
        keeper.verify_newest()
    seen = planned(shop)
    assert "BACKUP_UNRESTORABLE" in [one.code for one in seen.observations]
    assert addresses(seen)[0] == "backuppolicy/shop/full"
    applied(shop)
    assert len(shop.backups()) == 2


def test_what_the_next_apply_does_about_a_bad_backup_is_told_as_it_is(shop: Shop) -> None:
    said = []
    for _ in range(2):
        made = shop.run()
        shop.parts(made)[0].unlink()
        with shop.keeper() as keeper, pytest.raises(BackupError, match="does not restore") as caught:
            keeper.verify_newest()
        said.append("the next apply does so too" in str(caught.value.fix))
        with shop.keeper() as keeper:
            assert ("full" in [one.kind for one in keeper.due()]) is said[-1]
    assert said == [True, False]


def test_promises_that_no_backup_mends_are_told(shop: Shop, clock: Clock) -> None:
    applied(shop)
    assert [one.code for one in planned(shop).observations] == ["OVER_BUDGET"]
    clock.now += timedelta(hours=3)
    assert [one.code for one in planned(shop).observations] == ["RPO_BROKEN", "OVER_BUDGET"]


def test_a_kind_that_cannot_be_made_is_told_with_its_place(tmp_path: Path, sqlite_database: SqliteDatabase) -> None:
    sqlite_database.load("CREATE TABLE a (id integer);")
    schedule = "[{type: full, cron: '0 3 * * 0'}, {type: log, cron: '*/5 * * * *'}]"
    shop = Shop(tmp_path / "env", sqlite_database.url, schedule=schedule)
    seen = planned(shop)
    (observation,) = seen.observations
    assert seen.is_refused
    with pytest.raises(ApplyError, match="cannot be made; nothing was done"):
        applied(shop)
    assert observation.code == "BACKUP_REFUSED"
    assert "SQLite keeps no log" in observation.message


def test_a_list_tells_when_the_promise_breaks(shop: Shop) -> None:
    applied(shop)
    with shop.workspace() as workspace:
        (found,) = listing(workspace)
    (one,) = found.backups
    assert found.breaks_at == one.manifest.ended_at + timedelta(hours=2)
    assert found.due["incremental"] == START.replace(hour=4, second=0)
    assert one.state == "verified"
    assert one.kept == ("last", "newest", "verified")


def test_what_others_need_is_not_deleted_alone(shop: Shop, clock: Clock) -> None:
    applied(shop)
    clock.now += timedelta(hours=1)
    applied(shop)
    full, incremental = (one.id for one in shop.backups())
    with shop.workspace() as workspace:
        with pytest.raises(BackupError, match=f"needed by {incremental}"):
            delete(workspace, full, None, shop.told.append, cascades=False)
        with pytest.raises(BackupError, match="last backup whose restore was tested"):
            delete(workspace, full, None, shop.told.append, cascades=True)
        delete(workspace, incremental, None, shop.told.append, cascades=False)
    assert [one.id for one in shop.backups()] == [full]


def test_what_is_held_stays(shop: Shop, clock: Clock) -> None:
    applied(shop)
    (first,) = shop.backups()
    with shop.workspace() as workspace:
        hold(workspace, "latest", "case 4711", None)
        with pytest.raises(BackupError, match="held already: case 4711"):
            hold(workspace, first.id, "again", None)
    for _ in range(4):
        clock.now += timedelta(weeks=1)
        applied(shop)
    assert shop.backups()[0].id == first.id
    with shop.workspace() as workspace:
        with pytest.raises(BackupError, match="is held"):
            delete(workspace, first.id, None, shop.told.append, cascades=True)
        release(workspace, first.id, None)
        assert [one.id for one in prune_all(workspace, None, shop.told.append, is_dry=True)[0].pruned.deleted] == [first.id]
        assert shop.backups()[0].id == first.id
        prune_all(workspace, None, shop.told.append, is_dry=False)
    assert shop.backups()[0].id != first.id


def die(shop: Shop, monkeypatch: pytest.MonkeyPatch, kind: str = "full") -> None:
    """Make a backup in a process that is killed before it commits."""
    if not (child := os.fork()):
        monkeypatch.setattr(Draft, "commit", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        try:
            shop.run(kind)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_parts_of_a_run_that_died_go_after_a_day(shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    die(shop, monkeypatch)
    left = [path for path in (shop.folder / "backups").rglob("*") if path.is_file() and "locks" not in path.parts]
    assert len(left) == 4
    applied(shop)
    with shop.workspace() as workspace:
        assert "a run died" in next(one for one in verify(workspace, None, 0, print) if not one.ok).problems[0]
    clock.now = datetime.now(UTC) + timedelta(hours=23)
    with shop.keeper() as keeper:
        assert keeper.prune().orphans == ()
        clock.now = datetime.now(UTC) + timedelta(hours=25)
        assert len(keeper.prune().orphans) == 4
    assert not any(path.exists() for path in left)
    assert all(part.exists() for part in shop.parts(shop.backups()[0]))


@pytest.mark.parametrize("lost", [(1, 2), (1, 2, 3), (2, 3, 4), (0, 1, 2, 3, 4)], ids=str)
def test_however_many_manifests_are_lost_prune_takes_nothing_but_what_runs_left_that_died(
    tmp_path: Path,
    sqlite_database: SqliteDatabase,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    lost: tuple[int, ...],
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")  # as on another machine
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY);")
    shop = Shop(tmp_path / "env", sqlite_database.url, "  retention: {last: 1, verified: 0}\n")
    chain = [shop.run()]
    for number in range(4):
        sqlite_database.rows(f"INSERT INTO orders VALUES ({number})")
        chain.append(shop.run("incremental"))
        if number == 1:
            die(shop, monkeypatch, "incremental")
    texts = {shop.manifest(chain[number]): shop.manifest(chain[number]).read_bytes() for number in lost}
    for path in texts:
        path.unlink()
    clock.now = datetime.now(UTC) + timedelta(days=3)
    shop.run()
    with shop.workspace() as workspace:
        told = ["".join(one.problems) for one in verify(workspace, None, 0, print)]
        named = [text for text in told if "there are parts" in text or "its parts are there" in text]
    assert sorted(["it was lost" in text for text in named]) == [False] + [True] * len(lost)
    with shop.keeper() as keeper:
        pruned = keeper.prune()
    assert len([key for key in pruned.orphans if "/parts/" in key]) == 3
    assert all(part.exists() for number in lost for part in shop.parts(chain[number]))
    for path, text in texts.items():
        path.write_bytes(text)
    left = shop.restore(f"sqlite:///{tmp_path / 'found.db'}", word=chain[-1].id).chain
    assert [one.id for one in left] == [one.id for one in chain]
    with closing(sqlite3.connect(tmp_path / "found.db")) as conn:
        assert conn.execute("SELECT count(*) FROM orders").fetchone() == (4,)


def test_what_followed_a_lost_manifest_stays_until_that_is_found(
    tmp_path: Path, sqlite_database: SqliteDatabase, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")  # as on another machine
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY);")
    shop = Shop(tmp_path / "env", sqlite_database.url, "  retention: {last: 1, verified: 0}\n")
    full, later = shop.run(), shop.run("incremental")
    place = shop.manifest(full)
    text = place.read_bytes()
    place.unlink()
    clock.now = datetime.now(UTC) + timedelta(days=3)
    first = shop.run()
    shop.run()
    with shop.keeper() as keeper:
        pruned = keeper.prune()
    assert ([one.id for one in pruned.deleted], pruned.orphans) == ([first.id], ())
    place.write_bytes(text)
    assert {full.id, later.id} <= {one.id for one in shop.backups()}
    shop.restore(f"sqlite:///{tmp_path / 'found.db'}", word=later.id)


def test_what_a_damaged_manifest_may_need_stays_until_it_is_mended(
    tmp_path: Path, sqlite_database: SqliteDatabase, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY);")
    shop = Shop(tmp_path / "env", sqlite_database.url, "  retention: {last: 1, verified: 0}\n")
    before, full, last = shop.run(), shop.run(), shop.run("incremental")
    shop.run()
    path = shop.manifest(last)
    text = path.read_bytes()
    path.write_bytes(text[:-9])
    with shop.keeper() as keeper:
        assert keeper.prune().deleted == (before,)
    path.write_bytes(text)
    assert [one.id for one in shop.restore(f"sqlite:///{tmp_path / 'mended.db'}", word=last.id).chain] == [full.id, last.id]
    with shop.keeper() as keeper:
        assert keeper.prune().deleted == (last, full)


def test_a_backup_is_shown_with_its_chain_and_rows(shop: Shop, clock: Clock) -> None:
    applied(shop)
    clock.now += timedelta(hours=1)
    applied(shop)
    with shop.workspace() as workspace:
        found = show(workspace, "latest")
    assert [one.kind for one in found.chain] == ["full", "incremental"]
    assert found.rows is not None
    assert found.rows["orders"] == 1


def test_status_tells_of_backups(shop: Shop) -> None:
    applied(shop)
    with shop.workspace() as workspace:
        (found,) = status(workspace)
    (backups,) = found.backups
    assert (backups.policy, backups.count) == ("shop", 1)
    assert backups.breaks_at == (shop.backups()[0].ended_at + timedelta(hours=2)).isoformat(timespec="seconds")
    assert backups.restore_s is not None
    assert [text for text in backups.problems if "budget" in text]


def test_a_storage_that_does_not_answer_is_told_and_keeps_no_schema_from_its_plan(shop: Shop) -> None:
    (shop.folder / "backups").write_text("no folder")
    seen = planned(shop)
    assert [one.code for one in seen.observations] == ["BACKUP_STORAGE"]
    assert seen.is_empty and seen.is_blind


def test_a_policy_is_checked_offline(tmp_path: Path, sqlite_database: SqliteDatabase) -> None:
    more = "  encryption: {recipients: [age1nobody]}\n  verify: {checks: ['SELECT FROM FROM']}\n"
    shop = Shop(tmp_path / "env", sqlite_database.url, more)
    with pytest.raises(Problems) as caught:
        validate(shop.folder)
    assert "'age1nobody' is no age recipient" in caught.value.explain()
    assert "the check `SELECT FROM FROM` is no SQL" in caught.value.explain()


def test_backups_do_not_keep_an_apply_from_being_taken_back(shop: Shop, sqlite_database: SqliteDatabase, clock: Clock) -> None:
    (shop.folder / "schema.sql").write_text("CREATE TABLE orders (id integer PRIMARY KEY, note text, more text);")
    with (shop.folder / "env.yaml").open("a") as file:
        file.write("---\napiVersion: dbops/v1\nkind: Schema\nmetadata: {name: shop}\n")
        file.write("spec: {connection: shop, source: {sql: [schema.sql]}}\n")
    made = applied(shop)
    clock.now += timedelta(hours=1)
    later = applied(shop)
    assert [entry.change.kind for entry in later.plan.entries] == ["backuppolicy"]
    with shop.workspace() as workspace:
        undo(workspace, str(made.apply_id), Consent(lambda _: True, allow={"all"}))
    assert "more" not in sqlite_database.dump()
    assert len(shop.backups()) == 2
