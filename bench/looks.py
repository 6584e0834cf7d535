"""What looking costs: CPU of the server and of dbops for a look at many tables, statement history included.

    python -m bench.looks --tables 5000 --looks 20

A monitor looks every 15 s and counts statements every 300 s, so that a look bears a twentieth of the counting.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.measure import server_cpu_s
from bench.synthetic import build_sqlite
from dbops.usecases.monitor import metrics_store, read
from dbops.usecases.runtime import open_workspace
from dbops.usecases.workload import EVERY_S, keep_statements
from tests.servers import MysqlServer, PostgresServer
from tests.servers.alone import alone

PACE_S = 15.0
MANIFEST = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: shop}}\nspec: {{url: '{url}'}}\n"


def statements(tables: int) -> list[str]:
    made = []
    for number in range(tables):
        made.append(f"CREATE TABLE t{number} (id integer PRIMARY KEY, a integer, b integer)")
        made.append(f"CREATE INDEX i{number} ON t{number} (a)")
    return made


@contextmanager
def databases(engine: str, tables: int, folder: Path) -> Iterator[tuple[str, int | None]]:
    """Give the URL of a database with so many tables, each read by a statement of its own, and its server's process."""
    made = statements(tables)
    reads = ";".join(f"SELECT a FROM t{number} WHERE id = 1" for number in range(tables)) + ";"
    if engine == "sqlite":
        build_sqlite(folder / "shop.db", made)
        yield f"sqlite:///{folder / 'shop.db'}", None
    elif engine == "postgresql":
        with alone(PostgresServer, {"shared_preload_libraries": "pg_stat_statements"}) as server:
            server.psql("postgres", "CREATE EXTENSION pg_stat_statements;" + ";".join(made) + ";" + reads)
            yield server.url("postgres"), int((server.home / "data" / "postmaster.pid").read_text().split()[0])
    else:
        with alone(MysqlServer, {"performance_schema": "ON"}) as server:
            server.client("mysql", "CREATE DATABASE shop")
            server.client("shop", ";".join(made) + ";" + reads)
            yield server.url("shop"), int((server.home / "pid").read_text())


def cost(engine: str, tables: int, looks: int) -> None:
    """Print what a look costs, and what counting statements adds to it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dbops-looks-")))
        url, server = stack.enter_context(databases(engine, tables, folder))
        (folder / "env.yaml").write_text(MANIFEST.format(url=url))
        workspace = stack.enter_context(open_workspace(folder, os.environ))
        store = stack.enter_context(metrics_store(workspace, None))
        moment = time.time()
        (first,) = read(workspace, store, clock=lambda: moment)
        assert first.look is not None, first.error

        def spent() -> tuple[float, float]:
            return time.process_time(), server_cpu_s(server) if server is not None else 0.0

        began = spent()
        for number in range(looks):  # within the time in which statements are not counted again
            read(workspace, store, clock=lambda at=moment + number + 1: at)
        looked = spent()
        chosen, conn = workspace.targets.engine("shop"), workspace.targets.reader("shop")
        assert conn is not None
        for number in range(5):
            keep_statements(chosen, conn, store.statements, "shop", moment + EVERY_S * (number + 1))
        counted = spent()
        own, of_server = ((b - a) / looks for a, b in zip(began, looked, strict=True))
        own_more, server_more = ((b - a) / 5 for a, b in zip(looked, counted, strict=True))
        whole = own + of_server + (own_more + server_more) * PACE_S / EVERY_S
        print(
            f"{engine:<11} {tables:,} tables, {first.look.queries} queries: "
            f"look {own * 1e3:.0f} ms + server {of_server * 1e3:.0f} ms; "
            f"statements {own_more * 1e3:.0f} ms + server {server_more * 1e3:.0f} ms; {whole / PACE_S:.2%} of a core",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tables", type=int, default=5000)
    parser.add_argument("--looks", type=int, default=20)
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql", "mysql"])
    given = parser.parse_args()
    for engine in given.engines:
        cost(engine, given.tables, given.looks)


if __name__ == "__main__":
    main()
