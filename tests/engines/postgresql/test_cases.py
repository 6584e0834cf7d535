"""Behaviour as rows of `cases/changes/`: each pair of schemas is planned, applied to a database with rows, and taken back.

A case says `from`, `to`, and what it cares about: `rows` to be there before, `roles`, `pretend_rows` of every table;
`since` as the major version that knows the words; `changes` as addresses, `sql`, `hazards` as the exact set, `has` and
`without` as parts of it, `then` as queries with their rows, `back` as such when it was taken back; `undo: false` where the way
back is refused by the data, `undo: catalog` where values are lost; `analyze: false` where a server has no rows to give;
`dump: false` where pg_dump tells what is left alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.catalog.changes import diff
from dbops.catalog.declared import as_declared
from tests.databases import PostgresDatabase, fresh_postgres
from tests.engines.postgresql.loop import Planned, content, copy, plan, roles, run, take_back, told, untold_losses
from tests.engines.postgresql.sessions import ENGINE, session
from tests.servers import PostgresServer

CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in sorted((Path(__file__).parent / "cases" / "changes").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
]


@pytest.mark.majors(daily=True)
@pytest.mark.parametrize("case", [case for case in CASES if case.values[0].get("since", 0) > 15])
def test_case_of_a_newer_version(case: dict[str, Any], postgres_server: PostgresServer) -> None:
    _run_case(case, postgres_server)


@pytest.mark.majors
@pytest.mark.parametrize("case", [case for case in CASES if case.values[0].get("since", 0) <= 15])
def test_case(case: dict[str, Any], postgres_server: PostgresServer) -> None:
    _run_case(case, postgres_server)


def _run_case(case: dict[str, Any], postgres_server: PostgresServer) -> None:
    if postgres_server.version < case.get("since", 0):
        pytest.skip(f"needs PostgreSQL {case['since']}")
    with ExitStack() as stack:
        stack.enter_context(roles(postgres_server, case.get("roles", [])))
        live, declared, other = (stack.enter_context(fresh_postgres(postgres_server)) for _ in range(3))
        live.load(case["from"])
        live.load(case.get("rows", ""))
        declared.load(case["to"])
        _check(case, live, declared, other)


def _check(case: dict[str, Any], live: PostgresDatabase, declared: PostgresDatabase, other: PostgresDatabase) -> None:
    with session(declared) as conn:
        wanted = ENGINE.inspect(conn, declared=True)
        assert wanted.unmanaged == ()
    with session(other) as conn:
        copy(wanted, conn)
        assert diff(ENGINE.inspect(conn, declared=True), wanted) == ()
    with session(live) as conn:
        if case.get("analyze", True):
            live.load("ANALYZE")
        planned = plan(conn, wanted, rows=case.get("pretend_rows"))
        _as_expected(case, planned)
        before = content(conn, planned.live)
        archived = plan(conn, wanted, rows=case.get("pretend_rows"), archive="a")
        run(conn, archived.acts)
        assert diff(as_declared(ENGINE.inspect(conn), wanted), wanted) == ()
        if case.get("dump", True):
            assert told(live) == told(declared)
        for query, rows in case.get("then", {}).items():
            assert [list(row) for row in conn.query(query)] == rows
        if case.get("undo", True):
            take_back(conn, archived.acts)
            assert diff(as_declared(ENGINE.inspect(conn), planned.live), planned.live) == ()
        for query, rows in case.get("back", {}).items():
            assert [list(row) for row in conn.query(query)] == rows
        if case.get("undo", True) not in (False, "catalog") and not _writes(case):
            assert content(conn, planned.live) == before


def _as_expected(case: dict[str, Any], planned: Planned) -> None:
    if "changes" in case:
        assert sorted(str(change.ref) for change in planned.changes) == sorted(case["changes"])
    if "sql" in case:
        assert planned.sql == case["sql"]
    if "hazards" in case:
        assert sorted(planned.hazards) == case["hazards"]
    assert planned.hazards >= set(case.get("has", ()))
    assert not planned.hazards & set(case.get("without", ()))
    assert untold_losses(planned.acts) == []


def _writes(case: dict[str, Any]) -> bool:
    return any("INSERT" in query for query in case.get("then", {}))
