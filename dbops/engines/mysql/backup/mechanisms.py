"""What this server, account and machine can do, and why not: a few queries, and a look at the programs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from dbops.dataclass import dataclass
from dbops.engines.base.backup import KINDS, BackupKind, Mechanism, Method
from dbops.engines.base.connect import Target
from dbops.engines.base.processes import missing_tool
from dbops.engines.mysql.backup.dumping import DUMP_FAMILY, has_history
from dbops.engines.mysql.backup.mydumper import MYDUMPER
from dbops.engines.mysql.backup.privileges import Privileges, account_of, fix_for, privileges_of
from dbops.engines.mysql.backup.tools import Tool, find, find_program, tool_for
from dbops.engines.mysql.connect import MysqlConnection
from dbops.errors import BackupError, QueryError

FILES_FAMILY = "files"
_LOCKS = (
    "mydumper locks all tables for a moment (FLUSH TABLES WITH READ LOCK), for which it waits behind statements that write;"
    " where a query has run for a minute, it gives up"
)
#: Names that mydumper writes into statements, and into names of files, as they are.
_UNNAMED = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type <> 'VIEW' AND table_name REGEXP '[`/]'
UNION SELECT table_name FROM information_schema.columns WHERE table_schema = DATABASE() AND column_name LIKE '%`%' LIMIT 1"""
_INCREMENTS: tuple[BackupKind, ...] = ("incremental", "differential")
_LOG_POINTS: frozenset[Literal["time", "lsn", "name"]] = frozenset({"time", "lsn"})


_UNSEEN = """
SELECT table_name FROM information_schema.columns
WHERE table_schema = DATABASE() AND extra LIKE '%INVISIBLE%' AND extra NOT LIKE '%GENERATED%' LIMIT 1"""


#: mydumper reads and writes all texts as bytes, which other types (uuid, inet6) take for something else.
_STRANGE = """
SELECT table_name, data_type FROM information_schema.columns
WHERE table_schema = DATABASE() AND data_type NOT IN (
  'tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'float', 'double', 'bit', 'year', 'date', 'time', 'datetime',
  'timestamp', 'char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'binary', 'varbinary', 'tinyblob', 'blob',
  'mediumblob', 'longblob', 'enum', 'set', 'geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring',
  'multipolygon', 'geometrycollection', 'geomcollection') LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something does not work; empty when it does."""

    text: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class LogState:
    """What the server says of its binary log."""

    is_on: bool
    format: str
    is_encrypted: bool
    server_id: int = 1


def mechanisms(conn: MysqlConnection, target: Target, kinds: Collection[BackupKind] = KINDS) -> Iterator[Sequence[Mechanism]]:
    """Yield every way to make each of `kinds`; see the port."""
    may, log = privileges_of(conn), log_state(conn)
    logs, log_tool = log_reason(conn, may, log) if "log" in kinds else (Reason(), "")
    dump, dump_tool = _dump_reason(conn, may)
    none = "a dump holds everything, so none holds only what changed; the binary log does"
    instead = f"schedule type log behind it, or choose {_files_tool(conn)}"
    dumps = [_dumped(kind, dump_tool, Reason(none, instead)) for kind in _INCREMENTS if kind in kinds]
    if "log" in kinds:
        dumps.append(_logged(DUMP_FAMILY, log_tool, _first(logs, position_reason(conn, may, log))))
    if "full" in kinds:
        rows = replace(_dumped("full", MYDUMPER, _mydumper_reason(conn, may, dump)), caution=_LOCKS)
        dumps = [_dumped("full", dump_tool, dump), rows, *dumps]
    yield dumps
    reason, tool = _files_reason(conn, may)
    files = [
        Mechanism(kind, "physical", tool, FILES_FAMILY, reason.text, reason.fix)
        for kind in ("full", *_INCREMENTS)
        if kind in kinds
    ]
    yield [*files, *([_logged(FILES_FAMILY, log_tool, logs)] if "log" in kinds else ())]


def _files_tool(conn: MysqlConnection) -> str:
    return "mariadb-backup" if conn.server.flavour == "mariadb" else "xtrabackup"


