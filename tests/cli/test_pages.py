"""The pages of plans and comparisons: complete, and safe whatever names and statements hold."""

from __future__ import annotations

import pytest

from dbops.cli.views.html.plan import FOLD, plan_html
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.plan import Entry
from dbops.reconcile.step import Step
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement
from tests.cli.plans import CREATE, DROP, plan_of
from tests.cli.test_inspection_html import HOSTILE, Reader, shape


def test_a_reviewer_sees_the_verdict_the_hazards_the_sql_and_the_way_back() -> None:
    read = Reader(plan_html(plan_of(CREATE, DROP)))
    text = " ".join(read.texts)
    assert "Blocked by 1 hazard until allowed" in text and "dbops apply --allow DELETES_DATA" in text
    assert "email of about 12,000 rows is lost" in text and "CREATE TABLE orders" in text and "DROP TABLE orders" in text
    assert {href[1:] for href in read.values("href")} <= set(read.values("id"))


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_plan_becomes_markup(name: str) -> None:
    def page(word: str) -> Reader:
        statement = Statement(f"DROP TABLE {word}", hazards=(Hazard("DELETES_DATA", word),), parameters=(word,))
        step = Step(on="shop", title=word, do=(statement,), undo=(statement,))
        entry = Entry(Change(address=f"schema/shop/table/{word}", action="delete", reason=word), (step,))
        return Reader(plan_html(plan_of(entry, observations=(Observation("schema/shop", "CODE", word),))))

    plain, hostile = page("plain"), page(name)
    assert shape(hostile) == shape(plain) and hostile.scripts == plain.scripts


def test_many_statements_of_one_step_are_folded() -> None:
    do = tuple(Statement(f"INSERT INTO t VALUES ({number})") for number in range(FOLD + 7))
    step = Step(on="shop", title="insert", do=do)
    html = plan_html(plan_of(Entry(Change(address="schema/shop/table/t/data", action="update", reason="rows"), (step,))))
    assert "and 7 statements more" in html and f"VALUES ({FOLD + 6})" in html
