"""What a command imports before it does anything; `make bench` says what that costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/environments/01-first-table"
HEAVY = ("sqlalchemy", "sqlglot", "alembic", "rich", "fastapi", "jsonschema", "ruamel", "tenacity", "asyncio")
FOREIGN = ("psycopg", "pymysql")
BACKUPS = ("blake3", "croniter", "cryptography", "fsspec", "obstore", "pyrage", "xxhash", "zstandard")


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first example, applied, so that a plan finds nothing to do."""
    folder = tmp_path_factory.mktemp("startup")
    environment = Path(shutil.copytree(EXAMPLE, folder / "shop"))
    subprocess.run(
        [sys.executable, "-m", "dbops", "apply", str(environment), "--auto-approve"], check=True, env=settings(environment)
    )
    return environment


def settings(environment: Path) -> dict[str, str]:
    return {**os.environ, "XDG_CACHE_HOME": str(environment.parent / "cache")}


def modules(environment: Path, *arguments: str) -> set[str]:
    """Return the modules that a command leaves in memory."""
    code = "import atexit, sys\nfrom dbops.cli.main import main\natexit.register(lambda: print('MODULES', *sys.modules))\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env=settings(environment)
    )
    return set(done.stdout.rsplit("MODULES", 1)[1].split())


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    found = modules(tmp_path / "none", "--help")
    assert found.isdisjoint({*HEAVY, *FOREIGN, *BACKUPS, "pydantic", "yaml", "sqlite3"})


def test_a_plan_without_changes_imports_nothing_heavy(applied: Path) -> None:
    found = modules(applied, "plan", str(applied))
    assert found.isdisjoint({*HEAVY, *FOREIGN, *BACKUPS})


def test_migrations_run_without_a_catalog_and_find_nothing_to_do_with_less(tmp_path: Path) -> None:
    environment = tmp_path / "shop"
    (environment / "migrations").mkdir(parents=True)
    (environment / "shop.yaml").write_text(MIGRATIONS)
    (environment / "migrations" / "0001_a.sql").write_text("CREATE TABLE a (id integer PRIMARY KEY);")
    found = modules(environment, "migrate", "up", str(environment), "--auto-approve")
    assert found.isdisjoint({*HEAVY, *FOREIGN, *BACKUPS, "dbops.catalog.model", "dbops.lint"})
    assert found.isdisjoint(f"dbops.resources.migrations.{name}" for name in OTHER_FORMATS)
    found = modules(environment, "migrate", "up", str(environment))
    assert found.isdisjoint({*HEAVY, *FOREIGN, *BACKUPS, "dbops.catalog.model", "dbops.engines.sqlite.shown"})
    assert found.isdisjoint({"importlib.metadata", "email", "zipfile"})  # of pydantic's search for plugins


MIGRATIONS = """\
apiVersion: dbops/v1
kind: Connection
metadata: {name: shop}
spec: {url: "sqlite:///shop.db"}
---
apiVersion: dbops/v1
kind: MigrationSet
metadata: {name: shop}
spec: {connection: shop, directory: migrations}
"""
OTHER_FORMATS = ("python_files", "json_files", "alembic_scripts", "python_steps")
