"""JSON Schemas for editors: valid draft-07, fresh, and of one mind with what is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dbops.errors import DbopsError
from dbops.manifests.jsonschema import combined_schema, schema_files, schema_for, stale_schemas, write_schemas
from dbops.manifests.spec import EnvironmentSpec
from tests.manifests.kinds import KINDS, connection, load, overlay, schema
from tests.manifests.test_specs import TABLES

SCHEMAS = {
    **{kind: schema_for(kind, model) for kind, model in KINDS.items()},
    "Environment": schema_for("Environment", EnvironmentSpec),
}
COMBINED = combined_schema(KINDS)

VALID = [
    connection("{url: '${URL}', pool: {size: '${N}', timeout: '${T}s'}, sqlite: {journalMode: '${MODE}', foreignKeys: '${FK}'}}"),
    connection("{engine: mysql, host: db, port: 3306, password: {command: [pass, shop]}, tls: {mode: require}}"),
    connection("{url: {file: url.txt}, timeouts: {lock: 1h30m}}", labels="{team: web}"),
    schema(TABLES),
    schema(
        "{connectionSelector: {matchLabels: {team: web}}, source: {sql: [a/]}, policy: {online: '${O}', allow: [DELETES_DATA]}}"
    ),
    schema(
        "{connection: a, source: {models: {paths: ['app/**/db_models.py']}}, renames: [{column: a.b, to: c}], schemas: [public]}"
    ),
    schema("{connection: a, source: {sql: [a/]}, ignoreDrift: [{object: a, reason: b, until: '2027-01-01'}]}"),
    overlay(
        "{extends: ../base, variables: {a: b, n: 1, t: true}, patches: [{kind: Connection, name: a, spec: {pool: {size: 1}}}]}"
    ),
]
INVALID = [
    connection("{url: 'sqlite://', pol: 1}"),
    connection("{url: 'sqlite://', engine: mysql}"),
    connection("{pool: {size: 1}}"),
    connection("{url: 'sqlite://', pool: {size: ten}}"),
    connection("{url: 'sqlite://', timeouts: {lock: 30}}"),
    connection("{url: 'sqlite://', sqlite: {journalMode: wall}}"),
    connection("{engine: mysql, password: {evn: P}}"),
    connection("{engine: mysql, password: {env: P, file: p}}"),
    connection("{url: 'sqlite://'}", name="Shop"),
    schema("{connection: a}"),
    schema("{connection: a, source: {sql: [a], tables: []}}"),
    schema("{source: {sql: [a]}}"),
    schema("{connection: a, source: {tables: [{name: t, columns: []}]}}"),
    schema("{connection: a, source: {tables: [{name: t, columns: [{name: c, type: intger}]}]}}"),
    schema("{connection: a, source: {sql: [a]}, policy: {allow: [DELETE_DATA]}}"),
    overlay("{extend: ../base}"),
]


def errors(manifest: str, schema: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(yaml.safe_load(manifest))]


@pytest.mark.parametrize("schema", [*SCHEMAS.values(), COMBINED], ids=[*SCHEMAS, "combined"])
def test_schemas_are_draft_07_and_nothing_newer(schema: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(schema)
    text = json.dumps(schema)
    assert not [word for word in ("$defs", "prefixItems", "unevaluatedProperties", "dependentRequired") if word in text]


@pytest.mark.parametrize("manifest", VALID)
def test_valid_manifests_are_accepted(manifest: str) -> None:
    assert errors(manifest, SCHEMAS[yaml.safe_load(manifest)["kind"]]) == []
    assert errors(manifest, COMBINED) == []


@pytest.mark.parametrize("manifest", INVALID)
def test_what_the_loader_refuses_the_schema_refuses(manifest: str, tmp_path: Path) -> None:
    kind = yaml.safe_load(manifest)["kind"]
    assert errors(manifest, SCHEMAS[kind])
    assert errors(manifest, COMBINED)
    files = {"environment.yaml" if kind == "Environment" else "it.yaml": manifest}
    files |= {"a.yaml": connection("{url: 'sqlite://'}", name="a")}
    with pytest.raises(DbopsError):
        load(tmp_path, files)


def test_fields_and_models_are_described_by_their_docstrings() -> None:
    spec = SCHEMAS["Connection"]["properties"]["spec"]
    assert spec["properties"]["host"]["description"] == "The server's name, address or socket folder."
    assert SCHEMAS["Connection"]["definitions"]["Pool"]["properties"]["timeout"]["default"] == "30s"
    tables = SCHEMAS["Schema"]["definitions"]["SourceSpec"]["properties"]["tables"]["items"]
    assert tables["properties"]["primaryKey"]["description"].startswith("The columns of the primary key")
    assert SCHEMAS["Schema"]["properties"]["spec"]["properties"]["connection"]["description"].startswith(
        "The name of the Connection"
    )


def test_stale_files_are_found_and_written(tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    assert {path.name for path in write_schemas(folder, schema_files(KINDS))} == {
        "connection.json",
        "schema.json",
        "migrationset.json",
        "environment.json",
        "dbops.json",
    }
    assert stale_schemas(folder, schema_files(KINDS)) == []
    (folder / "schema.json").write_text("{}", encoding="utf-8")
    assert stale_schemas(folder, schema_files(KINDS)) == [folder / "schema.json"]
    assert write_schemas(folder, schema_files(KINDS)) == [folder / "schema.json"]
    assert set(schema_files(KINDS)) == {path.name for path in folder.iterdir()}


def test_loading_an_environment_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        connection("{url: 'sqlite://'}") + "---\n" + schema("{connection: shop, source: {sql: [a]}}")
    )
    program = f"""
import sys
from pathlib import Path
from tests.manifests.kinds import KINDS
from dbops.manifests.environment import load_environment
load_environment(Path({str(tmp_path)!r}), KINDS, {{}})
heavy = "jsonschema sqlalchemy sqlglot alembic rich fastapi ruamel tenacity psycopg pymysql asyncio subprocess"
print(sorted(set(heavy.split()) & set(sys.modules)), "dbops.resources.schema.table_spec" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"
