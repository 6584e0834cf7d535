"""What changes cost a live database: writers at work, a change made by dbops and naively, the longest any writer stood still.

    python -m bench online [--rows 2000000] [--rate 300] [--engines postgresql mysql]

Errors of writers must be none. A reader keeps its transactions open for a while, as readers do: what queues behind it is what
lock timeouts are for.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import Lease, MysqlServer, PostgresServer

Server = PostgresServer | MysqlServer

_MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: "{url}", timeouts: {{lock: 250ms}}, retries: {{locks: 50}}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec: {{connection: shop, source: {{sql: [shop.sql]}}}}
"""

_CUSTOMERS = "CREATE TABLE customers (id int NOT NULL PRIMARY KEY, name varchar(40));"
_COLUMNS = ["id bigint NOT NULL", "customer_id int", "note varchar(50)", "amount int", "filler varchar(80)", "PRIMARY KEY (id)"]
CUSTOMERS = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what the schema says then, and the statement somebody would write for it, by engine."""

    name: str
    schema: Callable[[list[str]], list[str]]
    naive: dict[str, str]
    index: str = ""


def _with(old: str, new: str) -> Callable[[list[str]], list[str]]:
    return lambda columns: [new if column == old else column for column in columns]


def _and(new: str) -> Callable[[list[str]], list[str]]:
    return lambda columns: [*columns[:-1], new, columns[-1]]


_FOREIGN_KEY = "CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)"

CHANGES = (
    Change(
        "a column with a default",
        _and("status varchar(20) DEFAULT 'new' NOT NULL"),
        dict.fromkeys(("postgresql", "mysql"), "ALTER TABLE orders ADD COLUMN status varchar(20) DEFAULT 'new' NOT NULL"),
    ),
    Change(
        "an index",
        lambda columns: columns,
        dict.fromkeys(("postgresql", "mysql"), "CREATE INDEX orders_customer_id ON orders (customer_id)"),
        index="CREATE INDEX orders_customer_id ON orders (customer_id);",
    ),
    Change(
        "a foreign key",
        lambda columns: [*columns, _FOREIGN_KEY],
        dict.fromkeys(("postgresql", "mysql"), f"ALTER TABLE orders ADD {_FOREIGN_KEY}"),
    ),
    Change(
        "a NOT NULL",
        _with("note varchar(50)", "note varchar(50) NOT NULL"),
        {
            "postgresql": "ALTER TABLE orders ALTER COLUMN note SET NOT NULL",
            "mysql": "ALTER TABLE orders MODIFY note varchar(50) NOT NULL, ALGORITHM=COPY",
        },
    ),
    Change(
        "a longer text",
        _with("note varchar(50) NOT NULL", "note varchar(60) NOT NULL"),
        {
            "postgresql": "ALTER TABLE orders ALTER COLUMN note TYPE varchar(60)",
            "mysql": "ALTER TABLE orders MODIFY note varchar(60) NOT NULL",
        },
    ),
    Change(
        "int to bigint",
        _with("amount int", "amount bigint"),
        {
            "postgresql": "ALTER TABLE orders ALTER COLUMN amount TYPE bigint",
            "mysql": "ALTER TABLE orders MODIFY amount bigint",
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one change did to the writers: the longest stall of any, how many transactions they made, and their errors."""

    change: str
    took_s: float
    stall_s: float
    transactions: int
    errors: tuple[str, ...]


