"""The page of statements: complete, bounded, and safe whatever statements hold."""

from __future__ import annotations

import pytest

from dbops.cli.views.html.workload import TEXT, workload_html
from dbops.engines.base.workload import Workload
from dbops.usecases.workload import Asked, Counted, SamplePlan, Slower, Stretch
from tests.cli.test_inspection_html import HOSTILE, Reader, shape


def asked(text: str = "SELECT 1", number: int = 1) -> Asked:
    found = [Counted(f"q{n}", text, 40, 8.0, 0.2, None, 0.9, 1, 2, 0.5, None, "means") for n in range(number)]
    return Asked(
        "shop",
        "postgresql",
        Workload(found),
        since_s=86_400,
        slower=[Slower("q0", text, 30, 0.1, 40, 0.2, 4.0)],
        course=[Stretch(0.0, 1, 2.0), Stretch(900.0, 0, 0.0)],
        plans={"q0": SamplePlan([f"Seq Scan on {text}"]), "q1": SamplePlan(why=text)},
    )


def page_of(*found: Asked) -> str:
    return workload_html("shop", found, 1_800_000_000.0, lambda on, sql: (("", sql),))


def test_a_reader_sees_costs_what_became_slower_and_plans() -> None:
    read = Reader(page_of(asked(number=2), Asked("gone", "mysql", error="no such host")))
    text = " ".join(read.texts)
    assert "2.0 times: 100 ms over 30 calls before, 200 ms over 40 calls now, 4 s more in all" in text
    assert (
        "~900 ms" in text and "Seq Scan on SELECT 1" in text and "No plan: SELECT 1" in text and "Not asked: no such host" in text
    )
    assert {href[1:] for href in read.values("href")} <= set(read.values("id"))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_statement_becomes_markup(text: str) -> None:
    plain, hostile = Reader(page_of(asked("plain", 2))), Reader(page_of(asked(text, 2)))
    assert shape(hostile) == shape(plain) and hostile.scripts == plain.scripts


def test_a_page_of_a_thousand_long_statements_is_of_a_bounded_size() -> None:
    assert len(page_of(asked("SELECT 'x' " * TEXT, 1000))) < 20_000_000
