"""What the backup port promises, on each engine: full backups by what it prefers, back again, proven, or refused unharmed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from dbops.archive.manifest import Manifest, sealed, to_json
from dbops.cli.views.backups import listing_text
from dbops.engines.base.backup import KINDS
from dbops.engines.base.shape import misfit
from dbops.engines.base.url import parse_url
from dbops.errors import BackupError
from dbops.resources.backups import making
from dbops.usecases.backup.look import listing
from dbops.usecases.backup.policies import one_policy
from dbops.usecases.backup.prune import delete
from dbops.usecases.backup.verify import verify
from dbops.usecases.runtime import target_for_url
from dbops.usecases.status import status
from tests.databases import Database, MysqlDatabase, PostgresDatabase, SqliteDatabase
from tests.usecases.policies import Shop

FULLS = "[{type: full, cron: '0 3 * * 0'}]"
ROWS = """
CREATE TABLE customers (id integer NOT NULL PRIMARY KEY, email varchar(100) NOT NULL UNIQUE, note varchar(200));
CREATE TABLE orders (
  id integer NOT NULL PRIMARY KEY,
  customer_id integer NOT NULL,
  total decimal(10, 2) DEFAULT 0 NOT NULL,
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
);
CREATE INDEX orders_total ON orders (total);
CREATE VIEW big AS SELECT id FROM orders WHERE total > 10;
INSERT INTO customers VALUES (1, 'ada@example.org', NULL), (2, 'zoë@example.org', 'a ''quoted'' \t 🐘');
INSERT INTO orders VALUES (1, 1, 12.50), (2, 2, 3);
"""


@pytest.fixture
def shop(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database.load(ROWS)
    return Shop(tmp_path / "env", database.url, schedule=FULLS)


@pytest.fixture
def elsewhere(database: Database, tmp_path: Path) -> Iterator[Database]:
    """A database of the same engine that does not exist, dropped afterwards."""
    match database:
        case PostgresDatabase(server, name):
            yield PostgresDatabase(server, f"{name}_back")
            server.drop_database(f"{name}_back")
        case MysqlDatabase(server, name):
            yield MysqlDatabase(server, f"{name}_back")
            server.drop_database(f"{name}_back")
        case _:
            yield SqliteDatabase(tmp_path / "back.db")


def contents(database: Database) -> list[object]:
    return [database.rows(f"SELECT * FROM {table} ORDER BY id") for table in ("customers", "orders", "big")]


def test_a_full_backup_comes_back_as_it_was(shop: Shop, database: Database, elsewhere: Database) -> None:
    made = shop.run()
    assert all(one["code"] == 0 for one in made.exits)
    assert made.schema_digest
    shop.restore(elsewhere.url)
    assert contents(elsewhere) == contents(database)
    assert elsewhere.dump().replace(f"{_name(elsewhere)}", f"{_name(database)}") == database.dump()


def _name(database: Database) -> str:
    return parse_url(database.url).database or ""


def test_it_is_proven_by_a_restore_that_leaves_nothing_behind(shop: Shop, database: Database) -> None:
    shop.run()
    before = database.dump(), contents(database)
    with shop.workspace() as workspace:
        (evidence,) = verify(workspace, None, 3, shop.told.append)
    assert evidence.problems == ()
    assert evidence.seconds is not None
    assert (database.dump(), contents(database)) == before


def test_what_stands_at_the_target_stays(shop: Shop, database: Database) -> None:
    shop.run()
    before = database.dump(), contents(database)
    with pytest.raises(BackupError, match="left as it is"):
        shop.restore(database.url)
    assert (database.dump(), contents(database)) == before


def test_what_is_refused_is_refused_before_a_backup_of_what_stands_there(shop: Shop, database: Database) -> None:
    made = shop.run()
    before = database.dump(), contents(database)
    with pytest.raises(BackupError):
        shop.restore(database.url, replaces=True, schemas=("public",))
    assert shop.backups() == (made,)
    assert (database.dump(), contents(database)) == before


def test_that_there_is_nothing_to_verify_is_an_error(shop: Shop) -> None:
    with shop.workspace() as workspace, pytest.raises(BackupError, match="no backup yet"):
        verify(workspace, None, 3, shop.told.append)


def test_a_run_that_failed_is_listed_with_its_reason(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(produced: object) -> None:
        raise BackupError("the dump ended early")

    monkeypatch.setattr(making, "_must_have_ended_well", fail)
    with pytest.raises(BackupError, match="ended early"):
        shop.run()
    with shop.workspace() as workspace:
        (found,) = listing(workspace)
        (told,) = (policy for one in status(workspace) for policy in one.backups)
    assert [(one.kind, one.error) for one in found.failures] == [("full", "the dump ended early")]
    assert "full: the dump ended early" in listing_text(found)
    assert any("the dump ended early" in problem for problem in told.problems)


def test_a_damaged_backup_makes_nothing(shop: Shop, elsewhere: Database) -> None:
    made = shop.run()
    part = shop.parts(made)[0]
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(BackupError, match="nothing was touched"):
        shop.restore(elsewhere.url)
    with shop.workspace() as workspace:
        policy = one_policy(workspace)
        assert policy.engine.backups.occupied(target_for_url(elsewhere.url)) is None


def test_every_kind_is_offered_or_refused_with_a_reason(shop: Shop) -> None:
    with shop.workspace() as workspace:
        policy = one_policy(workspace)
        offered = list(chain.from_iterable(policy.engine.backups.mechanisms(policy.session(), policy.target)))
        identity = policy.engine.backups.identity(policy.session())
    assert {one.kind for one in offered} == set(KINDS)
    assert all(one.works or one.refusal for one in offered)
    assert identity.timeline.replace("-", "").isalnum()


def test_a_manifest_whose_facts_have_another_shape_is_named_and_stops_no_other(
    shop: Shop, elsewhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write into the storage can seal what he likes, where there is no key."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    good, bad = shop.run(), shop.run()
    path = shop.manifest(bad)
    with shop.workspace() as workspace:
        policy = one_policy(workspace)
        shape = policy.engine.backups.shape(making.unread(policy.repository, bad))
        for part, inner in shape.items():
            facts = dict(getattr(bad, part))
            for name in facts.keys() & dict(inner).keys():
                for value in ({"a": 1}, [[-1]], True, -1.5):
                    if misfit(value, dict(inner)[name], name) is None:
                        continue  # whether a database is a template, say
                    path.write_bytes(forged(bad, part, {**facts, name: value}))
                    with pytest.raises(BackupError, match=f"manifest of {bad.id} cannot be used: {part}.{name}\\b") as caught:
                        shop.restore(elsewhere.url)
                    assert caught.value.error_code == "MANIFEST_DAMAGED"
        assert policy.engine.backups.occupied(target_for_url(elsewhere.url)) is None
        found = verify(workspace, None, 3, shop.told.append)
        assert [(one.backup_id, one.ok) for one in found] == [(good.id, True), (bad.id, False)]
        assert shop.restore(elsewhere.url, word=good.id).chain == (good,)
        delete(workspace, bad.id, None, shop.told.append, cascades=False)
    assert shop.backups() == (good,)


def forged(manifest: Manifest, part: str, facts: dict[str, object]) -> bytes:
    return to_json(sealed(replace(manifest, **{part: facts}), None))
