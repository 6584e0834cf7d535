"""What it costs to run migrations, beside the engine's own client running the same files, and beside other runners.

usage: python -m bench migrations [--engines ENGINE ...] [--count NUMBER] [--runs NUMBER] [--wide] [--statements NUMBER] [--npm]

    The client includes the files one by one, a transaction and a ledger row for each; nobody waits for the disk. CPU time is the
    command's and the server's together. Everybody runs in turn, on databases of their own, and medians are shown. A no-op is the
    same command once more. A migration makes a table of two columns and a row, with --wide one of ten columns with a foreign key,
    a check and two indexes, as schemas have them. --npm fetches dbmate from npm, and Alembic, yoyo and Django from PyPI.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.measure import Command, Cost, measure, medians, server_cpu_s
from bench.scripts import write_many
from bench.startup import DBOPS
from tests.resources.migrations import runners
from tests.servers import Lease
from tests.servers.releases import NotToBeHad

GOALS = {"postgresql": 1.1, "sqlite": 3.0}
"""Times the client, for applying."""
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
_SMALL = ("CREATE TABLE t{n} (id integer NOT NULL PRIMARY KEY, name varchar(50))", "INSERT INTO t{n} VALUES (1, 'one')")
_WIDE = (
    "CREATE TABLE t{n} (id integer NOT NULL PRIMARY KEY, parent integer REFERENCES t{n} (id), name varchar(50) NOT NULL,"
    " mail varchar(100), made timestamp DEFAULT CURRENT_TIMESTAMP, price numeric(10, 2) CHECK (price >= 0),"
    " many integer DEFAULT 0, note text, state varchar(10) DEFAULT 'new', seen date)",
    "CREATE INDEX t{n}_parent ON t{n} (parent)",
    "CREATE UNIQUE INDEX t{n}_mail ON t{n} (mail, state)",
    "INSERT INTO t{n} (id, name) VALUES (1, 'one')",
)
_LEDGER = "CREATE TABLE ledger (version varchar(50) PRIMARY KEY, checksum varchar(64), applied varchar(40));\n"
_STEP = "BEGIN;\n{include} {file}\nINSERT INTO ledger VALUES ('{version}', 'checksum', 'now');\nCOMMIT;\n"
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
    for statement in {statements!r}:
        op.execute(statement)
"""
_DJANGO_STEP = """\
from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [{before}]
    operations = [migrations.RunSQL({sql!r})]
"""


Statements = Sequence[str]
"""What one migration runs, `{n}` for its number."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database, empty, and how its client and other runners are told of it."""

    url: str
    peer_url: str
    client: list[str]
    server: Callable[[], float]
    settings: str = ""
    include: str = ".read"
    """The client's own command that runs a file."""


def report(options: Sequence[str] = ()) -> None:
    """Print a table for each engine: applying, a no-op, and one large file."""
    parser = argparse.ArgumentParser(prog="python -m bench migrations")
    parser.add_argument("--engines", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--statements", type=int, default=200_000)
    parser.add_argument("--npm", action="store_true")
    chosen = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="dbops-bench-", dir=_in_memory()) as folder, Lease.take() as lease:
        for engine in chosen.engines:
            _many(engine, chosen.count, _WIDE if chosen.wide else _SMALL, chosen.runs, Path(folder), lease, chosen.npm)
            if chosen.statements:
                _large(engine, chosen.statements, Path(folder), lease)


def _many(engine: str, count: int, statements: Statements, runs: int, folder: Path, lease: Lease, fetch: bool) -> None:
    print(f"\n{engine}: {count:,} migrations of {len(statements)} statements", end="; ")
    print(f"one is the client with the same files, goal {GOALS[engine]:.1f}x")
    costs: dict[str, list[tuple[Cost, Cost | None]]] = {}
    for turn in range(runs):
        for name, prepare in _runners(fetch).items():
            home = folder / f"{engine}-{name}-{turn}"
            place = _place(engine, home, lease)
            if (command := prepare(place, home, count, statements)) is not None:
                costs.setdefault(name, []).append(_applied(name, command, place))
            shutil.rmtree(home)
    print(f"  {'':<10}{'CPU':>9}{'':>9}{'wall':>10}{'':>9}{'memory':>10}{'no-op, CPU':>14}{'wall':>10}")
    applied = {name: medians([apply for apply, _ in found]) for name, found in costs.items()}
    floor = applied["client"]
    for name, cost in applied.items():
        again = [no_op for _, no_op in costs[name] if no_op is not None]
        idle = f"{medians(again).total_s:12.2f} s{medians(again).wall_s:8.2f} s" if again else ""
        print(f"  {name:<10}{_ratios(cost, floor)}{_memory(cost)}{idle}", flush=True)
    for name in _runners(fetch):
        if name not in costs:
            print(f"  {name:<10} is not installed; --npm fetches it")


