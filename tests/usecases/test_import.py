"""A live database written down: as SQL that comes out the same again, as portable tables, or not at all, with the reasons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.errors import PlanError, SchemaError
from dbops.manifests.loader import parse_documents
from dbops.usecases.apply import Consent, apply
from dbops.usecases.importing import Layout, import_database
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, SqliteDatabase

PORTABLE = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: {url}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec:
  connection: shop
  source:
    tables:
      - name: customers
        comment: people and $${{companies}}
        columns:
          - {{name: id, type: bigint, primaryKey: true, autoIncrement: true}}
          - {{name: email, type: string(100), nullable: false, unique: true, comment: "where to write: 100%"}}
          - {{name: code, type: uuid}}
          - {{name: joined, type: datetime, nullable: false, default: {{expression: CURRENT_TIMESTAMP}}}}
          - {{name: greeting, type: string(40), default: "it's \\"yes\\""}}
          - {{name: level, type: string(10), default: "yes"}}
          - {{name: small, type: smallint, default: -1}}
          - {{name: settings, type: json}}
          - {{name: picture, type: binary}}
          - {{name: born, type: date}}
          - {{name: wakes, type: time}}
          - {{name: ratio, type: float, default: 0.5}}
          - {{name: is_open, type: boolean, nullable: false, default: true}}
        uniques:
          - {{columns: [small, born]}}
          - {{name: one_level, columns: [level, small]}}
      - name: orders
        columns:
          - {{name: customer_id, type: bigint, nullable: false, references: customers.id}}
          - {{name: number, type: integer, nullable: false}}
          - {{name: parent_customer, type: bigint}}
          - {{name: parent_number, type: integer}}
          - {{name: note, type: text}}
          - {{name: total, type: "decimal(10, 2)", nullable: false, default: 0}}
          - {{name: doubled, type: "decimal(12, 2)", generated: {{expression: total * 2}}}}
        primaryKey: [customer_id, number]
        foreignKeys:
          - columns: [parent_customer, parent_number]
            references: {{table: orders, columns: [customer_id, number]}}
            onDelete: cascade
        checks:
          - {{name: orders_total, expression: total >= 0}}
        indexes:
          - {{name: orders_total_index, columns: [total, number]}}
          - {{name: orders_once, columns: [number, customer_id], unique: true}}
"""

