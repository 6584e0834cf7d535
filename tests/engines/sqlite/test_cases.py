"""Behaviour as rows of `cases/`: each pair of schemas is planned, applied to a file with rows, taken back, and copied."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.catalog.changes import diff
from tests.engines.sqlite.loop import ENGINE, MEMORY, copy, plan, read, run, take_back, target

CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    with closing(sqlite3.connect(path)) as native:
        native.executescript(f"{case['from']};{case.get('rows', '')};")
        content = list(native.iterdump())
    wanted = read(case["to"])
    with closing(ENGINE.connect(target(path, foreign_keys="off"))) as conn:
        planned = plan(conn, wanted)
        assert planned.live.unmanaged == () and wanted.unmanaged == ()
        _as_expected(case, planned.sql, planned.hazards, sorted({str(change.ref) for change in planned.changes}))
        archived = plan(conn, wanted, archive="a")
        run(conn, archived.acts)
        assert diff(ENGINE.inspect(conn), wanted) == ()
        for query, rows in case.get("then", {}).items():
            assert [list(row) for row in conn.query(query)] == rows
        take_back(conn, archived.acts)
        assert diff(ENGINE.inspect(conn), planned.live) == ()
        for query, rows in case.get("back", {}).items():
            assert [list(row) for row in conn.query(query)] == rows
    with closing(sqlite3.connect(path)) as native:
        assert _rows(native.iterdump()) == _rows(content)
    for catalog in (planned.live, wanted):
        with ENGINE.scratch(MEMORY) as conn:
            copy(catalog, conn)
            assert diff(ENGINE.inspect(conn), catalog) == ()


def _as_expected(case: dict[str, Any], sql: list[str], hazards: list[str], changes: list[str]) -> None:
    if "changes" in case:
        assert changes == sorted(case["changes"])
    if "sql" in case:
        assert sql == case["sql"]
    if "hazards" in case:
        assert hazards == case["hazards"]


def _rows(dump: Any) -> list[str]:
    """The rows of a dump, but for what full-text tables keep in their shadows."""
    return sorted(
        line
        for line in dump
        if line.startswith("INSERT") and not line.startswith(('INSERT INTO "f_', 'INSERT INTO "r_', "INSERT INTO sqlite"))
    )
