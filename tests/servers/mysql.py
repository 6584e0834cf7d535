"""One private MariaDB or MySQL server: how it is made, reached, and read without dbops."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from tests.servers.mysql_features import FEATURES
from tests.servers.mysql_makes import Make, chosen_make
from tests.servers.programs import ServerError, ended_with_parent, run, server_account

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

# Which column of SHOW CREATE holds the statement (MariaDB Knowledge Base and MySQL manual, "SHOW CREATE ...").
_STATEMENT_COLUMN = {"TABLE": 1, "VIEW": 1, "SEQUENCE": 1, "EVENT": 3}
_STATEMENT_COLUMN |= dict.fromkeys(("TRIGGER", "PROCEDURE", "FUNCTION", "PACKAGE", "PACKAGE BODY"), 2)

_OBJECTS = """
SELECT CASE table_type WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END, table_name
  FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name NOT LIKE 'dbops\\_%'
UNION ALL SELECT 'TRIGGER', trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()
UNION ALL SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()
UNION ALL SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema = DATABASE()
"""


@dataclass(frozen=True, slots=True)
class MysqlServer:
    """A running server: root needs no password on the Unix socket in `home`; TCP on 127.0.0.1 knows only `tcp_user`.

    `logs` where it keeps a binary log, which tests of backups alone need.
    """

    home: Path
    port: int
    logs: bool = False

    engine: ClassVar[str] = "mysql"
    log_settings: ClassVar[dict[str, str]] = {"log-bin": "binlog", "server-id": "7", "binlog-format": "ROW"}
    account: ClassVar[str] = "mysql"
    stop_signal: ClassVar[str] = "TERM"
    user: ClassVar[str] = "root"
    tcp_user: ClassVar[str] = "admin"
    password: ClassVar[str] = "open:sesame/@1%"  # characters that a URL has to quote

    @property
    def make(self) -> Make:
        """MariaDB or MySQL."""
        return chosen_make()

    @property
    def socket(self) -> Path:
        """The Unix socket."""
        return self.home / "mysql.sock"

    @property
    def admin_url(self) -> str:
        """The server's own database, as root."""
        return self.url("mysql")

    def url(self, database: str) -> str:
        """Return the URL of a database over the Unix socket, as root without a password."""
        return f"mysql://{self.user}@localhost/{quote(database)}?unix_socket={quote(str(self.socket))}"

    def tcp_url(self, database: str, user: str | None = None, password: str | None = None) -> str:
        """Return the URL of a database over TCP, with `tcp_user`'s name and password unless others are given."""
        name, secret = quote(user or self.tcp_user, safe=""), quote(password or self.password, safe="")
        return f"mysql://{name}:{secret}@127.0.0.1:{self.port}/{quote(database)}"

    def connect(self, database: str, **options: Any) -> pymysql.Connection[Cursor]:
        """Return a new autocommitting connection of the driver."""
        import pymysql

        usual = {"charset": "utf8mb4", "autocommit": True, "ssl_disabled": True}
        return pymysql.connect(unix_socket=str(self.socket), user=self.user, database=database, **usual | options)

    def has(self, feature: str) -> bool:
        """Whether the server can do what `mysql_features` calls so; asked once."""
        return _has(self, feature)

    def new_database(self, prefix: str = "test") -> str:
        """Create an empty database and return its name, which begins with the prefix."""
        name = f"{prefix}_{secrets.token_hex(6)}"
        self.rows("mysql", f"CREATE DATABASE `{name}`")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database; nothing happens when it is gone already."""
        self.rows("mysql", "DROP DATABASE IF EXISTS `{}`".format(name.replace("`", "``")))

    def rows(self, database: str, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement through the driver and return its rows, none when it has no result."""
        with closing(self.connect(database)) as conn, conn.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return list(cursor.fetchall())

    def client(self, database: str, sql: str) -> str:
        """Run a script with the native client (DELIMITER is understood) and return its rows as tab-separated text.

        Raises: ServerError at the first statement that fails.
        """
        options = [f"--socket={self.socket}", f"--user={self.user}", "--default-character-set=utf8mb4", "--batch", "--raw"]
        return run([self.make.client, "--no-defaults", *options, "--skip-column-names", database], stdin=sql)

    def dump(self, database: str) -> str:
        """Return the schema as SHOW CREATE writes it, without counters and without what dbops keeps for itself."""
        with closing(self.connect(database, use_unicode=False)) as conn, conn.cursor() as cursor:
            cursor.execute(_OBJECTS)
            objects = sorted((kind.decode(), name.decode()) for kind, name in cursor.fetchall())
            statements = [self._show_create(cursor, kind, name) for kind, name in objects]
        text = ";\n\n".join(statements).replace(f"`{database}`.", "")
        return re.sub(r" AUTO_INCREMENT=\d+", "", text)

    def is_ready(self) -> bool:
        """Whether the server accepts connections."""
        try:
            self.client("mysql", "SELECT 1")
        except ServerError:
            return False
        return True

    def prepare(self) -> None:
        """Make the data directory."""
        run(self.make.install(self.home), cwd=self.home, **server_account(self.account))

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        places = {"datadir": "data", "tmpdir": "", "socket": self.socket.name, "pid-file": "pid"}
        settings = (
            self.make.settings | {name: str(self.home / place) for name, place in places.items()} | {"port": str(self.port)}
        )
        if self.logs:
            settings = {name: value for name, value in settings.items() if name != "disable-log-bin"} | self.log_settings
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [*ended_with_parent(self.stop_signal), self.make.server, "--no-defaults", *options]

    def finish(self) -> None:
        """Set up the accounts: root on the socket alone, `tcp_user` with a password from everywhere."""
        self.client(
            "mysql",
            f"""
            {self.make.accounts}
            CREATE USER {self.tcp_user}@'%' IDENTIFIED BY '{self.password}';
            GRANT ALL PRIVILEGES ON *.* TO {self.tcp_user}@'%' WITH GRANT OPTION;
            """,
        )

    def _show_create(self, cursor: Cursor, kind: str, name: str) -> str:
        cursor.execute(f"SHOW CREATE {kind} `{name.replace('`', '``')}`")
        row = cursor.fetchone()
        text = row[_STATEMENT_COLUMN[kind]] if row else None
        return f"{kind} {name}: {text.decode(errors='backslashreplace') if text is not None else None}"


@cache
def _has(server: MysqlServer, feature: str) -> bool:
    name = server.new_database("feature")
    try:
        server.client(name, FEATURES[feature])
    except ServerError:
        return False
    finally:
        server.drop_database(name)
    return True
