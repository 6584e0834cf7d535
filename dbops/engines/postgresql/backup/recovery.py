"""A server of our own on restored files: it replays the log up to a point, and says where that was.

It listens nowhere but in a folder of its own, and obeys no setting of the original: no archiving, no workers of extensions, no
subscriptions, no passwords. Whether it got to the point is not believed but read: a target that was not reached ends the server,
and a reached one stands in the history of the timeline that begins there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Point
from dbops.engines.base.connect import Target, Timeouts
from dbops.engines.base.passing import named, room_in
from dbops.engines.base.processes import ended_with_us, heard, run
from dbops.engines.base.url import DatabaseUrl
from dbops.engines.postgresql.backup.programs import find, stage
from dbops.engines.postgresql.backup.segments import lsn_number
from dbops.engines.postgresql.connect import MAINTENANCE, PostgresConnection, connect
from dbops.engines.postgresql.private import account, ending_on_sigterm, remove_leftovers, socket_folder
from dbops.errors import BackupError, ConnectError, MissingDatabaseError

_WAIT_S = 0.05
_STOP_S = 120.0
_PREPARED = re.compile(r"max_prepared_xacts setting:\s+(\d+)")
_TARGETS = ("recovery_target", "recovery_target_time", "recovery_target_lsn", "recovery_target_name", "recovery_target_xid")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Restored files, and what must be known to start a server on them. `fetch` is its restore_command; `is_kept`: the files are
    written to the disk for good. `databases` are the name and the OID, None where it was not noted, that the database had at the
    links of the chain, the last first: meanwhile it may have been renamed, or another one may have taken its place.
    """

    data: Path
    fetch: str
    major: int
    superuser: str
    databases: Sequence[tuple[str, int | None]]
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A server that has recovered and takes sessions; `place` is a folder for files while it runs."""

    target: Target
    lsn: str
    timeline: int
    why: str
    place: Path


@contextmanager
def workplace(near: Path | None = None) -> Iterator[Path]:
    """Give a folder for a server, named so that what a killed run leaves there is stopped and removed by the next."""
    place = near or Path(tempfile.gettempdir())
    remove_leftovers(place)
    with ending_on_sigterm():
        folder = Path(tempfile.mkdtemp(prefix=f"dbops-pg-{os.getpid()}-", dir=place))
        try:
            with named(folder), room_in(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def recovered(cluster: Cluster, point: Point, place: Path) -> Iterator[Running]:
    """Start a server in `place`, which recovers up to `point`; it is stopped at the end, cleanly where the files are kept.

    Raises:
        BackupError: it does not start, or the point was not reached.
    """
    postgres = find("postgres", cluster.major, exactly=True)
    (cluster.data / "recovery.signal").touch(mode=0o600)
    for name in ("standby.signal", "postmaster.pid", "postmaster.opts"):
        (cluster.data / name).unlink(missing_ok=True)
    log = place / "log"
    hba = place / "pg_hba.conf"
    hba.write_text("local all all trust\n")
    (place / "pg_ident.conf").touch()
    (place / "postgresql.conf").touch()
    give_to_account(cluster.data, place, *_tablespaces(cluster.data))
    with socket_folder(place) as sockets:
        settings = {**_settings(cluster, place, sockets), **_recovery(cluster, point)}
        with _server(postgres, cluster, settings, log) as server:
            target = _wait(server, cluster, sockets, log, point)
            lsn, timeline, why = _reached(cluster.data)
            yield Running(target, lsn, timeline, why, place)


@contextmanager
def _server(postgres: Path, cluster: Cluster, settings: Mapping[str, Any], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for a block."""
    command = [
        *ended_with_us(signal.SIGQUIT),
        str(postgres),
        "-D",
        str(cluster.data),
        *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
    ]
    with log.open("wb") as output, heard(signal.SIGQUIT):
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=account(),
            cwd="/",
            start_new_session=True,
        )
    is_well = False
    try:
        yield server
        is_well = True
    finally:
        _stop(server, signal.SIGINT if is_well and cluster.is_kept else signal.SIGQUIT)
    if cluster.is_kept and server.returncode != 0:
        raise BackupError(f"the server did not stop cleanly: {_last_words(log)}")


def fetched_from(folder: Path) -> str:
    """Return a restore_command that finds segments of the log in a folder."""
    return f'cp {shlex.quote(str(folder)).replace("%", "%%")}/"%f" "%p"'


def give_to_account(*places: Path) -> None:
    """Give files to the account that runs the server, where we are root."""
    name = account()
    if name is None:
        return
    for place in places:
        if not place.exists():
            continue
        shutil.chown(place, name, _group(name))
        for folder, folders, files in os.walk(place):
            for entry in (*folders, *files):
                path = Path(folder) / entry
                if not path.is_symlink():
                    shutil.chown(path, name, _group(name))


def _group(name: str) -> int:
    import pwd

    return pwd.getpwnam(name).pw_gid


def _tablespaces(data: Path) -> list[Path]:
    links = data / "pg_tblspc"
    return [link.resolve() for link in links.iterdir() if link.is_symlink()] if links.is_dir() else []


