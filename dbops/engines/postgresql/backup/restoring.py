"""A physical chain brought back: the files into a folder, or one database of them into another server.

In a folder lies at the end what a server leaves that was shut down: recovered to the point, on a timeline of its own, so that its
archive is never taken for that of the original. It is made under another name beside, and renamed when it is complete.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dbops.engines.base.backup import (
    LATEST,
    Link,
    Mechanism,
    Order,
    Point,
    Restored,
    RestoreOrder,
    Told,
    refuse_restore_options,
)
from dbops.engines.postgresql.backup import dumping, loading, pgbackrest
from dbops.engines.postgresql.backup.folders import lay_out, map_tablespaces, tablespaces_beside, take_apart
from dbops.engines.postgresql.backup.parallel import jobs_of
from dbops.engines.postgresql.backup.recovery import Cluster, Running, fetched_from, must_have_reached, recovered, workplace
from dbops.engines.postgresql.backup.segments import lsn_number
from dbops.engines.postgresql.backup.stanzas import NAME
from dbops.errors import BackupError


def must_allow(chain: Sequence[Link], order: RestoreOrder) -> None:
    """Refuse a restore of files; see the port."""
    _check_options(chain, order)
    check_point(chain, order.point)
    if order.folder is None:
        loading.must_allow_database(order)
    else:
        _must_allow_folder(order, order.folder)


def restore(chain: Sequence[Link], order: RestoreOrder, told: Told) -> Restored:
    """Restore a physical chain; see the port."""
    _check_options(chain, order)
    check_point(chain, order.point)
    return _to_folder(chain, order, order.folder, told) if order.folder is not None else _to_database(chain, order, told)


def _check_options(chain: Sequence[Link], order: RestoreOrder) -> None:
    """Refuse options that nobody would read, and wrong numbers."""
    of_files = sorted(pgbackrest.OPTIONS) if chain[0].tool == NAME else []
    refuse_restore_options(order, *(() if order.folder is not None else ("roles", "jobs")), *of_files)
    jobs_of(order.options)


def check_point(chain: Sequence[Link], point: Point) -> None:
    """Refuse a point that the chain cannot lead to, as far as that is known before a byte of it is read."""
    parts, last = take_apart(chain), chain[-1]
    if point == LATEST:
        return
    if not parts.logs:
        raise BackupError(
            f"{last.id} leads to its own end alone, {last.ended_at:%Y-%m-%d %H:%M:%S}Z",
            expected="a point that a log leads to: schedule log backups, or incremental ones by pg_receivewal",
            error_code="POINT_NOT_REACHED",
        )
    is_behind = point.what == "time" and point.time is not None and point.time > last.ended_at
    if is_behind or (point.what == "lsn" and lsn_number(point.text) > lsn_number(last.end["lsn"])):
        raise BackupError(
            f"{point.text or point.time} lies behind the end of the log, {last.ended_at:%Y-%m-%d %H:%M:%S}Z at {last.end['lsn']}",
            expected="an earlier point, or a backup of the log first: dbops backup run --type log",
            error_code="POINT_NOT_REACHED",
        )


@contextmanager
def throwaway(
    chain: Sequence[Link], point: Point, told: Told, options: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Running]:
    """Run a server on a restored chain for the length of a block; nothing of it stays."""
    check_point(chain, point)
    with workplace() as place, _running(chain, point, place / "data", place, told, is_kept=False, options=options) as running:
        yield running


def occupied(folder: Path) -> str | None:
    """Say what a folder holds, None where it is empty or missing."""
    if not os.path.lexists(folder):
        return None
    if not folder.is_dir():
        return f"{folder} is not a folder"
    count = sum(1 for _ in folder.iterdir())
    if (folder / "PG_VERSION").exists():
        version = (folder / "PG_VERSION").read_text(errors="replace").strip()
        return f"{folder} holds a PostgreSQL {version} server"
    return f"{folder} holds {count} files" if count else None


@contextmanager
def _running(
    chain: Sequence[Link],
    point: Point,
    data: Path,
    place: Path,
    told: Told,
    *,
    is_kept: bool,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Running]:
    parts = take_apart(chain)
    facts = chain[0].details
    if chain[0].tool == NAME:
        fetch = pgbackrest.lay_out(chain, data, options, told)
        # its archive goes on beyond this backup
        stop = Point("lsn", text=str(parts.end["lsn"])) if point == LATEST else point
    else:
        lay_out(parts, data, place / "wal", told)
        fetch, stop = fetched_from(place / "wal"), point
    map_tablespaces(data, data)
    databases = [(str(link.details["database"]), link.details.get("database_oid")) for link in reversed(chain)]
    cluster = Cluster(data, fetch, int(facts["major"]), facts["superuser"], databases, is_kept)
    told("replaying the log")
    with recovered(cluster, stop, place) as running:
        must_have_reached(running, parts.end["lsn"], stop)
        yield running


def _must_allow_folder(order: RestoreOrder, folder: Path) -> str | None:
    """Return what a folder holds that goes aside."""
    if order.schemas or order.tables:
        raise BackupError("some tables alone are no server", expected="--to postgresql://host/new_database")
    found = occupied(folder)
    if found is not None and (not order.replaces or (folder / "postmaster.pid").exists()):
        runs = "; a server runs there, or was killed" if (folder / "postmaster.pid").exists() else ""
        raise BackupError(f"{found}{runs}; it was left as it is", fix="restore to another folder, or stop it and give --replace")
    if not folder.parent.is_dir():
        raise BackupError(f"there is no folder {folder.parent}", fix="create it, or correct the path")
    if tablespaces_beside(folder).exists():
        raise BackupError(f"{tablespaces_beside(folder)} is there already", fix="move it away: tablespaces are restored there")
    return found


def _to_folder(chain: Sequence[Link], order: RestoreOrder, folder: Path, told: Told) -> Restored:
    found = _must_allow_folder(order, folder)
    with workplace(folder.parent) as place:
        data = place / "data"
        with _running(chain, order.point, data, place, told, is_kept=True, options=order.options) as running:
            told("recovered; stopping the server")
        map_tablespaces(data, folder)
        aside = _put(data, folder, found is not None)
    reached = {"lsn": running.lsn, "timeline": running.timeline}
    warnings = [f"what was in {folder} is in {aside} now"] if aside else []
    warnings += [f"start it with pg_ctl -D {folder} start; check its settings first, archive_command and subscriptions above all"]
    return Restored(str(folder), reached, (), warnings)


def _put(data: Path, folder: Path, is_occupied: bool) -> Path | None:
    aside = None
    if is_occupied:
        aside = folder.with_name(f"{folder.name}.before-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        folder.rename(aside)
    elif folder.exists():
        folder.rmdir()
    if tablespaces_beside(data).exists():
        tablespaces_beside(data).rename(tablespaces_beside(folder))
    data.rename(folder)
    return aside


def _to_database(chain: Sequence[Link], order: RestoreOrder, told: Told) -> Restored:
    """Dump the database from a throwaway server, and load it where it is wanted."""
    dump = Order(Mechanism("full", "logical", "pg_dump", "dump"), "restore", options={"jobs": jobs_of(order.options)})
    with throwaway(chain, order.point, told, order.options) as running:
        spool = _Spool(running.place / "spool")
        produced = dumping.produce(dump, None, running.target, spool, told)
        last = chain[-1]
        link = replace(last, details=produced.details, end={"lsn": running.lsn, "timeline": last.end["timeline"]}, source=spool)
        return loading.restore([link], replace(order, options=_of_the_load(order.options)), told)


def _of_the_load(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are for the load, and not for pgBackRest."""
    return {name: value for name, value in options.items() if name not in pgbackrest.OPTIONS}


class _Spool:
    """Streams as files of a folder: a sink, and then a source."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700)

    @contextmanager
    def stream(self, name: str, *, is_compressed: bool = False, is_kept: bool = False, feeds: bool = False) -> Iterator[Any]:
        path = self._folder / name
        with path.open("rb" if path.exists() else "xb") as file:
            yield file

    @property
    def names(self) -> list[str]:
        return [path.name for path in self._folder.iterdir()]

    def size(self, name: str) -> int:
        return (self._folder / name).stat().st_size
