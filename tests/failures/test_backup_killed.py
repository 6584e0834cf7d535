"""Backups, prunes and restores killed at random moments: what is stored stays usable, and a target is what it was or complete."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbops.archive.storage.base import WRITING
from dbops.usecases.backup.look import listing
from dbops.usecases.backup.restore import RestoreWish, restore
from dbops.usecases.backup.verify import verify
from tests.databases import Database, MysqlDatabase, PostgresDatabase, SqliteDatabase
from tests.failures.trial import wait_until
from tests.usecases.policies import Shop

_ROWS = 2000
_SCHEDULE = '[{type: full, cron: "0 3 * * *"}]'
_FILES = '[{type: full, cron: "0 3 * * *", method: physical}, {type: log, cron: "0 * * * *"}]'
_RESTORED_EACH = 10
"""Copies of a server's files are restored after each so many kills, for it takes servers of their own."""
_SQL = "CREATE TABLE orders (id integer PRIMARY KEY, note varchar(200)); CREATE INDEX notes ON orders (note);"
Trials = pytest.mark.parametrize("trials", [3, pytest.param(100, marks=pytest.mark.campaign)], ids=["few", "many"])


@dataclass(slots=True)
class Site:
    """A database, its backups, and a target that holds rows of its own. `tmp` is where programs put what passes. `kinds` are what
    is made by turns, of `files` of the server or of the database alone.
    """

    shop: Shop
    source: Database
    target: Database
    tmp: Path
    kinds: tuple[str, ...] = ("full",)
    version: int = 0

    def change(self) -> None:
        """Give all rows of the source another version, so that each backup can be told."""
        self.version += 1
        self.source.load(f"UPDATE orders SET note = '{self.version} {'x' * 100}';")

    def back_up(self) -> None:
        """Make the next kind by turns, a full first."""
        self.shop.run(self.kinds[self.version % len(self.kinds)] if self.shop.backups() else "full")

    def prune(self) -> None:
        with self.shop.keeper() as keeper:
            keeper.prune()

    def restore(self) -> None:
        with self.shop.workspace() as workspace:
            restore(workspace, RestoreWish(self.target.url, replaces=True, word=self.newest()), lambda text: None)

    def newest(self) -> str:
        """Return the id of the newest backup of the source; those made of the target before a restore are labelled."""
        return [one for one in self.shop.backups() if not one.labels][-1].id

    def standing(self) -> list[tuple[str, int]]:
        """Return the versions of the target's rows with their numbers: one version, all rows, when it is whole."""
        rows = self.target.rows("SELECT note FROM orders")
        versions = [str(note).split(" ")[0] for (note,) in rows]
        return sorted((version, versions.count(version)) for version in set(versions))


@pytest.fixture(
    params=[
        "sqlite",
        *(
            pytest.param(name, marks=pytest.mark.campaign)
            for name in ("postgresql", "mysql", "files of postgresql", "files of mysql")
        ),
    ]
)
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    engine, has_files = request.param.removeprefix("files of "), request.param.startswith("files")
    source, target = _two(request, engine, tmp_path)  # first: a server that is started now keeps this environment
    tmp = Path(tempfile.mkdtemp(prefix="dbops-killed-"))
    tmp.chmod(0o755)  # servers' own accounts pass through
    request.addfinalizer(lambda: shutil.rmtree(tmp))
    monkeypatch.setenv("TMPDIR", str(tmp))
    monkeypatch.setattr(tempfile, "tempdir", None)
    source.load(_SQL)
    values = ", ".join(f"({number}, '')" for number in range(_ROWS))
    for database in (source, target):
        if database is target:
            database.load(_SQL)
        database.load(f"INSERT INTO orders VALUES {values};")
    target.load("UPDATE orders SET note = 'own row';")
    shop = Shop(tmp_path / "env", source.url, "  retention: {last: 2, verified: 0}\n", _FILES if has_files else _SCHEDULE)
    request.addfinalizer(lambda: _let_go(shop))
    return Site(shop, source, target, tmp, ("full", "log") if has_files else ("full",))


def _let_go(shop: Shop) -> None:
    """Drop the slot that keeps the server's log for the policy."""
    with shop.keeper() as keeper:
        if keeper.keeps():
            keeper.let_go()


