"""The plan format on paper, as JSON Schema, and as the program writes it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from dbops.reconcile import plan as plan_format
from dbops.reconcile.change import Change
from dbops.reconcile.plan import Entry, Plan, Rehearsal
from dbops.reconcile.step import Step
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement
from tests.cli.plans import ALLOWED, CREATE, DROP, RUN, plan_of, short_plans

SPECS = Path(__file__).parents[2] / "specs"
VALIDATOR = jsonschema.Draft7Validator(json.loads((SPECS / "schemas/plan.schema.json").read_text(encoding="utf-8")))

FULL = Statement(
    "INSERT INTO t VALUES (?, ?, ?)",
    parameters=("a", None, b"\x00\xff"),
    hazards=(Hazard("DELETES_DATA", "gone"),),
    transactional=False,
    lock_timeout_s=1.5,
)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(VALIDATOR.schema)


@given(short_plans)
def test_every_plan_validates_and_comes_back(plan: Plan) -> None:
    text = plan_format.to_json(plan)
    VALIDATOR.validate(json.loads(text))
    assert plan_format.to_json(plan_format.from_json(text, "plan.json")) == text


@pytest.mark.parametrize(
    "rehearsal", [None, Rehearsal(True, 0.1, ("shop",)), Rehearsal(False, 0.1, ("shop",), ("table/t: missing",))]
)
def test_statements_with_everything_validate_and_come_back(rehearsal: Rehearsal | None) -> None:
    entry = Entry(
        Change(address="schema/s/table/t", action="run"),
        (Step(on="s", title="t", do=(FULL,), undo=(FULL,), estimate={"rows": 1}),),
    )
    plan = plan_of(CREATE, DROP, ALLOWED, RUN, entry, rehearsal=rehearsal)
    text = plan_format.to_json(plan)
    VALIDATOR.validate(json.loads(text))
    back = plan_format.from_json(text, "plan.json")
    assert back.entries[-1] == entry
    assert plan_format.digest(back) == plan_format.digest(plan)


def test_the_example_on_paper_validates() -> None:
    text = (SPECS / "plan-format.md").read_text(encoding="utf-8")
    example: Any = json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0].replace("5f0c1e…", "5f" * 32))
    VALIDATOR.validate(example)
    assert plan_format.from_json(json.dumps(example), "plan.json").summary["create"] == 1


@pytest.mark.parametrize("field", ["changes", "format", "fingerprints"])
def test_a_plan_without_a_field_does_not_validate(field: str) -> None:
    data = plan_format.to_dict(plan_of(CREATE))
    del data[field]
    assert not VALIDATOR.is_valid(data)