def log_state(conn: MysqlConnection) -> LogState:
    """Ask for the settings of the binary log."""
    [(is_on, form, server_id)] = conn.query("SELECT @@GLOBAL.log_bin, @@GLOBAL.binlog_format, @@GLOBAL.server_id")
    encrypted = conn.query(
        "SHOW GLOBAL VARIABLES WHERE variable_name IN ('encrypt_binlog', 'binlog_encryption') AND value = 'ON'"
    )
    return LogState(bool(is_on), str(form).upper(), bool(encrypted), int(server_id))


def position_reason(conn: MysqlConnection, may: Privileges, log: LogState) -> Reason:
    """Why a dump cannot say where in the binary log it is.

    MariaDB tells everybody within the snapshot (Binlog_snapshot_file); for MySQL mysqldump holds all tables for a moment (RELOAD)
    and asks (REPLICATION CLIENT).
    """
    if not log.is_on:
        return _no_log()
    wanted = () if conn.server.flavour == "mariadb" else ("RELOAD", "REPLICATION CLIENT")
    return _lacking(conn, may.lacks(*wanted), "to say where in the binary log a dump is")


def _dumped(kind: BackupKind, tool: str, reason: Reason) -> Mechanism:
    return Mechanism(kind, "logical", tool, DUMP_FAMILY, reason.text, reason.fix, picks=frozenset({"table"}))


def _logged(family: str, tool: str, reason: Reason) -> Mechanism:
    method: Method = "logical" if family == DUMP_FAMILY else "physical"
    return Mechanism("log", method, tool, family, reason.text, reason.fix, points=_LOG_POINTS)


def _dump_reason(conn: MysqlConnection, may: Privileges) -> tuple[Reason, str]:
    usual = "mariadb-dump" if conn.server.flavour == "mariadb" else "mysqldump"
    tool, reason = _tool(lambda: tool_for("dump", conn.server))
    lacking = _lacking(conn, may.lacks("SELECT", "SHOW VIEW", "TRIGGER", "EVENT"), "to read all that a dump holds")
    return _first(reason, lacking, _routines_hidden(conn, may)), tool.name if tool else usual


def _mydumper_reason(conn: MysqlConnection, may: Privileges, dump: Reason) -> Reason:
    """Why mydumper cannot dump; all but the rows is left to the server's own program. Its sessions see one state because all
    tables are locked for a moment.
    """
    reason = _absent(MYDUMPER)
    if conn.server.flavour != "mariadb":
        why = "mydumper is driven for MariaDB alone: of new versions of MySQL it does not say where in the log a dump is"
        return Reason(why, "tool: mysqldump")
    instead = "tool: mariadb-dump"
    history = Reason("mydumper leaves out old rows of versioned tables", instead) if has_history(conn) else Reason()
    unnamed = [str(name) for (name,) in conn.query(_UNNAMED)]
    names = Reason(f"mydumper cannot name the table {unnamed[0]}, or a column of it", instead) if unnamed else Reason()
    unseen = [str(name) for (name,) in conn.query(_UNSEEN)]
    columns = Reason(f"mydumper leaves out the invisible columns of {unseen[0]}", instead) if unseen else Reason()
    lacking = _lacking(conn, may.lacks("RELOAD", "REPLICATION CLIENT"), "to give several sessions one state")
    strange = conn.query(_STRANGE)
    types = Reason(f"mydumper writes {strange[0][1]} as bytes, as in {strange[0][0]}", instead) if strange else Reason()
    return _first(dump, reason, history, names, columns, types, lacking)


def _routines_hidden(conn: MysqlConnection, may: Privileges) -> Reason:
    """Why a dump would leave out routines, of which it says nothing: the server hides those an account has no right on."""
    if conn.server.flavour != "mariadb":
        hidden = not (may.of_server & {"SELECT", "SHOW_ROUTINE", "ALL PRIVILEGES"})
        right = "SHOW_ROUTINE ON *.*"
    else:
        hidden = bool(may.lacks("SHOW CREATE ROUTINE")) and not _may_read(conn, "mysql.proc")
        right = "SELECT ON mysql.proc"
    if not hidden:
        return Reason()
    return Reason(
        f"{conn.server.user} does not see the routines of others, which a dump would leave out without a word",
        f"GRANT {right} TO {account_of(conn)}",
    )


