"""Drift accepted into the sources: the edit is the smallest, comments stay, and nothing differs afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.errors import DbopsError, PlanError, Problems, SchemaError
from dbops.usecases.accept import AcceptReport, accept
from dbops.usecases.apply import Consent, apply
from dbops.usecases.importing import import_database
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import Database

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "accept.yaml").read_text())

ENGINES = ("sqlite", "postgresql", "mysql")

MANIFEST = """\
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
  source: {source}
"""

SOURCE = """\
-- who buys
CREATE TABLE customers (
  id integer NOT NULL PRIMARY KEY, -- the number
  email varchar(100) NOT NULL
);

/* what is bought */
CREATE TABLE orders (
  id integer NOT NULL PRIMARY KEY,
  -- whose
  customer_id integer NOT NULL,
  note varchar(50), -- free text
  -- keep this one
  code char(4) DEFAULT 'none',
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
);
CREATE INDEX orders_customer_id ON orders (customer_id); -- for joins
CREATE VIEW notes AS SELECT id, note FROM orders;
"""

Environment = Callable[..., Path]


@pytest.fixture
def environment(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Write manifests and a source, apply them, and return the folder."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))

    def write(source: str, text: str | None = None) -> Path:
        folder = tmp_path / "env"
        folder.mkdir()
        (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url), source=source))
        if text is not None:
            (folder / "shop.sql").write_bytes(text.encode())
        with open_workspace(folder) as workspace:
            apply(workspace, Consent(lambda _: True, allow=frozenset({"all"})))
        return folder

    return write


def accepted(folder: Path, *addresses: str, dry_run: bool = False) -> AcceptReport:
    with open_workspace(folder) as workspace:
        return accept(workspace, addresses, dry_run=dry_run)


def differing(folder: Path) -> list[str]:
    with open_workspace(folder) as workspace:
        return [entry.change.address for entry in plan(workspace).entries]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".db"
    }


@pytest.mark.parametrize(
    ("case", "database"),
    [(case, engine) for case in CASES for engine in case.get("engines", ENGINES)],
    indirect=["database"],
    ids=lambda value: value["name"] if isinstance(value, dict) else value,
)
def test_a_source_in_sql_says_what_is_live(case: dict[str, Any], database: Database, environment: Environment) -> None:
    schema = "public." if database.engine == "postgresql" else ""
    folder = environment("{sql: [shop.sql]}", case.get("source", SOURCE))
    database.load(case["live"] + ";")
    assert differing(folder)
    addresses = [address if address == "all" else "schema/shop/" + address.format(s=schema) for address in case["accept"]]
    accepted(folder, *addresses)
    text = (folder / "shop.sql").read_text()
    if "after" in case:
        assert text.replace("`", "").replace('"', "").replace("public.orders", "orders") == case["after"].replace("`", "")
    for part in case.get("has", ()):
        assert part in text.replace("((`id` > 0))", "(`id` > 0)"), text  # MySQL's own words have brackets of their own
    for part in case.get("lacks", ()):
        assert part not in text, text
    assert differing(folder) == [f"schema/shop/{address.format(s=schema)}" for address in case.get("left", ())]


def test_new_objects_of_a_folder_get_files_as_import_names_them(database: Database, tmp_path: Path) -> None:
    database.load(SOURCE)
    folder = tmp_path / "env"
    import_database(database.url, folder, name="shop")
    applied(folder)
    before = files(folder)
    database.load("DROP VIEW notes; CREATE TABLE parts (id integer NOT NULL PRIMARY KEY); CREATE INDEX parts_id ON parts (id);")
    report = accepted(folder, "all")
    schema = "public/" if database.engine == "postgresql" else ""
    assert files(folder).keys() - before.keys() == {f"schema/{schema}tables/parts.sql"}
    assert before.keys() - files(folder).keys() == {f"schema/{schema}views/notes.sql"}
    assert {edit.action for edit in report.files} == {"create", "delete"}
    assert not differing(folder)


def applied(folder: Path) -> None:
    with open_workspace(folder) as workspace:
        apply(workspace, Consent(lambda _: True))


def test_line_ends_and_byte_order_mark_stay(database: Database, environment: Environment) -> None:
    folder = environment("{sql: [shop.sql]}", "\ufeff" + SOURCE.replace("\n", "\r\n"))
    database.load("DROP VIEW notes; ALTER TABLE orders ADD COLUMN total integer;")
    accepted(folder, "all")
    data = (folder / "shop.sql").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf-- who buys\r\n") and data.count(b"\n") == data.count(b"\r\n")
    assert b"total" in data and not differing(folder)


def test_a_dry_run_shows_the_edit_and_writes_nothing(database: Database, environment: Environment) -> None:
    folder = environment("{sql: [shop.sql]}", SOURCE)
    database.load("DROP VIEW notes;")
    before = files(folder)
    report = accepted(folder, "all", dry_run=True)
    assert not report.is_written and files(folder) == before
    (edit,) = report.files
    assert "-CREATE VIEW notes AS SELECT id, note FROM orders;" in edit.diff(folder).splitlines()


def test_all_leaves_what_waits_for_an_apply(database: Database, environment: Environment) -> None:
    folder = environment("{sql: [shop.sql]}", SOURCE)
    source = folder / "shop.sql"
    source.write_text(SOURCE + "CREATE TABLE planned (id integer NOT NULL PRIMARY KEY);\n")
    database.load("DROP VIEW notes;")
    accepted(folder, "all")
    assert [address.rpartition("/")[2].removeprefix("public.") for address in differing(folder)] == ["planned"]
    assert accepted(folder, "all").files == ()


def test_what_must_go_together_is_asked_for_and_nothing_changes(database: Database, environment: Environment) -> None:
    folder = environment("{sql: [shop.sql]}", SOURCE)
    database.load("DROP VIEW notes; ALTER TABLE orders DROP COLUMN note;")
    before = files(folder)
    schema = "public." if database.engine == "postgresql" else ""
    if database.engine == "postgresql":
        with pytest.raises(SchemaError) as caught:
            accepted(folder, f"schema/shop/table/{schema}orders/column/note")
        assert "together" in caught.value.explain() and files(folder) == before
    with pytest.raises(PlanError) as unknown:
        accepted(folder, "schema/shop/table/nobody")
    assert "nothing differs" in unknown.value.explain() and files(folder) == before
    with pytest.raises(PlanError):
        accepted(folder, "connection/shop")


def test_models_are_not_rewritten(database: Database, environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "db_models.py").write_text(
        "from sqlalchemy import Column, Integer\nfrom sqlalchemy.orm import declarative_base\nBase = declarative_base()\n"
        "class Thing(Base):\n    __tablename__ = 'things'\n    id = Column(Integer, primary_key=True)\n"
    )
    (tmp_path / "env").rename(tmp_path / "models")
    folder = environment(
        json.dumps({"models": {"paths": [str(tmp_path / "models" / "db_models.py")]}}).replace(str(tmp_path), "..")
    )
    database.load("ALTER TABLE things ADD COLUMN extra integer;")
    with pytest.raises(DbopsError) as caught:
        accepted(folder, "all")
    assert "column/extra" in caught.value.explain()


TABLES = """
    tables:
      # who buys
      - name: customers
        columns:
          - {name: id,   type: bigint, primaryKey: true, autoIncrement: true}   # the number
          - {name: email, type: "string(100)", nullable: false, unique: true}
          # free text
          - {name: note, type: text}
        indexes:
          - {name: customers_email, columns: [email, id]}   # for lists

      # what is bought
      - name: orders
        columns:
          - name: id     # of the order
            type: integer
            primaryKey: true
          - {name: customer_id, type: bigint, references: customers.id}
