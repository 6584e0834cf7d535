"""One set bound to many databases by their labels, one of which has gone wrong: all others get what they lack, each once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.errors import ApplyError
from dbops.usecases.migrate.status import status
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, PostgresDatabase, SqliteDatabase, fresh_postgres
from tests.resources.migrations.sets import YES
from tests.servers import PostgresServer

_CONNECTION = (
    "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: {name}, labels: {{fleet: shops}}}}\nspec: {{url: {url}}}\n---\n"
)
_SET = """\
apiVersion: dbops/v1
kind: MigrationSet
metadata: {name: fleet}
spec: {connectionSelector: {matchLabels: {fleet: shops}}, directory: migrations}
"""


def write(folder: Path, databases: dict[str, Database]) -> None:
    (folder / "migrations").mkdir(parents=True)
    connections = "".join(_CONNECTION.format(name=name, url=json.dumps(one.url)) for name, one in databases.items())
    (folder / "env.yaml").write_text(connections + _SET)
    (folder / "migrations" / "0001_a.sql").write_text("CREATE TABLE a (id integer);\n")
    (folder / "migrations" / "0002_b.sql").write_text("CREATE TABLE b (id integer);\nINSERT INTO a VALUES (1);\n")


def survives(folder: Path, databases: dict[str, Database], poisoned: str) -> None:
    """Run on all, one of which has a table in the way; then clear that and run again."""
    from dbops.usecases.migrate.running import up

    databases[poisoned].load("CREATE TABLE b (id integer);")
    with open_workspace(folder) as workspace, pytest.raises(ApplyError, match="already exists") as caught:
        up(workspace, YES)
    assert caught.value.context["connection"] == poisoned
    with open_workspace(folder) as workspace:
        found = {one.connection: one for one in status(workspace)}
    before = [name for name in sorted(databases) if name < poisoned]
    after = [name for name in sorted(databases) if name > poisoned]
    assert [name for name in databases if found[name].is_clean] == before
    assert [one.state for one in found[poisoned].standings] == ["applied", "failed"]
    assert all(found[name].count("pending") == 2 for name in after), "what comes behind the failure was not begun"
    databases[poisoned].load("DROP TABLE b;")
    with open_workspace(folder) as workspace:
        assert up(workspace, YES).state == "done"
    for name, database in databases.items():
        assert database.rows("SELECT id FROM a") == [(1,)], name
    with open_workspace(folder) as workspace:
        assert up(workspace, YES).state == "nothing"


@pytest.mark.parametrize("count", [12, pytest.param(50, marks=pytest.mark.campaign)])
def test_a_fleet_of_files_with_one_gone_wrong(tmp_path: Path, count: int) -> None:
    databases: dict[str, Database] = {}
    for number in range(count):
        databases[f"shop{number:02}"] = one = SqliteDatabase(tmp_path / f"shop{number:02}.db")
        one.load("CREATE TABLE here (id integer);")
    write(tmp_path / "env", databases)
    survives(tmp_path / "env", databases, f"shop{count // 2:02}")


def test_a_fleet_of_databases_on_a_server_with_one_gone_wrong(
    postgres_server: PostgresServer, pg_database: PostgresDatabase, tmp_path: Path
) -> None:
    with fresh_postgres(postgres_server) as second, fresh_postgres(postgres_server) as third:
        databases: dict[str, Database] = {"shop0": pg_database, "shop1": second, "shop2": third}
        write(tmp_path / "env", databases)
        survives(tmp_path / "env", databases, "shop1")
