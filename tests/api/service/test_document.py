"""The examples of the service's document, on each engine, with only the name of the module replaced."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from dbops.api.service import (
    DATABASE_MODULE_SETTINGS,
    CRUDService,
    DatabaseInfo,
    DatabaseService,
    Result,
    standard_error,
)
from dbops.errors import DbopsError, RecordError
from tests.api.service.made import IMPORTS, module_of, opened, run, url_of, write_module
from tests.databases import Database, SqliteDatabase

CUSTOM = (
    IMPORTS
    + """
# In any module's db_models.py
DATABASE_NAME = "my_custom_db"

# Get database-specific base
MyBase = get_database_base("my_custom_db")

class MyTable(MyBase):
    __tablename__ = "my_table"
    id = Column(Integer, primary_key=True)
    name = Column(String(100))
"""
)

FRAMEWORK = (
    IMPORTS
    + """
DATABASE_NAME = "framework"

# Define indexes in models
class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    email = Column(String(255), index=True)  # Indexed for fast lookups
    status = Column(String(20))
    created_at = Column(DateTime, index=True)  # Indexed for time-based queries
"""
)


class AppContext:
    """The framework's container of services, as far as the examples speak of it."""

    def __init__(self, **services: Any) -> None:
        self._services = services

    def get_service(self, name: str) -> Any:
        return self._services[name.replace(".", "_")]


def test_databases_are_discovered_and_made_with_their_tables(tmp_path: Path, database: Database) -> None:
    """File-Based Discovery, Table-Driven Creation, Multi-Database Pattern, Index Usage."""
    write_module(tmp_path, CUSTOM, "one")
    write_module(tmp_path, FRAMEWORK, "two")

    async def story(service: DatabaseService) -> None:
        assert service.list_databases() == ["framework", "my_custom_db"]
        assert await service.get_all_tables() == ["my_table", "users"]
        indexes = (await service.get_table_schema("users"))["indexes"]
        assert sorted(index["columns"] for index in indexes) == [["created_at"], ["email"]]
        assert service.get_database("my_custom_db")["tables"] == ["my_table"]

    run(tmp_path, database, story)
    if isinstance(database, SqliteDatabase):
        folder = database.path.parent / "databases"
        assert sorted(file.name for file in folder.glob("*.db")) == ["framework.db", "my_custom_db.db"]


