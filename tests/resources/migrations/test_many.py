"""Many migrations: a run that has nothing to do sends as little to the database as with a few."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.databases import SqliteDatabase
from tests.resources.migrations.sets import Migrations


def sent_by_nothing(shop: Migrations, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many statements a run without pending migrations sends."""
    from dbops.engines.sqlite.connect import SqliteConnection

    sent: Counter[str] = Counter()
    with monkeypatch.context() as patched:
        for name in ("query", "execute"):
            usual = getattr(SqliteConnection, name)

            def counted(self: Any, sql: str, *others: Any, usual: Any = usual) -> Any:
                sent[sql.split()[0]] += 1
                return usual(self, sql, *others)

            patched.setattr(SqliteConnection, name, counted)
        assert shop.up().state == "nothing"
    return sent.total()


def test_a_run_with_nothing_to_do_costs_the_same_however_many_ran(
    sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    few = 0
    for number in range(1, 81):
        shop.write(f"{number:04}_t.sql", f"CREATE TABLE t{number} (id integer);\n")
        if number == 10:
            shop.up()
            few = sent_by_nothing(shop, monkeypatch)
    shop.up()
    assert sent_by_nothing(shop, monkeypatch) == few
    assert [one.record.position for one in shop.status().standings if one.record] == list(range(1, 81))
