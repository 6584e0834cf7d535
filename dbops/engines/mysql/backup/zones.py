"""Time zones by name on a private server, which has none by itself: events and logs of servers that know them name some."""

from __future__ import annotations

from pathlib import Path

from dbops.engines.base.backup import Told
from dbops.engines.base.connect import Target
from dbops.engines.base.processes import Stage, running
from dbops.engines.mysql.backup.tools import client_options, find_program, option_file, secrets_of, tool_for
from dbops.engines.mysql.connect import MysqlConnection, connect, on_database
from dbops.errors import BackupError

_ZONES = Path("/usr/share/zoneinfo")
_KNOWN = "SELECT CONVERT_TZ('2000-01-01 12:00:00', 'Europe/London', '+00:00') IS NOT NULL"


def has_zones(conn: MysqlConnection) -> bool:
    """Tell whether a server knows time zones by their names."""
    return bool(conn.query(_KNOWN)[0][0])


def load_zones(server: Target, told: Told) -> None:
    """Let a private server know the zones of this machine; where there are none, what names one fails there."""
    try:
        reader = find_program("mariadb-tzinfo-to-sql", "mysql_tzinfo_to_sql")
    except BackupError as error:
        told(f"time zones are not loaded: {error.message}")
        return
    if not _ZONES.is_dir():
        told(f"time zones are not loaded: there is no {_ZONES} (tzdata)")
        return
    conn = connect(on_database(server, "mysql"))
    try:
        client = tool_for("client", conn.server)
    finally:
        conn.close()
    told("loading time zones")
    with option_file(server, client) as options:
        arguments = (f"--defaults-file={options.path}", *client_options(), "--", "mysql")
        into = Stage(client.program, arguments, secrets=secrets_of(server), handles=options.handles)
        with running([Stage(reader, (str(_ZONES),)), into], stdout=False):
            pass