RICH = {
    "sqlite": """\
CREATE TABLE authors (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT COLLATE NOCASE NOT NULL DEFAULT 'no; one') STRICT;
CREATE TABLE books (
  -- the ISBN
  isbn TEXT NOT NULL PRIMARY KEY, author INTEGER REFERENCES authors ON DELETE SET NULL, pages INT CHECK (pages > 0),
  title TEXT, sheets INT GENERATED ALWAYS AS (pages / 2) VIRTUAL, UNIQUE (title, author)
) WITHOUT ROWID;
CREATE INDEX "Books By Author" ON books (author DESC, lower(title)) WHERE author IS NOT NULL;
CREATE VIEW shelf AS SELECT title, name FROM books JOIN authors ON id = author;
CREATE TABLE log (what TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TRIGGER books_logged AFTER INSERT ON books BEGIN
  INSERT INTO log (what) VALUES (new.title); DELETE FROM log WHERE what IS NULL;
END;
CREATE TRIGGER shelf_insert INSTEAD OF INSERT ON shelf BEGIN INSERT INTO authors (name) VALUES (new.name); END;
CREATE VIRTUAL TABLE search USING fts5(title);
""",
    "postgresql": """\
CREATE SCHEMA stock;
CREATE TYPE mood AS ENUM ('glad', 'so; so');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE SEQUENCE tickets INCREMENT 5;
CREATE TABLE authors (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mood mood DEFAULT 'glad');
CREATE TABLE stock.books (
  isbn varchar(13) PRIMARY KEY, author bigint REFERENCES authors ON DELETE SET NULL, pages positive, title text,
  ticket integer DEFAULT nextval('tickets'), sheets integer GENERATED ALWAYS AS (pages / 2) STORED, UNIQUE (title, author)
);
CREATE TABLE visits (at timestamptz NOT NULL, who text) PARTITION BY RANGE (at);
CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE INDEX visits_who ON visits (who);
CREATE INDEX apart_from_visits_who ON visits_old (who);
CREATE INDEX taken_by_visits_at ON visits_old (at);
CREATE INDEX visits_at ON visits (at);
CREATE INDEX apart_from_visits_at ON visits_old (at);
CREATE INDEX books_by_author ON stock.books (author DESC, lower(title)) WHERE author IS NOT NULL;
CREATE VIEW shelf AS SELECT title, name FROM stock.books JOIN authors ON id = author;
CREATE MATERIALIZED VIEW counts AS SELECT author, count(*) AS n FROM stock.books GROUP BY author;
CREATE UNIQUE INDEX counts_author ON counts (author);
CREATE FUNCTION sheets(b stock.books) RETURNS integer LANGUAGE plpgsql AS $$BEGIN
  RETURN b.pages / 2; -- both sides
END$$;
CREATE FUNCTION sheets(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n / 2';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.title := upper(NEW.title); RETURN NEW; END';
CREATE TRIGGER books_stamp BEFORE INSERT ON stock.books FOR EACH ROW EXECUTE FUNCTION stamp();
COMMENT ON TABLE authors IS 'who; writes';
COMMENT ON COLUMN authors.name IS 'in full';
ALTER TABLE authors ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON authors FOR SELECT USING (name <> '');
ALTER DEFAULT PRIVILEGES IN SCHEMA stock GRANT SELECT ON TABLES TO PUBLIC;
CREATE TABLE stock.shown (id integer);
""",
    "mysql": """\
CREATE TABLE authors (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(100) NOT NULL COMMENT 'in; full')
  COMMENT = 'who writes';
CREATE TABLE books (
  isbn varchar(13) NOT NULL PRIMARY KEY, author bigint unsigned, pages int CHECK (pages > 0), title varchar(200),
  kind enum('new', 'u;sed') DEFAULT 'new', sheets int GENERATED ALWAYS AS (pages / 2) STORED,
  UNIQUE KEY by_title (title(20), author), FULLTEXT KEY words (title),
  CONSTRAINT books_author FOREIGN KEY (author) REFERENCES authors (id) ON DELETE SET NULL
);
CREATE TABLE visits (at date NOT NULL, who text) PARTITION BY RANGE (YEAR(at))
  (PARTITION old VALUES LESS THAN (2020), PARTITION rest VALUES LESS THAN MAXVALUE);
CREATE VIEW shelf AS SELECT title, name FROM books JOIN authors ON id = author;
DELIMITER //
CREATE TRIGGER books_stamp BEFORE INSERT ON books FOR EACH ROW BEGIN
  SET NEW.title = upper(NEW.title);
  SET NEW.kind = 'new';
END//
CREATE PROCEDURE tidy(IN years int) BEGIN DELETE FROM visits WHERE at < now() - INTERVAL years YEAR; SELECT 1; END//
CREATE FUNCTION half(n int) RETURNS int DETERMINISTIC RETURN n / 2//
DELIMITER ;
""",
}


def files_in(folder: Path, layout: Layout) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert layout != "objects" or len(found) > 3
    return found


def emptied(database: Database) -> None:
    """Make the database as it was when it was new."""
    match database.engine:
        case "sqlite":
            Path(database.url.removeprefix("sqlite:///")).unlink()
        case "postgresql":
            database.load("DROP SCHEMA public, stock CASCADE; DROP SCHEMA IF EXISTS dbops CASCADE; CREATE SCHEMA public;")
        case _:
            name = database.rows("SELECT database()")[0][0]
            database.load(f"DROP DATABASE {name}; CREATE DATABASE {name};")


def applied(folder: Path) -> None:
    with open_workspace(folder) as workspace:
        apply(workspace, Consent(lambda _: True, allow=frozenset({"all"})))


def has_changes(folder: Path) -> bool:
    with open_workspace(folder) as workspace:
        return not plan(workspace).is_empty


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize("layout", ["objects", "single"])
def test_what_was_imported_and_applied_imports_byte_equal(database: Database, layout: Layout, tmp_path: Path) -> None:
    database.load(RICH[database.engine])
    import_database(database.url, tmp_path / "first", layout=layout)
    assert not has_changes(tmp_path / "first")
    emptied(database)
    applied(tmp_path / "first")
    import_database(database.url, tmp_path / "second", layout=layout)
    assert files_in(tmp_path / "second", layout) == files_in(tmp_path / "first", layout)


