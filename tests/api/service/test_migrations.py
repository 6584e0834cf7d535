"""Migrations of the service: Alembic's, generated without a live database, and shared with Alembic and MigrationSet."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dbops.api.service import CRUDService, DatabaseService
from tests.api.service.made import MY_MODULE, opened, url_of, write_module
from tests.databases import Database, SqliteDatabase

MORE = MY_MODULE.replace(
    "    value = Column(SQLiteJSON)\n", "    value = Column(SQLiteJSON)\n    status = Column(String(20), index=True)\n"
)


def columns(schema: dict[str, list[dict[str, str]]]) -> list[str]:
    return [column["name"] for column in schema["columns"]]


def test_a_database_with_tables_gets_a_baseline_and_a_change(tmp_path: Path, database: Database) -> None:
    """Alembic Integration."""
    write_module(tmp_path)

    async def story() -> None:
        async with opened(tmp_path, database) as service:
            await CRUDService(service).create_record("module_data", {"id": 1, "name": "kept"})
            assert (await service.run_migrations("head")).data == {"databases": {}}
            nothing = (await service.downgrade_database("-1")).error
            assert nothing is not None and nothing["code"] == "NO_MIGRATIONS"
            write_module(tmp_path, MORE)
            result = await service.generate_migration("Add new column to users")
            made = result.data["revisions"]["my_module"]
            assert made["baseline"] and Path(made["file"]).name.endswith("_add_new_column_to_users.py")
            assert (await service.get_migration_status())["my_module"]["pending"] == [made["revision"]]
            result = await service.run_migrations("head")
            assert result.data == {
                "databases": {"my_module": {"from": made["baseline"], "to": made["revision"], "applied": [made["revision"]]}}
            }
            assert "status" in columns(await service.get_table_schema("module_data"))
            assert (await service.generate_migration("nothing")).data == {"revisions": {}, "unchanged": ["my_module"]}
            assert (await CRUDService(service).update_record("module_data", 1, {"status": "active"})).data["name"] == "kept"
            result = await service.downgrade_database("previous_revision")
            assert result.data["databases"]["my_module"]["to"] == made["baseline"]
            assert "status" not in columns(await service.get_table_schema("module_data"))
            broken = write_module(tmp_path, "DATABASE_NAME = (", "broken")
            unreadable = (await service.generate_migration("nothing")).error
            assert unreadable is not None and "broken" in unreadable["details"]["problems"][0]
            broken.unlink()
            unknown = await service.run_migrations("nope")
            assert unknown.error is not None and unknown.error["code"] == "MIGRATION_FAILED"
            assert (await service.downgrade_database("base")).success
            assert await service.get_all_tables() == []
        async with opened(tmp_path, database) as service:
            assert await service.get_all_tables() == ["module_data", "parts"], "a new one comes from migrations"
            assert "status" in columns(await service.get_table_schema("module_data"))
            assert (await service.get_migration_status())["my_module"]["pending"] == []

    asyncio.run(story())


def test_a_new_database_starts_with_migrations_and_a_broken_one_leaves_nothing(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path)

    async def story() -> None:
        service = DatabaseService(tmp_path, database_url=url_of(database), environ={})
        made = (await service.generate_migration("first")).data["revisions"]["my_module"]
        assert made["baseline"] is None
        await service.initialize()
        assert await service.get_all_tables() == ["module_data", "parts"]
        write_module(tmp_path, MORE)
        second = (await service.generate_migration("second")).data["revisions"]["my_module"]
        file = Path(second["file"])
        good = file.read_text()
        file.write_text(good.replace("\n\ndef downgrade", "    op.execute('SELECT * FROM missing_table')\n\n\ndef downgrade", 1))
        result = await service.run_migrations()
        assert result.error is not None and "missing_table" in result.error["message"]
        if database.engine != "mysql":  # which commits each statement by itself
            assert "status" not in columns(await service.get_table_schema("module_data"))
            file.write_text(good)
            assert (await service.run_migrations()).success
            assert "status" in columns(await service.get_table_schema("module_data"))
        await service.close()

    asyncio.run(story())


def test_a_step_needs_its_database_where_several_have_migrations(tmp_path: Path, sqlite_database: SqliteDatabase) -> None:
    write_module(tmp_path)
    write_module(tmp_path, MY_MODULE.replace("my_module", "other"), "other")

    async def story() -> None:
        async with opened(tmp_path, sqlite_database) as service:
            write_module(tmp_path, MORE)
            write_module(tmp_path, MORE.replace("my_module", "other"), "other")
            made = (await service.generate_migration("both")).data["revisions"]
            assert set(made) == {"my_module", "other"}
            assert set((await service.run_migrations()).data["databases"]) == {"my_module", "other"}
            error = (await service.downgrade_database("-1")).error
            assert error is not None and error["code"] == "AMBIGUOUS_TARGET"
            assert set((await service.downgrade_database("-1", database="other")).data["databases"]) == {"other"}
            target = made["my_module"]["baseline"]
            assert set((await service.downgrade_database(target)).data["databases"]) == {"my_module"}
            error = (await service.run_migrations(database="nope")).error
            assert error is not None and error["code"] == "DATABASE_NOT_FOUND"

    asyncio.run(story())


@pytest.mark.parametrize("way", ["alembic", "manifest"])
def test_the_same_revisions_are_run_by_alembic_and_by_a_manifest(
    tmp_path: Path, sqlite_database: SqliteDatabase, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    write_module(tmp_path)

    async def first() -> None:
        service = DatabaseService(tmp_path, database_url=url_of(sqlite_database), environ={})
        assert (await service.generate_migration("first")).success

    asyncio.run(first())
    other = tmp_path / "other.db"
    if way == "alembic":
        from alembic.command import upgrade
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(tmp_path / "migrations/my_module"))
        config.set_main_option("sqlalchemy.url", f"sqlite:///{other}")
        upgrade(config, "head")
    else:
        from dbops.usecases.apply import Consent, apply
        from dbops.usecases.runtime import open_workspace

        (tmp_path / "env.yaml").write_text(
            f"""\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: main}}
spec: {{url: "sqlite:///{other}"}}
---
apiVersion: dbops/v1
kind: MigrationSet
metadata: {{name: main}}
spec: {{connection: main, directory: migrations/my_module, format: alembic}}
"""
        )
        with open_workspace(tmp_path) as workspace:
            assert apply(workspace, Consent(lambda _: True)).state == "done"
    found = SqliteDatabase(other).rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
    assert {("module_data",), ("parts",)} <= set(found)
