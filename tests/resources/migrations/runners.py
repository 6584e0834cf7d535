"""Other migration runners, fetched once into a folder that git ignores, and told to apply small projects.

Python's come from PyPI into an environment of their own, dbmate from npm. Where no registry answers, who asks is told so.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.databases import Database, MysqlDatabase, PostgresDatabase
from tests.servers.programs import clean_environment
from tests.servers.releases import NotToBeHad, cache_folder

_PYTHON = ("alembic", "yoyo-migrations", "setuptools<81", "django", "psycopg[binary]")  # yoyo imports pkg_resources
_NODE = ("dbmate",)
_GRAFANA = ("@grafana/schema@13.2.3", "typescript@5")
_FETCH_TIMEOUT_S = 240.0


def python_runners() -> Path:
    """Return the folder of alembic's, yoyo's and django-admin's programs, and of a Python that knows them.

    Raises: NotToBeHad.
    """
    return _place("python") / "bin"


def dbmate() -> str:
    """Return dbmate's program. Raises: NotToBeHad."""
    return str(_place("node") / "node_modules" / ".bin" / "dbmate")


def typescript() -> Path:
    """Return a folder with Grafana's published types of its dashboards, and the compiler that reads them. Raises: NotToBeHad."""
    return _place("grafana")


def run(command: list[str], folder: Path, **variables: str) -> str:
    """Run a program to its end in a folder; return what it printed."""
    env = {**clean_environment(), **variables}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


def plain_url(database: Database, scheme: str = "postgres") -> str:
    """Return the URL of a database as these runners understand it: a file, or a server over TCP."""
    if isinstance(database, PostgresDatabase):
        return database.server.tcp_url(database.name).replace("postgresql://", f"{scheme}://", 1)
    return database.server.tcp_url(database.name) if isinstance(database, MysqlDatabase) else database.url


def _place(kind: str) -> Path:
    reason, found = _fetched(kind)
    if found is None:
        raise NotToBeHad(reason)
    return found


@cache
def _fetched(kind: str) -> tuple[str, Path | None]:
    """Try once in each process: a registry out of reach stays so."""
    place = cache_folder() / f"runners-{kind}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            try:
                for command in _installing(kind, place):
                    _fetch(command, place)
            except (OSError, subprocess.SubprocessError, NotToBeHad) as error:
                return str(error), None
            (place / "complete").touch()
    return "", place


def _installing(kind: str, place: Path) -> list[list[str]]:
    if kind == "python":
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PYTHON]
        return [[sys.executable, "-m", "venv", str(place)], pip]
    return [["npm", "install", "--silent", "--no-save", "--prefix", str(place), *(_GRAFANA if kind == "grafana" else _NODE)]]


def _fetch(command: list[str], folder: Path) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise NotToBeHad(f"{command[0]} is not installed")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [program, *command[1:]],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_FETCH_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise NotToBeHad(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-500:]}")
