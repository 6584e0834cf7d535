"""What the Python API costs beside the drivers and SQLAlchemy Core, doing the same in the same run, in turns.

usage: python -m bench api [--engines ENGINE ...] [--rounds NUMBER] [--statements NUMBER]

    `execute` is a SELECT of one row by its key, `insert` an INSERT that commits by itself, `many` an insert of 1,000 rows in one
    transaction, `bulk` one of 10,000. CPU time is the program's own; the server's share is the same for all and not counted.
    Ratios are to SQLAlchemy Core for single statements and to the driver's executemany for many. The rounds are short, the sides
    change places in them, and a ratio is the median of the rounds' ratios: what else the machine does falls on all alike.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import in_turn, ratio_of
from dbops import DatabaseManager
from tests.databases import fresh_mysql, fresh_postgres
from tests.servers import Lease

GOALS = {"execute": 1.3, "insert": 1.3, "many": 1.1, "bulk": 1.1}
_TABLE = "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL)"
_ROWS = {"many": 1_000, "bulk": 10_000}
Act = Callable[[int], None]


def report(options: Sequence[str] = ()) -> None:
    """Print a line for each engine and kind of work: CPU microseconds by driver, Core and dbops, and the ratio."""
    parser = argparse.ArgumentParser(prog="python -m bench api")
    parser.add_argument(
        "--engines", nargs="+", choices=("sqlite", "postgresql", "mysql"), default=["sqlite", "postgresql", "mysql"]
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--statements", type=int, default=50)
    chosen = parser.parse_args(options)
    print(f"{'':24}{'driver':>10}{'Core':>10}{'dbops':>10}   ratio  goal    microseconds of CPU a statement, or a row of many")
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as place, Lease.take() as lease:
        for engine in chosen.engines:
            if engine == "sqlite":
                _measure(engine, f"sqlite:///{Path(place)}/bench.db", chosen)
            elif engine == "postgresql":
                with fresh_postgres(lease.postgres()) as database:
                    _measure(engine, database.url, chosen)
            else:
                with fresh_mysql(lease.mysql()) as database:
                    _measure(engine, database.url, chosen)


def _measure(engine: str, url: str, chosen: argparse.Namespace) -> None:
    with DatabaseManager(url) as manager:
        manager.execute(_TABLE)
        sides = {"driver": _of_driver(engine, url), "Core": _of_core(engine, url), "dbops": _of_dbops(manager)}
        for kind in GOALS:
            count = chosen.statements if kind not in _ROWS else 1
            taken: dict[str, list[float]] = {name: [] for name in sides}
            for turn in range(chosen.rounds):
                for name, acts in in_turn(sides, turn):
                    manager.execute("DELETE FROM items")
                    manager.execute("INSERT INTO items VALUES (0, 'none')")
                    taken[name].append(_cpu_s(acts[kind], count))
            per = count * _ROWS.get(kind, 1)
            shown = {name: median(times) / per * 1e6 for name, times in taken.items()}
            ratio = ratio_of(taken["dbops"], taken["driver" if kind in _ROWS else "Core"])
            figures = "".join(f"{shown[name]:>10.1f}" for name in sides)
            print(f"{engine:12}{kind:12}{figures}   {ratio:5.2f}  {GOALS[kind]:4.1f}")


def _cpu_s(act: Act, count: int) -> float:
    started = time.process_time()
    for number in range(1, count + 1):
        act(number)
    return time.process_time() - started


def _rows(number: int, count: int) -> list[tuple[int, str]]:
    return [(number * 100_000 + n, f"name {n}") for n in range(count)]


def _of_dbops(manager: DatabaseManager) -> dict[str, Act]:
    def many(count: int, number: int) -> None:
        _must(manager.execute_many("INSERT INTO items VALUES (?, ?)", _rows(number, count)).success)

    return {
        "execute": lambda n: _must(manager.execute("SELECT id, name FROM items WHERE id = ?", (0,)).row_count == 1),
        "insert": lambda n: _must(manager.execute("INSERT INTO items VALUES (?, ?)", (n, "name")).success),
    } | {kind: partial(many, _ROWS[kind]) for kind in _ROWS}


def _of_core(engine: str, url: str) -> dict[str, Act]:
    """Core with its own pool over connections that are opened as the driver's side opens them."""
    from sqlalchemy import create_engine, text

    drivers = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    made = create_engine(f"{drivers[engine]}://", creator=lambda: _driver(engine, url))
    one, insert = text("SELECT id, name FROM items WHERE id = :id"), text("INSERT INTO items VALUES (:id, :name)")

    def select(number: int) -> None:
        with made.connect() as conn:
            _must(len(conn.execute(one, {"id": 0}).all()) == 1)

    def add(number: int) -> None:
        with made.begin() as conn:
            conn.execute(insert, {"id": number, "name": "name"})

    def many(count: int, number: int) -> None:
        with made.begin() as conn:
            conn.execute(insert, [{"id": key, "name": name} for key, name in _rows(number, count)])

    return {"execute": select, "insert": add} | {kind: partial(many, _ROWS[kind]) for kind in _ROWS}


def _of_driver(engine: str, url: str) -> dict[str, Act]:
    conn = _driver(engine, url)
    mark = "?" if engine == "sqlite" else "%s"

    def run(sql: str, values: Any) -> Any:
        cursor = conn.cursor()
        cursor.execute(sql, values)
        return cursor

    def select(number: int) -> None:
        _must(len(run(f"SELECT id, name FROM items WHERE id = {mark}", (0,)).fetchall()) == 1)
        conn.rollback()

    def add(number: int) -> None:
        run(f"INSERT INTO items VALUES ({mark}, {mark})", (number, "name"))
        conn.commit()

    def many(count: int, number: int) -> None:
        with closing(conn.cursor()) as cursor:
            cursor.executemany(f"INSERT INTO items VALUES ({mark}, {mark})", _rows(number, count))
        conn.commit()

    return {"execute": select, "insert": add} | {kind: partial(many, _ROWS[kind]) for kind in _ROWS}


def _driver(engine: str, url: str) -> Any:
    from urllib.parse import parse_qs, urlsplit

    read = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(read.query).items()}
    if engine == "sqlite":
        import sqlite3

        return sqlite3.connect(read.path[1:], check_same_thread=False)
    if engine == "postgresql":
        import psycopg

        return psycopg.connect(url)
    import pymysql

    return pymysql.connect(unix_socket=query["unix_socket"], user=read.username, database=read.path.lstrip("/"))


def _must(holds: bool) -> None:
    if not holds:
        raise AssertionError("a statement did not do what it should")