def test_portable_tables_come_back_as_portable_tables(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "first"
    folder.mkdir()
    (folder / "env.yaml").write_text(PORTABLE.format(url=json.dumps(database.url)))
    applied(folder)
    report = import_database(database.url, tmp_path / "second", layout="tables", name="shop")
    assert [path.name for path in report.files] == ["shop.yaml"]
    assert not has_changes(tmp_path / "second")
    tables = parse_documents(report.files[0].read_text(), "shop.yaml")[1].value["spec"]["source"]["tables"]
    assert {table["name"] for table in tables} == {"customers", "orders"}
    columns = {column["name"]: column for table in tables for column in table["columns"]}
    assert columns["total"]["type"].replace(" ", "") == "decimal(10,2)" and columns["total"]["default"] == 0
    assert columns["is_open"]["default"] is True and columns["level"]["default"] == "yes"
    assert columns["id"] | {"type": ""} == {"name": "id", "type": "", "primaryKey": True, "autoIncrement": True}


def test_constraints_without_names_stay_without(sqlite_database: Database, tmp_path: Path) -> None:
    sqlite_database.load(
        "CREATE TABLE a (id INTEGER PRIMARY KEY);"
        "CREATE TABLE b (x INTEGER UNIQUE CHECK (x > 0), a_id INTEGER REFERENCES a (id) ON UPDATE RESTRICT, UNIQUE (x, a_id));"
    )
    import_database(sqlite_database.url, tmp_path / "env", layout="tables")
    assert not has_changes(tmp_path / "env")


def test_what_has_no_portable_form_is_named_and_nothing_is_written(database: Database, tmp_path: Path) -> None:
    database.load(RICH[database.engine])
    with pytest.raises(SchemaError) as caught:
        import_database(database.url, tmp_path / "env", layout="tables")
    told = caught.value.explain()
    assert "objects of the database have no portable form" in told
    assert (
        "shelf" in next(line for line in told.splitlines() if "  views have no portable form: " in line)
        and "--layout objects" in told
    )
    assert {"sqlite": "trigger/books_logged", "postgresql": "enum/public.mood", "mysql": "table/books/column/kind"}[
        database.engine
    ] in told
    assert not (tmp_path / "env").exists()


def test_attributes_without_a_portable_form_are_found_by_reading_back(database: Database, tmp_path: Path) -> None:
    database.load(
        {
            "sqlite": "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT;",
            "postgresql": "CREATE UNLOGGED TABLE t (id integer CONSTRAINT my_key PRIMARY KEY);",
            "mysql": "CREATE TABLE t (id int NOT NULL PRIMARY KEY, name varchar(10) COLLATE utf8mb4_bin);",
        }[database.engine]
    )
    with pytest.raises(SchemaError) as caught:
        import_database(database.url, tmp_path / "env", layout="tables")
    assert "1 object of the database has no portable form" in caught.value.explain()


def test_a_second_import_is_refused_and_with_force_leaves_nothing_of_what_is_gone(database: Database, tmp_path: Path) -> None:
    database.load(RICH[database.engine])
    folder = tmp_path / "env"
    import_database(database.url, folder, name="shop")
    (folder / "notes.sql").write_text("-- mine")
    before = files_in(folder, "objects")
    with pytest.raises(PlanError, match=r"shop.yaml exists already"):
        import_database(database.url, folder, name="shop")
    assert files_in(folder, "objects") == before
    database.load("DROP VIEW shelf;" if database.engine != "sqlite" else "DROP TRIGGER shelf_insert; DROP VIEW shelf;")
    report = import_database(database.url, folder, name="shop", force=True)
    assert [path.name for path in report.removed] == ["shelf.sql"]
    assert (folder / "notes.sql").exists() and not has_changes(folder)


def test_an_environment_takes_the_schemas_of_more_databases(database: Database, tmp_path: Path) -> None:
    database.load("CREATE TABLE t (id integer);")
    other = SqliteDatabase(tmp_path / "other.db")
    other.load("CREATE TABLE t (id integer);")
    folder = tmp_path / "env"
    import_database(database.url, folder, name="one")
    report = import_database(other.url, folder, name="two")
    assert {str(path.relative_to(folder)).split("/")[0] for path in report.files} == {"two.yaml", "two"}
    (folder / "two.yaml").rename(folder / "renamed.yaml")
    with pytest.raises(PlanError, match="there is a Connection 'two' already"):
        import_database(other.url, folder, name="two")
    assert not has_changes(folder)


def test_a_connection_of_the_environment_gets_its_schema(database: Database, tmp_path: Path) -> None:
    database.load("CREATE TABLE t (id integer);")
    (tmp_path / "shop.yaml").write_text(PORTABLE.partition("---")[0].format(url=json.dumps(database.url)))
    report = import_database("shop", tmp_path)
    assert "shop.schema.yaml" in [path.name for path in report.files] and report.variable is None
    assert not has_changes(tmp_path)


def test_what_is_no_url_needs_an_environment(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="'shop' is no database URL"):
        import_database("shop", tmp_path / "none")
