"""What was applied against what the files say now: each way in which they can part has its own answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.cli.main import run
from dbops.cli.views.outcome import outcome_text
from dbops.errors import ApplyError, DbopsError, MigrationError, RehearsalError
from dbops.usecases.migrate.verify import verify
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, SqliteDatabase
from tests.resources.migrations.sets import Migrations

FIRST = "CREATE TABLE a (id integer NOT NULL PRIMARY KEY, note varchar(20) DEFAULT 'New');\nINSERT INTO a (id) VALUES (1);\n"
SECOND = "CREATE TABLE b (id integer NOT NULL PRIMARY KEY);\n"


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Migrations:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", FIRST)
    shop.write("0002_b.sql", SECOND)
    shop.up()
    return shop


def refusal(shop: Migrations) -> str:
    with pytest.raises(ApplyError) as caught:
        shop.up()
    return caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "-- Copyright\n/* a licence */\n" + FIRST,
        FIRST.replace("\n", "\r\n"),
        FIRST.replace(" ", "  ").replace("'New'", "'New' -- which is new\n"),
        FIRST.replace("CREATE TABLE", "create table").replace("INSERT INTO", "Insert  into").replace("INSERT", "insert"),
        "\ufeff" + FIRST + "\n\n\n",
    ],
)
def test_a_cosmetic_edit_is_let_pass_and_named(shop: Migrations, text: str) -> None:
    path = shop.write("0001_a.sql", "")
    path.write_bytes(text.replace("Insert", "INSERT").encode())
    assert shop.up().state == "nothing"
    assert shop.states()["0001_a"] in ("cosmetic", "applied")


@pytest.mark.parametrize(
    ("old", "new", "statement"),
    [("varchar(20)", "varchar(30)", 1), ("'New'", "'new'", 1), ("VALUES (1)", "VALUES (2)", 2), (FIRST, FIRST + "SELECT 1;", 3)],
)
def test_an_edit_that_counts_is_refused_with_hashes_and_statement(shop: Migrations, old: str, new: str, statement: int) -> None:
    shop.write("0001_a.sql", FIRST.replace(old, new))
    said = refusal(shop)
    assert "0001_a.sql" in said and f"in statement {statement} " in said and "was applied" in said
    assert new.strip() in said.replace("+", "") or statement == 3
    assert any(one.code == "MIGRATION_REFUSED" for one in shop.plan().observations)


def test_a_deleted_file_is_refused(shop: Migrations) -> None:
    shop.remove("0001_a.sql")
    assert "0001_a: it was applied, and its file is gone" in refusal(shop)


def test_a_renamed_file_is_refused(shop: Migrations) -> None:
    shop.remove("0001_a.sql")
    shop.write("0001_other.sql", FIRST)
    assert "it was applied as 0001_a, and its file was renamed since" in refusal(shop)


def test_the_same_text_under_a_new_version_is_refused(shop: Migrations) -> None:
    shop.remove("0001_a.sql")
    shop.write("0009_a.sql", FIRST)
    said = refusal(shop)
    assert "it holds what was applied as 0001_a, whose file is gone" in said
    assert "0009_a holds the same" in said


def test_what_is_said_to_do_about_files_that_were_moved_or_are_gone_helps(
    sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_a.sql", FIRST)
    shop.write("0002_b.sql", SECOND)
    shop.up()
    shop.remove("0002_b.sql")
    shop.write("0003_b.sql", SECOND)
    with pytest.raises(ApplyError) as caught:
        shop.up()
    assert (caught.value.fix or "").count("dbops migrate verify --accept") == 1 and "resolve" not in (caught.value.fix or "")
    assert run(["migrate", "verify", "--accept", str(shop.folder)]) == 0
    assert shop.up().state == "nothing"
    assert shop.states() == {"0001_a": "applied", "0003_b": "applied"}
    shop.remove("0001_a.sql")
    with pytest.raises(ApplyError) as caught:
        shop.up()
    assert "dbops migrate resolve 0001 --pending" in (caught.value.fix or "")
    assert run(["migrate", "resolve", "0001", "--pending", str(shop.folder)]) == 0
    assert shop.up().state == "nothing"
    assert shop.states() == {"0003_b": "applied"}


def test_two_of_one_version_are_refused(shop: Migrations) -> None:
    shop.write("2_again.sql", "SELECT 1;")
    with pytest.raises(DbopsError, match="two migrations have the version") as caught:
        shop.up()
    assert "0002_b.sql" in str(caught.value) and "2_again.sql" in str(caught.value)


def test_a_later_one_of_another_branch_is_unknown_and_stops_nothing(shop: Migrations) -> None:
    shop.remove("0002_b.sql")
    result = shop.up()
    assert result.state == "nothing" and "MIGRATION_UNKNOWN: 0002_b" in outcome_text(result)
    assert shop.states()["0002_b"] == "unknown"


def test_a_late_one_is_refused_unless_it_is_independent(database: Database, tmp_path: Path) -> None:
    strict = Migrations.make(database, tmp_path / "env")
    strict.write("0001_a.sql", FIRST)
    strict.write("0003_b.sql", SECOND)
    strict.up()
    strict.write("0002_c.sql", "CREATE TABLE c (id integer NOT NULL PRIMARY KEY);")
    assert "outOfOrder" in refusal(strict)
    lenient = Migrations.make(database, tmp_path / "env", "outOfOrder: if-independent")
    assert lenient.up().state == "done"
    lenient.write("0002.5_b.sql", "ALTER TABLE b ADD COLUMN n integer;")
    assert "both touch b" in refusal(lenient)


def test_a_circle_is_named(shop: Migrations) -> None:
    shop.write("0003_c.sql", "-- dbops:depends 0004\nSELECT 1;")
    shop.write("0004_d.sql", "-- dbops:depends 0003\nSELECT 1;")
    with pytest.raises(MigrationError, match="0003_c -> 0004_d -> 0003_c"):
        shop.up()


def test_down_is_refused_where_nothing_leads_back(shop: Migrations) -> None:
    with pytest.raises(MigrationError, match="nothing leads back from 0002_b"):
        shop.down()


def test_down_and_redo(shop: Migrations) -> None:
    shop.write("0003_c.sql", "-- migrate:up\nCREATE TABLE c (id integer);\n-- migrate:down\nDROP TABLE c;\n")
    shop.up()
    shop.redo()
    assert shop.database.rows("SELECT count(*) FROM c") == [(0,)]
    shop.down()
    assert shop.states()["0003_c"] == "pending"
    shop.write("0003_c.sql", "-- migrate:up\nCREATE TABLE c (id integer, n integer);\n-- migrate:down\nDROP TABLE c;\n")
    shop.up(to="0003")
    assert shop.database.rows("SELECT n FROM c") == []
    shop.write("0003_c.sql", "-- migrate:up\nCREATE TABLE c (id integer, m integer);\n-- migrate:down\nDROP TABLE c;\n")
    with pytest.raises(MigrationError, match="cannot be taken back"):
        shop.down()


def test_a_repeatable_one_runs_again_when_it_changes(shop: Migrations) -> None:
    drop = "DROP VIEW IF EXISTS v;\n"
    shop.write("R__v.sql", drop + "CREATE VIEW v AS SELECT id FROM a;")
    assert shop.up().state == "done"
    assert shop.up().state == "nothing"
    shop.write("R__v.sql", drop + "CREATE VIEW v AS SELECT id, note FROM a;")
    assert shop.up().state == "done"
    assert shop.database.rows("SELECT note FROM v") == [("New",)]


def test_a_lock_file_that_says_otherwise_is_refused(shop: Migrations) -> None:
    from dbops.usecases.migrate.files import lock
    from dbops.usecases.migrate.sets import one_set
    from dbops.usecases.runtime import open_workspace

    with open_workspace(shop.folder) as workspace:
        lock(one_set(workspace, None).desired)
    assert shop.up().state == "nothing"
    shop.write("0003_c.sql", "SELECT 1;")
    with pytest.raises(MigrationError, match=r"added: 0003_c\.sql"):
        shop.up()


def test_status_shows_how_files_stand_and_what_the_lock_file_does_not_say(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_a.sql", FIRST)
    assert run(["migrate", "lock", str(shop.folder)]) == 0
    shop.up()
    shop.write("0002_b.sql", SECOND)
    capsys.readouterr()
    assert run(["migrate", "status", str(shop.folder)]) == 0
    states, said = capsys.readouterr().out.split("1 applied, 1 pending; the last was 0001_a.\n\n")
    assert "0001_a" in states and "0002_b" in states
    assert "the folder is not what its lock file says; added: 0002_b.sql" in said and "dbops migrate lock" in said
    assert run(["migrate", "status", str(shop.folder), "--detailed-exitcode", "-o", "json"]) == 2
    [told] = json.loads(capsys.readouterr().out)
    assert "added: 0002_b.sql" in told["lock"] and not told["is_clean"]
    (shop.folder / "migrations" / "migrations.lock").write_text("<<<<<<< ours\n=======\n>>>>>>> theirs\n")
    assert run(["migrate", "status", str(shop.folder)]) == 0
    assert "the lock file holds a conflict" in capsys.readouterr().out
    assert shop.status().count("applied") == 1


def test_what_depends_on_what_was_applied_behind_it_is_not_late(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0003_c.sql", "CREATE TABLE c (id integer);")
    shop.up()
    shop.write("0001_a.sql", "-- dbops:depends 0003\nCREATE TABLE a (id integer);")
    shop.write("0002_b.sql", "CREATE TABLE b (id integer);")
    assert shop.states() == {"0002_b": "late", "0003_c": "applied", "0001_a": "pending"}
    shop.remove("0002_b.sql")
    assert shop.up(steps=1).state == "done"
    assert shop.states() == {"0003_c": "applied", "0001_a": "applied"}


@pytest.mark.parametrize(("more", "name"), [("", "0001_a.sql"), (", format: json", "0001_a.json")])
def test_a_baseline_that_is_no_migration_is_refused(
    sqlite_database: SqliteDatabase, tmp_path: Path, more: str, name: str
) -> None:
    sqlite_database.load("CREATE TABLE a (id integer);")
    shop = Migrations.make(sqlite_database, tmp_path / "env", f"baseline: V0001{more}")
    text = "CREATE TABLE a (id integer);"
    shop.write(name, json.dumps({"id": "0001_a", "name": "a", "sql": text}) if more else text)
    with pytest.raises(MigrationError, match="the baseline 'V0001' is no migration of the set") as caught:
        shop.up()
    assert caught.value.fix == "did you mean 0001_a?"


def test_a_baseline_counts_as_applied_on_a_database_that_has_objects(database: Database, tmp_path: Path) -> None:
    database.load("CREATE TABLE a (id integer NOT NULL PRIMARY KEY, note varchar(20) DEFAULT 'New');")
    shop = Migrations.make(database, tmp_path / "env", 'baseline: "0001"')
    shop.write("0001_a.sql", FIRST)
    shop.write("0002_b.sql", SECOND)
    shop.up()
    assert shop.states() == {"0001_a": "baselined", "0002_b": "applied"}
    assert database.rows("SELECT count(*) FROM a") == [(0,)]


def test_a_baseline_does_not_count_on_a_database_in_which_nobody_made_anything(database: Database, tmp_path: Path) -> None:
    if database.engine == "postgresql":
        database.load("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
    shop = Migrations.make(database, tmp_path / "env", 'baseline: "0001"')
    shop.write("0001_a.sql", FIRST)
    shop.write("0002_b.sql", "ALTER TABLE nowhere ADD n integer;\n")
    with pytest.raises(RehearsalError) as caught:
        shop.plan()
    assert "the database has objects" not in (caught.value.fix or "")
    shop.write("0002_b.sql", SECOND)
    shop.up()
    assert shop.states() == {"0001_a": "applied", "0002_b": "applied"}


def test_a_migration_that_is_being_written_is_done_anew_by_the_way_back_that_it_had(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", "-- migrate:up\nCREATE TABLE a (id integer);\n-- migrate:down\nDROP TABLE a;\n")
    shop.up()
    shop.write("0001_a.sql", "-- migrate:up\nCREATE TABLE b (id integer);\n-- migrate:down\nDROP TABLE b;\n")
    with pytest.raises(MigrationError, match="0001_a cannot be taken back: it was edited"):
        shop.down()
    assert shop.redo().state == "done"
    assert shop.states() == {"0001_a": "applied"}
    assert database.rows("SELECT count(*) FROM b") == [(0,)]
    shop.down()
    shop.write("0001_a.sql", "CREATE TABLE c (id integer);\n")
    shop.up()
    shop.write("0001_a.sql", "CREATE TABLE d (id integer);\n")
    with pytest.raises(MigrationError, match="0001_a cannot be taken back: it was edited"):
        shop.redo()


STEP = "def up_fn(step):\n    step.execute('CREATE TABLE c (id integer)')\ndef down_fn(step):\n    step.execute('DROP TABLE c')\n"


def test_what_has_no_file_is_taken_back_by_the_way_back_that_the_ledger_has(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    shop.up()
    before = database.dump()
    shop.write("0002_b.sql", "-- migrate:up\nCREATE TABLE b (id integer);\n-- migrate:down\nDROP TABLE b;\n")
    shop.write("0003_c.py", STEP)
    shop.up()
    for name in ("0002_b.sql", "0003_c.py"):
        shop.remove(name)
    with pytest.raises(MigrationError, match="0003_c cannot run again: its file is gone") as caught:
        shop.redo()
    assert "dbops migrate down" in (caught.value.fix or "")
    assert run(["migrate", "down", str(shop.folder), "--steps", "2", "--auto-approve"]) == 0
    assert capsys.readouterr().out.count("its file is gone, so by the way back that the ledger has") == 2
    assert shop.states() == {"0001_a": "applied"}
    assert database.dump() == before
    shop.remove("0001_a.sql")
    with pytest.raises(MigrationError, match="0001_a cannot be taken back: it was applied") as caught:
        shop.down()
    assert "the ledger has no way back of it" in (caught.value.fix or "")


def test_a_way_back_without_a_transaction_stays_one_when_its_file_is_gone(pg_database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(pg_database, tmp_path / "env")
    back = "-- migrate:down transaction:false\nDO $$ BEGIN DELETE FROM b; COMMIT; END $$;\nDROP TABLE b;\n"
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    shop.write("0002_b.sql", f"-- migrate:up\nCREATE TABLE b (id integer);\n{back}")
    shop.up()
    shop.remove("0002_b.sql")
    shop.down()
    assert shop.states() == {"0001_a": "applied"}


def test_a_way_back_that_leaves_rows_behind_is_the_problem_of_its_migration_alone(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer NOT NULL PRIMARY KEY);\n")
    shop.write("0002_b.sql", "-- migrate:up\nINSERT INTO a VALUES (1);\n-- migrate:down\n-- nothing is to be done\n")
    shop.write("0003_c.sql", "CREATE TABLE c (id integer);\n")
    with open_workspace(shop.folder) as workspace:
        first, second, third = verify(workspace)
    assert second.problem.startswith("it runs up and down, and then not up again") and not first.problem and not third.problem


def test_placeholders_that_nobody_fills_in_are_named(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("V1__a.sql", "CREATE TABLE ${prefix}a (id integer);\n")
    with pytest.raises(RehearsalError) as planned:
        shop.plan()
    with pytest.raises(ApplyError) as run_:
        shop.up()
    assert all("in place of ${prefix}" in (caught.value.expected or "") for caught in (planned, run_))


def test_what_failed_and_has_no_file_is_not_said_to_be_applied(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    shop.write("0002_b.sql", "INSERT INTO nowhere VALUES (1);\n")
    with pytest.raises(ApplyError, match="nowhere"):
        shop.up()
    shop.remove("0002_b.sql")
    said = [one.message for one in shop.plan().observations if one.code == "MIGRATION_UNKNOWN"]
    assert len(said) == 1 and "it failed" in said[0] and "resolve 0002 --pending forgets it" in said[0]
    assert run(["migrate", "resolve", "0002", "--pending", str(shop.folder)]) == 0
    assert shop.states() == {"0001_a": "applied"}


def test_a_way_back_that_fails_leaves_what_was_edited_as_edited(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", "-- migrate:up\nCREATE TABLE a (id integer);\n-- migrate:down\nDROP TABLE nowhere;\n")
    shop.up()
    shop.write("0001_a.sql", "-- migrate:up\nCREATE TABLE b (id integer);\n-- migrate:down\nDROP TABLE b;\n")
    with pytest.raises(ApplyError, match="nowhere"):
        shop.redo()
    assert shop.states() == {"0001_a": "changed"}


def test_an_edited_step_in_python_is_done_anew_by_the_way_back_that_it_had(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_c.py", STEP)
    shop.up()
    shop.write("0001_c.py", STEP.replace("TABLE c", "TABLE d"))
    assert shop.states() == {"0001_c": "changed"}
    assert shop.redo().state == "done"
    assert shop.states() == {"0001_c": "applied"}
    assert database.rows("SELECT count(*) FROM d") == [(0,)]
    database.load("CREATE TABLE c (id integer);")


def test_status_shows_states_whatever_statements_a_pending_file_has(shop: Migrations) -> None:
    shop.write("0003_c.sql", "COMMIT;\n")
    with pytest.raises(MigrationError, match="COMMIT stands inside a migration"):
        shop.up()
    assert shop.states() == {"0001_a": "applied", "0002_b": "applied", "0003_c": "pending"}


def test_a_day_that_is_a_smaller_number_than_the_moments_before_it_is_named(
    sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("20250326162113_a.sql", "CREATE TABLE a (id integer);\n")
    shop.write("20240101_z.sql", "CREATE TABLE z (id integer);\n")
    shop.write("20260108_b.sql", "CREATE TABLE b (id integer);\n")
    [said] = [one.message for one in shop.plan().observations if one.code == "MIGRATIONS_MIXED"]
    assert said.startswith("20260108_b stands in front of 20250326162113_a: 20260108 is the smaller number, and the later day")
    assert "20260108000000 in its name" in said
    shop.up()
    assert "MIGRATIONS_MIXED" not in [one.code for one in shop.plan().observations]


def test_what_is_applied_and_does_not_run_from_nothing_is_in_nobodys_way(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load("CREATE TABLE t (id integer); CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY);")
    sqlite_database.load("ALTER TABLE t ADD COLUMN n integer; INSERT INTO schema_migrations VALUES ('0001');")
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_n.sql", "ALTER TABLE t ADD COLUMN n integer;\n")
    assert run(["migrate", "adopt", str(shop.folder)]) == 0
    shop.write("0002_m.sql", "ALTER TABLE t ADD COLUMN m integer;\n")
    planned = shop.plan()
    assert len(planned.entries) == 1 and planned.rehearsal is None
    assert shop.up().state == "done"


def test_a_database_that_had_objects_before_is_told_how_migrations_begin(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load("CREATE TABLE t (id integer);")
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0002_n.sql", "ALTER TABLE t ADD COLUMN n integer;\n")
    with pytest.raises(RehearsalError) as caught:
        shop.plan()
    assert "let a first migration make these, and dbops migrate baseline" in (caught.value.fix or "")
    shop.write("0001_t.sql", "CREATE TABLE t (id integer);\n")
    assert run(["migrate", "baseline", "1", str(shop.folder)]) == 0
    assert len(shop.plan().entries) == 1 and shop.up().state == "done"
    assert shop.states() == {"0001_t": "baselined", "0002_n": "applied"}