def _may_read(conn: MysqlConnection, table: str) -> bool:
    try:
        conn.query(f"SELECT 1 FROM {table} LIMIT 0")
    except QueryError:
        return False
    return True


def log_reason(conn: MysqlConnection, may: Privileges, log: LogState) -> tuple[Reason, str]:
    """Return why the binary log cannot be copied, and the tool that does."""
    usual = "mariadb-binlog" if conn.server.flavour == "mariadb" else "mysqlbinlog"
    tool, reason = _tool(lambda: tool_for("binlog", conn.server))
    settings = Reason()
    if not log.is_on:
        settings = _no_log()
    elif log.format == "STATEMENT":
        settings = Reason(
            "binlog_format is STATEMENT: what is replayed need not do the same again (UUID(), LIMIT without ORDER BY)",
            "SET GLOBAL binlog_format = ROW, also in the server's configuration",
        )
    elif log.server_id == 0:
        settings = Reason(
            "server_id is 0: a server without a number sends its log to nobody",
            "SET GLOBAL server_id = 1, also in the server's configuration",
        )
    elif log.is_encrypted:
        settings = Reason(
            "the binary log is encrypted on disk, so that places in a copy are others than the server's",
            "turn encrypt_binlog or binlog_encryption off and encrypt the backups",
        )
    lacking = _lacking(conn, may.lacks("REPLICATION SLAVE", "REPLICATION CLIENT"), "to read the binary log")
    return _first(settings, reason, lacking), tool.name if tool else usual


def _files_reason(conn: MysqlConnection, may: Privileges) -> tuple[Reason, str]:
    """MySQL's XtraBackup comes from Percona's own archive and is not driven."""
    if conn.server.flavour != "mariadb":
        return Reason("Percona XtraBackup is not driven by dbops", "choose mysqldump, or run XtraBackup beside"), "xtrabackup"
    tool, reason = _tool(lambda: find("mariadb-backup", "mariabackup"))
    if tool is not None and tool.version[:2] != conn.server.version[:2]:
        versions = f"{tool.name} {tool.version_text}", ".".join(map(str, conn.server.version))
        reason = Reason(
            f"{versions[0]} copies files of its own version only, and the server is {versions[1]}",
            "install the package mariadb-backup of the server's version",
        )
    lacking = _lacking(conn, may.lacks("RELOAD", "PROCESS", "REPLICATION CLIENT"), "to copy the server's files")
    return _first(_locality(conn), reason, lacking), tool.name if tool else "mariadb-backup"


def _locality(conn: MysqlConnection) -> Reason:
    """Why the files of the server cannot be read from here."""
    [(folder, host)] = conn.query("SELECT @@datadir, @@hostname")
    place = Path(str(folder))
    here = "run dbops on the server's machine, as an account that may read its files"
    if str(host) != socket.gethostname():
        return Reason(f"the server is on another machine, {host}, and its files are copied by who can read them", here)
    try:
        readable = os.access(place, os.R_OK | os.X_OK) and os.access(place / "ibdata1", os.R_OK)
    except OSError:
        readable = False
    return Reason() if readable else Reason(f"this account may not read {place}, where the server keeps its files", here)


def _no_log() -> Reason:
    return Reason(
        "the server keeps no binary log: log_bin is OFF",
        "set log_bin, server_id and binlog_format = ROW in the server's configuration, and restart it",
    )


def _lacking(conn: MysqlConnection, missing: list[str], purpose: str) -> Reason:
    if not missing:
        return Reason()
    return Reason(f"{conn.server.user} lacks {', '.join(missing)} {purpose}", fix_for(conn, missing))


def _tool(look: Callable[[], Tool]) -> tuple[Tool | None, Reason]:
    try:
        return look(), Reason()
    except BackupError as error:
        return None, Reason(error.message, error.fix or missing_tool("mariadb-dump"))


def _absent(name: str) -> Reason:
    try:
        find_program(name)
    except BackupError as error:
        return Reason(error.message, error.fix or missing_tool(name))
    return Reason()


def _first(*reasons: Reason) -> Reason:
    return next((one for one in reasons if one.text), Reason())
