"""Small projects applied by Alembic, dbmate, yoyo and Django themselves, taken over, and planned clean."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops.usecases.migrate.adopt import Adoption, Source, adopt
from dbops.usecases.runtime import open_workspace
from tests.databases import Database
from tests.resources.migrations.runners import dbmate, plain_url, python_runners, run
from tests.resources.migrations.sets import YES, Migrations
from tests.servers.releases import NotToBeHad

on_two_engines = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def had(get: Callable[[], object]) -> str:
    """Return where a runner is, or skip the test and say why it is not to be had."""
    try:
        return str(get())
    except NotToBeHad as reason:
        pytest.skip(str(reason))


def taken_over(migrations: Migrations, source: Source | None = None) -> Adoption:
    """Adopt, and prove that nothing was run, nothing is left to run but what the runner had not applied, and that this runs."""
    before = migrations.database.dump()
    with open_workspace(migrations.folder) as workspace:
        found = adopt(workspace, YES, source or Source())[0]
    assert migrations.database.dump() == before
    planned = [entry.change.address.rsplit("/", 1)[-1] for entry in migrations.plan().entries]
    assert planned == list(found.left)
    migrations.up()
    assert set(migrations.states().values()) == {"applied"}
    assert migrations.plan().entries == ()
    return found


def test_dbmate(database: Database, tmp_path: Path) -> None:
    program = had(dbmate)
    migrations = Migrations.make(database, tmp_path)
    migrations.write("20260131120000_a.sql", "-- migrate:up\nCREATE TABLE a (x integer);\n\n-- migrate:down\nDROP TABLE a;\n")
    migrations.write("20260131120500_b.sql", "-- migrate:up\nCREATE TABLE b (x integer);\n\n-- migrate:down\nDROP TABLE b;\n")
    url = plain_url(database) + ("?sslmode=disable" if database.engine == "postgresql" else "")
    url = url.replace("sqlite:///", "sqlite:")
    run([program, "--url", url, "--migrations-dir", "migrations", "--no-dump-schema", "up"], tmp_path)
    migrations.write("20260201000000_c.sql", "-- migrate:up\nCREATE TABLE c (x integer);\n")
    found = taken_over(migrations)
    assert found.history.tool == "dbmate"
    assert found.left == ("20260201000000_c",)


@on_two_engines
def test_yoyo(database: Database, tmp_path: Path) -> None:
    programs = had(python_runners)
    migrations = Migrations.make(database, tmp_path)
    migrations.write("20260131_01_aBc12-first.sql", "-- the first\n-- depends:\n\nCREATE TABLE a (x integer);\n")
    migrations.write("20260131_01_aBc12-first.rollback.sql", "DROP TABLE a;\n")
    migrations.write("20260131_02_xYz98-second.rollback.sql", "DROP TABLE b;\n")
    migrations.write("20260131_02_xYz98-second.sql", "-- depends: 20260131_01_aBc12-first\n\nCREATE TABLE b (x integer);\n")
    url = plain_url(database, "postgresql+psycopg")
    run([f"{programs}/yoyo", "apply", "--batch", "--no-config-file", "--database", url, "migrations"], tmp_path)
    migrations.write("20260201_01_qQq11-third.sql", "CREATE TABLE c (x integer);\n")
    migrations.write("20260201_01_qQq11-third.rollback.sql", "DROP TABLE c;\n")
    found = taken_over(migrations)
    assert found.history.tool == "yoyo"
    assert [one.row.label for one in found.taken if one.row] == ["20260131_01_aBc12-first", "20260131_02_xYz98-second"]
    migrations.down(to="20260131.01_aBc12-first")
    assert [one.id for one in migrations.status().standings if one.state == "applied"] == ["20260131.01_aBc12-first"]


_REVISION = '''\
"""{title}