def _two(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> tuple[Database, Database]:
    if engine == "sqlite":
        return request.getfixturevalue("sqlite_database"), SqliteDatabase(tmp_path / "target.db")
    if engine == "postgresql":
        server = request.getfixturevalue("postgres_server")
        return request.getfixturevalue("pg_database"), PostgresDatabase(server, server.new_database("target"))
    server = request.getfixturevalue("logging_mysql_server")
    return MysqlDatabase(server, server.new_database("source")), MysqlDatabase(server, server.new_database("target"))


def killed(work: Callable[[], object], after_s: float) -> bool:
    """Run `work` in a forked process and kill it after a while; tell whether it was still running."""
    child = os.fork()
    if not child:
        try:
            sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
            work()
        finally:
            os._exit(0)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def strike(site: Site, work: Callable[[], object], chance: random.Random, trials: int) -> int:
    """Kill `work` at so many random moments, and check what is left each time; return how often it was cut off."""
    usual_s: dict[int, float] = {}
    for _ in site.kinds:
        begun = time.monotonic()
        work()
        usual_s[site.version % len(site.kinds)] = time.monotonic() - begun
        site.change()
    cut = 0
    for trial in range(trials):
        site.change()
        site.back_up()
        before = site.standing()
        cut += killed(work, chance.random() * usual_s[site.version % len(site.kinds)] * 1.1)
        left_usable(site, before, is_restored=len(site.kinds) == 1 or trial % _RESTORED_EACH == 0)
    return cut


def left_usable(site: Site, before: list[tuple[str, int]], *, is_restored: bool) -> None:
    """Check storage and target after a kill, then that everything works and clears away what was left."""
    with site.shop.workspace() as workspace:
        [listed] = listing(workspace)
        assert listed.backups
        assert not listed.broken
        problems = [problem for one in verify(workspace, None, 1, lambda text: None) for problem in one.problems]
        assert all("no manifest" in problem for problem in problems)
    programs_end(site.tmp)
    if site.target.engine != "mysql":  # it has no way to give a database another name; the next restore goes on there
        assert site.standing() in (before, [(str(site.version), _ROWS)]), "the target is neither what it was nor complete"
    site.back_up()
    if is_restored:
        site.restore()
        assert site.standing() == [(str(site.version), _ROWS)]
    with site.shop.keeper() as keeper:
        replace(
            keeper, clock=lambda: datetime.now(UTC) + timedelta(days=15)
        ).prune()  # what a restore saved is kept for two weeks
    root = site.shop.folder / "backups"
    assert list(root.rglob(f"{WRITING}*")) == []
    assert list(root.glob("*/readers")) == [], "what a restore said that was killed goes too"
    folders = {path.parent.parent for path in root.rglob("parts/*")}
    assert [folder for folder in folders if not (folder / "manifest.json").exists()] == []
    programs_end(site.tmp)
    if is_restored:  # which removes what the one before left
        assert not list(site.tmp.iterdir()), "temporary files are left"
    if site.target.engine == "sqlite":
        assert [path.name for path in Path(site.target.path).parent.iterdir() if "restoring" in path.name] == []  # type: ignore[attr-defined]


def programs_end(tmp: Path) -> None:
    """Wait until nothing runs any more that was started with this folder for temporary files."""
    try:
        wait_until(lambda: not processes_below(tmp), 60)
    except TimeoutError:
        pytest.fail(f"these go on: {processes_below(tmp)}")


def processes_below(tmp: Path) -> list[str]:
    """Return the programs that were started with this folder for temporary files, but for this process."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if int(environment.parent.name) != os.getpid() and f"TMPDIR={tmp}".encode() in environment.read_bytes().split(b"\0"):
                found.append((environment.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@Trials
@pytest.mark.parametrize("verb", ["back_up", "prune", "restore"])
def test_what_was_killed_leaves_storage_and_target_usable(site: Site, verb: str, trials: int) -> None:
    chance = random.Random(7)
    site.change()
    site.back_up()
    cut = strike(site, getattr(site, verb), chance, trials)
    assert cut or trials < 10