"""


def test_portable_tables_are_edited_with_their_comments(database: Database, environment: Environment) -> None:
    folder = environment(TABLES)
    kind = {"sqlite": "VARCHAR(20)", "postgresql": "varchar(20)", "mysql": "varchar(20)"}[database.engine]
    number = {"sqlite": "INTEGER", "postgresql": "integer", "mysql": "int"}[database.engine]
    drop = "DROP INDEX customers_email ON customers" if database.engine == "mysql" else "DROP INDEX customers_email"
    database.load(
        f"{drop}; ALTER TABLE customers ADD COLUMN level {kind} DEFAULT 'yes';"
        f" ALTER TABLE customers DROP COLUMN note; CREATE INDEX orders_customer ON orders (customer_id);"
        f" CREATE TABLE parts (id {number} NOT NULL PRIMARY KEY);"
    )
    accepted(folder, "all")
    text = (folder / "env.yaml").read_text()
    assert "- {name: id,   type: bigint, primaryKey: true, autoIncrement: true}   # the number\n" in text, text
    assert '          - {name: level, type: string(20), default: "yes"}\n' in text, text
    assert "name: note" not in text and "customers_email" not in text, text
    assert "- name: id     # of the order\n" in text and "      # what is bought\n" in text, text
    assert "- {name: orders_customer, columns: [customer_id]}\n" in text, text
    assert "\n      - name: parts\n" in text, text
    assert not differing(folder)


def test_a_portable_table_dropped_live_goes_with_its_comment(database: Database, environment: Environment) -> None:
    folder = environment(TABLES)
    database.load("DROP TABLE orders;")
    accepted(folder, "all")
    text = (folder / "env.yaml").read_text()
    assert "orders" not in text and "what is bought" not in text and "# for lists" in text
    assert not differing(folder)


def test_what_has_no_portable_form_is_not_accepted_into_tables(database: Database, environment: Environment) -> None:
    folder = environment(TABLES)
    before = files(folder)
    database.load("CREATE VIEW emails AS SELECT email FROM customers;")
    with pytest.raises((SchemaError, Problems)) as caught:
        accepted(folder, "all")
    assert "views have no portable form" in caught.value.explain() and files(folder) == before
