"""A set in an Alembic script directory: run by Alembic, told by the ledger, and still Alembic's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dbops.cli.main import run
from dbops.errors import ApplyError, MigrationError, RehearsalError
from dbops.usecases.lint import LintRequest
from dbops.usecases.migrate.files import new
from dbops.usecases.migrate.lint import lint
from dbops.usecases.migrate.sets import one_set
from dbops.usecases.migrate.verify import verify
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, SqliteDatabase
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


def test_revisions_in_several_folders_are_found_as_alembic_finds_them(shop: Migrations) -> None:
    (billing := shop.folder / "billing").mkdir()
    text = _REVISION.format(revision="d44", before="a33", up=TABLE.format(name="d"), down="op.drop_table('d')", doc="bills")
    (billing / "d44_bills.py").write_text(text)
    locations = "version_locations = %(here)s/migrations/versions;%(here)s/billing\npath_separator = ;\n"
    (shop.folder / "alembic.ini").write_text(f"[alembic]\nscript_location = %(here)s/migrations\n{locations}")
    with open_workspace(shop.folder) as workspace:
        assert new(one_set(workspace, None).desired, "more")[0].parent.name == "versions"
    assert shop.up().state == "done"
    assert shop.states()["d44_bills"] == "applied"
    (shop.folder / "migrations" / "migrations.lock").unlink()
    (billing / "d44_bills.py").unlink()
    billing.rmdir()
    with pytest.raises(MigrationError, match="folder of revisions that is not there"):
        shop.up()


def test_a_failure_is_told_and_mended(shop: Migrations) -> None:
    revision(shop, "d44", "a33", "op.execute('INSERT INTO nowhere VALUES (1)')")
    with pytest.raises(ApplyError, match="nowhere") as caught:
        shop.up()
    assert caught.value.message.count("d44_d44") == 1, "told once"
    assert shop.states()["d44_d44"] == "failed"
    assert heads(shop) == ["a33"]
    revision(shop, "d44", "a33", "op.execute('INSERT INTO a (id) VALUES (1)')")
    shop.up()
    assert shop.states()["d44_d44"] == "applied"
    assert shop.database.rows("SELECT id FROM a") == [(1,)]


@pytest.mark.parametrize("env", ["skip", "run"])
def test_a_type_of_two_revisions_is_made_once_as_in_a_run_of_alembics_own(
    pg_database: Database, tmp_path: Path, env: str
) -> None:
    shop = Migrations.make(pg_database, tmp_path / "env", f"format: alembic, alembic: {{env: {env}}}")
    (shop.folder / "migrations" / "env.py").write_text(
        "from alembic import context\n"
        "context.configure(connection=context.config.attributes['connection'])\n"
        "with context.begin_transaction():\n    context.run_migrations()\n"
    )
    for name, before in (("a11", None), ("b22", "a11")):
        revision(shop, name, before, f"op.create_table({name!r}, sa.Column('s', sa.Enum('on', 'off', name='state')))")
    assert shop.plan().rehearsal is not None
    assert shop.up().state == "done"
    assert pg_database.rows("SELECT typname FROM pg_type WHERE typname = 'state'") == [("state",)]


def test_what_a_revision_that_failed_leaves_is_told_where_it_stays(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env", "format: alembic")
    (shop.folder / "migrations" / "versions").mkdir()
    revision(shop, "a11", None, f"{TABLE.format(name='a')}; import nobody")
    with pytest.raises(ApplyError, match="No module named 'nobody'") as caught:
        shop.up()
    assert "alembic: {env: run}" in (caught.value.fix or "")
    stays = database.engine == "mysql"
    assert ("stay so on this engine: take that back by hand" in (caught.value.fix or "")) == stays
    if stays:
        database.load("DROP TABLE a;")
    revision(shop, "a11", None, TABLE.format(name="a"))
    assert shop.up().state == "done"


def test_a_late_revision_of_a_branch_is_no_fault_of_its_name(shop: Migrations) -> None:
    shop.up()
    revision(shop, "a00", "a33", TABLE.format(name="late"))
    assert shop.up().state == "done"


def test_a_folder_that_alembic_does_not_understand_is_named(shop: Migrations) -> None:
    (shop.folder / "migrations" / "versions" / "bad_x.py").write_text("revision = 'bad'\ndown_revision = 'nobody'\n")
    with pytest.raises(MigrationError, match="Alembic cannot read"):
        shop.up()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("revision = 'bad'\ndown_revision = (\n", "bad_x.py:2:17: Alembic cannot read migrations: '(' was never closed"),
        (
            "import os\nimport nobody\n",
            "bad_x.py:2: Alembic cannot read migrations: ModuleNotFoundError: No module named 'nobody'",
        ),
        ("import sys\nsys.exit(4)\n", "bad_x.py:2: Alembic cannot read migrations: SystemExit: 4"),
    ],
)
def test_a_revision_that_cannot_be_imported_is_told_with_its_line(shop: Migrations, text: str, said: str) -> None:
    (shop.folder / "migrations" / "versions" / "bad_x.py").write_text(text)
    with pytest.raises(MigrationError) as caught:
        shop.up()
    assert said in caught.value.explain()


@pytest.mark.parametrize(("line", "said"), [("op.execute('CREATE TABL x')", "syntax"), ("raise SystemExit(4)", "SystemExit: 4")])
def test_what_goes_wrong_in_a_revision_is_told_with_its_line(shop: Migrations, line: str, said: str) -> None:
    (shop.folder / "migrations" / "versions" / "bad_x.py").write_text(
        f"from alembic import op\nrevision = 'bad'\ndown_revision = None\n\ndef upgrade():\n    {line}\n\n"
        "def downgrade():\n    pass\n"
    )
    with pytest.raises(ApplyError) as caught:
        shop.up()
    assert "bad_x.py:6: " in caught.value.explain() and said in caught.value.explain()


def test_a_folder_without_revisions_is_no_silence(shop: Migrations) -> None:
    for file in (shop.folder / "migrations" / "versions").glob("*.py"):
        file.unlink()
    assert "MIGRATIONS_NONE" in [one.code for one in shop.plan().observations]


def env_py(shop: Migrations, configure: str, connection: str = 'config.attributes["connection"]') -> None:
    text = (
        "import sqlalchemy\nfrom alembic import context\n\nTABLE = 'versions'\nconfig = context.config\n"
        f"connection = {connection}\ncontext.configure(connection=connection, {configure})\n"
        "with context.begin_transaction():\n    context.run_migrations()\n"
    )
    (shop.folder / "migrations" / "env.py").write_text(text)


def options(shop: Migrations, text: str) -> None:
    file = shop.folder / "env.yaml"
    file.write_text(file.read_text().replace("format: alembic", f"format: alembic, alembic: {text}"))


@pytest.mark.parametrize("env", ["skip", "run"])
def test_env_py_names_the_table_of_versions(shop: Migrations, env: str) -> None:
    options(shop, f"{{env: {env}}}")
    env_py(shop, "version_table=TABLE")
    shop.up(to="f00")
    shop.up()
    assert shop.database.rows("SELECT version_num FROM versions") == [("a33",)]
    assert shop.up().state == "nothing"
    shop.down()
    with open_workspace(shop.folder) as workspace:
        assert [one.problem for one in verify(workspace)] == [""] * 4


def test_a_name_that_only_running_tells_is_asked_for(shop: Migrations) -> None:
    env_py(shop, "version_table='ver' + 'sions'")
    with pytest.raises(ApplyError, match="only running it tells: 'ver' \\+ 'sions'"):
        shop.up()
    options(shop, "{versionTable: versions}")
    assert shop.up().state == "done"
    assert shop.database.rows("SELECT version_num FROM versions") == [("a33",)]


def test_an_env_py_that_connects_by_itself_is_not_let_through(shop: Migrations, tmp_path: Path) -> None:
    options(shop, "{env: run}")
    env_py(shop, "version_table=TABLE", f"sqlalchemy.create_engine('sqlite:///{tmp_path}/other.db').connect()")
    with pytest.raises(ApplyError, match="connects by itself"):
        shop.up()
    assert not (tmp_path / "other.db").exists() or not (tmp_path / "other.db").stat().st_size


def test_a_failure_is_told_with_the_line_of_the_revision_also_where_env_py_runs(shop: Migrations) -> None:
    options(shop, "{env: run}")
    env_py(shop, "version_table=TABLE")
    revision(shop, "d44", "a33", "op.execute('INSERT INTO nowhere VALUES (1)')")
    with pytest.raises(ApplyError, match="nowhere") as caught:
        shop.up()
    assert caught.value.at is not None and caught.value.at.file.endswith("d44_x.py") and caught.value.at.line == 10


def test_what_env_py_lacks_is_told_as_its_own(shop: Migrations) -> None:
    options(shop, "{env: run}")
    (shop.folder / "migrations" / "env.py").write_text("import os\n\nos.environ['NOT_SET_ANYWHERE']\n")
    with pytest.raises(RehearsalError, match="NOT_SET_ANYWHERE") as caught:
        shop.plan()
    assert caught.value.at is not None and caught.value.at.file.endswith("env.py") and caught.value.at.line == 3
    assert "mend the migration" not in (caught.value.fix or "") and "where dbops runs" in (caught.value.fix or "")


def test_a_revision_that_leaves_its_transaction_is_not_blamed_for_it(pg_database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(pg_database, tmp_path / "env", "format: alembic")
    (shop.folder / "migrations" / "versions").mkdir()
    index = "op.create_index('i', 't', ['n'], postgresql_concurrently=True)"
    revision(shop, "a11", None, f"with op.get_context().autocommit_block(): {index}")
    revision(shop, "b22", "a11", index.replace("'i'", "'j'") + "; op.execute('COMMIT')")
    with open_workspace(shop.folder) as workspace:
        found = [(Path(one.at.file).name, one.code) for one in lint(workspace, LintRequest(())).findings]
    assert [file for file, code in found if code == "TRANSACTION_NESTING"] == ["b22_x.py"]
    assert "CONCURRENTLY_IN_TRANSACTION" not in [code for file, code in found if file == "a11_x.py"]


def test_an_env_py_finds_its_application_beside_alembic_ini_wherever_dbops_is_started(shop: Migrations) -> None:
    options(shop, "{env: run}")
    (shop.folder / "alembic.ini").write_text(
        "[alembic]\nscript_location = migrations\nprepend_sys_path = .\npath_separator = os\n"
    )
    (shop.folder / "app_of_env_py").mkdir()
    (shop.folder / "app_of_env_py" / "db.py").write_text("TABLE = 'versions'\n")
    env_py(shop, "version_table='versions'")
    env = shop.folder / "migrations" / "env.py"
    env.write_text("from app_of_env_py.db import TABLE\nassert TABLE == 'versions'\n" + env.read_text())
    before = list(sys.path)
    try:
        assert shop.up().state == "done"
    finally:
        sys.path[:] = before
    assert shop.database.rows("SELECT version_num FROM versions") == [("a33",)]


def test_a_schema_leaves_the_table_of_versions_alone(shop: Migrations) -> None:
    env_py(shop, "version_table=TABLE")
    kind = (
        "---\napiVersion: dbops/v1\nkind: Schema\nmetadata: {name: shop}\nspec: {connection: shop, source: {sql: [schema.sql]}}\n"
    )
    with (shop.folder / "env.yaml").open("a") as file:
        file.write(kind)
    revision(shop, "d44", "a33", "op.drop_table('a'); op.drop_table('b'); op.drop_table('c')")
    revision(shop, "e55", "d44", 'op.execute("CREATE TABLE d (id integer NOT NULL PRIMARY KEY)")')
    (shop.folder / "schema.sql").write_text("CREATE TABLE d (id integer NOT NULL PRIMARY KEY);\n")
    shop.up()
    assert shop.database.rows("SELECT version_num FROM versions") == [("e55",)]
    assert shop.plan().is_empty


@pytest.fixture
def several(sqlite_database: SqliteDatabase, tmp_path: Path) -> Migrations:
    """A project of `alembic init --template multidb`, with a revision as `alembic revision` writes them."""
    from alembic import command
    from alembic.config import Config

    shop = Migrations.make(sqlite_database, tmp_path / "env", "format: alembic")
    (shop.folder / "migrations").rmdir()
    config = Config(shop.folder / "alembic.ini")
    command.init(config, str(shop.folder / "migrations"), template="multidb")
    made = command.revision(config, "make t", rev_id="f00")
    assert made is not None and not isinstance(made, list)
    path = Path(made.path)
    text = path.read_text()
    for way, sql in (("upgrade", "CREATE TABLE {0} (id integer)"), ("downgrade", "DROP TABLE {0}")):
        for name in ("engine1", "engine2"):
            head = f"def {way}_{name}() -> None:\n"
            text = text.replace(head, f'{head}    op.execute("{sql.format(name)}")\n')
    path.write_text(text)
    return shop


def test_revisions_of_several_databases_are_told_which_this_is(several: Migrations) -> None:
    with pytest.raises(ApplyError, match=r"written for several databases, upgrade\(engine_name\)") as caught:
        several.up()
    assert caught.value.expected == "one of engine1, engine2" and "engineName" in str(caught.value.fix)
    options(several, "{engineName: engine3}")
    with pytest.raises(ApplyError, match="'engine3' is none of them"):
        several.up()
    file = several.folder / "env.yaml"
    file.write_text(file.read_text().replace("engine3", "engine2"))
    assert several.up().state == "done"
    assert several.database.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'engine%'") == [("engine2",)]
    with open_workspace(several.folder) as workspace:
        new(one_set(workspace, None).desired, "more")
        assert [one.problem for one in verify(workspace)] == ["", ""]
    assert several.up().state == "done"
    several.down(to="base")
    assert several.database.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'engine%'") == []


def test_an_env_py_of_several_databases_is_refused_with_what_to_do(several: Migrations) -> None:
    options(several, "{env: run, engineName: engine1}")
    ini = several.folder / "alembic.ini"
    ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", f"sqlite:///{several.folder}/x.db"))
    with pytest.raises(ApplyError, match="connects by itself") as caught:
        several.up()
    assert "a MigrationSet for each" in str(caught.value.fix)


def test_a_plan_says_that_alembic_has_had_the_database(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", "format: alembic")
    revision(shop, "f00", None, "pass", doc="first")
    sqlite_database.load("CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('f00');")
    [said] = [one.message for one in shop.plan().observations if one.code == "MIGRATION_ELSEWHERE"]
    assert "speaks of f00_first; what it has had is written down here and not run again" in said
    assert shop.up().state == "done"
    assert "MIGRATION_ELSEWHERE" not in [one.code for one in shop.plan().observations]
    sqlite_database.load("DELETE FROM alembic_version;")
    [said] = [one.message for one in shop.plan().observations if one.code == "MIGRATION_ELSEWHERE"]
    assert (
        "the ledger says that f00_first is applied, and Alembic's alembic_version does not" in said
        and "dbops migrate resolve f00 --pending" in said
    )
    assert run(["migrate", "resolve", "f00", "--pending", str(shop.folder)]) == 0
    assert shop.up().state == "done"
    assert heads(shop) == ["f00"]
    assert "MIGRATION_ELSEWHERE" not in [one.code for one in shop.plan().observations]
