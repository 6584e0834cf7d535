"""The text view of plans."""

from __future__ import annotations

from click import unstyle
from hypothesis import given

from dbops.cli.views.markdown import plan_markdown
from dbops.cli.views.sql import plan_sql
from dbops.cli.views.text import plan_text
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.plan import Entry, Plan, Rehearsal
from dbops.reconcile.step import Step
from dbops.sql.statement import Statement
from tests.cli.plans import ALLOWED, CREATE, DROP, RUN, plan_of, plans


def test_a_plan_reads_as_expected() -> None:
    seen = Observation("schema/shop/cast/x", "NOT_MANAGED", "cast x is not managed")
    plan = plan_of(CREATE, DROP, rehearsal=Rehearsal(True, 0.04, ("shop",)), observations=(seen,))
    assert (
        unstyle(plan_text(plan))
        == """\
  + schema/shop/table/orders
    not in the database (shop/schema.sql:3:1)
        CREATE TABLE orders (
          id integer PRIMARY KEY
        );

  - schema/shop/table/users/column/email
    drift: not in the source
        ALTER TABLE users DROP COLUMN email;
      ! DELETES_DATA (blocks until allowed): email of about 12,000 rows is lost
      ! LOCK_QUEUE: users is locked
      about 12,000 rows, 3.1 MiB
      no undo

Observations
  info NOT_MANAGED: cast x is not managed

Rehearsed on a scratch copy of shop in 40 ms: the steps lead to the desired schema.

Plan: 1 to create, 0 to update, 0 to replace, 1 to delete.

Blocked until allowed: --allow DELETES_DATA, or policy.allow in the manifest."""
    )


def test_an_empty_plan_says_no_changes() -> None:
    assert unstyle(plan_text(plan_of())) == "No changes. The databases are what the manifests say."


def test_what_the_manifest_allows_does_not_block() -> None:
    text = unstyle(plan_text(plan_of(ALLOWED)))
    assert "! DELETES_DATA (allowed): logs is lost" in text
    assert "Blocked" not in text


def test_connections_are_named_when_there_are_several() -> None:
    text = unstyle(plan_text(plan_of(CREATE, ALLOWED)))
    assert "create table orders (on shop)" in text
    assert "drop table logs (on archive)" in text


def test_calls_and_runs_are_counted_and_shown() -> None:
    text = unstyle(plan_text(plan_of(RUN)))
    assert "  > connection/shop/database" in text
    assert 'create_database(name="shop")' in text
    assert text.endswith("1 to run.")


def test_long_sql_is_not_wrapped() -> None:
    sql = "SELECT " + ", ".join(f"column_{n}" for n in range(200))
    change = Change(address="schema/s/view/v", action="create")
    assert f"        {sql};" in plan_text(plan_of(Entry(change, (Step(on="s", title="t", do=(Statement(sql),)),)))).splitlines()


@given(plans)
def test_names_cannot_paint_the_screen(plan: Plan) -> None:
    text = unstyle(plan_text(plan))
    assert not any(char in text for char in "\x1b\r\x07\x00\x9b\u202e")


def test_the_script_runs_in_order_with_reasons_and_hazards() -> None:
    assert (
        plan_sql(plan_of(DROP, CREATE))
        == """\
-- dbops plan: environments/shop
-- Plan: 1 to create, 0 to update, 0 to replace, 1 to delete.

-- connection shop

-- schema/shop/table/orders: not in the database
CREATE TABLE orders (
  id integer PRIMARY KEY
);

-- schema/shop/table/users/column/email: not in the source
-- !! DELETES_DATA: email of about 12,000 rows is lost
-- ! LOCK_QUEUE: users is locked
ALTER TABLE users DROP COLUMN email;
"""
    )


def test_many_statements_of_one_step_are_folded_and_the_script_has_all() -> None:
    do = tuple(Statement(f"INSERT INTO t VALUES ({number})") for number in range(500))
    step = Step(on="shop", title="insert 500 rows into t", do=do, undo=None, order=0)
    plan = plan_of(Entry(Change(address="schema/shop/table/t/data", action="update", reason="rows: 500 to insert"), (step,)))
    for text in (unstyle(plan_text(plan)), plan_markdown(plan)):
        assert text.count("INSERT INTO") == 12 and "… and 488 more statements" in text
        assert "VALUES (9);" in text and "VALUES (10);" not in text and "VALUES (499);" in text
    assert plan_sql(plan).count("INSERT INTO") == 500
