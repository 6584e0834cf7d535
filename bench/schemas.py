"""What inspections and plans of large schemas cost, beside the engines' own dump programs and other tools, in the same run.

Everything is a whole command. The CPU time that a server spends for a command counts as the command's. Beside each figure
stands its ratio to the engine's own dump of the same schema, by CPU and by wall clock; `> 9x` is said of a peer that was cut off
at the time limit.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import synthetic
from bench.measure import Command, Cost, measure, server_cpu_s
from bench.startup import DBOPS, MANIFESTS
from tests.servers import Lease, MysqlServer, PostgresServer
from tests.servers.programs import mariadb_program, postgres_folder

logger = logging.getLogger(__name__)

ENGINES = ("postgresql", "mysql", "sqlite")
SIZES = (100, 1_000, 10_000)
GOALS = {
    ("postgresql", "no-change plan"): 0.15,
    ("postgresql", "inspection"): 0.6,
    ("postgresql", "small-change plan"): 3.0,
    ("mysql", "no-change plan"): 0.15,
    ("mysql", "inspection"): 0.3,
}
"""At 10,000 tables, as multiples of the dump."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A database that holds the schema, and an environment whose source says the same."""

    engine: synthetic.Flavour
    tables: int
    folder: Path
    url: str
    peer_url: str
    dump: tuple[str, list[str]]
    server: Callable[[], float]

    @property
    def source(self) -> Path:
        """The environment's only SQL file."""
        return self.folder / "env" / "schema.sql"

    def edit(self, turn: int) -> None:
        """Give one table in the middle of the source a column that it never had before."""
        number = self.tables // 2
        statements = synthetic.schema(self.engine, self.tables)
        statements[3 * number : 3 * number + 3] = synthetic.table(self.engine, number, f"  extra_{turn} integer,\n")
        self.source.write_text(synthetic.script(statements))

    def restore(self, turn: int = 0) -> None:
        """Let the source say what the database holds."""
        self.source.write_text(synthetic.script(synthetic.schema(self.engine, self.tables)))

    def forget(self, turn: int = 0) -> None:
        """Empty dbops's cache, as if it had never seen the schema."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)


def report(options: Sequence[str] = ()) -> None:
    """Measure the engines and sizes that the options name, and print each in a table of its own."""
    chosen = _parser().parse_args(options)
    logging.basicConfig(level=logging.INFO if chosen.seconds else logging.WARNING, format="%(message)s")
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as folder, Lease.take() as lease:
        for engine in chosen.engines:
            for size in chosen.sizes:
                with _subject(engine, size, Path(folder), lease) as subject:
                    costs = _measured(subject, chosen)
                _print(subject, costs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench schemas")
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], default=list(SIZES))
    parser.add_argument("--engines", type=lambda text: text.split(","), default=list(ENGINES))
    parser.add_argument("--runs", type=int, default=3, help="of each quick command; the slow ones run once")
    parser.add_argument("--peers", choices=["none", "dump", "all"], default="all", help="what to run beside dbops")
    parser.add_argument("--limit", type=float, default=120, help="seconds after which a peer is cut off")
    parser.add_argument("--seconds", action="store_true", help="bare times too")
    parser.add_argument("--only", type=lambda text: text.split(","), default=None, help="names of dbops commands")
    return parser


def _measured(subject: Subject, chosen: argparse.Namespace) -> dict[str, Cost]:
    """Run dbops and its peers; the dump is repeated in each group so that a ratio is always within one stretch of time."""
    environment = {"DBOPS_CACHE_DIR": str(subject.folder / "cache")}
    plan = [DBOPS, "plan", str(subject.folder / "env")]
    once = Command(plan, 1, subject.forget)
    commands: dict[str, Command] = {subject.dump[0]: Command(subject.dump[1], chosen.runs)}
    commands |= {
        "inspection": Command([sys.executable, "-m", "bench.reading", subject.url], chosen.runs),
        "first plan": once,
        "no-change plan": Command(plan, chosen.runs, subject.restore),
        "small-change plan": Command(plan, chosen.runs, subject.edit),
    }
    if chosen.only:
        commands = {name: item for name, item in commands.items() if name in (*chosen.only, subject.dump[0])}
    if chosen.peers == "all":
        commands |= _peers(subject, chosen.limit)
    if chosen.peers == "none":
        del commands[subject.dump[0]]
    subject.restore()
    return measure(commands, chosen.runs, environment, subject.server)


def _peers(subject: Subject, limit_s: float) -> dict[str, Command]:
    """Programs in Python that others write for the same ends, where the bench extra is installed."""
    folder = subject.folder / "peers"
    reflect = f"import sqlalchemy as sa; sa.MetaData().reflect(sa.create_engine({subject.peer_url!r}))"
    peers = {"SQLAlchemy reflection": Command([sys.executable, "-c", reflect], 1, limit_s=limit_s)}
    alembic = Path(sys.executable).parent / "alembic"
    if alembic.exists():
        (folder / "versions").mkdir(parents=True)
        (folder / "models.py").write_text(synthetic.models(subject.engine, subject.tables))
        (folder / "env.py").write_text(_ALEMBIC_ENV.format(url=subject.peer_url))
        (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {folder}\nprepend_sys_path = {folder}\n")
        # Exit code 255 says that it sees differences: what it takes to look is the same.
        peers["alembic check"] = Command(
            [str(alembic), "-c", str(folder / "alembic.ini"), "check"], 1, accepted=(0, 255), limit_s=limit_s
        )
    return peers


_ALEMBIC_ENV = """\
from alembic import context
from models import metadata
from sqlalchemy import create_engine