def _in_memory() -> str | None:
    """Return a folder that is no disk: what waits for the disk, and what has no setting that spares it, counts for nobody."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _applied(name: str, command: list[str], place: Place) -> tuple[Cost, Cost | None]:
    apply = measure({"apply": Command(command, runs=1)}, server=place.server)["apply"]
    if name == "client":
        return apply, None
    return apply, measure({"no-op": Command(command, runs=3)}, server=place.server)["no-op"]


def _ratios(cost: Cost, floor: Cost) -> str:
    cpu = f"{cost.total_s:7.2f} s{cost.total_s / floor.total_s:8.2f}x"
    return f"{cpu}{cost.wall_s:8.2f} s{cost.wall_s / floor.wall_s:8.2f}x"


def _large(engine: str, statements: int, folder: Path, lease: Lease) -> None:
    place, own = _place(engine, folder / f"{engine}-client-large", lease), _place(engine, folder / f"{engine}-dbops-large", lease)
    home = folder / f"{engine}-dbops-large"
    command = _dbops(own, home, 0, ())
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
    print(f"  {'client':<10}{_ratios(client, client)}{_memory(client)}")
    goal = f"   goal {BIG_GOAL:.0f}x, {BIG_MEMORY_MB} MB"
    print(f"  {'dbops':<10}{_ratios(dbops, client)}{_memory(dbops)}{goal}", flush=True)


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
    client = [*server.client_command("psql"), "-Xq", "-d", name, "-f"]
    return Place(server.url(name), peer, client, lambda: server_cpu_s(process), include="\\i")


# --- the runners: each writes the migrations in its own form and returns its command, None when it is not installed


def _runners(fetch: bool) -> Mapping[str, Callable[[Place, Path, int, Statements], list[str] | None]]:
    programs = _programs(fetch)
    others = {"alembic": _alembic, "yoyo": _yoyo, "django": _django, "dbmate": _dbmate}
    return {"client": _client, "dbops": _dbops} | {name: partial(prepare, programs.get(name)) for name, prepare in others.items()}


@cache
def _programs(fetch: bool) -> Mapping[str, str]:
    """Return the programs of other runners: those on the path, and those that `tests` fetches into its folder."""
    found = {name: shutil.which(name) for name in ("alembic", "yoyo", "dbmate")}
    if fetch:
        with suppress(NotToBeHad):
            folder = runners.python_runners()
            found |= {"alembic": f"{folder}/alembic", "yoyo": f"{folder}/yoyo", "django": f"{folder}/django-admin"}
        with suppress(NotToBeHad):
            found["dbmate"] = runners.dbmate()
    return {name: program for name, program in found.items() if program is not None}


def _client(place: Place, home: Path, count: int, statements: Statements) -> list[str]:
    files = _write(home / "migrations", count, "{n:04}_t.sql", _script(statements))
    script = home / "all.sql"
    steps = [_STEP.format(include=place.include, file=file, version=file.name) for file in files]
    script.write_text(_LEDGER + "".join(steps))
    return [*place.client, str(script)]


def _dbops(place: Place, home: Path, count: int, statements: Statements) -> list[str]:
    _write(home / "migrations", count, "{n:04}_t.sql", _script(statements))
    (home / "env.yaml").write_text(_MANIFESTS.format(url=place.url, settings=place.settings))
    return [DBOPS, "migrate", "up", str(home), "--auto-approve"]


def _alembic(program: str | None, place: Place, home: Path, count: int, statements: Statements) -> list[str] | None:
    if program is None:
        return None
    (home / "versions").mkdir()
    (home / "env.py").write_text(_ALEMBIC_ENV.format(url=place.peer_url))
    (home / "alembic.ini").write_text(f"[alembic]\nscript_location = {home}\n")
    for n in range(1, count + 1):
        before = f"'{n - 1:04}'" if n > 1 else "None"
        (home / "versions" / f"{n:04}_t.py").write_text(
            _ALEMBIC_STEP.format(n=n, before=before, statements=[sql.format(n=n) for sql in statements])
        )
    return [program, "-c", str(home / "alembic.ini"), "upgrade", "head"]


def _yoyo(program: str | None, place: Place, home: Path, count: int, statements: Statements) -> list[str] | None:
    if program is None:
        return None
    _write(home / "migrations", count, "{n:04}_t.sql", _script(statements))
    return [program, "apply", "--batch", "--no-config-file", "-d", place.peer_url, str(home / "migrations")]


def _django(program: str | None, place: Place, home: Path, count: int, statements: Statements) -> list[str] | None:
    if program is None:
        return None
    url = urlsplit(place.url)
    server = {name: values[0] for name, values in parse_qs(url.query).items()}
    known = {"USER": url.username, "HOST": server["host"], "PORT": server["port"]} if server else {}
    engine = "postgresql" if server else "sqlite3"
    name = url.path.removeprefix("/") if server else place.url.removeprefix("sqlite:///")
    (home / "shop" / "migrations").mkdir(parents=True)
    database = {"ENGINE": f"django.db.backends.{engine}", "NAME": name, **known}
    (home / "settings.py").write_text(f"INSTALLED_APPS = ['shop']\nDATABASES = {{'default': {database!r}}}\n")
    (home / "shop" / "__init__.py").write_text("")
    (home / "shop" / "migrations" / "__init__.py").write_text("")
    for n in range(1, count + 1):
        before = f"('shop', '{n - 1:04}_t')" if n > 1 else ""
        (home / "shop" / "migrations" / f"{n:04}_t.py").write_text(
            _DJANGO_STEP.format(sql=_script(statements).format(n=n), before=before)
        )
    return [program, "migrate", "--pythonpath", str(home), "--settings", "settings", "-v", "0"]


def _dbmate(program: str | None, place: Place, home: Path, count: int, statements: Statements) -> list[str] | None:
    if program is None:
        return None
    _write(home / "migrations", count, "{n:04}_t.sql", "-- migrate:up\n" + _script(statements) + "\n-- migrate:down\n")
    url = place.url.replace("sqlite:///", "sqlite:")
    url += ("&" if "?" in url else "?") + "sslmode=disable" if "postgres" in url else ""
    return [program, "--url", url, "--no-dump-schema", "-d", str(home / "migrations"), "up"]


def _script(statements: Statements) -> str:
    return "".join(f"{sql};\n" for sql in statements)


def _write(folder: Path, count: int, name: str, text: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = [folder / name.format(n=n) for n in range(1, count + 1)]
    for n, file in enumerate(files, start=1):
        file.write_text(text.format(n=n))
    return files
