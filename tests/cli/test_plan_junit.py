"""The JUnit view of plans: what counts as failed, and names of any kind."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given

from dbops.cli.views.plan_junit import plan_junit
from dbops.reconcile.change import Observation
from dbops.reconcile.plan import Plan
from tests.cli.plans import CREATE, DROP, plan_of, plans


def test_changes_and_obstacles_fail_and_remarks_do_not() -> None:
    remarks = (
        Observation("schema/shop", "UNMANAGED", "two tables are not managed"),
        Observation("backuppolicy/shop/full", "BACKUP_REFUSED", "wal_level is minimal", "error"),
    )
    top = ElementTree.fromstring(plan_junit(plan_of(CREATE, DROP, observations=remarks)))
    assert (top.get("tests"), top.get("failures")) == ("4", "3")
    assert [(suite.get("name"), suite.get("tests")) for suite in top] == [("schema/shop", "3"), ("backuppolicy/shop", "1")]
    told = {case.get("name"): (case[0].tag, case[0].get("type"), case[0].text) for case in top.iter("testcase")}
    assert told["create schema/shop/table/orders"] == ("failure", "desired", "shop/schema.sql:3:1\ncreate table orders")
    assert told["delete schema/shop/table/users/column/email"][1] == "drift"
    assert "! DELETES_DATA: email of about 12,000 rows is lost" in str(told["delete schema/shop/table/users/column/email"][2])
    assert told["UNMANAGED schema/shop"] == ("system-out", None, "info: two tables are not managed")
    assert told["BACKUP_REFUSED backuppolicy/shop/full"][0] == "failure"


def test_a_plan_without_changes_passes() -> None:
    top = ElementTree.fromstring(plan_junit(plan_of()))
    assert (top.get("tests"), top.get("failures")) == ("1", "0")


@given(plans)
def test_every_plan_is_xml_and_every_change_a_case(made: Plan) -> None:
    top = ElementTree.fromstring(plan_junit(made))
    cases = list(top.iter("testcase"))
    assert len(cases) == max(len(made.entries) + len(made.observations), 1)
