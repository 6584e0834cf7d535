"""What is said to the ledger by hand, checkpoints, Python steps, hooks, sets of JSON files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.cli.main import run
from dbops.cli.views.drift import drift_markdown, drift_text
from dbops.errors import ApplyError, DbopsError, MigrationError
from dbops.usecases.drift import drift
from dbops.usecases.migrate import files, records
from dbops.usecases.migrate.running import up
from dbops.usecases.migrate.sets import one_set
from dbops.usecases.migrate.squash import Squashed, squash
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, SqliteDatabase
from tests.resources.migrations.sets import YES, Migrations


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Migrations:
    shop = Migrations.make(database, tmp_path / "env")
    for n in range(1, 5):
        shop.write(f"000{n}_t.sql", f"CREATE TABLE t{n} (id integer NOT NULL PRIMARY KEY, n integer);")
    return shop


def squashed(shop: Migrations, version: str, *, remove: bool = False) -> Squashed:
    with open_workspace(shop.folder) as workspace:
        return squash(workspace, version, remove=remove)


def test_a_baseline_is_said_once(shop: Migrations) -> None:
    shop.database.load("CREATE TABLE t1 (id integer NOT NULL PRIMARY KEY, n integer);")
    with open_workspace(shop.folder) as workspace:
        assert [*records.baseline(workspace, "1", YES).values()] == [["0001_t"]]
    assert shop.up().state == "done"
    assert shop.states() == {"0001_t": "baselined", "0002_t": "applied", "0003_t": "applied", "0004_t": "applied"}
    with open_workspace(shop.folder) as workspace, pytest.raises(MigrationError, match="has had migrations already"):
        records.baseline(workspace, "2", YES)


def test_edits_are_accepted_and_failures_resolved(shop: Migrations) -> None:
    shop.up()
    shop.write("0001_t.sql", "CREATE TABLE t1 (id integer NOT NULL PRIMARY KEY, other integer);")
    with open_workspace(shop.folder) as workspace:
        assert records.accept(workspace, YES) == ["0001_t"]
    assert shop.up().state == "nothing"
    shop.write("0005_bad.sql", "CREATE TABLE t5 (id integer);\nINSERT INTO nowhere VALUES (1);")
    with pytest.raises(ApplyError):
        shop.up()
    shop.database.load("DROP TABLE IF EXISTS t5; CREATE TABLE t5 (id integer);")
    with open_workspace(shop.folder) as workspace:
        assert records.resolve(workspace, "5", "applied", YES) == ["0005_bad"]
    assert shop.up().state == "nothing"


def test_a_checkpoint_stands_for_what_came_before_it(shop: Migrations, tmp_path: Path) -> None:
    shop.up(to="3")
    made = squashed(shop, "3")
    assert made.replaced == ("0001_t", "0002_t", "0003_t")
    assert shop.up().state == "done"
    assert "0003.1_checkpoint" not in shop.states()
    assert shop.states()["0004_t"] == "applied"


def test_a_new_database_runs_the_checkpoint_alone(shop: Migrations) -> None:
    squashed(shop, "3", remove=True)
    assert shop.up().state == "done"
    assert shop.states() == {"0003.1_checkpoint": "applied", "0004_t": "applied"}
    assert shop.database.rows("SELECT count(*) FROM t1") == [(0,)]


def test_a_database_that_had_a_part_is_told_so(shop: Migrations) -> None:
    shop.up(to="2")
    squashed(shop, "3", remove=True)
    with pytest.raises(ApplyError, match="had only some"):
        shop.up()


def test_rows_go_in_batches_and_a_failure_is_gone_on_with(shop: Migrations) -> None:
    shop.up()
    shop.database.load("".join(f"INSERT INTO t1 VALUES ({n}, 0);" for n in range(1, 26)))
    shop.write(
        "0005_fill.py",
        "def up_fn(step):\n"
        "    step.once('mark', lambda: step.execute('INSERT INTO t2 VALUES (1, 1)'))\n"
        "    def change(rows):\n"
        "        for key, n in rows:\n"
        "            if key == 17:\n"
        "                raise ValueError('seventeen')\n"
        "            step.execute('UPDATE t1 SET n = n + ? WHERE id = ?', (key, key))\n"
        "    step.batches('t1', 'id', change, columns=['n'], size=5)\n",
    )
    with pytest.raises(ApplyError, match="ValueError: seventeen"):
        shop.up()
    assert shop.database.rows("SELECT count(*) FROM t1 WHERE n > 0") == [(15,)]
    assert shop.detail("0005_fill").endswith("; what stands: mark, 15 rows along t1.id")
    text = (shop.folder / "migrations" / "0005_fill.py").read_text()
    shop.write("0005_fill.py", text.replace("key == 17", "key == 1700"))
    assert shop.up().state == "done"
    assert shop.database.rows("SELECT count(*) FROM t1 WHERE n = id") == [(25,)]
    assert shop.database.rows("SELECT count(*) FROM t2") == [(1,)]
    assert shop.states()["0005_fill"] == "applied"


def test_batches_go_on_along_a_key_of_bytes_and_refuse_one_without_values(
    sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    sqlite_database.load("CREATE TABLE t (k blob UNIQUE, n integer); CREATE TABLE seen (k blob);")
    sqlite_database.load("INSERT INTO t VALUES (x'00ff', 1), (x'10', 1), (x'27', 1), (x'80', 1), (x'fe', 1);")
    text = (
        "def up_fn(step):\n    def change(rows):\n        for (key,) in rows:\n            assert key != b'\\x80', 'half'\n"
        "            step.execute('INSERT INTO seen VALUES (?)', (key,))\n    step.batches('t', 'k', change, size=1)\n"
    )
    shop.write("0001_fill.py", text)
    with pytest.raises(ApplyError, match="half"):
        shop.up()
    shop.write("0001_fill.py", text.replace("assert", "# assert"))
    assert shop.up().state == "done"
    assert sqlite_database.rows("SELECT count(*), count(DISTINCT k) FROM seen") == [(5, 5)]
    sqlite_database.load("INSERT INTO t VALUES (NULL, 1), (NULL, 2);")
    shop.write("0002_again.py", text.replace("x80", "x81"))
    with pytest.raises(ApplyError, match="t has rows without a value of k"):
        shop.up()


def test_no_more_statements_can_stand_than_a_file_has(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\nCREATE TABLE b (id integer);\n")
    sqlite_database.load("CREATE TABLE here (id integer);")
    with open_workspace(shop.folder) as workspace:
        with pytest.raises(MigrationError, match="0001_a has 2 statements, so 3 of them cannot stand"):
            records.resolve(workspace, "1", "failed", YES, reached=3)
        records.resolve(workspace, "1", "failed", YES, reached=1)
    assert shop.up().state == "done"
    assert sqlite_database.rows("SELECT name FROM sqlite_schema WHERE name IN ('a', 'b')") == [("b",)]


def test_a_python_step_is_not_written_where_nobody_would_read_it(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", "format: json")
    with open_workspace(shop.folder) as workspace, pytest.raises(MigrationError, match="format json have no Python steps"):
        files.new(one_set(workspace, None).desired, "fill", python=True)
    assert list((shop.folder / "migrations").iterdir()) == []


def test_a_hook_that_is_not_there_is_told_before_anything_runs(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", "hooks: {after: [after.sql]}")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    sqlite_database.load("CREATE TABLE here (id integer);")
    with pytest.raises(MigrationError, match=r"there is no file .*after\.sql for a hook"):
        shop.up()
    assert sqlite_database.rows("SELECT name FROM sqlite_schema") == [("here",)]


def test_long_names_are_cut_and_long_versions_refused(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", "format: json")
    data = {"id": "x²", "name": "n" * 300, "sql": "CREATE TABLE a (id integer);"}
    shop.write("1.json", json.dumps(data))
    shop.up()
    assert list(shop.states().values()) == ["applied"]
    shop.write("2.json", json.dumps({**data, "id": "v" * 201}))
    with pytest.raises(DbopsError) as caught:
        shop.up()
    assert "201 characters" in caught.value.explain()


def test_files_that_others_depend_on_are_not_taken_away(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    shop.write("0002_b.sql", "-- dbops:depends 0001\nCREATE TABLE b (id integer);\n")
    with pytest.raises(MigrationError, match="0002_b depends on 0001_a, whose file would be gone"):
        squashed(shop, "1", remove=True)
    assert sorted(path.name for path in (shop.folder / "migrations").iterdir()) == ["0001_a.sql", "0002_b.sql"]
    shop.write("0002_b.sql", "CREATE TABLE b (id integer);\n")
    squashed(shop, "1", remove=True)
    assert shop.up().state == "done"


def test_hooks_run_around_migrations(database: Database, tmp_path: Path) -> None:
    more = "hooks: {before: [before.sql], after: [after.sql], each: [each.sql]}"
    shop = Migrations.make(database, tmp_path / "env", more)
    (shop.folder / "before.sql").write_text("CREATE TABLE told (n integer);")
    (shop.folder / "each.sql").write_text("INSERT INTO told VALUES (1);")
    (shop.folder / "after.sql").write_text("INSERT INTO told VALUES (2);")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);")
    shop.write("0002_b.sql", "CREATE TABLE b (id integer);")
    shop.up()
    assert sorted(n for (n,) in database.rows("SELECT n FROM told")) == [1, 1, 2]


def test_a_set_of_json_files_runs_by_its_dependencies(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env", "format: json")

    def write(name: str, sql: str, back: str | None, *dependencies: str) -> None:
        data = {"id": name, "name": name, "sql": sql, "rollback_sql": back, "dependencies": dependencies}
        shop.write(f"{name}.json", json.dumps(data))

    write("a_second", "INSERT INTO z VALUES (1)", "DELETE FROM z", "z_first")
    write("z_first", "CREATE TABLE z (id integer)", "DROP TABLE z")
    shop.up()
    assert database.rows("SELECT id FROM z") == [(1,)]
    shop.down()
    assert database.rows("SELECT id FROM z") == []
    with open_workspace(shop.folder) as workspace:
        written = files.new(one_set(workspace, None).desired, "third")
    assert json.loads(written[0].read_text())["dependencies"] == ["a_second"]
    write("broken", "SELECT 1", None, "nobody")
    with pytest.raises(DbopsError):
        shop.up()
    (shop.folder / "migrations" / "broken.json").write_text("{")
    with pytest.raises(DbopsError, match="this is no JSON"):
        shop.up()


@pytest.mark.parametrize("policy", ["warn", "refuse", "adopt"])
def test_what_changed_by_hand_is_named_refused_or_taken(database: Database, tmp_path: Path, policy: str) -> None:
    shop = Migrations.make(database, tmp_path / "env", f"drift: {policy}")
    shop.write("0001_t.sql", "CREATE TABLE t1 (id integer NOT NULL PRIMARY KEY, n integer);")
    shop.up()
    assert not [one for one in shop.plan().observations if one.severity != "info"]
    database.load("CREATE INDEX by_hand ON t1 (n);")
    shop.write("0002_t.sql", "CREATE TABLE t2 (id integer NOT NULL PRIMARY KEY);")
    told = [one for one in shop.plan().observations if "by_hand" in one.message]
    assert [one.code for one in told] == {"warn": ["MIGRATION_DRIFT"], "refuse": ["MIGRATION_REFUSED"], "adopt": []}[policy]
    if policy == "refuse":
        with pytest.raises(ApplyError, match="by_hand: no migration made it"):
            shop.up()
        return
    if policy == "warn":
        with open_workspace(shop.folder) as workspace:
            report = drift(workspace)
        assert [item.detail for item in report.items if item.mover == "database"]
        assert "Put it back with dbops apply" not in (said := drift_text(report, ["database"]))
        assert "Apply does not put it back" in said
        assert "```" not in drift_markdown(report, ["database"]), "no box around nothing"
    assert shop.up().state == "done"
    assert not [one for one in shop.plan().observations if "by_hand" in one.message]


def test_a_checkpoint_writes_the_rows_that_migrations_wrote(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    number = {"postgresql": "serial", "mysql": "integer AUTO_INCREMENT", "sqlite": "integer"}[database.engine]
    blob = {"postgresql": "bytea", "mysql": "varbinary(9)", "sqlite": "blob"}[database.engine]
    value = "'\\x00ff27'" if database.engine == "postgresql" else "x'00ff27'"
    shop.write("0001_kinds.sql", f"CREATE TABLE kinds (id {number} PRIMARY KEY, name varchar(50), b {blob}, parent integer,"
               " FOREIGN KEY (parent) REFERENCES kinds (id));\nCREATE TABLE log (t varchar(50));\n")  # fmt: skip
    shop.write("0002_rows.sql", f"INSERT INTO kinds (name, b) VALUES ('it''s; -- a\nkind', {value}), (NULL, NULL);\n"
               "INSERT INTO kinds (name, parent) VALUES ('below', 1);\nUPDATE kinds SET parent = 3 WHERE id = 2;\n"
               "INSERT INTO log VALUES ('twice'), ('twice');\n")  # fmt: skip
    trigger = {
        "postgresql": "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES ('new');"
        " RETURN new; END $$;\nCREATE TRIGGER k AFTER INSERT ON kinds FOR EACH ROW EXECUTE FUNCTION noted();\n",
        "mysql": "CREATE TRIGGER k AFTER INSERT ON kinds FOR EACH ROW INSERT INTO log VALUES ('new');\n",
        "sqlite": "CREATE TRIGGER k AFTER INSERT ON kinds BEGIN INSERT INTO log VALUES ('new'); END;\n",
    }[database.engine]
    shop.write("0003_trigger.sql", trigger)
    made = squashed(shop, "3", remove=True)
    assert sum(made.rows.values()) == 5
    assert shop.up().state == "done"
    rows = database.rows("SELECT id, name, b, parent FROM kinds ORDER BY id")
    found = [(row[0], row[1], None if row[2] is None else bytes(row[2]), row[3]) for row in rows]
    assert found == [(1, "it's; -- a\nkind", b"\x00\xff'", None), (2, None, None, 3), (3, "below", None, 1)]
    assert database.rows("SELECT t FROM log") == [("twice",), ("twice",)]
    database.load("INSERT INTO kinds (name) VALUES ('next');")
    assert database.rows("SELECT id FROM kinds WHERE name = 'next'") == [(4,)]


def test_a_checkpoint_writes_what_virtual_tables_hold(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_t.sql", "CREATE TABLE notes (id integer PRIMARY KEY, body text);\nINSERT INTO notes VALUES (7, 'a fox');\n")
    shop.write("0002_v.sql", "CREATE VIRTUAL TABLE own USING fts5(title, place UNINDEXED, tokenize = 'porter ascii');\n"
               "INSERT INTO own (rowid, title, place) VALUES (5, 'it''s running', 'here'), (2, NULL, 'there');\n"
               "INSERT INTO own (own, rank) VALUES ('rank', 'bm25(10.0, 5.0)');\n"
               "CREATE VIRTUAL TABLE of_notes USING fts5(body, content='notes', content_rowid='id');\n"
               "INSERT INTO of_notes (rowid, body) SELECT id, body FROM notes;\n"
               "CREATE TRIGGER added AFTER INSERT ON notes BEGIN"
               " INSERT INTO of_notes (rowid, body) VALUES (new.id, new.body); END;\n"
               "CREATE VIRTUAL TABLE old USING fts4(body);\nINSERT INTO old VALUES ('four');\n"
               "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, +label);\nINSERT INTO boxes VALUES (1, 0.1, 2.3, 'one');\n"
               "CREATE VIRTUAL TABLE empty USING fts5(body, content='');\n")  # fmt: skip
    made = squashed(shop, "2", remove=True)
    assert made.rows["own"] == 3 and made.rows["boxes"] == 1
    assert shop.up().state == "done"
    rows = sqlite_database.rows
    assert rows("SELECT rowid, place FROM own WHERE own MATCH 'run'") == [(5, "here")]
    assert rows("SELECT rowid FROM own ORDER BY rowid") == [(2,), (5,)]
    assert rows("SELECT v FROM own_config WHERE k = 'rank'") == [("bm25(10.0, 5.0)",)]
    assert rows("SELECT rowid FROM of_notes WHERE of_notes MATCH 'fox'") == [(7,)]
    assert rows("SELECT count(*) FROM old WHERE old MATCH 'four'") == [(1,)]
    assert rows("SELECT id, label FROM boxes WHERE x0 <= 0.1 AND x1 >= 2.3") == [(1, "one")]


def test_all_is_taken_back_beside_a_checkpoint(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_t.sql", "-- migrate:up\nCREATE TABLE t (id integer PRIMARY KEY);\n-- migrate:down\nDROP TABLE t;\n")
    shop.up()
    squashed(shop, "1")
    assert shop.down(to="0").state == "done"
    assert shop.states() == {"0001.1_checkpoint": "pending"}
    assert shop.up().state == "done"


@pytest.mark.parametrize(
    ("options", "filled"),
    [("content=''", "INSERT INTO f (rowid, body) VALUES (1, 'x')"), ("content='notes'", "INSERT INTO notes VALUES ('y')")],
)
def test_an_index_that_nothing_gives_back_is_refused(
    sqlite_database: SqliteDatabase, tmp_path: Path, options: str, filled: str
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_f.sql", f"CREATE TABLE notes (body);\nCREATE VIRTUAL TABLE f USING fts5(body, {options});\n{filled};\n")
    with pytest.raises(MigrationError, match="write rows into f, which nothing reads back"):
        squashed(shop, "1")


@pytest.mark.parametrize(("kind", "python"), [("sql", False), ("sql", True), ("json", False)])
def test_what_new_wrote_is_refused_until_it_is_filled_in(
    sqlite_database: SqliteDatabase, tmp_path: Path, kind: str, python: bool
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", f"format: {kind}")
    with open_workspace(shop.folder) as workspace:
        desired = one_set(workspace, None).desired
        first, second = (files.new(desired, name, python=python)[0] for name in ("one", "two"))
    with pytest.raises(ApplyError, match="_one: it is as it was begun, without statements"):
        shop.up()
    assert set(shop.states().values()) == {"pending"}
    text = first.read_text()
    filled = text.replace('"-- one"', '"-- nothing"').replace("migrate:up\n", "migrate:up\n-- does nothing\n")
    first.write_text(filled if not python else text + "    step.execute('SELECT 1')\n")
    with open_workspace(shop.folder) as workspace:
        files.lock(one_set(workspace, None).desired)
    assert shop.up(steps=1).state == "done", "what is not to be run need not be filled in"
    assert list(shop.states().values()) == ["applied", "pending"]
    assert second.exists()


@pytest.mark.parametrize("verb", ["down", "redo"])
def test_who_takes_nothing_back_hears_what_others_changed(
    database: Database, tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_t.sql", "-- migrate:up\nCREATE TABLE t (id integer);\n-- migrate:down\nDROP TABLE t;\n")
    shop.up()
    shop.down()
    database.load("CREATE TABLE other (id integer);")
    assert run(["migrate", verb, str(shop.folder), "--auto-approve"]) == 0
    said = capsys.readouterr().out
    assert "MIGRATION_DRIFT" in said and "other" in said
    assert said.endswith("Nothing is applied that could be taken back.\n")


def test_a_dry_run_goes_as_far_as_it_is_told(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    for n in range(1, 4):
        shop.write(f"000{n}_t.sql", f"CREATE TABLE t{n} (id integer);")
    shop.up(to="1")
    shop.write("0003_t.sql", "CREATE TABLE t3 (id integer) no;")
    assert run(["migrate", "up", "--dry-run", "--to", "2", str(shop.folder)]) == 0
    assert "2 migrations ran from nothing" in (said := capsys.readouterr().out) and "1 would run here" in said
    assert run(["migrate", "up", "--dry-run", "--steps", "1", "-o", "json", str(shop.folder)]) == 0
    [told] = json.loads(capsys.readouterr().out)
    assert (told["migrations"], told["would_run"]) == (2, 1)
    assert run(["migrate", "up", "--dry-run", str(shop.folder)]) == 1
    assert "0003_t" in capsys.readouterr().err


def test_what_stands_otherwise_is_said_of_the_version_in_the_ledger(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("1_a.sql", "CREATE TABLE a (id integer);")
    shop.up()
    shop.remove("1_a.sql")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);")
    with open_workspace(shop.folder) as workspace:
        assert records.resolve(workspace, "0001_a", "applied", YES) == ["0001_a"]
        assert sqlite_database.rows("SELECT version FROM dbops_migrations") == [("1",)]
        assert records.resolve(workspace, "0001", "pending", YES) == ["0001_a"]
        with pytest.raises(MigrationError, match="0001 is pending already"):
            records.resolve(workspace, "0001", "pending", YES)


@pytest.mark.parametrize("command", ["down", "redo", "up --steps 1", "up --dry-run --to 1", "baseline 1", "resolve 1 --pending"])
def test_what_is_about_one_set_wants_its_name_where_there_are_several(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    with (shop.folder / "env.yaml").open("a") as file:
        file.write("---\napiVersion: dbops/v1\nkind: MigrationSet\nmetadata: {name: second}\n")
        file.write("spec: {connection: shop, directory: second}\n")
    (shop.folder / "second").mkdir()
    shop.write("1_a.sql", "-- migrate:up\nCREATE TABLE a (id integer);\n-- migrate:down\nDROP TABLE a;\n")
    (shop.folder / "second" / "1_b.sql").write_text("CREATE TABLE b (id integer);\n")
    with open_workspace(shop.folder) as workspace:
        up(workspace, YES)
    assert run(["migrate", *command.split(), str(shop.folder)]) == 1
    assert "this environment has several sets: second, shop" in capsys.readouterr().err
    assert sqlite_database.rows("SELECT set_name, state FROM dbops_migrations") == [("shop", "applied"), ("second", "applied")]


def test_nothing_is_made_in_order_to_take_something_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "1_a.sql").write_text("CREATE TABLE a (id integer);\n")
    (tmp_path / "env.yaml").write_text(
        "apiVersion: dbops/v1\nkind: Connection\nmetadata: {name: shop}\nspec: {url: 'sqlite:///a.db'}\n---\n"
        "apiVersion: dbops/v1\nkind: MigrationSet\nmetadata: {name: shop}\nspec: {connection: shop, directory: migrations}\n"
    )
    for verb in ("down", "redo"):
        assert run(["migrate", verb, str(tmp_path), "--auto-approve"]) == 0
        assert capsys.readouterr().out.endswith("Nothing is applied that could be taken back.\n")
    assert not (tmp_path / "a.db").exists()
    assert run(["migrate", "up", str(tmp_path), "--auto-approve", "--to", "1"]) == 0
    assert run(["migrate", "up", str(tmp_path), "--auto-approve", "--to", "1"]) == 0
    assert capsys.readouterr().out.endswith("Nothing is pending up to 1.\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("step.execute('CREATE TABL a (id integer)')", "syntax"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("step.batches('t1', 'nope', lambda rows: None)", "nope"),
        ("step.batches('t1', 'id', lambda rows: None, columns=['nope'])", "nope"),
        ("step.execute('BEGIN')", "step.once(name, act)"),
        ("step.once('a', lambda: step.execute(' commit;'))", "begins or ends a transaction"),
        ("step.execute('DROP TABLE dbops_migrations')", "what dbops keeps for itself"),
        ("step.batches('t1', 'id', lambda rows: None, size=0)", "expected whole rows, at least 1"),
    ],
)
def test_what_goes_wrong_in_a_step_is_told_with_its_line(shop: Migrations, line: str, said: str) -> None:
    shop.up()
    shop.database.load("INSERT INTO t1 VALUES (1, 0);")
    shop.write("0005_fill.py", f"def up_fn(step):\n    pass\n    {line}\n")
    with pytest.raises(ApplyError) as caught:
        shop.up()
    assert "0005_fill.py:3: " in caught.value.explain() and said in caught.value.explain()
    assert shop.states()["0005_fill"] == "failed"


def test_a_table_is_walked_as_often_as_is_said_and_each_walk_goes_on_by_itself(
    sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    sqlite_database.load("CREATE TABLE t (id integer PRIMARY KEY, a integer DEFAULT 0, b integer DEFAULT 0);")
    sqlite_database.load("INSERT INTO t (id) VALUES (1), (2), (3), (4);")
    text = (
        "def adding(step, column, last):\n    def change(rows):\n        for (key,) in rows:\n"
        "            assert key < last, 'half'\n"
        "            step.execute(f'UPDATE t SET {column} = {column} + 1 WHERE id = ?', (key,))\n    return change\n\n"
        "def up_fn(step):\n    step.batches('t', 'id', adding(step, 'a', 9), size=2)\n"
        "    step.batches('t', 'id', adding(step, 'b', 3), size=2)\n"
    )
    shop.write("0001_fill.py", text)
    with pytest.raises(ApplyError, match="half"):
        shop.up()
    shop.write("0001_fill.py", text.replace("'b', 3", "'b', 9"))
    assert shop.up().state == "done"
    assert sqlite_database.rows("SELECT DISTINCT a, b FROM t") == [(1, 1)]
    shop.write("0002_twice.py", "def up_fn(step):\n    for _ in 'ab':\n        step.once('one', lambda: None)\n")
    with pytest.raises(ApplyError, match="two parts are called 'one'"):
        shop.up()


def test_a_hook_that_cannot_run_is_told_before_anything_runs(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", "hooks: {after: [after.sql]}")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    (shop.folder / "after.sql").write_text("SELECT 1;\nCOMMIT;\n")
    with pytest.raises(MigrationError, match="COMMIT stands inside a migration") as caught:
        shop.up()
    assert "after.sql:2:1: " in caught.value.explain()
    assert sqlite_database.rows("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_a_migration_may_be_meant_by_its_name(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    for name in ("0001_a", "0002_b", "0003_b"):
        shop.write(f"{name}.sql", f"CREATE TABLE t{name} (id integer);\n")
    assert shop.up(to="a").state == "done"
    assert shop.states() == {"0001_a": "applied", "0002_b": "pending", "0003_b": "pending"}
    with pytest.raises(MigrationError, match="Migration not found: b"):
        shop.up(to="b")
