"""The history of statements: kept, bounded, rolled up, found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbops.engines.base.workload import OTHERS, Cost, Tally
from dbops.state.metrics import MetricsStore
from dbops.state.statements import KEPT, RAW_S, STEPS, costliest_of
from tests.databases import MysqlDatabase, PostgresDatabase

NOW = 1_800_000_000.0 // 86_400 * 86_400


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricsStore]:
    opened = MetricsStore.in_folder(tmp_path)
    yield opened
    opened.close()


def test_steps_texts_and_tallies_come_back(store: MetricsStore, tmp_path: Path) -> None:
    kept = store.statements
    assert kept.before("shop") is None and kept.last_look("shop") is None
    tally = Tally("q/1", "", "since", Cost(7, 0.5, 3, 2, 1))
    kept.keep("shop", NOW, {"q": Cost(1, 0.25, 3, 2, None, 0.4)}, {}, [tally])
    assert kept.without_text("shop", ["q", "r", OTHERS]) == ["q", "r"]
    kept.keep("shop", NOW + 300, {"q": Cost(2, 0.5)}, {"q": "SELECT 1"}, [tally])
    assert kept.without_text("shop", ["q"]) == []
    again = MetricsStore.in_folder(tmp_path)
    assert [(step.at, step.cost) for step in again.statements.steps("shop", NOW - 1, NOW + 300)["q"]] == [
        (NOW, Cost(1, 0.25, 3, 2, None, 0.4)),
        (NOW + 300, Cost(2, 0.5)),
    ]
    before = again.statements.before("shop")
    assert before is not None and before.at == NOW + 300 and before.of["q/1"].cost == tally.cost
    assert again.statements.texts("shop", {"q"}) == {"q": "SELECT 1"}
    assert again.statements.steps("other", 0, NOW + 300) == {}
    again.close()


def test_what_is_not_among_the_costliest_is_kept_as_one() -> None:
    costs = {f"q{place}": Cost(1, float(place), io=1) for place in range(KEPT + 5)}
    left = costliest_of(costs | {OTHERS: Cost(3, 100.0, io=2)})
    assert len(left) == KEPT + 1 and left[OTHERS] == Cost(8, 110.0, io=7)
    assert "q4" not in left and "q5" in left


def test_old_steps_become_hours_and_days_and_texts_go_with_the_last(store: MetricsStore) -> None:
    kept = store.statements
    for place in range(24):
        kept.keep("shop", NOW + place * 300, {"q": Cost(1, 1.0)}, {"q": "SELECT 1"}, [])
    kept.keep("shop", NOW + RAW_S + 7200, {"r": Cost(1, 1.0)}, {}, [])
    found = kept.steps("shop", NOW - 1, NOW + 7200)["q"]
    assert [(step.at - NOW, step.step_s, step.cost.calls) for step in found] == [(0, 3600, 12), (3600, 3600, 12)]
    kept.keep("shop", NOW + STEPS[0][1] + 86_400, {"r": Cost(1, 1.0)}, {}, [])
    assert [(step.step_s, step.cost.calls) for step in kept.steps("shop", NOW - 1, NOW + 7200)["q"]] == [(86_400, 24)]
    kept.keep("shop", NOW + STEPS[1][1] + 86_401, {"r": Cost(1, 1.0)}, {}, [])
    assert "q" not in kept.steps("shop", 0, NOW + STEPS[1][1] + 86_401)
    assert kept.texts("shop", {"q", "r"}).keys() == {"r"}


def test_any_database_can_keep_the_history(pg_database: PostgresDatabase, my_database: MysqlDatabase) -> None:
    for url in (
        pg_database.url.replace("postgresql://", "postgresql+psycopg://"),
        my_database.url.replace("mysql://", "mysql+pymysql://"),
    ):
        store = MetricsStore(url)
        store.statements.keep("shop", NOW, {"q": Cost(2**40, 0.25)}, {"q": "SELECT 'ä'"}, [Tally("q", "q", "", Cost(1, 1.0))])
        store.statements.keep("shop", NOW + RAW_S + 7200, {}, {}, [])
        (step,) = store.statements.steps("shop", NOW - 1, NOW)["q"]
        assert (step.step_s, step.cost.calls) == (3600, 2**40)
        assert store.statements.texts("shop", {"q"}) == {"q": "SELECT 'ä'"}
        store.close()
