"""What CRUDService costs beside SQLAlchemy Core on the same asynchronous engine, doing the same in the same run, in turns.

usage: python -m bench service [--engines ENGINE ...] [--rounds NUMBER] [--operations NUMBER]

    `create` writes one record and gets it as the database has it, `read` reads one by its key, `page` fifty in order. CPU time is
    the program's own, threads included; the server's share is the same for both and not counted. The rounds are short, both sides
    change places in them, and a ratio is the median of the rounds' ratios: what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median

from sqlalchemy import Table, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.measure import in_turn, ratio_of
from dbops.api.service import CRUDService, DatabaseService
from tests.databases import fresh_mysql, fresh_postgres
from tests.servers import Lease

GOAL = 1.3
_PAGE = 50
_MODELS = """
from sqlalchemy import Boolean, Column, DateTime, Integer, String
from dbops.api.service.db_models import get_database_base

DATABASE_NAME = "bench"
Base = get_database_base("bench")


class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True, autoincrement=False)
    name = Column(String(40), nullable=False)
    number = Column(Integer)
    flag = Column(Boolean)
"""
Act = Callable[[int], Awaitable[None]]


def report(options: Sequence[str] = ()) -> None:
    """Print a line for each engine and kind of work: CPU microseconds by Core and CRUDService, and the ratio."""
    parser = argparse.ArgumentParser(prog="python -m bench service")
    engines = ("sqlite", "postgresql", "mysql")
    parser.add_argument("--engines", nargs="+", choices=engines, default=list(engines))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--operations", type=int, default=25)
    chosen = parser.parse_args(options)
    print(f"{'':24}{'Core':>10}{'dbops':>10}   ratio  goal    microseconds of CPU an operation")
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as place, Lease.take() as lease:
        root = Path(place)
        (root / "shop").mkdir()
        (root / "shop" / "db_models.py").write_text(_MODELS)
        for engine in chosen.engines:
            if engine == "sqlite":
                asyncio.run(_measure(engine, root, f"sqlite:///{root}/databases/", chosen))
            elif engine == "postgresql":
                with fresh_postgres(lease.postgres()) as database:
                    asyncio.run(_measure(engine, root, database.url, chosen))
            else:
                with fresh_mysql(lease.mysql()) as database:
                    asyncio.run(_measure(engine, root, database.url, chosen))


async def _measure(engine: str, root: Path, url: str, chosen: argparse.Namespace) -> None:
    async with DatabaseService(root, database_url=url, environ={}) as service:
        found = service.get_database("bench")
        table = found.pool.models["items"]
        async with found.engine.begin() as conn:
            await conn.execute(insert(table), [{"id": n, "name": f"name {n}"} for n in range(1, _PAGE + 1)])
        sides = {"Core": _of_core(found.engine, table), "dbops": _of_service(CRUDService(service))}
        for kind in sides["Core"]:
            taken: dict[str, list[float]] = {name: [] for name in sides}
            for turn in range(chosen.rounds):
                for name, acts in in_turn(sides, turn):
                    async with found.engine.begin() as conn:
                        await conn.execute(delete(table).where(table.c.id > _PAGE))
                    await acts["create"](0)
                    taken[name].append(await _cpu_s(acts[kind], chosen.operations))
            shown = {name: median(times) / chosen.operations * 1e6 for name, times in taken.items()}
            figures = "".join(f"{shown[name]:>10.1f}" for name in sides)
            print(f"{engine:12}{kind:12}{figures}   {ratio_of(taken['dbops'], taken['Core']):5.2f}  {GOAL:4.1f}")


async def _cpu_s(act: Act, count: int) -> float:
    started = time.process_time()
    for number in range(1, count + 1):
        await act(number)
    return time.process_time() - started


def _values(number: int) -> dict[str, object]:
    return {"id": 1000 + number, "name": f"name {number}", "number": number, "flag": True}


def _of_core(engine: AsyncEngine, table: Table) -> dict[str, Act]:
    has_returning = engine.dialect.insert_returning

    async def create(number: int) -> None:
        async with engine.begin() as conn:
            statement = insert(table).values(_values(number))
            if has_returning:
                row = (await conn.execute(statement.returning(*table.columns))).one()
            else:
                await conn.execute(statement)
                row = (await conn.execute(select(table).where(table.c.id == 1000 + number))).one()
        _must(row._asdict()["number"] == number)

    async def read(number: int) -> None:
        async with engine.connect() as conn:
            rows = (await conn.execute(select(table).where(table.c.id == 1000).order_by(table.c.id))).all()
        _must([row._asdict()["name"] for row in rows] == ["name 0"])

    async def page(number: int) -> None:
        async with engine.connect() as conn:
            rows = (await conn.execute(select(table).order_by(table.c.name, table.c.id).limit(_PAGE))).all()
        _must(len([row._asdict() for row in rows]) == _PAGE)

    return {"create": create, "read": read, "page": page}


def _of_service(crud: CRUDService) -> dict[str, Act]:
    async def create(number: int) -> None:
        result = await crud.create_record("items", _values(number))
        _must(result.success and result.data["number"] == number)

    async def read(number: int) -> None:
        result = await crud.read_records("items", {"id": 1000})
        _must(result.success and [row["name"] for row in result.data] == ["name 0"])

    async def page(number: int) -> None:
        result = await crud.read_records("items", order_by="name", page=1, page_size=_PAGE)
        _must(result.success and len(result.data) == _PAGE)

    return {"create": create, "read": read, "page": page}


def _must(holds: bool) -> None:
    if not holds:
        raise AssertionError("an operation did not do what it should")
