"""What psql, mariadb and sqlite3 make of a script: the statements each of them sends, as bytes on the wire or in a trace.

Every client goes on after errors, so a statement need not be one that succeeds; but a COPY has rows only where it is accepted.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.servers import MysqlServer, PostgresServer
from tests.servers.programs import clean_environment
from tests.sql.relay import mysql_commands, postgres_messages, relayed

_END_OF_ROWS = re.compile(r"(?m)^\\\.\r?\n?\Z")  # some versions of psql send it as well
_COM_INIT_DB, _COM_QUERY = 2, 3


class Sent(NamedTuple):
    """What a client sent in one message, and the rows of a COPY that went with it."""

    text: str
    copy_data: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a script: the messages in order, and all that the client complained of."""

    sent: tuple[Sent, ...]
    complaints: str


def read_by_psql(script: bytes, server: PostgresServer, database: str, folder: Path) -> Reading:
    """Run the script with `psql -f` and return what the server was told."""
    port = server.port
    with relayed(server.home / f".s.PGSQL.{port}", folder / f".s.PGSQL.{port}") as relay:
        command = [*server.client_command("psql", folder), "-Xq", "-v", "VERBOSITY=terse", "-d", database, "-f"]
        complaints = _run(command, script, folder, as_argument=True)
    sent: list[Sent] = []
    for heard in relay.heard:
        for kind, body in postgres_messages(bytes(heard)):
            if kind == "Q":
                sent.append(Sent(body[:-1].decode()))
            elif kind == "d":
                sent[-1] = Sent(sent[-1].text, (sent[-1].copy_data or "") + body.decode())
    return Reading(tuple(Sent(text, _END_OF_ROWS.sub("", rows) if rows else rows) for text, rows in sent), complaints)


def read_by_mysql(script: bytes, server: MysqlServer, database: str, folder: Path) -> Reading:
    """Run the script with `mariadb` or `mysql`, from standard input, and return what the server was told."""
    with relayed(server.socket, folder / "mysql.sock") as relay:
        command = [
            server.make.client,
            "--no-defaults",
            f"--socket={relay.path}",
            f"--user={server.user}",
            "--force",
            "--comments",
        ]
        complaints = _run([*command, "--default-character-set=utf8mb4", database], script, folder)
    sent: list[Sent] = []
    for heard in relay.heard:
        for code, argument in mysql_commands(bytes(heard)):
            if code == _COM_QUERY and argument != b"SELECT DATABASE()":  # which follows each USE
                sent.append(Sent(argument.decode()))
            elif code == _COM_INIT_DB and argument.decode() != database:
                sent.append(Sent(f"use {argument.decode()}"))
    return Reading(tuple(sent), complaints)


_TRACED = re.compile(r"(.*?);? -- \d+ ns\n", re.DOTALL)


def read_by_sqlite3(script: bytes, setup: str, folder: Path) -> Reading:
    """Run the script with `sqlite3` and return the statements it ran; one that does not compile is only complained of."""
    trace = folder / "trace"
    head = f"{setup}\n.trace {trace} --profile\n"
    complaints = _run(["sqlite3", "-batch", "-init", str(_written(folder / "init", head.encode())), ":memory:"], script, folder)
    text = trace.read_bytes().decode() if trace.exists() else ""
    trace.unlink(missing_ok=True)
    return Reading(tuple(Sent(found[1]) for found in _TRACED.finditer(text)), complaints)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _run(command: list[str], script: bytes, folder: Path, *, as_argument: bool = False) -> str:
    file = _written(folder / "script.sql", script)
    with file.open("rb") as stdin:
        done = subprocess.run(
            [*command, str(file)] if as_argument else command,
            stdin=subprocess.DEVNULL if as_argument else stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=clean_environment(),
            cwd=folder,
            timeout=30,
            check=False,
        )
    return done.stderr.decode(errors="replace")
