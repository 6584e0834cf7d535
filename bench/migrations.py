"""What it costs to run migrations, beside the engine's own client running the same files, and beside other runners.

usage: python -m bench migrations [--engines ENGINE ...] [--count NUMBER] [--statements NUMBER] [--npm]

    The client reads all files as one script, a transaction and a ledger row for each; nobody waits for the disk. CPU time, the
    server's with it. A no-op is the same command once more. --npm fetches dbmate, which is a package of npm alone.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Command, Cost, measure, server_cpu_s
from bench.scripts import write_many
from bench.startup import DBOPS
from tests.servers import Lease

GOALS = {"postgresql": 1.1, "sqlite": 3.0}
"""Times the client's CPU, for applying."""
BIG_GOAL, BIG_MEMORY_MB = 5.0, 300

_MANIFESTS = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: "{url}"{settings}}}
---
apiVersion: dbops/v1
kind: MigrationSet
metadata: {{name: shop}}
spec: {{connection: shop, directory: migrations}}
"""
_TABLE = "CREATE TABLE t{n} (id integer NOT NULL PRIMARY KEY, name varchar(50));\nINSERT INTO t{n} VALUES (1, 'one');\n"
_LEDGER = "CREATE TABLE ledger (version varchar(50) PRIMARY KEY, checksum varchar(64), applied varchar(40));\n"
_ALEMBIC_ENV = """\
from alembic import context
from sqlalchemy import create_engine
engine = create_engine({url!r})
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
_ALEMBIC_STEP = """\
revision, down_revision = "{n:04}", {before}
from alembic import op
def upgrade():
    op.execute("CREATE TABLE t{n} (id integer NOT NULL PRIMARY KEY, name varchar(50))")
    op.execute("INSERT INTO t{n} VALUES (1, 'one')")
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A database, empty, and how its client and other runners are told of it."""

    url: str
    peer_url: str
    client: list[str]
    server: Callable[[], float]
    settings: str = ""


