"""validate without any server of the manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import DbopsError, Problems
from dbops.usecases.validate import validate

MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: "{url}"}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec: {{connection: shop, source: {{sql: [shop.sql]}}}}
"""

URLS = {
    "sqlite": "sqlite:///nowhere/shop.db",
    "postgresql": "postgresql://nobody@127.0.0.1:1/shop",
    "mysql": "mysql://nobody@127.0.0.1:1/shop",
}


@pytest.mark.parametrize("engine", URLS)
def test_sql_is_loaded_though_no_server_answers(engine: str, tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=URLS[engine]))
    (tmp_path / "shop.sql").write_text("CREATE TABLE b (id integer PRIMARY KEY);\n")
    found = validate(tmp_path, {})
    assert (found.statements, dict(found.untried)) == (1, {})
    (tmp_path / "shop.sql").write_text("CREATE TABLE a (id integer);\n\nCREATE TABEL b (id integer);\n")
    with pytest.raises(DbopsError) as caught:
        validate(tmp_path, {})
    assert "shop.sql:3:" in caught.value.explain()


@pytest.mark.parametrize("engine", URLS)
def test_files_of_rows_are_held_against_their_tables(engine: str, tmp_path: Path) -> None:
    data = "[{table: a, key: [id], file: a.csv}, {table: gone, key: [id], file: a.csv}, {table: a, key: [id], file: no.csv}]"
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=URLS[engine]).replace("[shop.sql]}", f"[shop.sql]}}, data: {data}"))
    (tmp_path / "shop.sql").write_text("CREATE TABLE a (id integer PRIMARY KEY, name varchar(9));\n")
    (tmp_path / "a.csv").write_text("id,nam\n1,x\n")
    with pytest.raises(Problems) as caught:
        validate(tmp_path, {})
    told = [problem.explain().replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert told[0].startswith("a.csv:1:2: table a has no column 'nam'")
    assert told[1].startswith("env.yaml:9:") and "there is no table 'gone'" in told[1]
    assert told[2].startswith("env.yaml:9:") and "no.csv cannot be read: No such file" in told[2]
    assert len(told) == 3
