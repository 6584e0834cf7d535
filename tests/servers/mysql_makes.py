"""The two makes of server that speak MySQL's protocol, and which of them the tests run on.

MariaDB is the one a machine has as a package. MySQL is run where the environment names the folder of its programs:

    DBOPS_TEST_MYSQL=/usr/sbin pytest tests/engines/mysql

`.ci/provision mysql FOLDER` makes such a folder (see `make test-mysql`). Everything else asks the server for its features.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.servers.programs import mariadb_program, program_in

MYSQL_FOLDER = "DBOPS_TEST_MYSQL"

_SETTINGS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "1",  # so that root@localhost is the socket's account alone
    "character-set-server": "utf8mb4",
    "max-connections": "200",
    "innodb-buffer-pool-size": "64M",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
}


@dataclass(frozen=True, slots=True)
class Make:
    """How a server of one make is run: its programs, its settings, and the statements that leave root to the socket alone."""

    name: str
    server: str
    client: str
    settings: dict[str, str]
    accounts: str
    installer: str | None = None

    def install(self, home: Path) -> list[str]:
        """Return the command that makes the data directory `data` in `home`; root needs no password there."""
        places = [f"--datadir={home / 'data'}", f"--tmpdir={home}"]
        if self.installer is None:
            options = [f"--{name}={value}" for name, value in self.settings.items()]
            return [self.server, "--no-defaults", *places, "--initialize-insecure", *options]
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--debug-no-sync"]
        return [self.installer, "--no-defaults", *places, *options]


def chosen_make() -> Make:
    """Return MySQL where its folder is named, else MariaDB.

    Raises: ServerError when its programs are missing.
    """
    folder = os.environ.get(MYSQL_FOLDER)
    return _mysql(Path(folder)) if folder else _mariadb()


def _mariadb() -> Make:
    return Make(
        name="mariadb",
        server=mariadb_program("mariadbd"),
        client=mariadb_program("mariadb"),
        settings=_SETTINGS | {"debug-no-sync": "1"},
        accounts="DELETE FROM mysql.global_priv WHERE host <> 'localhost' OR user = ''; FLUSH PRIVILEGES;",
        installer=mariadb_program("mariadb-install-db"),
    )


def _mysql(folder: Path) -> Make:
    """Nothing is left to other accounts: --initialize-insecure makes root@localhost alone (MySQL 8.4 manual, 2.9.1)."""
    return Make(
        name="mysql",
        server=program_in(folder, "mysqld"),
        client=program_in(folder, "mysql"),
        settings=_SETTINGS | {"disable-log-bin": "1", "mysqlx": "OFF", "secure-file-priv": "NULL"},
        accounts="",
    )
