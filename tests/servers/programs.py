"""Where server and client programs are on this machine, and how they are run: clean environment, never as root."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

POSTGRES_PROGRAMS = ("postgres", "initdb", "pg_isready", "psql", "pg_dump")
MARIADB_PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb")

_SBIN = ("/usr/sbin", "/usr/local/sbin")  # Debian keeps mariadbd here, which is not on every account's PATH
_CLIENT_SETTINGS = re.compile(r"PG[A-Z]+|MYSQL_.*|MARIADB_.*|LANG|LANGUAGE|LC_.*")


class ServerError(Exception):
    """A private server is not installed, did not start, or refused what it was told."""


@cache
def postgres_folder() -> Path:
    """Return the folder that has all of PostgreSQL's programs: pg_config's, else the newest of Debian's, else one of PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    for folder in [*_told_by_pg_config(), *debian, *map(Path, _search_path().split(os.pathsep))]:
        if all(os.access(folder / program, os.X_OK) for program in POSTGRES_PROGRAMS):
            return folder
    raise ServerError("no PostgreSQL server found: install the package postgresql, or run make test")


@cache
def mariadb_program(name: str) -> str:
    """Return the path of one of MariaDB's programs."""
    if path := shutil.which(name, path=_search_path()):
        return path
    raise ServerError(f"no {name} found: install the package mariadb-server, or run make test")


def program_in(folder: Path, name: str) -> str:
    """Return the path of a program of one folder, found from anywhere."""
    path = folder.resolve() / name
    if os.access(path, os.X_OK):
        return str(path)
    raise ServerError(f"no {name} in {folder.resolve()}: name the folder of MySQL's programs, or run make test-mysql")


def missing_packages() -> list[str]:
    """Return the Debian packages that the tests need and this machine lacks."""
    missing = []
    try:
        postgres_folder()
    except ServerError:
        missing.append("postgresql")
    try:
        for program in MARIADB_PROGRAMS:
            mariadb_program(program)
    except ServerError:
        missing.append("mariadb-server")
    return missing


def optional_packages() -> list[str]:
    """Return the Debian packages that this machine lacks and without which some tests are skipped."""
    lacking = [name for name in ("mariadb-backup", "mydumper", "pgbackrest") if shutil.which(name, path=_search_path()) is None]
    return lacking + [f"postgresql-{major}-hypopg" for major in _debian_majors() if not _has_hypopg(major)]


def _debian_majors() -> list[str]:
    """Return the newest PostgreSQL of Debian that is installed, if one is."""
    return sorted((folder.name for folder in Path("/usr/lib/postgresql").glob("[0-9]*")), key=int)[-1:]


def _has_hypopg(major: str) -> bool:
    return Path(f"/usr/share/postgresql/{major}/extension/hypopg.control").exists()


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what servers and clients would obey (PGPORT, MYSQL_HOST, LC_ALL, ...)."""
    kept = {name: value for name, value in os.environ.items() if not _CLIENT_SETTINGS.fullmatch(name)}
    return kept | {"LC_ALL": "C.UTF-8"}


def server_account(name: str) -> dict[str, Any]:
    """Return subprocess arguments that run a program as a server's own account, empty unless we are root.

    Both servers refuse to run as root. A server that was not installed as a package has no account: nobody's serves.
    """
    if os.geteuid() != 0:
        return {}
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = accounts.get(name) or accounts["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def ended_with_parent(signal_name: str) -> list[str]:
    """Return a command prefix that makes the kernel send the signal when the parent dies; empty where there is no setpriv."""
    setpriv = shutil.which("setpriv", path=_search_path())
    return [setpriv, "--pdeathsig", signal_name] if setpriv else []


def is_reachable(folder: Path) -> bool:
    """Whether other accounts, the servers' among them, can enter a folder."""
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def run(command: list[str], *, stdin: str = "", **options: Any) -> str:
    """Run a program to its end and return what it printed.

    Raises: ServerError with its error output, when it fails.
    """
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=clean_environment(), check=False, **options
    )
    if done.returncode:
        raise ServerError(f"{Path(command[0]).name} failed with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN])


def _told_by_pg_config() -> list[Path]:
    pg_config = shutil.which("pg_config")
    return [Path(run([pg_config, "--bindir"]).strip())] if pg_config else []
