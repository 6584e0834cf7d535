"""A set bound by labels to many databases, written and run by tests."""

from __future__ import annotations

import json
from pathlib import Path

from dbops.state.journal import applies
from dbops.usecases.runtime import open_workspace
from tests.databases import Database
from tests.resources.migrations.sets import YES

_CONNECTION = (
    "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: {name}, labels: {{fleet: shops}}}}\nspec: {{url: {url}}}\n---\n"
)
_SET = """\
apiVersion: dbops/v1
kind: MigrationSet
metadata: {name: fleet}
spec: {connectionSelector: {matchLabels: {fleet: shops}}, directory: migrations, rollout: {maxFailures: MAX, parallel: PARALLEL}}
"""


def write(folder: Path, databases: dict[str, Database], max_failures: int = 0, parallel: int = 1) -> None:
    (folder / "migrations").mkdir(parents=True)
    connections = "".join(_CONNECTION.format(name=name, url=json.dumps(one.url)) for name, one in databases.items())
    (folder / "env.yaml").write_text(connections + _SET.replace("MAX", str(max_failures)).replace("PARALLEL", str(parallel)))
    (folder / "migrations" / "0001_a.sql").write_text("CREATE TABLE a (id integer);\n")
    (folder / "migrations" / "0002_b.sql").write_text("CREATE TABLE b (id integer);\nINSERT INTO a VALUES (1);\n")


def run(folder: Path) -> str:
    from dbops.usecases.migrate.running import up

    with open_workspace(folder) as workspace:
        return up(workspace, YES).state


def apply_states(folder: Path) -> dict[str, str]:
    with open_workspace(folder) as workspace:
        found = {}
        for name in workspace.connection_names():
            reader = workspace.targets.reader(name)
            assert reader is not None
            told = applies(reader, workspace.targets.engine(name).features)
            found[name] = told[0].state if told else "none"
        return found
