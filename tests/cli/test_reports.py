"""The views of drift, status, history and applies, on results built by hand."""

from __future__ import annotations

import json
from dataclasses import replace

from click import unstyle

from dbops.cli.views.drift import drift_data, drift_markdown, drift_text
from dbops.cli.views.journal import apply_text, history_text, record_data, status_data, status_text
from dbops.cli.views.markdown import LIMIT
from dbops.errors import Mark
from dbops.reconcile.change import Observation
from dbops.sql.statement import Statement
from dbops.state.journal import ApplyRecord, StepRecord
from dbops.usecases.drift import DriftItem, DriftReport
from dbops.usecases.history import AppliedTo
from dbops.usecases.status import ConnectionStatus

RECORD = ApplyRecord(
    id="20260131T120000-1a2b3c",
    started_at="2026-01-31T12:00:00Z",
    finished_at=None,
    state="failed",
    who="me@here",
    environment="shop",
    dbops_version="1.2.3",
    plan_digest="ab" * 32,
    error="create index i: out of room",
)
MOVED = DriftItem("schema/shop/table/t", ("shop",), "delete", "database", "not in the source", None, ("DROP TABLE t",))
WAITING = DriftItem(
    "schema/shop/table/u", ("shop",), "create", "manifests", "not in the database", Mark("u.sql", 1, 1), ("CREATE",)
)


def step(order: int, statement: int, state: str, error: str | None = None) -> StepRecord:
    return StepRecord(
        order=order,
        statement=statement,
        address="schema/shop/table/t",
        title="create table t",
        sql="CREATE TABLE t (\n  id integer\n)",
        state=state,
        finished_at=None,
        error=error,
        undo=(Statement("DROP TABLE t"),) if statement == 0 else None,
    )


def test_drift_is_told_by_who_moved() -> None:
    report = DriftReport(("shop",), (WAITING, MOVED), (Observation("a/b", "NOT_MANAGED", "cast x"),))
    assert (
        unstyle(drift_text(report, ("database", "manifests")))
        == """\
The database moved. Put it back with dbops apply, or keep it with dbops drift --accept all. To go back:

  - schema/shop/table/t
    not in the source
        DROP TABLE t;

The manifests moved. Not applied yet. To catch up:

  + schema/shop/table/u
    not in the database (u.sql:1:1)
        CREATE;

Observations
  info NOT_MANAGED: cast x

Drift: 1 object in 1 database left what was last applied. 1 change in the manifests not applied yet."""
    )


def test_where_nothing_was_applied_there_is_nothing_to_compare_with() -> None:
    nowhere = DriftReport(("a", "b"), (WAITING,), (), never_applied=("a", "b"))
    somewhere = replace(nowhere, never_applied=("b",))
    waiting = "1 change in the manifests not applied yet."
    assert unstyle(drift_text(nowhere, ())).endswith(
        f"No drift: nothing was applied yet, so there is nothing to compare with. {waiting}"
    )
    assert unstyle(drift_text(somewhere, ())).endswith(
        f"No drift. The databases are what was last applied. Nothing was applied to b yet. {waiting}"
    )


def test_drift_as_data_keeps_only_the_asked_movers() -> None:
    data = drift_data(DriftReport(("shop",), (WAITING, MOVED), ()), ("database",))
    assert [item["address"] for item in json.loads(json.dumps(data))["items"]] == ["schema/shop/table/t"]


def test_a_long_drift_report_fits_into_a_comment() -> None:
    items = tuple(replace(MOVED, address=f"schema/shop/table/t{n}", sql=("DROP " + "x" * 900,)) for n in range(300))
    text = drift_markdown(DriftReport(("shop",), items, ()), ("database", "manifests"))
    assert len(text.encode()) < LIMIT
    assert "Left out for length:" in text


def test_an_apply_is_told_statement_by_statement() -> None:
    steps = (step(0, 0, "done"), step(0, 1, "failed", "out of\nroom"), step(1, 0, "pending"))
    assert (
        unstyle(apply_text([AppliedTo("shop", RECORD, steps)]))
        == f"""\
Apply 20260131T120000-1a2b3c on shop: failed
  2026-01-31T12:00:00Z to ? by me@here
  environment shop, plan {"ab" * 32}, dbops 1.2.3
  create index i: out of room

  schema/shop/table/t: create table t
    done
        CREATE TABLE t (
          id integer
        );
    failed: out of room
        CREATE TABLE t (
          id integer
        );

  schema/shop/table/t: create table t
    pending
        CREATE TABLE t (
          id integer
        );"""
    )


def test_an_apply_as_data_says_what_can_be_taken_back() -> None:
    data = json.loads(json.dumps(record_data(AppliedTo("shop", RECORD, (step(0, 0, "done"), step(0, 1, "done"))))))
    assert [(one["statement"], one["has_undo"]) for one in data["statements"]] == [(0, True), (1, False)]
    assert "statements" not in record_data(AppliedTo("shop", RECORD))


def test_history_and_status_say_so_when_there_is_nothing() -> None:
    assert history_text([]) == "Nothing was applied yet."
    assert status_text([]) == "This environment has no connections."


def test_one_broken_connection_does_not_hide_the_others() -> None:
    found = [
        ConnectionStatus("a", "sqlite:///a.db", "sqlite", "3.45.0", "drifted", 1, 2, RECORD),
        ConnectionStatus("b", "postgresql://b", "postgresql", None, "unreachable", error="no route"),
    ]
    assert (
        unstyle(status_text(found))
        == """\
CONNECTION  STATE        CHANGES  DRIFTED  DATABASE       LAST APPLY
a           drifted      1        2        sqlite 3.45.0  2026-01-31T12:00:00Z failed, me@here
b           unreachable  0        0        postgresql     never

b: no route"""
    )
    assert json.loads(json.dumps(status_data(found[0])))["last_apply"]["state"] == "failed"
