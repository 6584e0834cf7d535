"""What it costs to take a large script apart: CPU time and memory beside the engine's own client, which also runs it.

usage: python -m bench scripts [--engines ENGINE ...] [--statements NUMBER]

    200,000 INSERT statements make 47 MB. The client's figure is its own CPU time; what the server takes is not ours to shorten.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import Command, measure
from tests.servers import Lease

GOAL = 5.0
"""Times the client's CPU: what the migration of such a file may take, splitting and running."""
MEMORY = 300
"""Megabytes that it may need."""
_SPLIT = """
from pathlib import Path
from dbops.sql import dialect
from dbops.sql.splitter import iterate
text = Path({path!r}).read_text()
print(sum(1 for _ in iterate(text, dialect.{name})))
"""


def report(options: Sequence[str] = ()) -> None:
    """Print CPU time and memory of each engine's client and of the splitter, for many small statements and for one large."""
    parser = argparse.ArgumentParser(prog="python -m bench scripts")
    parser.add_argument(
        "--engines", nargs="+", choices=("sqlite", "postgresql", "mysql"), default=["sqlite", "postgresql", "mysql"]
    )
    parser.add_argument("--statements", type=int, default=200_000)
    chosen = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as place, Lease.take() as lease:
        many, single = Path(place) / "many.sql", Path(place) / "one.sql"
        _write(many, _statements(chosen.statements))
        _write(single, _statement(chosen.statements))
        sizes = [f"{file.stat().st_size / 1e6:.0f} MB" for file in (many, single)]
        print(f"{chosen.statements:,} statements, {sizes[0]}, and one of {sizes[1]}")
        for engine in chosen.engines:
            _measure(engine, many, single, lease)


def _measure(engine: str, many: Path, single: Path, lease: Lease) -> None:
    client = _client(engine, many, lease)
    costs = measure(
        {
            "client, many": Command(client, runs=1),
            "split, many": Command(_splitting(engine, many), runs=3),
            "split, one": Command(_splitting(engine, single), runs=3),
        }
    )
    floor = costs["client, many"].cpu_s
    print(f"\n{engine}; one is {Path(client[0]).name}")
    for name, cost in costs.items():
        print(f"  {name:<16}{cost.cpu_s:7.2f} s{cost.cpu_s / floor:7.2f}x{cost.peak_bytes / 2**20:8.0f} MB", flush=True)


def _splitting(engine: str, file: Path) -> list[str]:
    return [sys.executable, "-c", _SPLIT.format(path=str(file), name=engine.upper())]


def _client(engine: str, file: Path, lease: Lease) -> list[str]:
    if engine == "postgresql":
        postgres = lease.postgres()
        return [*postgres.client_command("psql"), "-Xq", "-1", "-d", postgres.new_database("bench"), "-f", str(file)]
    if engine == "mysql":
        mysql = lease.mysql()
        options = ["--no-defaults", f"--socket={mysql.socket}", f"--user={mysql.user}", "--init-command=SET autocommit = 0"]
        return [mysql.make.client, *options, mysql.new_database("bench"), "-e", f"source {file}"]
    return ["sqlite3", ":memory:", f".read {file}"]


def _statements(number: int) -> Iterator[str]:
    yield "CREATE TABLE big (id integer PRIMARY KEY, name varchar(100), note text, amount decimal(10, 2));\n"
    for row in range(number):
        yield f"INSERT INTO big (id, name, note, amount) VALUES {_row(row)};\n"


def _statement(number: int) -> Iterator[str]:
    yield "INSERT INTO big (id, name, note, amount) VALUES\n"
    for row in range(number * 6 // 5):
        yield f"{_row(row)},\n"
    yield f"{_row(-1)};\n"


def _row(row: int) -> str:
    note = f"it''s a note -- with semicolons; {'lorem ipsum dolor sit amet, ' * 4}"
    return f"({row}, 'name {row}; of many', '{note}', {row % 1000 - 500}.25)"


def write_many(file: Path, statements: int) -> None:
    """Write so many statements, 47 MB for 200,000."""
    _write(file, _statements(statements))


def _write(file: Path, parts: Iterator[str]) -> None:
    """Write the parts one by one: a child's peak of memory begins with what its parent has."""
    with file.open("w") as out:
        out.writelines(parts)


if __name__ == "__main__":
    report(sys.argv[1:])