@dataclass(slots=True)
class Writers:
    """Threads that insert and update at a given rate all the time, and one that reads in transactions that stay open."""

    server: Server
    database: str
    rate: float
    threads: int = 8
    waits: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    running: dict[int, float] = field(default_factory=dict)
    is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Work for the length of a block."""
        workers = [threading.Thread(target=self._write, args=(number,), daemon=True) for number in range(self.threads)]
        workers.append(threading.Thread(target=self._read, daemon=True))
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            self.is_over.set()
            for worker in workers:
                worker.join(60)

    def _write(self, number: int) -> None:
        chance, pause_s = random.Random(number), self.threads / self.rate
        with closing(_session(self.server, self.database)) as conn:
            key = 10**9 * (number + 1)
            while not self.is_over.is_set():
                begun = self.running[number] = time.monotonic()
                key += 1
                try:
                    self._transaction(conn, key, chance)
                except Exception as error:  # whatever the driver says is what is counted
                    self.errors.append(f"{type(error).__name__}: {error}")
                    conn.rollback()
                ended = time.monotonic()
                self.waits.append((begun, ended))
                self.is_over.wait(max(0.0, pause_s - (ended - begun)))

    def _transaction(self, conn: Any, key: int, chance: random.Random) -> None:
        with conn.cursor() as cursor:
            cursor.execute("UPDATE orders SET amount = amount + 1 WHERE id = %s", (chance.randrange(1, 2000),))
            cursor.execute(
                "INSERT INTO orders (id, customer_id, note, amount) VALUES (%s, %s, 'new', 1)",
                (key, chance.randrange(1, CUSTOMERS)),
            )
        conn.commit()

    def _read(self) -> None:
        with closing(_session(self.server, self.database)) as conn:
            while not self.is_over.is_set():
                with conn.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM (SELECT 1 FROM orders LIMIT 100) AS few")
                    cursor.fetchall()
                self.is_over.wait(0.8)
                conn.commit()
                self.is_over.wait(0.7)

    def longest(self, begun: float, ended: float) -> tuple[float, int]:
        """Return the longest transaction that was under way between two moments, and how many there were."""
        done = [(start, end) for start, end in list(self.waits) if end >= begun and start <= ended]
        return max((end - start for start, end in done), default=0.0), len(done)


def _session(server: Server, database: str) -> Any:
    conn: Any = server.connect(database)
    if isinstance(server, PostgresServer):
        conn.autocommit = False
    else:
        conn.autocommit(False)
    return conn


def run(
    server: Server, rows: int, rate: float, *, by_dbops: bool, changes: Sequence[Change] = CHANGES, idle_s: float = 3.0
) -> list[Outcome]:
    """Make one change after the other in a new database while writers write; return what they felt, idle time first."""
    name = server.new_database("online")
    try:
        with tempfile.TemporaryDirectory(prefix="dbops-online-") as folder:
            return list(_run(server, name, rows, rate, Path(folder) if by_dbops else None, changes, idle_s))
    finally:
        server.drop_database(name)


def _run(
    server: Server, name: str, rows: int, rate: float, folder: Path | None, changes: Sequence[Change], idle_s: float
) -> Iterator[Outcome]:
    _fill(server, name, rows)
    columns, indexes = list(_COLUMNS), ""
    if folder is not None:
        (folder / "env.yaml").write_text(_MANIFEST.format(url=server.url(name)))
        _apply(folder, columns, indexes)
    writers = Writers(server, name, rate)
    with writers.at_work():
        yield _watched(writers, "nothing", lambda: time.sleep(idle_s))
        for change in changes:
            columns, indexes = change.schema(columns), indexes + change.index
            time.sleep(0.5)
            if folder is not None:
                yield _watched(writers, change.name, lambda: _apply(folder, columns, indexes))  # noqa: B023
            else:
                yield _watched(writers, change.name, lambda: server.rows(name, change.naive[server.engine]))  # noqa: B023


def _watched(writers: Writers, name: str, act: Callable[[], object]) -> Outcome:
    begun, errors = time.monotonic(), len(writers.errors)
    act()
    ended = time.monotonic()
    while any(start <= ended for start in list(writers.running.values())) and time.monotonic() - ended < 30:
        time.sleep(0.01)  # those that were held up have to come to their end
    stall_s, transactions = writers.longest(begun, ended)
    return Outcome(name, ended - begun, stall_s, transactions, tuple(writers.errors[errors:]))


def _apply(folder: Path, columns: Sequence[str], indexes: str) -> None:
    (folder / "shop.sql").write_text(f"{_CUSTOMERS}\nCREATE TABLE orders ({', '.join(columns)});\n{indexes}\n")
    command = [sys.executable, "-m", "dbops", "apply", str(folder), "--auto-approve", "--allow", "all"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def _fill(server: Server, name: str, rows: int) -> None:
    create = f"CREATE TABLE orders ({', '.join(_COLUMNS)})"
    values = f"n, 1 + n % {CUSTOMERS - 1}, 'a note', 5, repeat('x', 60)"
    series = (
        f"generate_series(1, {rows}) AS n" if server.engine == "postgresql" else f"(SELECT seq AS n FROM seq_1_to_{rows}) AS s"
    )
    few = (
        f"generate_series(1, {CUSTOMERS}) AS n"
        if server.engine == "postgresql"
        else f"(SELECT seq AS n FROM seq_1_to_{CUSTOMERS}) AS s"
    )
    for sql in (
        _CUSTOMERS.rstrip(";"),
        create,
        f"INSERT INTO customers SELECT n, 'somebody' FROM {few}",
        f"INSERT INTO orders SELECT {values} FROM {series}",
        "ANALYZE" if server.engine == "postgresql" else "ANALYZE TABLE orders, customers",
    ):
        server.rows(name, sql)


def report(arguments: Sequence[str] = ()) -> None:
    """Print the longest stall of each change beside the naive statement's."""
    parser = argparse.ArgumentParser(prog="bench online")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rate", type=float, default=300.0, help="transactions a second, of all writers")
    parser.add_argument("--engines", nargs="*", default=["postgresql", "mysql"], choices=["postgresql", "mysql"])
    given = parser.parse_args(arguments)
    with Lease.take() as lease:
        for engine in given.engines:
            server: Server = lease.postgres() if engine == "postgresql" else lease.mysql()
            naive = run(server, given.rows, given.rate, by_dbops=False)
            ours = run(server, given.rows, given.rate, by_dbops=True)
            print(f"\n{engine}: {given.rows:,} rows, {given.rate:.0f} transactions a second")
            print(f"{'change':26} {'naive stall':>12} {'dbops stall':>12} {'ratio':>7} {'dbops took':>11} {'errors':>7}")
            for one, other in zip(naive, ours, strict=True):
                ratio = f"{other.stall_s / one.stall_s:.2f}" if one.stall_s else "-"
                print(
                    f"{one.change:26} {one.stall_s * 1000:9.0f} ms {other.stall_s * 1000:9.0f} ms {ratio:>7}"
                    f" {other.took_s:9.1f} s {len(other.errors):7}"
                )
                for error in sorted(set(other.errors)):
                    print(f"    {error}")
