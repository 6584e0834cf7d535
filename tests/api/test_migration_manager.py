"""Migrations from Python: files, steps, records, and whole databases moved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dbops import (
    CompositeTransformer,
    DatabaseManager,
    DataMigrator,
    DbopsError,
    FieldRenameTransformer,
    FieldTypeTransformer,
    Migration,
    MigrationManager,
    MigrationRunner,
    MigrationStep,
    SchemaManager,
    run_migrations,
    transfer,
)
from dbops.errors import MigrationError, SchemaError
from tests.databases import Database, MysqlDatabase, PostgresDatabase, SqliteDatabase, fresh_postgres
from tests.servers import PostgresServer

FIRST = "CREATE TABLE agents (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL)"
SECOND = "ALTER TABLE agents ADD COLUMN active INTEGER DEFAULT 1"


@pytest.fixture
def manager(database: Database, tmp_path: Path) -> Iterator[MigrationManager]:
    """A manager on an empty folder and an empty database."""
    with MigrationManager(str(tmp_path / "work"), database.url) as made:
        yield made


def two(manager: MigrationManager) -> tuple[str, str]:
    first = manager.create_migration("first", "agents", FIRST, "DROP TABLE agents")
    second = manager.create_migration("second", "activity", SECOND, "ALTER TABLE agents DROP COLUMN active", [first.id])
    return first.id, second.id


def write(folder: Path, migration_id: str, **fields: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{migration_id}.json"
    path.write_text(json.dumps({"id": migration_id, "name": migration_id, **fields}))
    return path


def tables(database: Database) -> list[str]:
    with DatabaseManager(database.url) as found:
        return found.get_tables()


# --- files


def test_a_migration_is_written_as_a_file(tmp_path: Path) -> None:
    manager = MigrationManager(tmp_path)
    made = manager.create_migration("Add agents", "the table", FIRST, "DROP TABLE agents")
    data = json.loads((tmp_path / "migrations" / f"{made.id}.json").read_text())
    assert data.pop("created_at")
    assert data == {
        "id": made.id,
        "name": "Add agents",
        "description": "the table",
        "sql": FIRST,
        "rollback_sql": "DROP TABLE agents",
        "dependencies": [],
        "status": "pending",
        "checksum": sha256(FIRST.encode()).hexdigest(),
    }
    [listed] = manager.list_migrations()
    assert listed["id"] == listed.id == made.id and listed.checksum == made.checksum and dict(listed)["name"] == "Add agents"
    assert isinstance(listed, Migration) and listed.get("nothing") is None
    with pytest.raises(MigrationError, match="depends on nowhere"):
        manager.create_migration("x", "", "SELECT 1", dependencies=["nowhere"])
    with pytest.raises(MigrationError, match="no database is set"):
        manager.apply_migration(made.id)


def test_migrations_are_applied_and_rolled_back(database: Database, manager: MigrationManager) -> None:
    first, second = two(manager)
    with pytest.raises(MigrationError, match=f"Dependency migration not applied: {first}"):
        manager.apply_migration(second)
    with pytest.raises(MigrationError, match="Migration not found: third"):
        manager.apply_migration("third")
    result = manager.apply_migration(first)
    assert (result.success, result.error_message, result.statements_executed) == (True, None, 1) and result
    again = manager.apply_migration(first)
    assert again.success and again.error_message == "Already applied"
    assert [one.success for one in manager.apply_pending()] == [True]
    assert [one.status for one in manager.list_migrations()] == ["applied", "applied"]
    status = manager.get_migration_status()
    assert (status.current, status.pending, status.applied, status.failed) == (second, [], [first, second], [])
    with pytest.raises(MigrationError, match=f"cannot be taken back while {second} is applied"):
        manager.rollback_migration(first)
    assert manager.rollback_migration(second)
    assert manager.get_migration_status(second)["status"] == "rolled_back"
    assert [one.id for one in manager.get_pending_migrations()] == [second]
    with pytest.raises(MigrationError, match="Migration is not applied"):
        manager.rollback_migration(second)
    assert manager.rollback_migration(first).success and "agents" not in tables(database)
    assert manager.get_migration_status("third") is None


def test_the_ledger_survives_the_program(database: Database, manager: MigrationManager) -> None:
    first, _ = two(manager)
    manager.apply_migration(first)
    other = MigrationManager(manager.workspace_dir)
    other.set_database_url(database.url)
    found = other.get_migration_status(first)
    assert found["status"] == "applied" and found["applied_at"].year >= 2026 and found["execution_time"] >= 0
    assert other.get_migration_status().current == first
    other.close()


def test_a_failed_migration_leaves_nothing_half_done(database: Database, manager: MigrationManager) -> None:
    sql = f"{FIRST}; INSERT INTO nowhere VALUES (1)"
    broken = manager.create_migration("broken", "", sql)
    result = manager.apply_migration(broken.id)
    assert not result and "nowhere" in str(result.error_message)
    assert ("agents" in tables(database)) is (database.engine == "mysql")
    assert manager.get_migration_status(broken.id)["status"] == "failed"
    assert "nowhere" in manager.get_migration_status(broken.id)["error_message"]
    if database.engine == "mysql":
        return
    path = manager.migrations_dir / f"{broken.id}.json"
    path.write_text(path.read_text().replace("INSERT INTO nowhere VALUES (1)", "INSERT INTO agents VALUES (1, 'x')"))
    assert manager.apply_migration(broken.id).success and "agents" in tables(database)


def test_pending_migrations_stop_at_the_first_failure(manager: MigrationManager) -> None:
    manager.create_migration("broken", "", "INSERT INTO nowhere VALUES (1)")
    manager.create_migration("fine", "", FIRST)
    assert [one.success for one in manager.apply_pending_migrations()] == [False]


def test_a_dry_run_keeps_nothing(database: Database, manager: MigrationManager) -> None:
    first, second = two(manager)
    result = manager.apply_migration(first, dry_run=True)
    assert result.success and str(result.error_message).startswith("Dry run")
    assert "agents" not in tables(database) and manager.get_migration_status(first)["status"] == "pending"
    manager.apply_migration(first)
    assert manager.apply_migration(first, dry_run=True).error_message == "Already applied"
    assert manager.apply_migration(second, dry_run=True).success
    wrong = manager.create_migration("wrong", "", "INSERT INTO agents VALUES (NULL, NULL)")
    result = manager.apply_migration(wrong.id, dry_run=True)
    assert not result.success and str(result.error_message).startswith("Dry run failed")
    assert manager.get_migration_status(wrong.id)["status"] == "pending"


def test_edited_migrations_are_noticed_until_they_are_accepted(manager: MigrationManager) -> None:
    first, second = two(manager)
    manager.apply_migration(first)
    path = manager.migrations_dir / f"{first}.json"
    path.write_text(path.read_text().replace("VARCHAR(40)", "VARCHAR(50)"))
    with pytest.raises(MigrationError, match=first):
        manager.apply_migration(second)
    assert manager.get_migration_status(first)["detail"]
    assert manager.verify_migrations() == [first] == manager.verify_migrations(accept=True)
    assert manager.verify_migrations() == [] and manager.apply_migration(second)


def test_a_migration_without_a_way_back_says_so(manager: MigrationManager) -> None:
    made = manager.create_migration("first", "", FIRST)
    manager.apply_migration(made.id)
    with pytest.raises(MigrationError, match="nothing leads back"):
        manager.rollback_migration(made.id)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": {}}, "has no sql"),
        ({"a": {"sql": "SELECT 1", "dependencies": ["b"]}}, "depends on b, which is not there"),
        ({"a": {"sql": "x", "dependencies": ["b"]}, "b": {"sql": "x", "dependencies": ["a"]}}, "in a circle"),
        ({"1": {"sql": "x"}, "01": {"sql": "x"}}, "version 1, which is 01 too: "),
        ({"a1": {"sql": "x"}, "A01": {"sql": "x"}}, "two migrations have the version"),
    ],
)
def test_wrong_files_are_named(files: dict[str, Any], said: str, tmp_path: Path) -> None:
    for migration_id, fields in files.items():
        write(tmp_path / "migrations", migration_id, **fields)
    with pytest.raises(DbopsError) as error:
        MigrationManager(tmp_path).load_migrations_from_directory()
    assert said in error.value.explain() and ".json" in error.value.explain()


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "bad.json").write_text("{")
    with pytest.raises(DbopsError) as error:
        MigrationManager(tmp_path, f"sqlite:///{tmp_path}/x.db").apply_pending()
    assert "bad.json" in error.value.explain()


def test_dependencies_order_migrations(database: Database, tmp_path: Path) -> None:
    write(tmp_path / "migrations", "a", sql="INSERT INTO t VALUES (1)", dependencies=["c"])
    write(tmp_path / "migrations", "b", sql="INSERT INTO t VALUES (2)", dependencies=["a"])
    write(tmp_path / "migrations", "c", sql="CREATE TABLE t (x INTEGER)")
    with MigrationManager(tmp_path, database.url) as manager:
        assert [one.migration_id for one in manager.apply_pending()] == ["c", "a", "b"]


def test_one_file_is_run(database: Database, tmp_path: Path) -> None:
    with MigrationManager(tmp_path, database.url) as manager:
        made = manager.create_migration("first", "", FIRST)
        assert manager.run_migration(f"{made.id}.json") is True
        other = write(tmp_path / "other", "x1", sql="CREATE TABLE other (x INTEGER)")
        assert manager.run_migration(str(other)) is True
        assert manager.run_migration(write(tmp_path / "other", "x2", sql="SELECT nothing_at_all FROM nowhere")) is False
        with pytest.raises(MigrationError, match="Migration file not found"):
            manager.run_migration("missing")
    assert {"agents", "other"} <= set(tables(database))


def test_a_database_in_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="in memory"):
        MigrationManager(tmp_path, "sqlite://").get_migration_status()


# --- run_migrations


def test_a_folder_is_run_up_and_down(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    write(folder, "0001", sql=FIRST, rollback_sql="DROP TABLE agents")
    write(folder, "0002", sql="INSERT INTO agents VALUES (1, 'Ada')", rollback_sql="DELETE FROM agents")
    up = run_migrations(migration_dir=f"{folder}/", database_url=database.url, direction="up")
    assert all(one.pop("execution_time") >= 0 for one in up["results"])
    assert up == {
        "direction": "up",
        "migrations_processed": 2,
        "successful": 2,
        "failed": 0,
        "success": True,
        "results": [{"migration_id": one, "success": True, "error_message": None} for one in ("0001", "0002")],
    }
    assert run_migrations(str(folder), database.url)["migrations_processed"] == 0
    for migration_id in ("0002", "0001"):
        down = run_migrations(str(folder), database.url, "down")
        assert down["result"].pop("execution_time") >= 0
        result = {"migration_id": migration_id, "success": True, "error_message": None}
        assert down == {"direction": "down", "migrations_processed": 1, "success": True, "result": result}
    nothing = run_migrations(str(folder), database.url, "down")
    assert nothing.pop("message") and nothing == {"direction": "down", "migrations_processed": 0, "success": True}


def test_a_wrong_direction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DbopsError, match="Invalid migration direction: sideways"):
        run_migrations(str(tmp_path), "sqlite:///x.db", "sideways")


# --- steps


def test_steps_run_in_the_order_of_their_dependencies(database: Database) -> None:
    def fill(session: Any) -> None:
        session.execute("INSERT INTO agents (id, name) VALUES (:id, :name)", {"id": 1, "name": "Ada"})
        assert session.query("SELECT name FROM agents WHERE id = ?", (1,)) == [("Ada",)]

    runner = MigrationRunner(database.url)
    runner.add_step(MigrationStep("a_fill", "fill", "", fill, lambda s: s.execute("DELETE FROM agents"), ["b_make"]))
    runner.add_step(MigrationStep("b_make", "make", "", lambda s: s.execute(FIRST), lambda s: s.execute("DROP TABLE agents")))
    with pytest.raises(MigrationError, match="two steps have the id b_make"):
        runner.add_step(MigrationStep("b_make", "again", "", print))
    assert [step.id for step in runner.get_pending()] == ["b_make", "a_fill"]
    assert [one.success for one in runner.run_up("b_make")] == [True]
    assert [one.migration_id for one in runner.run_up()] == ["a_fill"] and runner.run_up() == []
    runner.close()
    assert database.rows("SELECT name FROM agents") == [("Ada",)]
    again = MigrationRunner(database.url)
    for step in runner.get_steps():
        again.add_step(step)
    assert again.get_completed() == ["b_make", "a_fill"] and again.get_pending() == []
    assert [one.migration_id for one in again.run_down(2)] == ["a_fill", "b_make"]
    assert "agents" not in tables(database) and len(again.get_pending()) == 2
    again.close()


def test_one_and_01_are_one_step(database: Database) -> None:
    runner = MigrationRunner(database.url).add_step(MigrationStep("1", "make", "", lambda s: s.execute(FIRST), print))
    with pytest.raises(MigrationError, match="two steps have the id 01: 1 is the same version"):
        runner.add_step(MigrationStep("01", "again", "", print))
    assert [one.success for one in runner.run_up()] == [True]
    runner.close()
    renamed = MigrationRunner(database.url)
    renamed.add_step(MigrationStep("01", "make", "", print, lambda s: s.execute("DROP TABLE agents")))
    assert renamed.get_pending() == [] and renamed.get_completed() == ["1"]
    assert [one.success for one in renamed.run_down()] == [True] and renamed.get_completed() == []
    renamed.close()


def test_a_failed_step_leaves_nothing(database: Database) -> None:
    database.load(f"{FIRST};")

    def fails(session: Any) -> None:
        session.execute("INSERT INTO agents VALUES (1, 'Ada')")
        raise ZeroDivisionError("of the step")

    runner = MigrationRunner(database.url).add_step(MigrationStep("x", "x", "", fails))
    [result] = runner.run_up()
    assert not result and result.error_message == "ZeroDivisionError: of the step"
    assert database.rows("SELECT * FROM agents") == [] and [one.id for one in runner.get_pending()] == ["x"]
    runner.close()


def test_steps_without_a_database_are_remembered_by_their_runner() -> None:
    with pytest.raises(MigrationError, match="the manager has no connection"):
        MigrationRunner(DatabaseManager())
    ran: list[str] = []
    runner = MigrationRunner()
    runner.add_step(MigrationStep("one", "one", "", lambda: ran.append("up"), lambda: ran.append("down")))
    runner.add_step(MigrationStep("two", "two", "", lambda: ran.append("two")))
    assert [one.success for one in runner.run_up()] == [True, True]
    with pytest.raises(MigrationError, match="nothing leads back from two"):
        runner.run_down(2)
    assert runner.get_completed() == ["one", "two"] and ran == ["up", "two"]
    broken = MigrationRunner().add_step(MigrationStep("a", "a", "", print, None, ["b"]))
    broken.add_step(MigrationStep("b", "b", "", print, None, ["a"]))
    with pytest.raises(DbopsError, match="circle"):
        broken.run_up()


# --- records


def test_records_are_transformed() -> None:
    change = CompositeTransformer([FieldRenameTransformer({"age": "years"}), FieldTypeTransformer({"years": int, "gone": int})])
    before = {"name": "Ada", "age": "36"}
    assert DataMigrator(change).migrate([before, {"name": "Bob", "age": None}]) == [
        {"name": "Ada", "years": 36},
        {"name": "Bob", "years": None},
    ]
    assert before == {"name": "Ada", "age": "36"}
    with pytest.raises(MigrationError, match="the field 'years' cannot become int"):
        change.transform({"age": "many"})
    with pytest.raises(MigrationError, match="would be called 'name'"):
        FieldRenameTransformer({"age": "name"}).transform(before)


def test_rows_are_moved_between_tables_all_or_none(database: Database) -> None:
    database.load(
        "CREATE TABLE old (id INTEGER PRIMARY KEY, age VARCHAR(10)); CREATE TABLE new (id INTEGER PRIMARY KEY, years INTEGER);"
    )
    with DatabaseManager(database.url) as manager:
        manager.execute_many("INSERT INTO old VALUES (?, ?)", [(n, str(n)) for n in range(25)])
        change = CompositeTransformer([FieldRenameTransformer({"age": "years"}), FieldTypeTransformer({"years": int})])
        result = DataMigrator(change, batch_size=10).migrate_table(manager, "old", target_table="new")
        assert result and (result.records_read, result.records_written) == (25, 25)
        assert manager.execute("SELECT count(*), sum(years) FROM new").rows[0] == (25, 300)
        manager.execute("DELETE FROM new")
        manager.execute("UPDATE old SET age = 'many' WHERE id = 24")
        result = DataMigrator(change, batch_size=10).migrate_table(manager, "old", target_table="new")
        assert not result and "cannot become int" in str(result.error_message)
        assert manager.execute("SELECT count(*) FROM new").rows == [(0,)]


# --- whole databases

SHOP = """
CREATE TABLE customers (id INTEGER NOT NULL PRIMARY KEY, email VARCHAR(80) NOT NULL, vip BOOLEAN);
CREATE TABLE orders (customer INTEGER NOT NULL, place INTEGER NOT NULL, total DECIMAL(8,2), ordered DATE, boss INTEGER,
  PRIMARY KEY (customer, place), CONSTRAINT orders_customer_fkey FOREIGN KEY (customer) REFERENCES customers (id));
