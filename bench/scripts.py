"""What a large script costs: taking it apart, and running it as a migration, beside the engine's own client that runs it.

usage: python -m bench scripts [--engines ENGINE ...] [--statements NUMBER]

    200,000 INSERT statements make 48 MB, and so does a single one. CPU time is the program's own; what the server takes is the
    same for all, and is part of the wall time alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import Command, measure
from tests.servers import Lease, MysqlServer

GOAL = 5.0
"""Times the client's CPU: what the migration of such a file may take, splitting and running."""
MEMORY = 300
"""Megabytes that it may need."""
_TABLE = "CREATE TABLE big (id integer PRIMARY KEY, name varchar(100), note text, amount decimal(10, 2));\n"
_MANIFESTS = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: "{url}"}}
---
apiVersion: dbops/v1
kind: MigrationSet
metadata: {{name: shop}}
spec: {{connection: shop, directory: migrations}}
"""
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
    costs = measure(
        {f"client, {name}": Command(_client(engine, file, lease), runs=1) for name, file in (("many", many), ("one", single))}
        | {f"split, {name}": Command(_splitting(engine, file), runs=3) for name, file in (("many", many), ("one", single))}
        | {
            f"migrate, {name}": Command(_migrating(engine, file, lease), runs=1)
            for name, file in (("many", many), ("one", single))
        }
    )
    print(f"\n{engine}; one is the client with the same script; goals {GOAL:.0f}x and {MEMORY} MB for migrate")
    print(f"  {'':<16}{'CPU':>9}{'':>8}{'wall':>10}{'':>8}{'peak memory':>14}")
    for name, cost in costs.items():
        floor = costs[f"client, {name.split(', ')[1]}"]
        cpu = f"{cost.cpu_s:7.2f} s{cost.cpu_s / floor.cpu_s:7.2f}x"
        wall = f"{cost.wall_s:8.2f} s{cost.wall_s / floor.wall_s:7.2f}x"
        print(f"  {name:<16}{cpu}{wall}{cost.peak_bytes / 2**20:11.0f} MB", flush=True)


def _splitting(engine: str, file: Path) -> list[str]:
    return [sys.executable, "-c", _SPLIT.format(path=str(file), name=engine.upper())]


def _migrating(engine: str, file: Path, lease: Lease) -> list[str]:
    """Return the command that runs a script as the only migration of a new database."""
    folder = file.parent / f"{engine}-{file.stem}"
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "0001_big.sql").symlink_to(file)
    if engine == "sqlite":
        url = f"sqlite:///{folder / 'big.db'}"
    else:
        server = lease.postgres() if engine == "postgresql" else _roomy(lease.mysql())
        url = server.url(server.new_database("bench"))
    (folder / "env.yaml").write_text(_MANIFESTS.format(url=url))
    return [sys.executable, "-m", "dbops", "migrate", "up", str(folder), "--auto-approve"]


def _roomy(server: MysqlServer) -> MysqlServer:
    """Let sessions of a server send statements of any size."""
    server.rows("mysql", f"SET GLOBAL max_allowed_packet = {1 << 30}")
    return server


def _client(engine: str, file: Path, lease: Lease) -> list[str]:
    if engine == "postgresql":
        postgres = lease.postgres()
        return [*postgres.client_command("psql"), "-Xq", "-1", "-d", postgres.new_database("bench"), "-f", str(file)]
    if engine == "mysql":
        mysql = _roomy(lease.mysql())
        options = ["--no-defaults", f"--socket={mysql.socket}", f"--user={mysql.user}", "--init-command=SET autocommit = 0"]
        return [mysql.make.client, *options, "--max-allowed-packet=1G", mysql.new_database("bench"), "-e", f"source {file}"]
    return ["sqlite3", "-cmd", "BEGIN", str(file.parent / f"client-{file.stem}.db"), f".read {file}", "COMMIT"]


def _statements(number: int) -> Iterator[str]:
    yield _TABLE
    for row in range(number):
        yield f"INSERT INTO big (id, name, note, amount) VALUES {_row(row)};\n"


def _statement(number: int) -> Iterator[str]:
    yield f"{_TABLE}INSERT INTO big (id, name, note, amount) VALUES\n"
    for row in range(number // 100):
        yield f"{_row(row, words=835)},\n"  # few rows: SQLite keeps some hundred bytes for each
    yield f"{_row(-1)};\n"


def _row(row: int, words: int = 4) -> str:
    note = f"it''s a note -- with semicolons; {'lorem ipsum dolor sit amet, ' * words}"
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
