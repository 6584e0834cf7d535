"""Schemas from Python: DDL that runs on every dialect, comparisons that see everything, migrations there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy import Index as SqlIndex
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dbops import (
    Column,
    DatabaseManager,
    Index,
    MigrationManager,
    SchemaDefinition,
    SchemaGenerator,
    SchemaManager,
    SchemaTable,
    generate_schema,
)
from dbops.errors import MissingTableError, SchemaError
from tests.databases import Database

#: Reserved words, quotes in defaults, a composite key, foreign keys to tables that come later, in a circle, and to itself.
HARD = [
    {
        "name": "order",
        "columns": [
            {"name": "id", "type": "integer", "primary_key": True, "auto_increment": True},
            {"name": "user", "type": "string", "max_length": 40, "nullable": False, "default": 'it\'s "here" \\ %s ?'},
            {"name": "group", "type": "integer", "references": "select.id"},
            {"name": "made", "type": "datetime", "default": "CURRENT_TIMESTAMP"},
            {"name": "ok", "type": "BOOLEAN", "default": True},
            {"name": "price", "type": "NUMERIC(8,2)", "unique": True},
            {"name": "parent", "type": "int", "foreign_key": "order.id", "on_delete": "CASCADE"},
        ],
        "indexes": [{"name": "ix_user", "columns": ["user", "ok"], "unique": True}],
        "checks": ["price > 0"],
    },
    {
        "name": "select",
        "columns": [
            {"name": "id", "type": "integer"},
            {"name": "o", "type": "integer", "references": "order(id)"},
            {"name": "a", "type": "integer"},
            {"name": "b", "type": "string(10)"},
        ],
        "primary_key": ["id"],
        "foreign_keys": [{"columns": ["a", "b"], "references": {"table": "pair", "columns": ["x", "y"]}}],
    },
    {
        "name": "pair",
        "columns": [{"name": "x", "type": "integer"}, {"name": "y", "type": "VARCHAR(10)"}, {"name": "z", "type": "text"}],
        "primary_key": ["x", "y"],
        "unique_constraints": [["y"]],
    },
]
TYPES = (
    *("string(40)", "text", "smallint", "integer", "bigint", "float", "decimal(8, 2)", "boolean", "datetime", "date", "time"),
    *("binary", "json", "uuid", "string", "decimal"),
)
USERS = {
    "name": "users",
    "columns": [
        {"name": "id", "type": "integer", "primary_key": True},
        {"name": "email", "type": "string(80)", "nullable": False},
    ],
}


def statements(manager: DatabaseManager, script: str) -> None:
    """Run a script, a statement of which ends at the end of a line."""
    for text in script.rstrip().removesuffix(";").split(";\n"):
        assert (done := manager.execute(text)).success, f"{done.error_message}: {text}"


def dialect(database: Database) -> str:
    return database.engine


# --- DDL


def test_hard_tables_run_on_every_dialect(database: Database) -> None:
    tables = [SchemaTable(**table) for table in HARD]
    script = SchemaDefinition("hard", "1", tables).to_sql(dialect(database))
    with DatabaseManager(database.url) as manager:
        statements(manager, script)
        assert sorted(manager.get_tables()) == ["order", "pair", "select"]
        quoted = "`order`" if database.engine == "mysql" else '"order"'
        assert manager.execute(f"INSERT INTO {quoted} (price) VALUES (1.5)").error_message is None
        user = "`user`" if database.engine == "mysql" else '"user"'
        [(number, name)] = manager.execute(f"SELECT id, {user} FROM {quoted}").rows
        assert (number, name) == (1, 'it\'s "here" \\ %s ?')
        for wrong in ("price) VALUES (1.5)", "price) VALUES (-1)", "parent) VALUES (99)"):
            assert not manager.execute(f"INSERT INTO {quoted} ({wrong}").success
        assert [c["pk"] for c in manager.get_table_info("pair")] == [True, True, False]


def test_every_type_exists_on_every_dialect(database: Database) -> None:
    columns: list[Any] = [Column(f"c{place}", kind) for place, kind in enumerate(TYPES)]
    sql = SchemaGenerator(dialect=dialect(database)).create_table(SchemaTable("kinds", columns))
    with DatabaseManager(database.url) as manager:
        statements(manager, sql)
        assert len(manager.get_table_info("kinds")) == len(TYPES)


def test_words_are_quoted_only_where_they_must_be(tmp_path: Path) -> None:
    table = SchemaTable("users", [Column("id", "integer", primary_key=True), Column("select", "text")], [Index("ix", ["id"])])
    for name, quoted in (("sqlite", '"select"'), ("postgresql", '"select"'), ("mysql", "`select`"), ("mariadb", "`select`")):
        sql = SchemaGenerator(tmp_path, name).create_table(table)
        assert sql.startswith("CREATE TABLE users (") and quoted in sql
        assert not {"`users`", '"users"', "public.", "`id`"} & {
            word for word in ("`users`", '"users"', "public.", "`id`") if word in sql
        }
    with pytest.raises(SchemaError, match="unknown dialect 'oracle'"):
        SchemaGenerator(tmp_path, "oracle")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"columns": []}, "has no name"),
        ({"name": "t", "columns": [{"name": "a", "type": "intger"}]}, "unknown column type 'intger'"),
        ({"name": "t", "columns": [{"name": "a", "typ": "text"}]}, "unknown key 'typ'"),
        ({"name": "t", "columns": [{"name": "a"}]}, "has no type"),
        ({"name": "t", "columns": [{"name": "a", "type": "text"}], "primary_key": ["b"]}, "there is no column 'b'"),
        ({"name": "t", "columns": []}, "the table t is wrong"),
    ],
)
def test_wrong_tables_are_told(wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as error:
        SchemaGenerator(tmp_path).create_table_from_dict(wrong)
    assert said in error.value.message


def test_a_schema_is_exported(tmp_path: Path) -> None:
    generator = SchemaGenerator(tmp_path)
    generator.create_table_from_dict(USERS)
    assert generator.generate_schema_sql("shop", "2.0").startswith("-- shop 2.0\nCREATE TABLE users (")
    assert Path(generator.export_schema(str(tmp_path / "out" / "shop.sql"))).read_text().endswith(");\n")
    data = json.loads(Path(generator.export_schema(tmp_path / "shop.json", format="json")).read_text())
    assert [table["name"] for table in data["tables"]] == ["users"]
    assert SchemaGenerator(tmp_path).create_table_from_dict(data["tables"][0]) == generator.create_table_from_dict(USERS)
    with pytest.raises(SchemaError, match="unknown format 'xml'"):
        generator.export_schema(tmp_path / "x", "xml")
    definition = SchemaDefinition("shop", "1", [SchemaTable("users", [Column("id", "integer")])]).to_dict()
    assert definition["tables"][0]["columns"][0]["type"] == "integer" and json.dumps(definition)


# --- models


def test_models_of_every_kind_become_a_script(database: Database, tmp_path: Path) -> None:
    class Base(DeclarativeBase):
        pass

    class Book(Base):
        __tablename__ = "books"
        __table_args__ = (UniqueConstraint("title", "author"), SqlIndex("ix_title", "title"))
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str] = mapped_column(String(40), server_default="it's")
        author: Mapped[int] = mapped_column(ForeignKey("authors.id", ondelete="CASCADE"))
        pages: Mapped[int | None] = mapped_column(default=1)

    class Author(Base):
        __tablename__ = "authors"
        id: Mapped[int] = mapped_column(primary_key=True)

    done = generate_schema([Book, Author, SchemaTable("tags", [Column("id", "integer")])], str(tmp_path), dialect(database))
    assert done["tables_generated"] == 3 and done["message"].startswith("3 tables written")
    with DatabaseManager(database.url) as manager:
        statements(manager, Path(done["schema_file"]).read_text())
        manager.execute("INSERT INTO authors VALUES (1)")
        assert manager.execute("INSERT INTO books (id, author) VALUES (1, 1)").error_message is None
        assert manager.execute("SELECT title, pages FROM books").rows == [("it's", 1)]
        assert not manager.execute("INSERT INTO books (id, author) VALUES (2, 1)").success
        assert not manager.execute("INSERT INTO books (id, title, author) VALUES (3, 'x', 9)").success
    with pytest.raises(SchemaError, match="is no model"):
        generate_schema([int], str(tmp_path))


# --- comparing


def changed(**parts: Any) -> dict[str, Any]:
    return {"tables": [{**USERS, **parts}]}


def test_columns_are_compared() -> None:
    generator = SchemaGenerator()
    target = {"tables": {"users": {"columns": {"id": {"type": "integer", "primary_key": True}, "age": "integer"}}, "new": USERS}}
    target["tables"]["new"] = {**USERS, "name": "new"}
    found = generator.compare_schemas(changed(), target)
    assert found["tables_to_add"] == ["new"] and found["tables_to_remove"] == []
    assert [(one["table"], one["column"]) for one in found["columns_to_add"]] == [("users", "age")]
    assert [(one["table"], one["column"]) for one in found["columns_to_remove"]] == [("users", "email")]
    wider = changed(columns=[USERS["columns"][0], {"name": "email", "type": "string(90)"}])
    [one] = generator.compare_schemas(changed(), wider)["columns_to_modify"]
    assert (one["table"], one["column"], one["from"]["type"], one["to"]["type"]) == ("users", "email", "string(80)", "string(90)")
    same = changed(columns=[USERS["columns"][0], {"name": "email", "type": "VARCHAR(80)", "nullable": False}])
    assert not any(generator.compare_schemas(changed(), same).values())


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ({"indexes": [{"name": "ix", "columns": ["email"]}]}, "indexes"),
        ({"unique_constraints": [["email"]]}, "constraints"),
        ({"checks": ["id > 0"]}, "constraints"),
        ({"foreign_keys": [{"columns": ["id"], "references": {"table": "other", "columns": ["id"]}}]}, "constraints"),
    ],
)
def test_indexes_and_constraints_are_compared(parts: dict[str, Any], kind: str) -> None:
    generator = SchemaGenerator()
    found = generator.compare_schemas(changed(), changed(**parts))
    assert len(found[f"{kind}_to_add"]) == 1 and sum(map(len, found.values())) == 1
    back = generator.compare_schemas(changed(**parts), changed())
    assert len(back[f"{kind}_to_remove"]) == 1 and sum(map(len, back.values())) == 1
    report = generator.get_schema_drift_report(changed(), changed(**parts))
    assert (
        report["drift_detected"] and report["migration_needed"] and report[f"{kind}_changed"] == 1 and report["recommendations"]
    )


def test_a_changed_key_is_a_difference() -> None:
    found = SchemaGenerator().compare_schemas(
        changed(), changed(columns=[{**one, "primary_key": False} for one in USERS["columns"]])
    )
    assert [one["constraint"] for one in found["constraints_to_remove"]] == ["primary_key"]


def test_equal_schemas_do_not_drift() -> None:
    assert SchemaGenerator().get_schema_drift_report({"tables": HARD}, {"tables": HARD[::-1]}) == {
        "drift_detected": False,
        "migration_needed": False,
        "recommendations": [],
        **dict.fromkeys(("tables_added", "tables_removed", "columns_added", "columns_removed", "columns_modified"), 0),
        "indexes_changed": 0,
        "constraints_changed": 0,
        "differences": SchemaGenerator().compare_schemas({}, {}),
    }


# --- migrations

CHANGES: dict[str, Any] = {
    "create_tables": [{"name": "tags", "columns": [{"name": "id", "type": "integer", "references": "users.id"}]}],
    "add_columns": [{"table": "users", "column": {"name": "age", "type": "integer", "default": 1}}],
    "modify_columns": [{"table": "users", "column": {"name": "email", "type": "string(200)"}}],
    "create_indexes": [{"table": "users", "name": "ix_email", "columns": ["email"], "unique": True}],
    "drop_columns": [{"table": "users", "column": "old"}],
}


def test_a_migration_leads_there_and_back(database: Database, tmp_path: Path) -> None:
    generator = SchemaGenerator(tmp_path, dialect(database))
    with_old = {**USERS, "columns": [*USERS["columns"], {"name": "old", "type": "string(5)", "default": "x"}]}
    first = generator.generate_migration("users", "the first table", {"create_tables": [with_old]})
    before = database.dump
    with MigrationManager(tmp_path, database.url) as manager:
        assert manager.apply_migration(first.migration_id).error_message is None
        database.rows("INSERT INTO users (id, email) VALUES (1, 'ada')")
        start = before()
        second = generator.generate_migration("more", "", CHANGES)
        assert second.dependencies == [first.migration_id] and "cannot" not in second.down_sql
        assert manager.apply_migration(second.migration_id).error_message is None
        there = before()
        assert there != start and database.rows("SELECT id, email, age FROM users") == [(1, "ada", 1)]
        assert manager.rollback_migration(second.migration_id).error_message is None
        columns = sorted(row["name"] for row in tables_of(database, "users"))
        assert columns == ["email", "id", "old"] and database.rows("SELECT id, email FROM users") == [(1, "ada")]
        assert manager.apply_migration(second.migration_id).error_message is None
        assert before() == there
    listed = SchemaGenerator(tmp_path).list_migrations()
    assert [one["migration_id"] for one in listed] == [first.migration_id, second.migration_id]
    assert listed[1]["up_sql"] == second.up_sql and listed[1]["checksum"] == second.checksum


def tables_of(database: Database, table: str) -> list[dict[str, Any]]:
    with DatabaseManager(database.url) as manager:
        return manager.get_table_info(table)


def test_changes_of_tables_written_elsewhere_run(database: Database, tmp_path: Path) -> None:
    database.load("CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(80));")
    generator = SchemaGenerator(tmp_path, dialect(database))
    made = generator.generate_migration(
        "age",
        "",
        {
            "add_columns": [{"table": "users", "column": {"name": "age", "type": "integer"}}],
            "create_indexes": [{"table": "users", "name": "ix_age", "columns": ["age"]}],
        },
    )
    with MigrationManager(tmp_path, database.url) as manager:
        assert manager.apply_migration(made.migration_id).error_message is None
        assert manager.rollback_migration(made.migration_id).error_message is None
    assert [one["name"] for one in tables_of(database, "users")] == ["id", "email"]


def test_what_cannot_be_taken_back_says_why(database: Database, tmp_path: Path) -> None:
    generator = SchemaGenerator(tmp_path, dialect(database))
    made = generator.generate_migration(
        "less", "", {"drop_columns": [{"table": "users", "column": "email"}], "drop_tables": ["logs"]}
    )
    assert "the definition of the column users.email is not known" in made.down_sql and made.down_sql.startswith("-- ")
    assert generator.list_migrations()[0]["down_sql"] is None
    raw = generator.generate_migration(
        "raw", "", {"raw_sql": [{"up": "SELECT 1", "down": "SELECT 2"}, {"up": "SELECT 3", "down": "SELECT 4"}]}
    )
    assert raw.down_sql.index("SELECT 4") < raw.down_sql.index("SELECT 2")
    with pytest.raises(SchemaError) as error:
        generator.generate_migration("x", "", {"add_column": []})
    assert "unknown change 'add_column'" in error.value.message and error.value.fix == "did you mean add_columns?"


def test_sqlite_is_not_told_to_build_a_table_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="its other columns are not known"):
        SchemaGenerator(tmp_path).generate_migration(
            "x", "", {"modify_columns": [{"table": "users", "column": {"name": "email", "type": "integer"}}]}
        )


# --- live tables


def test_tables_of_a_database_are_made_changed_and_read(database: Database) -> None:
    manager = SchemaManager(database.url)
    assert manager.create_table(USERS) is True
    assert manager.get_schema("users") == manager.generate_schema(USERS)
    database.rows("INSERT INTO users (id, email) VALUES (1, 'ada')")
    changes = {
        "add_columns": [{"name": "age", "type": "integer", "default": 1}],
        "modify_columns": [{"name": "email", "type": "string(200)", "nullable": True}],
        "create_indexes": [{"name": "ix_age", "columns": ["age"]}],
    }
    assert manager.alter_table("users", changes) is True
    found = manager.get_schema("users")
    assert [(one["name"], one["type"], one["nullable"]) for one in found["columns"]][1:] == [
        ("email", "string(200)", True),
        ("age", "integer", True),
    ]
    assert [one["name"] for one in found["indexes"]] == ["ix_age"]
    assert database.rows("SELECT email, age FROM users") == [("ada", 1)]
    assert manager.alter_table("users", {"drop_indexes": ["ix_age"], "drop_columns": ["age"]})
    assert len(manager.get_schema("users")["columns"]) == 2
    with pytest.raises(MissingTableError, match="no table 'user'"):
        manager.alter_table("user", changes)
    with pytest.raises(SchemaError, match="has no column nothing"):
        manager.alter_table("users", {"drop_columns": ["nothing"]})
    with pytest.raises(SchemaError, match="no database is set"):
        SchemaManager().create_table(USERS)
