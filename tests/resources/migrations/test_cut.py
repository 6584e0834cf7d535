"""Statements that commit by themselves, and a program that dies before the ledger says so: each takes effect exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.state.ledger import DatabaseLedger
from tests.databases import Database
from tests.resources.migrations.sets import Migrations

ROWS = yaml.safe_load((Path(__file__).parent / "cut" / "statements.yaml").read_text(encoding="utf-8"))
CASES = [pytest.param(engine, row, id=f"{engine}: {row['statement']}") for engine, rows in ROWS.items() for row in rows]
_TABLE = {
    "sqlite": "CREATE TABLE a (id integer PRIMARY KEY, note text); INSERT INTO a (note) VALUES ('old');",
    "postgresql": "CREATE TABLE a (id serial PRIMARY KEY, note text); INSERT INTO a (note) VALUES ('old');",
    "mysql": "CREATE TABLE a (id integer AUTO_INCREMENT PRIMARY KEY, note varchar(20)); INSERT INTO a (note) VALUES ('old');",
}


class Died(BaseException):
    """Stands for the death of the program: nothing of dbops catches it."""


@pytest.mark.parametrize(("database", "row"), CASES, indirect=["database"])
def test_a_statement_cut_off_from_the_ledger_takes_effect_once(
    database: Database, row: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.load(_TABLE[database.engine] + row.get("before", "") + ";")
    shop = Migrations.make(database, tmp_path / "env")
    ahead = f"{row['ahead']};\n" if "ahead" in row else ""
    shop.write("0001_a.sql", f"{ahead}{row['statement']};\nCREATE TABLE done (id integer);\n")
    usual = DatabaseLedger.reach

    def dies(self: DatabaseLedger, version: str, reached: int, trace: str | None) -> None:
        if trace is None and reached == (2 if ahead else 1):
            raise Died
        usual(self, version, reached, trace)

    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(DatabaseLedger, "reach", dies)
        shop.up()
    if "meanwhile" in row:
        database.load(row["meanwhile"])
    assert shop.up().state == "done"
    assert shop.states() == {"0001_a": "applied"}
    for sql, wanted in row.get("rows", {}).items():
        assert [list(found) for found in database.rows(sql)] == wanted
    if "after" in row:
        database.load(row["after"])
