"""Data is asked before it is changed, on each engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops.errors import ApplyError
from dbops.reconcile.change import DATA_REFUSES
from dbops.usecases.apply import Consent, apply
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import Database

MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: {url}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec: {{connection: shop, source: {{sql: [shop.sql]}}}}
"""

BEFORE = """\
CREATE TABLE customers (id integer NOT NULL PRIMARY KEY, email varchar(100), visits bigint);
CREATE TABLE orders (id integer NOT NULL PRIMARY KEY, customer_id integer, total integer);
"""

ROWS = """\
INSERT INTO customers (id, email, visits) VALUES (1, 'a@b.c', 1), (2, NULL, 2), (3, 'a@b.c', 3000000000), (4, NULL, 4);
INSERT INTO orders (id, customer_id, total) VALUES (10, 1, 5), (11, 7, -1), (12, NULL, 8);
"""

ALLOWED = Consent(lambda _: True, allow=frozenset({"all"}))


@pytest.fixture
def change(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Load the tables with their rows, and write an environment that wants them changed."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database.load(BEFORE + ROWS)
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)))

    def write(sql: str) -> Path:
        (tmp_path / "shop.sql").write_text(sql)
        return tmp_path

    return write


CASES = {
    "not null": (("email varchar(100)", "email varchar(100) NOT NULL"), "2 rows", "email is NULL (id: 2, 4)"),
    "unique": (("visits bigint", "visits bigint, CONSTRAINT u UNIQUE (email)"), "2 rows", "email is not unique (id: 1, 3)"),
    "check": (("total integer", "total integer, CONSTRAINT positive CHECK (total > 0)"), "1 row", "(id: 11)"),
    "foreign key": (
        ("total integer", "total integer, CONSTRAINT fk FOREIGN KEY (customer_id) REFERENCES customers (id)"),
        "1 row",
        "refers to no row of",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rows_in_the_way_are_counted_and_named(name: str, change: Callable[[str], Path], database: Database) -> None:
    (old, new), how_many, which = CASES[name]
    folder = change(BEFORE.replace(old, new))
    before = database.dump()
    with open_workspace(folder) as workspace:
        (observation,) = (item for item in plan(workspace).observations if item.code == DATA_REFUSES)
    assert observation.severity == "error"
    assert observation.message.startswith(how_many) and which in observation.message
    with open_workspace(folder) as workspace, pytest.raises(ApplyError) as caught:
        apply(workspace, ALLOWED)
    assert "nothing was done" in caught.value.message
    assert database.dump() == before


def test_a_narrower_type_is_refused_where_the_engine_is_strict(change: Callable[[str], Path], database: Database) -> None:
    folder = change(BEFORE.replace("visits bigint", "visits integer").replace("varchar(100)", "varchar(4)"))
    with open_workspace(folder) as workspace:
        messages = [item.message for item in plan(workspace).observations if item.code == DATA_REFUSES]
    if database.engine == "sqlite":
        assert messages == []
    else:
        assert any("visits does not fit" in text and "(id: 3)" in text for text in messages)
        assert any("email is longer than 4 characters" in text and text.startswith("2 rows") for text in messages)


def test_rows_that_fit_are_not_in_the_way(change: Callable[[str], Path], database: Database) -> None:
    database.load("DELETE FROM orders WHERE id = 11;\nDELETE FROM customers WHERE id > 1;\nUPDATE orders SET customer_id = 1;")
    wanted = BEFORE
    for (old, new), _, _ in CASES.values():
        wanted = wanted.replace(old, new, 1) if old in wanted else wanted
    folder = change(wanted)
    with open_workspace(folder) as workspace:
        assert apply(workspace, ALLOWED).state == "done"
    with open_workspace(folder) as workspace:
        assert plan(workspace).is_empty
