"""What it costs to start: CPU time of whole commands as a multiple of an empty Python program's, in the same run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import measure
from tests.servers import Lease

DBOPS = str(Path(sys.executable).parent / "dbops")
FIRST_TABLE = Path(__file__).resolve().parents[1] / "examples" / "environments" / "01-first-table"

MANIFESTS = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: "{url}"}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec:
  connection: shop
  source: {{sql: [schema.sql]}}
"""


@dataclass(frozen=True, slots=True)
class Startup:
    """How many times the CPU time of `python -c pass` a command may take, and how many it took."""

    name: str
    goal: float
    ratio: float


def startups(runs: int = 9) -> list[Startup]:
    """Measure `dbops --help` and the plan without changes of a small SQLite and a 20-table PostgreSQL environment."""
    with _applied_environments() as (sqlite, postgresql):
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "dbops --help": [DBOPS, "--help"],
            "dbops plan, SQLite": [DBOPS, "plan", str(sqlite)],
            "dbops plan, PostgreSQL, 20 tables": [DBOPS, "plan", str(postgresql)],
        }
        costs = measure(commands, runs)
    goals = {"dbops --help": 10.0, "dbops plan, SQLite": 30.0, "dbops plan, PostgreSQL, 20 tables": 50.0}
    floor = costs["python -c pass"].cpu_s
    return [Startup(name, goal, costs[name].cpu_s / floor) for name, goal in goals.items()]


def report(options: Sequence[str] = ()) -> None:
    """Print the ratios beside their goals."""
    print("CPU time, as a multiple of python -c pass")
    for startup in startups():
        print(f"  {startup.name:<36}{startup.ratio:6.1f}x   goal {startup.goal:.0f}x")


def twenty_tables() -> str:
    """Return a schema of 20 tables, each with a key, an index and a reference to the one before."""
    tables = []
    for number in range(20):
        parent = f" REFERENCES item_{number - 1:02}" if number else ""
        tables.append(
            f"CREATE TABLE item_{number:02} (id bigint PRIMARY KEY, parent_id bigint{parent}, name text NOT NULL DEFAULT '',"
            f" price numeric(10, 2) CHECK (price >= 0));\nCREATE INDEX item_{number:02}_name ON item_{number:02} (name);\n"
        )
    return "".join(tables)


@contextmanager
def _applied_environments() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as folder, Lease.take() as lease:
        server = lease.postgres()
        sqlite, postgresql = Path(folder, "sqlite"), Path(folder, "postgresql")
        shutil.copytree(FIRST_TABLE, sqlite)
        postgresql.mkdir()
        (postgresql / "schema.sql").write_text(twenty_tables())
        (postgresql / "shop.yaml").write_text(MANIFESTS.format(url=server.url(server.new_database("bench"))))
        for environment in (sqlite, postgresql):
            subprocess.run([DBOPS, "apply", str(environment), "--auto-approve"], check=True, stdout=subprocess.DEVNULL)
        yield sqlite, postgresql
