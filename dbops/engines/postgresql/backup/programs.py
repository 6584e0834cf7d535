"""PostgreSQL's own programs: which version of one fits a server, and how it is told where the database is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from dbops.engines.base.backup import Exit
from dbops.engines.base.connect import Target
from dbops.engines.base.processes import Stage
from dbops.engines.postgresql.connect import for_tools
from dbops.errors import BackupError

_FOLDERS = "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"
_OF_SERVER = frozenset({"postgres", "pg_ctl", "pg_waldump", "pg_controldata"})
"""What Debian ships with the server; the rest is in postgresql-client-N."""


def find(name: str, major: int, *, exactly: bool = False) -> Path:
    """Return a program of version `major`, or, unless `exactly`, of the next newer one: programs read older servers and archives.

    Raises:
        BackupError: there is none; says what there is, and the Debian package.
    """
    found: dict[int, Path] = {}
    for version, path in _found(name):
        if version == major:
            return path
        found.setdefault(version, path)
    fitting = [version for version in sorted(found) if version > major and not exactly]
    if fitting:
        return found[fitting[0]]
    package = f"postgresql-{major}" if name in _OF_SERVER else f"postgresql-client-{major}"
    there = f", only {name} {', '.join(map(str, sorted(found)))}" if found else ""
    raise BackupError(
        f"there is no {name} {major}{'' if exactly else ' or newer'} here{there}",
        fix=f"install it: apt install {package}",
        error_code="MISSING_TOOL",
    )


def versions(name: str) -> dict[int, Path]:
    """Return the programs of a name by major version; the first of each found counts."""
    found: dict[int, Path] = {}
    for major, path in _found(name):
        found.setdefault(major, path)
    return found


def _found(name: str) -> Iterator[tuple[int, Path]]:
    """Yield the programs of a name with their major versions, the preferred ones first."""
    for folder in _folders():
        path = folder / name
        if not os.access(path, os.X_OK) or path.resolve().name == "pg_wrapper":  # Debian's, which chooses a version by itself
            continue
        major = _version(path, path.stat().st_mtime_ns)
        if major is not None:
            yield major, path


def version_of(path: Path) -> int:
    """Return the major version of a program that `find` found."""
    return _version(path, path.stat().st_mtime_ns) or 0


def stage(
    program: Path,
    arguments: tuple[str, ...],
    target: Target | None = None,
    *,
    env: dict[str, str] | None = None,
) -> Stage:
    """Return a program with arguments, and with a connection to `target` where one is given; secrets are in its environment."""
    if target is None:
        return Stage(program, arguments, env or {})
    conninfo, connecting = for_tools(target, program.name)
    return Stage(program, (*arguments, "--no-password", "-d", conninfo), {**connecting, **(env or {})}, secrets=target.secrets)


def told_versions(*programs: Path) -> dict[str, str]:
    """Return programs with their versions, for the manifest."""
    return {path.name: str(version_of(path)) for path in programs}


def last_line(exit: Exit) -> str:
    """Return the last thing that a program said."""
    return exit.stderr.splitlines()[-1] if exit.stderr else f"exit code {exit.code}"


def _folders() -> Iterator[Path]:
    for pattern in _FOLDERS:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    yield from (Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder)
    if (config := shutil.which("pg_config")) is not None:
        yield _bindir(config)


@cache
def _bindir(config: str) -> Path:
    return Path(subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip())


@cache
def _version(path: Path, changed_ns: int) -> int | None:
    """Ask a program once for each of its states."""
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", told)
    return int(match[1]) if match else None
