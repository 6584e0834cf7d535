"""One private PostgreSQL server: how it is made, reached, and read without dbops."""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from tests.servers.programs import clean_environment, ended_with_parent, run, server_account
from tests.servers.releases import programs

if TYPE_CHECKING:
    import psycopg

# Throw-away data needs no durability (PostgreSQL manual, "Non-Durable Settings").
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server: its Unix socket lies in `home` and trusts everybody, its TCP port on 127.0.0.1 wants the password.

    `major` None is the version that the machine has installed.
    """

    home: Path
    port: int
    major: int | None = None

    engine: ClassVar[str] = "postgresql"
    account: ClassVar[str] = "postgres"
    stop_signal: ClassVar[str] = "INT"  # fast shutdown: sessions are ended, not waited for
    user: ClassVar[str] = "postgres"
    password: ClassVar[str] = "open:sesame/@1%"  # characters that a URL has to quote

    @property
    def version(self) -> int:
        """The major version."""
        return int((self.home / "data" / "PG_VERSION").read_text())

    @property
    def admin_url(self) -> str:
        """The maintenance database, as superuser."""
        return self.url("postgres")

    def url(self, database: str) -> str:
        """Return the URL of a database over the Unix socket, as superuser without a password."""
        return f"postgresql://{self.user}@/{quote(database)}?host={quote(str(self.home))}&port={self.port}"

    def tcp_url(self, database: str, user: str | None = None, password: str | None = None) -> str:
        """Return the URL of a database over TCP, with the superuser's name and password unless others are given."""
        name, secret = quote(user or self.user, safe=""), quote(password or self.password, safe="")
        return f"postgresql://{name}:{secret}@127.0.0.1:{self.port}/{quote(database)}"

    def connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a new autocommitting connection of the driver."""
        import psycopg

        return psycopg.connect(host=str(self.home), port=self.port, user=self.user, dbname=database, autocommit=True)

    def new_database(self, prefix: str = "test") -> str:
        """Create an empty database and return its name, which begins with the prefix."""
        name = f"{prefix}_{secrets.token_hex(6)}"
        with self.connect("postgres") as conn:
            conn.execute(f'CREATE DATABASE "{name}"'.encode())
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, ending its sessions; nothing happens when it is gone already."""
        with self.connect("postgres") as conn:
            conn.execute('DROP DATABASE IF EXISTS "{}" WITH (FORCE)'.format(name.replace('"', '""')).encode())

    def rows(self, database: str, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement through the driver and return its rows, none when it has no result."""
        with self.connect(database) as conn:
            cursor = conn.execute(sql.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def psql(self, database: str, sql: str) -> str:
        """Run a script with psql, each statement in its own transaction, and return its rows as unaligned text.

        Raises: ServerError at the first statement that fails.
        """
        return run([*self.client_command("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", database], stdin=sql)

    def dump(self, database: str) -> str:
        """Return the schema as pg_dump writes it, without its comments and without what dbops keeps for itself."""
        text = run([*self.client_command("pg_dump"), "--schema-only", "--exclude-schema=dbops", "-d", database])
        # \restrict and \unrestrict carry a key that is new in each dump.
        return re.sub(r"(?m)^(--.*|\\(un)?restrict .*)?\n", "", text)

    def is_ready(self) -> bool:
        """Whether the server accepts connections."""
        return subprocess.run([*self.client_command("pg_isready"), "-q"], env=clean_environment(), check=False).returncode == 0

    def prepare(self) -> None:
        """Make the data directory: trust on the Unix socket, SCRAM on TCP."""
        secret = self.home / "password"
        secret.write_text(self.password)
        run(
            [
                str(programs(self.major).server / "initdb"),
                *("-D", str(self.home / "data"), "-U", self.user, f"--pwfile={secret}", "--no-sync"),
                *("--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
            ],
            cwd=self.home,
            **server_account(self.account),
        )

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        settings = _SETTINGS | {"port": str(self.port), "unix_socket_directories": str(self.home)}
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        server = [str(programs(self.major).server / "postgres"), "-D", str(self.home / "data")]
        return [*ended_with_parent(self.stop_signal), *server, *options]

    def finish(self) -> None:
        """Nothing is left to set up once the server runs: initdb made the accounts."""

    def client_command(self, program: str, folder: Path | None = None) -> list[str]:
        """Return the command of a client program; `folder` holds another socket than the server's own."""
        host = str(folder or self.home)
        return [str(programs(self.major).clients / program), "-h", host, "-p", str(self.port), "-U", self.user]