Revision ID: {revision}
"""

from alembic import op

revision = "{revision}"
down_revision = {before!r}


def upgrade():
    op.execute("CREATE TABLE {table} (x integer)")
'''


def two_revisions(database: Database, root: Path, folder: str) -> str:
    """Write a project of three revisions, let Alembic apply two of them, and return Alembic's program."""
    alembic = f"{had(python_runners)}/alembic"
    run([alembic, "init", folder], root)
    url = plain_url(database, "postgresql+psycopg").replace("%", "%%")
    config = root / "alembic.ini"
    config.write_text(re.sub(r"(?m)^sqlalchemy\.url = .*$", lambda _: f"sqlalchemy.url = {url}", config.read_text()))
    before = None
    for revision, table in (("1975ea83b712", "a"), ("ae1027a6acf0", "b"), ("27c6a30d7c24", "c")):
        text = _REVISION.format(title=f"make {table}", revision=revision, before=before, table=table)
        (root / folder / "versions" / f"{revision}_make_{table}.py").write_text(text)
        before = revision
    run([alembic, "upgrade", "ae1027a6acf0"], root)
    return alembic


def test_alembic_whose_folder_is_the_set(sqlite_database: Database, tmp_path: Path) -> None:
    two_revisions(sqlite_database, tmp_path, "migrations")
    found = taken_over(Migrations.make(sqlite_database, tmp_path, "format: alembic"))
    assert [one.migration.version for one in found.taken] == ["1975ea83b712", "ae1027a6acf0"]
    assert found.left == ("27c6a30d7c24_make_c",)


@on_two_engines
def test_alembic_turned_into_sql(database: Database, tmp_path: Path) -> None:
    alembic = two_revisions(database, tmp_path, "alembic")
    migrations = Migrations.make(database, tmp_path)
    # What Alembic writes for itself is none of the set's business.
    sql = re.sub(r"(?s)[^;]*\balembic_version\b[^;]*;|BEGIN;|COMMIT;", "", run([alembic, "upgrade", "head", "--sql"], tmp_path))
    for number, part in enumerate(re.split(r"(?m)^(?=-- Running upgrade)", sql)[1:], 1):
        migrations.write(f"{number:04}_make.sql", part)
    found = taken_over(migrations)
    assert found.history.tool == "alembic"
    assert [one.migration.id for one in found.taken] == ["0001_make", "0002_make"]
    assert found.left == ("0003_make",)


_SETTINGS = """\
DATABASES = {{"default": {database!r}}}
INSTALLED_APPS = ["django.contrib.contenttypes", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
_FIRST = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())])]
"""
_SECOND = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.AddField("item", "note", models.TextField(null=True))]
"""


@on_two_engines
def test_django(database: Database, tmp_path: Path) -> None:
    python = f"{had(python_runners)}/python"
    app = tmp_path / "shop" / "migrations"
    app.mkdir(parents=True)
    for file, text in {"../__init__.py": "", "__init__.py": "", "0001_initial.py": _FIRST, "0002_item_note.py": _SECOND}.items():
        (app / file).write_text(text)
    (tmp_path / "settings.py").write_text(_SETTINGS.format(database=_django_database(database)))
    django = [python, "-m", "django"]
    run([*django, "migrate"], tmp_path, DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=str(tmp_path))
    migrations = Migrations.make(database, tmp_path)
    for name in ("0001_initial", "0002_item_note"):
        sql = run([*django, "sqlmigrate", "shop", name], tmp_path, DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=str(tmp_path))
        migrations.write(f"{name}.sql", sql)
    migrations.write("0003_next.sql", "CREATE TABLE c (x integer);\n")
    found = taken_over(migrations, Source(part="shop"))
    assert found.history.tool == "django"
    assert found.left == ("0003_next",)


def _django_database(database: Database) -> dict[str, str]:
    if database.engine == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": database.url.removeprefix("sqlite:///")}
    server = database.server  # type: ignore[attr-defined]  # PostgreSQL's
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database.name,  # type: ignore[attr-defined]
        "HOST": "127.0.0.1",
        "PORT": str(server.port),
        "USER": server.user,
        "PASSWORD": server.password,
    }


if sys.platform != "linux":
    pytestmark = pytest.mark.skip(reason="the runners are fetched for Linux")
