"""`import dbops` is cheap: names are loaded when they are used."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

import dbops


def test_importing_dbops_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import dbops; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"dbops", "dbops.version", "__future__"}


def test_importing_dbops_costs_less_than_three_times_sqlite3() -> None:
    assert min(cpu_s("import dbops") for _ in range(5)) < 3 * min(cpu_s("import sqlite3") for _ in range(5))


def cpu_s(code: str) -> float:
    """User and system time of a Python that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_every_name_is_there_and_no_other() -> None:
    assert set(dbops.__all__) == {*dbops._HOMES, "__version__"} and set(dbops.__all__) <= set(dir(dbops))
    assert all(getattr(dbops, name) is not None for name in dbops.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = dbops.Nothing
    with pytest.raises(ImportError):
        exec("from dbops import Nothing")


def test_older_programs_find_the_modules() -> None:
    from dbops import connections, db_manager, lineage, migration, performance_monitor

    assert db_manager.DatabaseManager is dbops.DatabaseManager
    assert connections.ConnectionPool is dbops.ConnectionPool
    assert lineage.LineageGraph is dbops.LineageGraph
    assert migration.MigrationRunner is dbops.MigrationRunner
    assert performance_monitor.DatabaseMonitor is dbops.DatabaseMonitor