def report(options: Sequence[str] = ()) -> None:
    """Print a table for each engine: applying, a no-op, and one large file."""
    parser = argparse.ArgumentParser(prog="python -m bench migrations")
    parser.add_argument("--engines", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--statements", type=int, default=200_000)
    parser.add_argument("--npm", action="store_true")
    chosen = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as folder, Lease.take() as lease:
        dbmate = _dbmate(Path(folder)) if chosen.npm else shutil.which("dbmate")
        for engine in chosen.engines:
            _many(engine, chosen.count, Path(folder), lease, dbmate)
            _large(engine, chosen.statements, Path(folder), lease)


def _many(engine: str, count: int, folder: Path, lease: Lease, dbmate: str | None) -> None:
    print(f"\n{engine}: {count:,} migrations of two statements")
    floor = 0.0
    for name, prepare in _runners(dbmate).items():
        place = _place(engine, folder / f"{engine}-{name}", lease)
        command = prepare(place, folder / f"{engine}-{name}", count)
        if command is None:
            print(f"  {name:<10} is not installed")
            continue
        apply = measure({"apply": Command(command, runs=1)}, server=place.server)["apply"]
        floor = floor or apply.total_s
        again = measure({"no-op": Command(command, runs=3)}, server=place.server)["no-op"] if name != "client" else None
        goal = f"   goal {GOALS[engine]:.1f}x" if name == "dbops" else ""
        idle = f"   no-op {again.total_s:6.2f} s" if again else ""
        print(f"  {name:<10}{apply.total_s:8.2f} s{apply.total_s / floor:7.2f}x{_memory(apply)}{idle}{goal}", flush=True)


def _large(engine: str, statements: int, folder: Path, lease: Lease) -> None:
    place, own = _place(engine, folder / f"{engine}-client-large", lease), _place(engine, folder / f"{engine}-dbops-large", lease)
    home = folder / f"{engine}-dbops-large"
    command = _dbops(own, home, 0)
    file = home / "migrations" / "0001_big.sql"
    write_many(file, statements)
    script = folder / f"{engine}-large.sql"
    script.write_text("BEGIN;\n")
    with script.open("a") as out, file.open() as source:
        shutil.copyfileobj(source, out)
        out.write("COMMIT;\n")
    print(f"\n{engine}: one file of {statements:,} statements, {file.stat().st_size / 1e6:.0f} MB")
    client = measure({"client": Command([*place.client, str(script)], runs=1)}, server=place.server)["client"]
    dbops = measure({"dbops": Command(command, runs=1)}, server=own.server)["dbops"]
    print(f"  client    {client.total_s:8.2f} s   1.00x{_memory(client)}")
    goal = f"   goal {BIG_GOAL:.0f}x, {BIG_MEMORY_MB} MB"
    print(f"  dbops     {dbops.total_s:8.2f} s{dbops.total_s / client.total_s:7.2f}x{_memory(dbops)}{goal}", flush=True)


def _memory(cost: Cost) -> str:
    return f"{cost.peak_bytes / 2**20:7.0f} MB"


def _place(engine: str, home: Path, lease: Lease) -> Place:
    home.mkdir(parents=True, exist_ok=True)
    if engine == "sqlite":
        path = home / "shop.db"
        client = ["sh", "-c", f'{{ echo "PRAGMA synchronous = off;"; cat "$0"; }} | sqlite3 {path}']
        return Place(f"sqlite:///{path}", f"sqlite:///{path}", client, lambda: 0.0, ', sqlite: {synchronous: "off"}')
    server = lease.postgres()
    name = server.new_database("bench")
    process = int((server.home / "data" / "postmaster.pid").read_text().split()[0])
    peer = f"postgresql+psycopg://{server.user}@/{name}?host={server.home}&port={server.port}"
    return Place(server.url(name), peer, [*server.client_command("psql"), "-Xq", "-d", name, "-f"], lambda: server_cpu_s(process))


# --- the runners: each writes the migrations in its own form and returns its command, None when it is not installed


def _runners(dbmate: str | None) -> Mapping[str, Callable[[Place, Path, int], list[str] | None]]:
    def with_dbmate(place: Place, home: Path, count: int) -> list[str] | None:
        return _with_dbmate(dbmate, place, home, count)

    return {"client": _client, "dbops": _dbops, "alembic": _alembic, "yoyo": _yoyo, "dbmate": with_dbmate}


def _client(place: Place, home: Path, count: int) -> list[str]:
    rows = "INSERT INTO ledger VALUES ('{n:04}', 'checksum', 'now');\n"
    steps = [f"BEGIN;\n{_TABLE.format(n=n)}{rows.format(n=n)}COMMIT;\n" for n in range(1, count + 1)]
    script = home / "all.sql"
    script.write_text(_LEDGER + "".join(steps))
    return [*place.client, str(script)]


def _dbops(place: Place, home: Path, count: int) -> list[str]:
    _write(home / "migrations", count, "{n:04}_t.sql", _TABLE)
    (home / "env.yaml").write_text(_MANIFESTS.format(url=place.url, settings=place.settings))
    return [DBOPS, "migrate", "up", str(home), "--auto-approve", "-o", "json"]


def _alembic(place: Place, home: Path, count: int) -> list[str] | None:
    program = Path(sys.executable).parent / "alembic"
    if not program.exists():
        return None
    (home / "versions").mkdir()
    (home / "env.py").write_text(_ALEMBIC_ENV.format(url=place.peer_url))
    (home / "alembic.ini").write_text(f"[alembic]\nscript_location = {home}\n")
    for n in range(1, count + 1):
        before = f"'{n - 1:04}'" if n > 1 else "None"
        (home / "versions" / f"{n:04}_t.py").write_text(_ALEMBIC_STEP.format(n=n, before=before))
    return [str(program), "-c", str(home / "alembic.ini"), "upgrade", "head"]


def _yoyo(place: Place, home: Path, count: int) -> list[str] | None:
    program = Path(sys.executable).parent / "yoyo"
    if not program.exists():
        return None
    _write(home / "migrations", count, "{n:04}_t.sql", _TABLE)
    return [str(program), "apply", "--batch", "--no-config-file", "-d", place.peer_url, str(home / "migrations")]


def _with_dbmate(program: str | None, place: Place, home: Path, count: int) -> list[str] | None:
    if program is None:
        return None
    _write(home / "migrations", count, "{n:04}_t.sql", "-- migrate:up\n" + _TABLE + "\n-- migrate:down\n")
    url = place.url.replace("sqlite:///", "sqlite:")
    url += ("&" if "?" in url else "?") + "sslmode=disable" if "postgres" in url else ""
    return [program, "--url", url, "--no-dump-schema", "-d", str(home / "migrations"), "up"]


def _write(folder: Path, count: int, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    for n in range(1, count + 1):
        (folder / name.format(n=n)).write_text(text.format(n=n))


def _dbmate(folder: Path) -> str | None:
    npm = shutil.which("npm")
    if npm is None:
        return None
    done = subprocess.run([npm, "install", "--silent", "--prefix", str(folder), "dbmate"], check=False)
    program = folder / "node_modules" / ".bin" / "dbmate"
    return str(program) if done.returncode == 0 and program.exists() else None
