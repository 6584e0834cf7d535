"""Saved inspections: valid by their JSON Schema, and the same catalog when read back."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from dbops.errors import PlanError
from dbops.usecases.inspect import inspect
from dbops.usecases.saved import from_dict, json_schema, to_json, to_yaml
from tests.databases import Database
from tests.usecases.test_import import RICH

SCHEMA = Path(__file__).parents[2] / "specs/schemas/inspect.schema.json"


def test_a_saved_inspection_is_valid_and_reads_back(database: Database) -> None:
    database.load(RICH[database.engine])
    inspection = inspect(database.url, None)
    data = json.loads(to_json(inspection))
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(data)
    saved = from_dict(data, "saved.json")
    assert saved.catalog == inspection.catalog.in_order() and saved.engine == database.engine
    assert (saved.server.flavour, saved.server.version) == (inspection.server.flavour, inspection.server.version)


def test_the_schema_refuses_what_the_format_does_not_know(sqlite_database: Database) -> None:
    sqlite_database.load("CREATE TABLE t (id integer);")
    data = json.loads(to_json(inspect(sqlite_database.url, None)))
    data["catalog"]["objects"][0]["colour"] = "red"
    assert list(jsonschema.Draft7Validator(json_schema()).iter_errors(data))


def test_yaml_is_portable_tables_where_those_say_all(database: Database) -> None:
    text = "TEXT" if database.engine == "sqlite" else "varchar(40)"
    database.load(f"CREATE TABLE users (id integer NOT NULL PRIMARY KEY, name {text} NOT NULL);")
    (table,) = yaml.safe_load(to_yaml(inspect(database.url, None)))["tables"]
    assert table["name"] == "users" and [column["name"] for column in table["columns"]] == ["id", "name"]


def test_yaml_is_the_whole_inspection_where_tables_cannot_say_it(database: Database) -> None:
    database.load("CREATE TABLE users (id integer NOT NULL PRIMARY KEY);\nCREATE VIEW ids AS SELECT id FROM users;")
    inspection = inspect(database.url, None)
    text = to_yaml(inspection)
    assert "views have no portable form" in text.partition("format:")[0]
    assert from_dict(yaml.safe_load(text), "saved.yaml").catalog == inspection.catalog.in_order()


def test_a_damaged_file_is_named() -> None:
    with pytest.raises(PlanError, match="damaged"):
        from_dict({"format": "dbops.inspect/1", "name": "x"}, "saved.json")
