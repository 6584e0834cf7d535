"""The history of figures: kept, rolled up, found again, by whoever opens it next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbops.engines.base.metrics import Counters, Value
from dbops.errors import MonitoringError
from dbops.state.metrics import RAW_S, STEPS, MetricsStore
from tests.databases import MysqlDatabase, PostgresDatabase

NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricsStore]:
    opened = MetricsStore.in_folder(tmp_path)
    yield opened
    opened.close()


def keep(store: MetricsStore, at: float, number: float, *labels: str) -> None:
    store.keep("shop", at, [Value("table_rows", number, labels)], Counters(at))


def test_points_come_back_in_order_by_their_labels(store: MetricsStore) -> None:
    keep(store, NOW, 1, "a")
    keep(store, NOW + 15, 2, "a")
    keep(store, NOW + 16, 9, "b")
    keep(store, NOW + 30, 3, "a")
    found = store.series("shop", "table_rows", NOW, NOW + 60)
    assert [point.mean for point in found[("a",)]] == [1, 2, 3]
    assert store.series("other", "table_rows", NOW, NOW + 60) == {}


def test_the_counters_of_the_last_look_survive_the_program(store: MetricsStore, tmp_path: Path) -> None:
    assert store.counters("shop") is None
    counters = Counters(NOW, {("index_scans_total", ("t", "i")): 7.0, ("deadlocks_total", ()): 1.0}, {"server": "x"})
    store.keep("shop", NOW, [], Counters(NOW - 1))
    store.keep("shop", NOW, [], counters)
    again = MetricsStore.in_folder(tmp_path)
    assert again.counters("shop") == counters
    again.close()


def test_old_points_become_steps_and_go_in_the_end(store: MetricsStore) -> None:
    start = NOW // 3600 * 3600
    for place in range(40):
        keep(store, start + place * 15, float(place))
    keep(store, start + RAW_S + 600, 1)
    (points,) = store.series("shop", "table_rows", start, start + 600).values()
    assert [(p.step_s, p.at - start, p.mean, p.least, p.most) for p in points] == [
        (300, 0, 9.5, 0, 19),
        (300, 300, 29.5, 20, 39),
    ]
    keep(store, start + STEPS[0][1] + 3600, 1)
    (points,) = store.series("shop", "table_rows", start, start + 600).values()
    assert [(p.step_s, p.mean, p.least, p.most) for p in points] == [(3600, 19.5, 0, 39)]
    keep(store, start + STEPS[1][1] + 7200, 1)
    assert store.series("shop", "table_rows", start, start + 600) == {}


def test_alerts_are_kept_by_policy(store: MetricsStore) -> None:
    store.keep_alerts("p", {("full", ("a",)): {"since": 1}, ("full", ("b",)): {"since": 2}})
    store.keep_alerts("p", {("full", ("b",)): {"since": 3}})
    assert store.alerts("p") == {("full", ("b",)): {"since": 3}}
    assert store.alerts("q") == {}


def test_git_leaves_the_history_alone(store: MetricsStore, tmp_path: Path) -> None:
    assert (tmp_path / ".dbops" / ".gitignore").read_text() == "*\n"


def test_a_store_that_cannot_be_opened_says_so_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(MonitoringError, match="cannot be opened") as caught:
        MetricsStore("postgresql+psycopg://me:s3cret@127.0.0.1:1/x?connect_timeout=1")
    assert "s3cret" not in caught.value.message
    (tmp_path / ".dbops").write_text("a file")
    with pytest.raises(MonitoringError, match="no place"):
        MetricsStore.in_folder(tmp_path)


def test_any_database_can_keep_the_history(pg_database: PostgresDatabase, my_database: MysqlDatabase) -> None:
    for url in (
        pg_database.url.replace("postgresql://", "postgresql+psycopg://"),
        my_database.url.replace("mysql://", "mysql+pymysql://"),
    ):
        store = MetricsStore(url)
        store.keep("shop", NOW, [Value("table_rows", 5, ("ä",))], Counters(NOW, {("deadlocks_total", ()): 2.0}))
        assert store.series("shop", "table_rows", NOW, NOW)[("ä",)][0].mean == 5
        found = store.counters("shop")
        assert found is not None and found.numbers == {("deadlocks_total", ()): 2.0}
        store.close()
