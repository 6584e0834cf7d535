"""Scripts in the folders of `cases/`: each is split into the statements it holds, or refused at the place it names."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.errors import SchemaError
from dbops.sql.dialect import MYSQL, POSTGRESQL, SQLITE, Dialect
from dbops.sql.splitter import SourceStatement, split

DIALECTS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE}


def read_cases(engine: str) -> list[dict[str, Any]]:
    files = sorted((Path(__file__).parent / "cases" / engine).glob("*.yaml"))
    return [case for file in files for case in yaml.safe_load(file.read_text())]


CASES = [
    pytest.param(DIALECTS[engine], case, id=f"{engine}: {case['name']}") for engine in DIALECTS for case in read_cases(engine)
]


def facts(statement: SourceStatement) -> dict[str, Any]:
    return {
        "text": statement.text,
        "at": [statement.at.line, statement.at.column],
        "comments": [comment.text for comment in statement.comments],
        "kind": statement.kind,
        "copy_data": statement.copy_data,
    }


@pytest.mark.parametrize(("dialect", "case"), CASES)
def test_script_is_split_as_its_case_says(dialect: Dialect, case: dict[str, Any]) -> None:
    if "error" in case:
        line, column, message = case["error"]
        with pytest.raises(SchemaError) as caught:
            split(case["sql"], dialect, "x.sql")
        assert str(caught.value.at) == f"x.sql:{line}:{column}"
        assert message in str(caught.value)
        return
    expected = [item if isinstance(item, dict) else {"text": item} for item in case["expect"]]
    found = [facts(statement) for statement in split(case["sql"], dialect, "x.sql")]
    defaults = {"kind": "sql", "copy_data": None}
    wanted = [actual | defaults | item for actual, item in zip(found, expected, strict=False)]
    assert [item["text"] for item in found] == [item["text"] for item in expected]
    assert found == wanted


@pytest.mark.parametrize(("dialect", "case"), CASES)
def test_every_statement_stands_in_the_script_at_its_mark(dialect: Dialect, case: dict[str, Any]) -> None:
    if "error" in case:
        return
    lines = case["sql"].removeprefix("\ufeff").split("\n")
    dropped = re.compile(dialect.client_line_end or "(?!)")
    for statement in split(case["sql"], dialect):
        rest = "\n".join([lines[statement.at.line - 1][statement.at.column - 1 :], *lines[statement.at.line :]])
        assert dropped.sub("", rest).startswith(dropped.sub("", statement.text))
        for comment in statement.comments:
            assert lines[comment.at.line - 1][comment.at.column - 1 :].startswith(comment.text.split("\n")[0])


SQLITE_CASES = [case for case in read_cases("sqlite") if "error" not in case]


@pytest.mark.parametrize("case", SQLITE_CASES, ids=lambda case: case["name"])
def test_sqlite_agrees_that_each_statement_is_complete(case: dict[str, Any]) -> None:
    for statement in split(case["sql"], SQLITE):
        if statement.kind == "sql":
            assert sqlite3.complete_statement(statement.text + "\n;")
            assert "TRIGGER" not in statement.text.upper() or not sqlite3.complete_statement(statement.text.rsplit(";", 1)[0])


@pytest.mark.parametrize("case", [case for case in SQLITE_CASES if "setup" in case], ids=lambda case: case["name"])
def test_sqlite_runs_each_statement(case: dict[str, Any]) -> None:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.executescript(case["setup"])
    for statement in split(case["sql"], SQLITE):
        conn.execute(statement.text)
    conn.close()