CREATE UNIQUE INDEX customers_email ON customers (email);
INSERT INTO customers VALUES (1, 'ada@example.com', TRUE), (2, 'it''s ? %s', FALSE);
INSERT INTO orders VALUES (1, 1, 12.50, '2026-01-31', NULL), (1, 2, 0.10, NULL, 1), (2, 1, NULL, NULL, NULL);
"""


def test_a_database_is_moved_to_another_engine(
    sqlite_database: SqliteDatabase, pg_database: PostgresDatabase, my_database: MysqlDatabase, tmp_path: Path
) -> None:
    sqlite_database.load(SHOP)
    back = f"sqlite:///{tmp_path}/back.db"
    for source, target in ((sqlite_database.url, pg_database.url), (pg_database.url, my_database.url), (my_database.url, back)):
        result = transfer(source, target, batch_size=2)
        assert result.error_message is None and result.tables == {"customers": 2, "orders": 3} and result.rows_transferred == 5
        with DatabaseManager(target) as moved:
            rows = moved.execute("SELECT id, email, vip FROM customers ORDER BY id").rows
            assert [(a, b, bool(c)) for a, b, c in rows] == [(1, "ada@example.com", True), (2, "it's ? %s", False)]
            rows = moved.execute("SELECT customer, place, total, ordered, boss FROM orders ORDER BY customer, place").rows
            assert [(a, b, c and float(c), d and str(d), e) for a, b, c, d, e in rows] == [
                (1, 1, 12.5, "2026-01-31", None),
                (1, 2, 0.1, None, 1),
                (2, 1, None, None, None),
            ]
            assert not moved.execute("INSERT INTO orders (customer, place) VALUES (9, 9)").success
            assert not moved.execute("INSERT INTO customers VALUES (3, 'ada@example.com', FALSE)").success
        with pytest.raises(SchemaError, match="has a table customers already"):
            transfer(source, target)


def test_rows_are_transformed_on_the_way(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load(SHOP)
    target = f"sqlite:///{tmp_path}/other.db"
    upper = {"customers": FieldTypeTransformer({"email": str.upper})}
    assert transfer(sqlite_database.url, target, ["customers"], transformers=upper).tables == {"customers": 2}
    with DatabaseManager(target) as moved:
        assert moved.get_tables() == ["customers"]
        assert moved.execute("SELECT email FROM customers WHERE id = 1").rows == [("ADA@EXAMPLE.COM",)]
    with pytest.raises(SchemaError, match="no table 'nothing'"):
        transfer(sqlite_database.url, f"sqlite:///{tmp_path}/none.db", ["nothing"])


def test_rows_without_their_key_are_moved_too(sqlite_database: SqliteDatabase) -> None:
    """SQLite lets a key be NULL, which is neither before nor behind another."""
    sqlite_database.load("CREATE TABLE t (a TEXT, b INTEGER, PRIMARY KEY (a, b)); CREATE TABLE u (a TEXT, b INTEGER);")
    sqlite_database.load("INSERT INTO t VALUES ('x', NULL), (NULL, 1), ('y', 2);")
    with DatabaseManager(sqlite_database.url) as manager:
        moved = DataMigrator(FieldRenameTransformer({}), batch_size=1).migrate_table(manager, "t", target_table="u")
    assert moved.records_written == 3 and len(sqlite_database.rows("SELECT * FROM u")) == 3


def test_numbering_goes_on_behind_what_was_moved(pg_database: PostgresDatabase, my_database: MysqlDatabase) -> None:
    my_database.load("CREATE TABLE n (id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY, x INTEGER); INSERT INTO n VALUES (7, 1);")
    assert transfer(my_database.url, pg_database.url)
    with DatabaseManager(pg_database.url) as moved:
        assert moved.execute("INSERT INTO n (x) VALUES (2) RETURNING id").rows == [(8,)]


def test_tables_that_sequences_number_go_to_every_engine(
    pg_database: PostgresDatabase, my_database: MysqlDatabase, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    pg_database.load(
        "CREATE TABLE orders (id serial PRIMARY KEY, note varchar(20)); INSERT INTO orders (note) VALUES ('a'), ('b');"
    )
    with fresh_postgres(postgres_server) as other:
        for target in (f"sqlite:///{tmp_path}/x.db", my_database.url, other.url):
            done = transfer(pg_database.url, target)
            assert done and done.tables == {"orders": 2} and done.left_out == []
            with DatabaseManager(target) as manager:
                assert manager.execute("INSERT INTO orders (note) VALUES ('c')").success
                assert manager.execute("SELECT id, note FROM orders ORDER BY id").rows == [(1, "a"), (2, "b"), (3, "c")]
    read = SchemaManager(pg_database.url).get_schema("orders")
    assert read["columns"][0] | {"auto_increment": True, "default": None} == read["columns"][0]