def test_a_server_has_a_database_for_each_name(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Without a database in DATABASE_URL; names as they are, however a server would write them."""
    postgres, mysql = request.getfixturevalue("postgres_server"), request.getfixturevalue("mysql_server")
    one, two = f"service.{tmp_path.name[-20:]}", f"Service-{tmp_path.name[-20:]}"
    write_module(tmp_path, CUSTOM.replace("my_custom_db", one), "one")
    write_module(tmp_path, CUSTOM.replace("my_custom_db", two), "two")

    async def story(url: str) -> None:
        async with DatabaseService(tmp_path, database_url=url, environ={}) as service:
            assert service.list_databases() == sorted([one, two])
            crud = CRUDService(service, database=two)
            assert (await crud.create_record("my_table", {"name": "x"})).success
            assert (await service.get_table_data("my_table", database=one))["total"] == 0

    for server, url in ((postgres, postgres.url("X").replace("/X", "/")), (mysql, mysql.url("X").replace("/X", "/"))):
        try:
            asyncio.run(story(url))
        finally:
            for name in (one, two):
                server.drop_database(name)


def test_operations_make_all_databases_now(tmp_path: Path, database: Database) -> None:
    """Database Creation: DatabaseOperations."""
    write_module(tmp_path, CUSTOM)
    operations = DatabaseService(tmp_path, database_url=url_of(database), environ={}).operations
    discovered_databases = operations.discover_databases()
    assert discovered_databases == {"my_custom_db": ["my_table"]}
    assert operations.create_all_databases_now(discovered_databases) == {"my_custom_db": ["my_table"]}
    for db_name, tables in discovered_databases.items():
        db_path = operations.get_database_path(db_name)
        assert (db_path is not None and db_path.is_file()) == (database.engine == "sqlite")
        engine = operations.create_database_engine(db_name)
        assert operations.create_tables_for_database(engine, tables) == []


def test_modules_make_and_register_a_database_of_their_own(tmp_path: Path, database: Database) -> None:
    """Database Utilities."""
    write_module(tmp_path)

    async def story(service: DatabaseService) -> None:
        db_utils = service.get_database_utilities()
        db_url = db_utils["get_database_url"]("my_module")
        db_info = db_utils["create_database_engine"]("my_module", db_url)
        registered = db_utils["register_database"]("my_module", db_info, "my_module.id")
        assert isinstance(registered, DatabaseInfo) and service.get_database("my_module")["owner"] == "my_module.id"
        await db_info.pool.close()
        if database.engine == "sqlite":
            other = db_utils["create_database_engine"]("other", f"sqlite:///{tmp_path}/elsewhere.db")
            db_utils["register_database"]("other", other, "other.id")
            async with db_utils["get_database_session"]("other")() as session:
                await session.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
                await session.commit()
            assert "t" in await service.get_all_tables("other") and (tmp_path / "elsewhere.db").exists()
            third = db_utils["create_database_engine"]("other", f"sqlite:///{tmp_path}/third.db")
            with pytest.raises(DbopsError, match="registered already"):
                db_utils["register_database"]("other", third, "third.id")

    run(tmp_path, database, story)


def test_modules_use_sessions_and_records(tmp_path: Path, database: Database) -> None:
    """Model Definition, Service Integration, Module Database, Service Database Access and CRUD Operations Pattern."""
    write_module(tmp_path)
    my_table = module_of(tmp_path).ModuleData

    class MyModuleService:
        def __init__(self, app_context: AppContext) -> None:
            self.app_context = app_context

        async def initialize(self) -> None:
            self.db_service = self.app_context.get_service("core.database.service")
            self.session_factory = self.db_service.get_database_session("my_module")
            self.db_utils = self.db_service.get_database_utilities()

        async def some_database_operation(self) -> Any:
            async with self.session_factory() as session:
                from sqlalchemy import select

                result = await session.execute(select(my_table))
                items = result.scalars().all()
                new_item = my_table(name="example")
                session.add(new_item)
                await session.commit()
                return items

        async def save_data(self, name: str, value: Any) -> bool:
            crud_service = self.app_context.get_service("core.database.crud_service")
            result = await crud_service.create_record("module_data", {"name": name, "value": value})
            return bool(result.success)

    async def story(service: DatabaseService) -> None:
        module = MyModuleService(AppContext(core_database_service=service, core_database_crud_service=CRUDService(service)))
        await module.initialize()
        assert await module.some_database_operation() == []
        assert [item.name for item in await module.some_database_operation()] == ["example"]
        assert await module.save_data("settings", {"a": [1, None, "ü"], "large": 12345678901234567890})
        found = (await CRUDService(service).read_records("module_data", {"name": "settings"})).data
        assert found[0]["value"] == {"a": [1, None, "ü"], "large": 12345678901234567890}
        assert found[0]["created_at"] is not None, "defaults of the model hold for records too"

    run(tmp_path, database, story)


def test_records_are_created_read_updated_and_deleted(tmp_path: Path, database: Database) -> None:
    """CRUD Service, Result pattern."""
    write_module(tmp_path, FRAMEWORK)

    async def story(service: DatabaseService) -> None:
        crud = CRUDService(service)
        result = await crud.create_record("users", {"email": "a@x", "status": "active"})
        assert result.success and result.error is None and result.data["id"] == 1
        if not (await crud.update_record("users", 1, {"status": "left"})).success:
            raise AssertionError
        assert (await crud.read_records("users")).data == [{"id": 1, "email": "a@x", "status": "left", "created_at": None}]
        assert (await crud.delete_record("users", 1)).data is True
        gone = await crud.delete_record("users", 1)
        assert not gone.success and gone.error is not None and gone.error["code"] == "RECORD_NOT_FOUND"

    run(tmp_path, database, story)


def test_tables_are_listed_described_and_paged(tmp_path: Path, database: Database) -> None:
    """Pagination Support, Table Operations, Query Optimization."""
    write_module(tmp_path, FRAMEWORK)

    async def story(service: DatabaseService) -> None:
        crud = CRUDService(service)
        rows = [
            {"email": f"{n}@x", "status": "active" if n % 2 else "left", "created_at": f"2025-01-{n % 7 + 1:02}T00:00:00"}
            for n in range(7)
        ]
        assert (await crud.create_records("users", rows)).data == 7
        assert await service.get_all_tables() == ["users"]
        schema = await service.get_table_schema("users")
        assert [column["name"] for column in schema["columns"]] == ["id", "email", "status", "created_at"]
        assert schema["primary_key"] == ["id"] and schema["columns"][0]["primary_key"]
        result = await service.get_table_data(
            table_name="users",
            page=1,
            page_size=2,
            sort_by="created_at",
            sort_desc=True,
            filter_column="status",
            filter_value="active",
        )
        assert [row["email"] for row in result["data"]] == ["5@x", "3@x"]
        assert {name: result[name] for name in ("total", "page", "page_size", "total_pages")} == {
            "total": 3,
            "page": 1,
            "page_size": 2,
            "total_pages": 2,
        }
        data = await service.get_table_data("users", page=1, page_size=20)
        assert [row["id"] for row in data["data"]] == list(range(1, 8))
        found = await service.get_table_data(table_name="users", filter_column="created_at", filter_value="2025-01-01")
        assert [row["email"] for row in found["data"]] == ["0@x"]
        for wrong in ({"page": 0}, {"page_size": 0}, {"sort_by": "nope"}, {"filter_column": "nope"}, {"filter_value": 1}):
            with pytest.raises(RecordError):
                await service.get_table_data("users", **wrong)  # type: ignore[arg-type]

    run(tmp_path, database, story)


def test_status_says_what_there_is(tmp_path: Path, database: Database) -> None:
    """Database Status."""
    write_module(tmp_path, FRAMEWORK)

    async def story() -> None:
        service = DatabaseService(tmp_path, database_url=url_of(database), environ={})
        assert await service.is_ready() == {"ready": False, "status": "not ready"}
        await service.initialize()
        status = await service.get_status()
        assert status["status"] == "connected" and status["tables"] == ["users"] and status["table_count"] == 1
        assert status["initialization"]["tables_created"] == {"framework": ["users"]}
        assert status["engine"] == service.operations.places.base.redacted() and "***" not in status["engine"]
        assert await service.is_ready() == {"ready": True, "status": "ready"}
        await service.close()

    asyncio.run(story())


def test_results_are_made_and_read_as_the_document_does() -> None:
    """Result Pattern."""
    good = Result.success(data={"id": 1})
    bad = Result.error(code="CREATE_FAILED", message="Failed to create record", details={"error": "x"})
    assert good.success and good.data == {"id": 1} and good.error is None and good
    assert not bad.success and bad.data is None and not bad
    assert bad.error == {"code": "CREATE_FAILED", "message": "Failed to create record", "details": {"error": "x"}}
    assert bad.to_dict() == {"success": False, "data": None, "error": bad.error}
    assert Result(True, 1) == Result.success(1) and Result(success=False, error=bad.error) == bad
    with pytest.raises(ValueError, match="error"):
        Result(success=False)


def test_errors_have_the_standard_form(tmp_path: Path, database: Database) -> None:
    """Standardized Error Responses."""
    write_module(tmp_path)

    async def story(service: DatabaseService) -> None:
        with pytest.raises(RecordError) as caught:
            await service.get_table_data("users")
        body = standard_error(caught.value)["error"]
        assert (body["code"], body["module"]) == ("TABLE_NOT_FOUND", "core.database")
        assert body["message"] == "Table 'users' not found in database"
        assert body["details"]["table_name"] == "users"
        assert body["details"]["available_tables"] == ["module_data", "parts"]
        result = await CRUDService(service).read_records("users")
        assert standard_error(result)["error"]["code"] == "TABLE_NOT_FOUND"

    run(tmp_path, database, story)


def test_locked_databases_are_tried_again(tmp_path: Path) -> None:
    """Retry Logic: with the document's own error, and with its number of attempts."""
    calls: list[float] = []

    async def story() -> None:
        service = DatabaseService(tmp_path, environ={}, max_retries=3)
        await service.initialize()
        service.operations.register_database("x", service.operations.create_database_engine("x"))

        async def operation() -> str:
            calls.append(asyncio.get_running_loop().time())
            if len(calls) < 3:
                raise OperationalError("UPDATE t", {}, sqlite3.OperationalError("database is locked"))
            return "done"

        assert await service.execute_with_retry(operation) == "done"
        calls.clear()
        with pytest.raises(DbopsError, match="locked"):
            await service.execute_with_retry(operation, max_retries=2)
        await service.close()

    asyncio.run(story())
    assert len(calls) == 2 and calls[1] - calls[0] >= 0.05


def test_settings_come_from_arguments_variables_and_defaults(tmp_path: Path) -> None:
    """Database Settings, Environment Variables."""
    assert DATABASE_MODULE_SETTINGS["max_retries"]["default"] == 5
    assert DATABASE_MODULE_SETTINGS["connection_timeout"]["default"] == 30
    assert DATABASE_MODULE_SETTINGS["database_url"]["default"] == ""
    environ = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/custom/path/database/",
        "DATABASE_MAX_RETRIES": "10",
        "DATABASE_CONNECTION_TIMEOUT": "60",
        "SQLITE_JOURNAL_MODE": "DELETE",
        "SQLITE_SYNCHRONOUS": "FULL",
        "SQLITE_CACHE_SIZE": "777",
    }
    write_module(tmp_path)

    async def story() -> None:
        service = DatabaseService(tmp_path, environ=environ)
        assert (service.settings.max_retries, service.settings.connection_timeout) == (10, 60)
        await service.initialize()
        assert (tmp_path / "custom/path/database/my_module.db").is_file()
        async with service.get_database_session("my_module")() as session:
            conn = await session.connection()
            found = {
                name: (await conn.exec_driver_sql(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "cache_size", "foreign_keys", "busy_timeout")
            }
        assert found == {"journal_mode": "delete", "synchronous": 2, "cache_size": 777, "foreign_keys": 1, "busy_timeout": 10000}
        await service.close()

    asyncio.run(story())
    default = DatabaseService(tmp_path, environ={"DATABASE_URL": ""}, max_retries=7)
    assert default.settings.max_retries == 7
    assert default.operations.get_database_path("x") == tmp_path / "data/database/x.db"
    for name, value in (("DATABASE_MAX_RETRIES", "many"), ("DATABASE_MAX_RETRIES", "0"), ("SQLITE_JOURNAL_MODE", "WAL; DROP")):
        with pytest.raises(DbopsError, match=name):
            DatabaseService(tmp_path, environ={name: value})
    with pytest.raises(DbopsError, match="memory"):
        DatabaseService(tmp_path, environ={"DATABASE_URL": "sqlite://"})
    with pytest.raises(DbopsError, match="no setting"):
        DatabaseService(tmp_path, environ={}, max_retrys=1)


def test_pools_have_the_documents_measures(tmp_path: Path, database: Database) -> None:
    """Connection Management, Connection Pooling."""
    write_module(tmp_path)

    async def story() -> None:
        async with opened(tmp_path, database) as service:
            pool: Any = service.get_database("my_module").engine.pool
            assert (pool.size(), pool._max_overflow, pool._timeout, pool._recycle, pool._pre_ping) == (20, 10, 30, 3600, True)
        async with opened(tmp_path, database, pool_size=1, max_overflow=0, connection_timeout=1) as service:
            async with service.get_database_session("my_module")() as session:
                await session.connection()
                result = await CRUDService(service).read_records("module_data")
            assert result.error is not None and result.error["code"] == "POOL_EXHAUSTED"

    asyncio.run(story())
