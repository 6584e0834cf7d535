"""A set in an Alembic script directory: run by Alembic, told by the ledger, and still Alembic's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import ApplyError, MigrationError
from dbops.usecases.migrate.verify import verify
from dbops.usecases.runtime import open_workspace
from tests.databases import Database
from tests.resources.migrations.sets import Migrations

_REVISION = '''\
"""{doc}"""
from alembic import op
import sqlalchemy as sa

revision = {revision!r}
down_revision = {before!r}


def upgrade():
    {up}


def downgrade():
    {down}
'''


def revision(shop: Migrations, name: str, before: object, up: str, down: str = "pass", doc: str = "") -> None:
    folder = shop.folder / "migrations" / "versions"
    folder.mkdir(exist_ok=True)
    text = _REVISION.format(revision=name, before=before, up=up, down=down, doc=doc or name)
    (folder / f"{name}_x.py").write_text(text, encoding="utf-8")


TABLE = "op.create_table({name!r}, sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))"


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Migrations:
    shop = Migrations.make(database, tmp_path / "env", "format: alembic")
    (shop.folder / "migrations" / "script.py.mako").write_text("")
    revision(shop, "f00", None, TABLE.format(name="a"), "op.drop_table('a')", "make a")
    revision(shop, "b11", "f00", TABLE.format(name="b"), "op.drop_table('b')")
    revision(shop, "c22", "f00", TABLE.format(name="c"), "op.drop_table('c')")
    revision(shop, "a33", ("b11", "c22"), "op.add_column('a', sa.Column('m', sa.Integer))", "op.drop_column('a', 'm')")
    return shop


def heads(shop: Migrations) -> list[str]:
    return [str(row[0]) for row in shop.database.rows("SELECT version_num FROM alembic_version")]


def test_revisions_run_in_the_order_of_their_branches(shop: Migrations) -> None:
    shop.up(to="f00")
    assert heads(shop) == ["f00"]
    shop.up()
    assert heads(shop) == ["a33"]
    assert shop.status().current == "a33_a33"
    assert shop.database.rows("SELECT m FROM a") == []
    assert shop.up().state == "nothing"


def test_they_lead_back(shop: Migrations) -> None:
    shop.up()
    shop.down()
    assert sorted(heads(shop)) == ["b11", "c22"]
    shop.up()
    assert heads(shop) == ["a33"]
    with open_workspace(shop.folder) as workspace:
        assert [one.problem for one in verify(workspace)] == [""] * 4


def test_what_alembic_ran_beside_is_not_run_again(shop: Migrations) -> None:
    shop.database.load("CREATE TABLE a (id integer NOT NULL PRIMARY KEY, n integer);")
    shop.database.load("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);")
    shop.database.load("INSERT INTO alembic_version VALUES ('f00');")
    assert shop.up().state == "done"
    assert heads(shop) == ["a33"]


def test_a_failure_is_told_and_mended(shop: Migrations) -> None:
    revision(shop, "d44", "a33", "op.execute('INSERT INTO nowhere VALUES (1)')")
    with pytest.raises(ApplyError, match="nowhere"):
        shop.up()
    assert shop.states()["d44_d44"] == "failed"
    assert heads(shop) == ["a33"]
    revision(shop, "d44", "a33", "op.execute('INSERT INTO a (id) VALUES (1)')")
    shop.up()
    assert shop.states()["d44_d44"] == "applied"
    assert shop.database.rows("SELECT id FROM a") == [(1,)]


def test_a_late_revision_of_a_branch_is_no_fault_of_its_name(shop: Migrations) -> None:
    shop.up()
    revision(shop, "a00", "a33", TABLE.format(name="late"))
    assert shop.up().state == "done"


def test_a_folder_that_alembic_does_not_understand_is_named(shop: Migrations) -> None:
    (shop.folder / "migrations" / "versions" / "bad_x.py").write_text("revision = 'bad'\ndown_revision = 'nobody'\n")
    with pytest.raises(MigrationError, match="Alembic cannot read"):
        shop.up()