def _settings(cluster: Cluster, place: Path, sockets: Path) -> dict[str, Any]:
    """What stands on the command line wins over every file."""
    durable = "on" if cluster.is_kept else "off"
    return {
        "config_file": place / "postgresql.conf",
        "hba_file": place / "pg_hba.conf",
        "ident_file": place / "pg_ident.conf",
        "external_pid_file": "",
        "listen_addresses": "",
        "unix_socket_directories": sockets,
        "port": 5432,
        "cluster_name": "dbops",
        "ssl": "off",
        "shared_buffers": "64MB",
        "huge_pages": "off",
        "dynamic_shared_memory_type": "mmap",  # in the folder, so that nothing of it outlives an abrupt end
        "max_connections": 20,
        "max_prepared_transactions": _prepared(cluster),
        "shared_preload_libraries": "",
        "session_preload_libraries": "",
        "local_preload_libraries": "",
        "max_logical_replication_workers": 0,
        "archive_mode": "off",
        "archive_command": "",
        "primary_conninfo": "",
        "primary_slot_name": "",
        "hot_standby": "off",
        "autovacuum": "off",
        "logging_collector": "off",
        "log_destination": "stderr",
        "lc_messages": "C",
        "fsync": durable,
        "full_page_writes": durable,
        "synchronous_commit": durable,
    }


def _prepared(cluster: Cluster) -> int:
    """Prepared transactions need as much room as they had; without the program, room for some."""
    try:
        text, _ = run(stage(find("pg_controldata", cluster.major, exactly=True), (str(cluster.data),)))
    except BackupError:
        return 100
    match = _PREPARED.search(text.decode("utf-8", "replace"))
    return int(match[1]) if match else 100


def _recovery(cluster: Cluster, point: Point) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "restore_command": cluster.fetch,
        "archive_cleanup_command": "",
        "recovery_end_command": "",
        "recovery_target_timeline": "current",
        "recovery_target_inclusive": "on",
        "recovery_target_action": "promote",
        **dict.fromkeys(_TARGETS, ""),
    }
    if point.what != "latest":
        # the last of all: setting one to nothing behind it counts as a second target
        del settings[f"recovery_target_{point.what}"]
        settings[f"recovery_target_{point.what}"] = point.time.isoformat(sep=" ") if point.time else point.text
    return settings


def _target(cluster: Cluster, sockets: Path, database: str) -> Target:
    url = DatabaseUrl("postgresql", cluster.superuser, database=database, query=(("host", str(sockets)), ("port", "5432")))
    return Target("", url, Timeouts(30, 0, 0), attempts=1)


def _wait(server: subprocess.Popen[bytes], cluster: Cluster, sockets: Path, log: Path, point: Point) -> Target:
    """Wait for the end of recovery, however long it takes, and return the database; the server ends when it cannot go on."""
    names = iter(dict.fromkeys((*(name for name, _ in cluster.databases), *MAINTENANCE)))
    target = _target(cluster, sockets, next(names))
    while True:
        if server.poll() is not None:
            raise _failed(_last_words(log), point)
        try:
            with closing(connect(target)) as conn:
                if conn.query("SELECT pg_catalog.pg_is_in_recovery()") == [(False,)]:
                    return _target(cluster, sockets, _database(conn, cluster))
        except MissingDatabaseError as error:
            name = next(names, None)
            if name is None:
                raise BackupError(f"the restored server has no such database: {error.message}") from error
            target = _target(cluster, sockets, name)
        except ConnectError:
            time.sleep(_WAIT_S)


def _database(conn: PostgresConnection, cluster: Cluster) -> str:
    """Return the name that the database has at the point which was recovered to.

    Raises:
        BackupError: there is none at that point.
    """
    there = {int(oid): str(name) for oid, name in conn.query("SELECT oid::bigint, datname::text FROM pg_catalog.pg_database")}
    for name, oid in cluster.databases:
        if oid in there:
            return there[oid]
        if oid is None and name in there.values():
            return name
    for name, _ in cluster.databases:
        if name in there.values():
            return name
    raise BackupError(f"there is no database {cluster.databases[0][0]} at that point: it was made later, or dropped before")


def _failed(words: str, point: Point) -> BackupError:
    if "before configured recovery target was reached" in words:
        return BackupError(
            f"the log ends before {point.text or point.time} is reached",
            expected="a point that the log of the chain leads to",
            error_code="POINT_NOT_REACHED",
        )
    if "before consistent recovery point" in words:
        return BackupError(
            f"{point.text or point.time} lies before the end of the full backup of this chain",
            expected="a later point, or an earlier full backup",
            error_code="POINT_NOT_REACHED",
        )
    return BackupError(f"the restored server does not start: {words}")


def _last_words(log: Path) -> str:
    # what our own sessions were told while it was not ready says nothing
    lines = [
        line for line in log.read_text(errors="replace").splitlines() if line and "FATAL:  the database system is" not in line
    ]
    last = [line.partition(":  ")[2].strip() for line in lines if "FATAL:" in line or "PANIC:" in line] or lines
    return last[-1] if last else "it said nothing"


def _reached(data: Path) -> tuple[str, int, str]:
    """Read where recovery ended and why: the last line of the history of the timeline that began there."""
    path = max((data / "pg_wal").glob("*.history"))
    last = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line and line[0].isdigit()][-1]
    _, lsn, why = last.split("\t", 2)
    return lsn, int(path.stem, 16), why


def must_have_reached(running: Running, end: str, point: Point) -> None:
    """Compare where recovery ended with where it had to get to.

    Raises:
        BackupError: the log ended early.
    """
    if point.what == "latest" and lsn_number(running.lsn) < lsn_number(end):
        raise BackupError(
            f"the log could be replayed up to {running.lsn} only, and goes to {end}", error_code="POINT_NOT_REACHED"
        )
    if point.what != "latest" and running.why == "no recovery target specified":
        raise BackupError(f"{point.text or point.time} was not reached", error_code="POINT_NOT_REACHED")


def _stop(server: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if server.poll() is None:
        server.send_signal(how)
        try:
            server.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
