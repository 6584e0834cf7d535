"""Hazards that only a whole plan can have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.conformance.test_evidence import MANIFEST
from tests.databases import Database


def test_rows_that_change_after_tables_are_committed_apart(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database.load("CREATE TABLE countries (code varchar(2) NOT NULL PRIMARY KEY, name varchar(20));")
    (tmp_path / "shop.sql").write_text(
        "CREATE TABLE countries (code varchar(2) NOT NULL PRIMARY KEY, name varchar(20), area integer);"
    )
    (tmp_path / "countries.csv").write_text("code,name\nno,Norway\n")
    data = "data: [{table: countries, key: [code], file: countries.csv}]"
    text = MANIFEST.format(url=json.dumps(database.url)).replace(
        "source: {sql: [shop.sql]}", f"source: {{sql: [shop.sql]}}, {data}"
    )
    (tmp_path / "env.yaml").write_text(text)
    with open_workspace(tmp_path) as workspace:
        codes = {hazard.code for step in plan(workspace).steps for hazard in step.hazards}
    assert ("IMPLICIT_COMMIT" in codes) == (database.engine == "mysql")


def test_a_rename_tells_that_programs_break(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database.load("CREATE TABLE people (id integer NOT NULL PRIMARY KEY, mail varchar(20));")
    (tmp_path / "shop.sql").write_text("CREATE TABLE persons (id integer NOT NULL PRIMARY KEY, email varchar(20));")
    renames = "renames: [{table: people, to: persons}, {column: persons.mail, to: email}]"
    text = MANIFEST.format(url=json.dumps(database.url)).replace("{sql: [shop.sql]}", f"{{sql: [shop.sql]}}, {renames}")
    (tmp_path / "env.yaml").write_text(text)
    with open_workspace(tmp_path) as workspace:
        messages = [hazard.message for step in plan(workspace).steps for hazard in step.hazards if hazard.code == "RENAMES"]
    followers = [text for text in messages if "people_pkey" in text]  # what PostgreSQL named after the table
    assert len(messages) - len(followers) == 2 and any("people" in text for text in messages)
