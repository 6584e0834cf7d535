"""Edits of migrations in Python and of Alembic's revisions: what says nothing passes, what counts is shown as a diff."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.cli.main import run
from dbops.errors import ApplyError
from tests.databases import SqliteDatabase
from tests.resources.migrations.sets import Migrations

BACKFILL = '''\
"""Fill."""


def up_fn(step):
    """Go."""
    step.execute("INSERT INTO a VALUES (1)")


def down_fn(step):
    step.execute("DELETE FROM a")
'''


@pytest.fixture
def shop(sqlite_database: SqliteDatabase, tmp_path: Path) -> Migrations:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    shop.write("0002_fill.py", BACKFILL)
    shop.up()
    return shop


def refusal(shop: Migrations) -> str:
    with pytest.raises(ApplyError) as caught:
        shop.up()
    return caught.value.message


def test_comments_docstrings_and_layout_of_a_python_step_are_cosmetic(shop: Migrations) -> None:
    text = BACKFILL.replace('    """Go."""\n', "").replace("Fill.", "Fill it.").replace('(1)")', '(1)"\n    )  # one')
    text = text.replace("\n", "\r\n")
    (shop.folder / "migrations" / "0002_fill.py").write_bytes(text.encode())
    assert shop.states()["0002_fill"] == "cosmetic"
    assert shop.up().state == "nothing"


def test_what_a_python_step_does_otherwise_is_refused_with_the_function_and_a_diff(shop: Migrations) -> None:
    shop.write("0002_fill.py", BACKFILL.replace("VALUES (1)", "VALUES (2)"))
    said = refusal(shop)
    assert "it was edited in up_fn() since it was applied" in said
    assert '-    step.execute("INSERT INTO a VALUES (1)")' in said and '+    step.execute("INSERT INTO a VALUES (2)")' in said
    shop.write("0002_fill.py", "LIMIT = 3\n" + BACKFILL)
    assert "edited as a whole" in refusal(shop)


def test_python_that_says_a_secret_is_not_kept(shop: Migrations) -> None:
    shop.write("0003_call.py", f'API_TOKEN = "hush-hush"\n{BACKFILL}')
    shop.up()
    kept = dict(shop.database.rows("SELECT version, up_text IS NOT NULL FROM dbops_migrations"))
    assert kept == {"0001": 1, "0002": 1, "0003": 0}
    shop.write("0003_call.py", f'# new\nAPI_TOKEN = "hush-hush"\n{BACKFILL}')
    assert "0003_call: it was edited since it was applied" in refusal(shop)


def test_a_late_migration_before_python_may_touch_what_that_does(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", "outOfOrder: if-independent")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    shop.write("0003_fill.py", BACKFILL)
    shop.up()
    shop.write("0002_b.sql", "CREATE TABLE b (id integer);\n")
    assert "both touch objects that cannot be told from their text" in refusal(shop)


REVISION = '''\
"""make a

Revises:
"""
from alembic import op
revision = "f00"
down_revision = None

def upgrade():
    op.execute("CREATE TABLE a (id integer)")

def downgrade():
    op.execute("DROP TABLE a")
'''


def test_a_revision_of_alembic_may_be_told_in_other_words(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", "format: alembic")
    versions = shop.folder / "migrations" / "versions"
    versions.mkdir()
    (versions / "f00_a.py").write_text(REVISION)
    shop.up()
    (versions / "f00_a.py").write_text(REVISION.replace("make a", "Make the table a").replace("def upgrade", "# up\ndef upgrade"))
    assert list(shop.states().values()) == ["cosmetic"]
    assert shop.up().state == "nothing"
    (versions / "f00_a.py").write_text(REVISION.replace("(id integer)", "(id bigint)"))
    assert "edited in upgrade()" in refusal(shop)


@pytest.mark.parametrize("kind", ["python", "alembic"])
def test_what_a_migration_prints_is_no_part_of_the_answer(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", f"format: {'sql' if kind == 'python' else kind}")
    if kind == "python":
        shop.write(
            "0001_a.py",
            "print('read')\n\n\ndef up_fn(step):\n    print('done')\n    step.execute('CREATE TABLE a (id integer)')\n",
        )
    else:
        (shop.folder / "migrations" / "versions").mkdir()
        loud = f"print('read')\n{REVISION}".replace("def upgrade():\n", "def upgrade():\n    print('done')\n")
        (shop.folder / "migrations" / "versions" / "f00_a.py").write_text(loud.replace('"""make a\n\nRevises:\n"""', ""))
    sqlite_database.load("CREATE TABLE z (id integer);")  # so that what is pending is weighed, and read for that
    for command in (
        ["plan", "-o", "json"],
        ["migrate", "up", "--auto-approve", "-o", "json"],
        ["migrate", "verify", "-o", "json"],
    ):
        run([*command, str(shop.folder)])
        out, err = capsys.readouterr()
        json.loads(out)
        assert "read" in err and "done" in err
