"""A copy of a server's files by mariadb-backup, whole or what changed since an LSN, streamed.

It is of the whole server: every database, and the accounts. The LSN that a copy leads to stands in its details, so that the next
one needs nothing on this machine but the manifest.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dbops.catalog.codec import digest
from dbops.engines.base.backup import Inventory, Order, Produced, Sink, Told, refuse_options
from dbops.engines.base.connect import Target
from dbops.engines.base.passing import passing_folder
from dbops.engines.base.processes import Stage, running
from dbops.engines.mysql.backup.dumping import beginning, database_clock, read_catalog, schema_state, server_facts
from dbops.engines.mysql.backup.tools import find, option_file, secrets_of
from dbops.engines.mysql.connect import MysqlConnection
from dbops.errors import BackupError

FILES = "files.mbstream"
#: The last words of every run that ended well.
DONE = "completed OK!"
_PIECE = 1 << 20
#: What a policy may tell the tool: how many files it reads at a time, and how many pairs of reads and writes a second at most.
_OPTIONS = ("parallel", "throttle")
_POSITION = re.compile(r"binlog_pos = filename '([^']+)', position '(\d+)'(?:, GTID of the last change '([^']*)')?")


def produce(order: Order, conn: MysqlConnection, target: Target, sink: Sink, told: Told) -> Produced:
    """Copy the files of the server."""
    tool = find("mariadb-backup", "mariabackup")
    refuse_options(order, tool.name, *_OPTIONS)
    since = _since(order, conn)
    before = schema_state(conn)
    placed = set[str]()
    found = digest(read_catalog(conn, placed=placed))
    [(folder,)] = conn.query("SELECT @@datadir")
    told("copying the files of the whole server" + (f" since LSN {since}" if since else ""))
    with passing_folder() as place, option_file(target, tool) as options:
        arguments = [f"--defaults-file={options.path}", "--backup", "--stream=mbstream", f"--extra-lsndir={place}/lsn"]
        arguments += [f"--datadir={folder}", f"--tmpdir={place}", f"--target-dir={place}/target"]
        arguments += [f"--incremental-lsn={since}"] if since else []
        arguments += [f"--{name}={int(value)}" for name, value in order.options.items()]
        stage = Stage(tool.program, tuple(arguments), secrets=secrets_of(target), folder=place, handles=options.handles)
        with sink.stream(FILES) as writer, running([stage]) as pipeline:
            while data := pipeline.read(_PIECE):
                writer.write(data)
            exits = pipeline.finish()
            if DONE not in exits[0].stderr:
                raise BackupError(f"{tool.name} did not say that it was done; the copy is not whole")
        checkpoints = _pairs(place / "lsn" / "xtrabackup_checkpoints")
        position = _position(place / "lsn" / "xtrabackup_info")
    end: dict[str, Any] = {"lsn": int(checkpoints["to_lsn"]), **position, **beginning(order, conn, target, position)}
    lsns = {name: int(checkpoints[name]) for name in ("from_lsn", "to_lsn")}
    warnings = () if position or "log" not in order.kinds else ("no log can follow: the server keeps no binary log",)
    return Produced(
        start=dict(order.parent.end) if order.parent else end,
        end=end,
        ended_at=database_clock(conn),
        tools={tool.name: tool.version_text},
        exits=exits,
        inventory=Inventory(found if schema_state(conn) == before else None),
        details=server_facts(conn) | lsns | {"placed": sorted(placed)},
        warnings=warnings,
    )


def _since(order: Order, conn: MysqlConnection) -> int | None:
    """Return the LSN from which changes are copied, None for everything.

    Raises:
        BackupError: the server has not come that far, so it is not the one that the backup before is of.
    """
    if order.parent is None:
        return None
    since = int(order.parent.details["to_lsn"])
    now = conn.query("SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'")
    if now and int(now[0][1]) < since:
        raise BackupError(
            f"the server is at LSN {now[0][1]}, before {since}, at which {order.parent.id} ended: its files are others now",
            fix="make a full backup: dbops backup run --type full",
        )
    return since


def _pairs(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _position(path: Path) -> dict[str, Any]:
    found = _POSITION.search(path.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        return {}
    return {"file": found[1], "offset": int(found[2])} | ({"gtid": found[3]} if found[3] else {})