with create_engine({url!r}).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


@contextmanager
def _subject(engine: synthetic.Flavour, tables: int, folder: Path, lease: Lease) -> Iterator[Subject]:
    place = folder / f"{engine}-{tables}"
    (place / "env").mkdir(parents=True)
    match engine:
        case "postgresql":
            subject = _postgres(tables, place, lease.postgres())
        case "mysql":
            subject = _mysql(tables, place, lease.mysql())
        case "sqlite":
            subject = _sqlite(tables, place)
    (place / "env" / "shop.yaml").write_text(MANIFESTS.format(url=subject.url))
    yield subject
    shutil.rmtree(place)


_AT_ONCE = 1_000
"""Tables made in one transaction: each takes half a dozen locks until its end (manual, max_locks_per_transaction)."""


def _postgres(tables: int, place: Path, server: PostgresServer) -> Subject:
    name = server.new_database("bench")
    for start in range(0, tables, _AT_ONCE):
        statements = synthetic.schema("postgresql", tables)[3 * start : 3 * (start + _AT_ONCE)]
        server.psql(name, f"BEGIN;\n{synthetic.script(statements)}COMMIT;")
    server.psql(name, "VACUUM ANALYZE")  # nothing is left for autovacuum to do meanwhile
    dump = [str(postgres_folder() / "pg_dump"), "-s", "-h", str(server.home), "-p", str(server.port), "-U", server.user, name]
    process = int((server.home / "data" / "postmaster.pid").read_text().split()[0])
    url = server.url(name)
    peer_url = f"postgresql+psycopg://{server.user}@/{name}?host={server.home}&port={server.port}"
    return Subject("postgresql", tables, place, url, peer_url, ("pg_dump -s", dump), lambda: server_cpu_s(process))


def _mysql(tables: int, place: Path, server: MysqlServer) -> Subject:
    name = server.new_database("bench")
    server.client(name, synthetic.script(synthetic.schema("mysql", tables)))
    dump = [mariadb_program("mariadb-dump"), "--no-defaults", f"--socket={server.socket}", f"--user={server.user}"]
    process = int((server.home / "pid").read_text())
    peer_url = f"mysql+pymysql://{server.user}@localhost/{name}?unix_socket={server.socket}"
    command = ("mariadb-dump --no-data", [*dump, "--no-data", name])
    return Subject("mysql", tables, place, server.url(name), peer_url, command, lambda: server_cpu_s(process))


def _sqlite(tables: int, place: Path) -> Subject:
    path = place / "shop.db"
    synthetic.build_sqlite(path, synthetic.schema("sqlite", tables))
    shell = shutil.which("sqlite3")
    dump = [shell, str(path), ".schema"] if shell else [sys.executable, "-c", _SCHEMA.format(path=str(path))]
    name = "sqlite3 .schema" if shell else "sqlite_schema printed"
    url = f"sqlite:///{path}"
    return Subject("sqlite", tables, place, url, url, (name, dump), lambda: 0.0)


_SCHEMA = "import sqlite3; print(*sqlite3.connect({path!r}).execute('SELECT sql FROM sqlite_schema'), sep='\\n')"


def _print(subject: Subject, costs: dict[str, Cost]) -> None:
    dump = costs.get(subject.dump[0])
    print(f"\n{subject.engine}, {subject.tables:,} tables; one is {subject.dump[0]}", flush=True)
    print(f"  {'':<24}{'CPU':>10}{'wall':>10}{'peak memory':>14}   goal")
    for name, cost in costs.items():
        mark = "> " if cost.is_cut_off else ""
        ratios = (cost.total_s / dump.total_s, cost.wall_s / dump.wall_s) if dump else ()
        cpu, wall = [f"{mark}{ratio:.2f}x" for ratio in ratios] or ("", "")
        goal = GOALS.get((subject.engine, name)) if subject.tables >= 10_000 else None
        print(f"  {name:<24}{cpu:>10}{wall:>10}{cost.peak_bytes / 2**20:>11.0f} MB" + (f"   {goal}x" if goal else ""), flush=True)
        logger.info("%s: own CPU %.2f s, server %.2f s, wall %.2f s", name, cost.cpu_s, cost.server_s, cost.wall_s)
