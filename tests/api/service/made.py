"""A program with model files, and its service on a database of each engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from dbops.api.service import DatabaseService
from tests.databases import Database, SqliteDatabase

T = TypeVar("T")

#: What the document's examples import, with the name of the module replaced.
IMPORTS = """\
from datetime import datetime
from sqlalchemy import Column, DateTime, ForeignKey, Integer, String
from dbops.db_models import Base, SQLiteJSON, get_database_base
"""

MY_MODULE = (
    IMPORTS
    + """
DATABASE_NAME = "my_module"
MyBase = get_database_base("my_module")

class ModuleData(MyBase):
    __tablename__ = "module_data"
    id = Column(Integer, primary_key=True)
    name = Column(String(100))
    value = Column(SQLiteJSON)
    created_at = Column(DateTime, default=datetime.utcnow)

class Part(MyBase):
    __tablename__ = "parts"
    id = Column(Integer, primary_key=True)
    data_id = Column(ForeignKey("module_data.id"), nullable=False)
"""
)


def url_of(database: Database) -> str:
    """Return what DATABASE_URL says: a folder for SQLite, the one database of all names on a server."""
    return f"sqlite:///{database.path.parent}/databases/" if isinstance(database, SqliteDatabase) else database.url


def write_module(root: Path, text: str = MY_MODULE, module: str = "my_module") -> Path:
    """Write a module's db_models.py."""
    folder = root / module
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "db_models.py"
    file.write_text(text)
    return file


@asynccontextmanager
async def opened(root: Path, database: Database, **settings: Any) -> AsyncIterator[DatabaseService]:
    """Give a service that is initialized, and close it."""
    service = DatabaseService(root, database_url=url_of(database), environ={}, **settings)
    await service.initialize()
    try:
        yield service
    finally:
        await service.close()


def run(root: Path, database: Database, story: Callable[[DatabaseService], Awaitable[T]], **settings: Any) -> T:
    """Run a story with a service of its own."""

    async def told() -> T:
        async with opened(root, database, **settings) as service:
            return await story(service)

    return asyncio.run(told())


def module_of(root: Path, name: str = "my_module") -> Any:
    """Import a program's models as the program itself does, under a name of the test's own."""
    import sys
    from importlib.util import module_from_spec, spec_from_file_location

    from dbops.resources.schema.bases import fresh_bases

    spec = spec_from_file_location(f"program_of_test.{name}", root / name / "db_models.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    with fresh_bases():  # every test is another program
        spec.loader.exec_module(module)
    return module
