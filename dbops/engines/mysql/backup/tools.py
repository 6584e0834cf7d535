"""The programs of MySQL and MariaDB: which are here, of which version, and what each is told.

Options are per tool and version: what one knows makes another end with "unknown option". Where to connect, and the password, they
read from options that lie in no folder and that they inherit from us; these are the only ones they read.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Server, Target
from dbops.engines.base.processes import Pipeline, SecretText, Stage, find_tool, run, running, secret_text
from dbops.engines.mysql.connect import DEFAULT_PORT
from dbops.errors import BackupError

_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/mysql/bin", "/opt/homebrew/bin")
_VERSIONS = (re.compile(r"(\d+)\.(\d+)\.(\d+)-MariaDB"), re.compile(r"\bVer (\d+)\.(\d+)\.(\d+)"), re.compile(r"(\d+)\.(\d+)"))
_CLIENTS: dict[bool, dict[str, tuple[str, ...]]] = {
    True: {"dump": ("mariadb-dump", "mysqldump"), "client": ("mariadb", "mysql"), "binlog": ("mariadb-binlog", "mysqlbinlog")},
    False: {"dump": ("mysqldump",), "client": ("mysql",), "binlog": ("mysqlbinlog",)},
}
_PACKET = "1G"


@dataclass(frozen=True, slots=True)
class Tool:
    """One program. `version` is that of the server it belongs to; of some programs only their own is known."""

    program: Path
    is_mariadb: bool
    version: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def tool_for(role: str, server: Server) -> Tool:
    """Return the program of a role (`dump`, `client`, `binlog`) that belongs to a server.

    Raises:
        BackupError: there is none, it is the other make's, or it is older than the server.
    """
    is_mariadb = server.flavour == "mariadb"
    names = _CLIENTS[is_mariadb][role]
    tool = find(*names)
    if tool.is_mariadb is not is_mariadb and role != "binlog":
        make, package = ("MariaDB", "mariadb-client") if is_mariadb else ("MySQL", "mysql-client")
        raise BackupError(
            f"{tool.name} is of the other make than the server, which is {make}",
            fix=f"install {package}",
            error_code="WRONG_TOOL",
        )
    if role == "dump" and tool.version[:2] < server.version[:2]:
        raise BackupError(
            f"{tool.name} {tool.version_text} is older than the server, {'.'.join(map(str, server.version))}",
            fix="install the client programs of the server's version",
            error_code="OLD_TOOL",
        )
    return tool


def find(*names: str) -> Tool:
    """Return the first program of these names.

    Raises:
        BackupError: there is none; `fix` names the Debian package.
    """
    return tool_at(find_program(*names))


def find_program(*names: str) -> Path:
    """Return where the first program of these names is.

    Raises:
        BackupError: there is none; `fix` names the Debian package.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_FOLDERS))
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    return Path(found) if found else find_tool(*names)


def tool_at(program: Path) -> Tool:
    """Ask a program who it is."""
    return _asked(program, program.stat().st_mtime_ns)


@cache
def _asked(program: Path, changed_at: int) -> Tool:
    output, ended = run(Stage(program, ("--version",)), timeout_s=30)
    return read_version(program, output.decode("utf-8", "replace") + ended.stderr)


def read_version(program: Path, text: str) -> Tool:
    """Read what `--version` says: `Ver 10.19 Distrib 10.11.6-MariaDB` is 10.11.6, `Ver 8.4.2 for Linux` is 8.4.2."""
    is_mariadb = "mariadb" in text.lower()
    found = next((match for pattern in _VERSIONS if (match := pattern.search(text))), None)
    return Tool(program, is_mariadb, tuple(int(part) for part in found.groups()) if found else (0, 0))


def dump_options(tool: Tool, *, position: bool, history: bool) -> tuple[str, ...]:
    """What a dump of tables and views is told. `position` asks for the place in the binary log, `history` for old rows of
    versioned tables.
    """
    options = [
        "--single-transaction",
        "--quick",
        "--hex-blob",
        "--skip-triggers",
        "--skip-add-locks",
        "--skip-add-drop-table",
        "--skip-lock-tables",
        *_every_dump(tool),
    ]
    if position and tool.is_mariadb:
        options += ["--master-data=2", "--gtid"]
    elif position:
        options.append("--source-data=2" if tool.version >= (8, 0, 26) else "--master-data=2")
    # MariaDB sorts the rows of a transaction that began with an empty table anew, which takes twice as long.
    if not tool.is_mariadb:
        options.append("--no-autocommit")
    if history and dumps_history(tool):
        options.append("--dump-history")
    return tuple(options)


def dumps_history(tool: Tool) -> bool:
    """Tell whether old rows of versioned tables can be dumped (MariaDB 10.11)."""
    return tool.is_mariadb and tool.version >= (10, 11)


def code_options(tool: Tool, what: str) -> tuple[str, ...]:
    """What a dump of `triggers`, `routines` or `events` alone is told."""
    only = ("--no-data", "--no-create-info", "--no-create-db", "--skip-opt", "--single-transaction", "--skip-triggers")
    return (*only, f"--{what}", *_every_dump(tool))


def _every_dump(tool: Tool) -> tuple[str, ...]:
    options = ["--default-character-set=utf8mb4", "--set-charset", f"--max-allowed-packet={_PACKET}"]
    if not tool.is_mariadb:
        options += ["--set-gtid-purged=OFF", "--no-tablespaces"]
        if tool.version >= (8, 0):
            options.append("--column-statistics=0")
    else:
        options.append("--no-tablespaces")
    return tuple(options)


def binlog_options(tool: Tool) -> tuple[str, ...]:
    """What the reader of a log is told whose events were chosen before: numbers of what is left out are missing."""
    return ("--loose-skip-gtid-strict-mode",) if tool.is_mariadb else ("--skip-gtids",)


def client_options() -> tuple[str, ...]:
    """What the client is told that runs a dump: nothing in it is a command of the client's but DELIMITER, comments stay."""
    return ("--batch", "--binary-mode", "--comments", "--default-character-set=utf8mb4", f"--max-allowed-packet={_PACKET}")


@contextmanager
def option_file(target: Target, tool: Tool) -> Iterator[SecretText]:
    """Give what says where to connect and as whom."""
    with secret_text(option_text(target, is_mariadb=tool.is_mariadb), name="client.cnf") as options:
        yield options


def option_text(target: Target, *, is_mariadb: bool) -> str:
    """Return the text of the option file."""
    url, query = target.url, dict(target.url.query)
    given: dict[str, str | None] = {"user": url.username or query.get("user")}
    if url.password is not None:
        given["password"] = url.password.reveal()
    if socket := query.get("unix_socket"):
        given |= {"socket": socket, "protocol": "socket"}
    else:
        given |= {"host": url.host or "localhost", "port": str(url.port or DEFAULT_PORT), "protocol": "tcp"}
        given |= _tls(target, query, is_mariadb=is_mariadb)
    lines = [name if value == "" else f"{name}={quoted_option(value)}" for name, value in given.items() if value is not None]
    return "\n".join(["[client]", *lines, ""])


def quoted_option(value: str) -> str:
    """Write a value so that blanks, quotes, `#` and backslashes in it stay what they are."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(character, character) for character in value) + '"'


def _tls(target: Target, query: dict[str, str], *, is_mariadb: bool) -> dict[str, str | None]:
    tls = target.tls
    mode = tls.mode if tls else ("disable" if query.get("ssl_disabled") in ("1", "true", "yes", "on") else "prefer")
    if query.get("ssl_verify_identity") in ("1", "true", "yes", "on"):
        mode = "verify-full"
    files = {
        "ssl-ca": (tls.root_cert if tls else None) or query.get("ssl_ca"),
        "ssl-cert": (tls.cert if tls else None) or query.get("ssl_cert"),
        "ssl-key": (tls.key if tls else None) or query.get("ssl_key"),
    }
    if not is_mariadb:
        words = {"disable": "DISABLED", "require": "REQUIRED", "verify-ca": "VERIFY_CA", "verify-full": "VERIFY_IDENTITY"}
        return files | {"ssl-mode": words.get(mode, "PREFERRED")}
    if mode == "disable":
        return {"skip-ssl": ""}
    verifies = mode in ("verify-ca", "verify-full")  # MariaDB's client checks the name whenever it checks the certificate
    return files | {"ssl": "", ("ssl-verify-server-cert" if verifies else "skip-ssl-verify-server-cert"): ""}


def secrets_of(target: Target) -> tuple[str, ...]:
    """Return what must never be shown of a target."""
    return (*target.secrets, target.url.password.reveal()) if target.url.password else tuple(target.secrets)


@contextmanager
def tool_running(
    tool: Tool,
    target: Target,
    arguments: Sequence[str],
    *,
    stdin: bool = False,
    stdout: bool = True,
    env: Mapping[str, str] | None = None,
) -> Iterator[Pipeline]:
    """Run one program on a server; at the end of the block it must have ended well.

    Raises:
        BackupError: as `processes.running` says.
    """
    with option_file(target, tool) as options:
        given = (f"--defaults-file={options.path}", *arguments)
        stage = Stage(tool.program, given, env or {}, secrets=secrets_of(target), handles=options.handles)
        try:
            with running([stage], stdin=stdin, stdout=stdout) as pipeline:
                yield pipeline
        except BackupError as error:
            raise with_fix(error) from error.__cause__


_UNKNOWN_ENGINE, _UNKNOWN_ZONE = 1286, 1298
_OF_THE_PLACE = {_UNKNOWN_ENGINE: "NO_ENGINE", _UNKNOWN_ZONE: "NO_ZONE"}
#: What a tool's error means, by the server's number at its end: what to do.
_FIXES = {
    1449: "the account that defines it is gone; make it, give the view another definer, or restore with --option definers=skip",
    1005: "where errno is 140, let the server take the options that the backup's did: SET GLOBAL innodb_strict_mode = OFF",
    1118: "where the server of the backup took such rows, let this one: SET GLOBAL innodb_strict_mode = OFF",
    1142: "grant the account what it lacks",
    1153: "raise max_allowed_packet on the server",
    1227: "let an account do it that may make others the definers of views and routines: with SET USER (MariaDB), SET_USER_ID or"
    " SET_ANY_DEFINER (MySQL), or SUPER; a restore with --option definers=skip needs none of these",
    _UNKNOWN_ENGINE: "let the server have that engine (INSTALL SONAME, MariaDB; INSTALL PLUGIN), and enforce no other"
    " (enforce_storage_engine)",
    _UNKNOWN_ZONE: "let the server know zones by name: mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql; one that is"
    " started for a restore has those of this machine (packages tzdata, mariadb-server)",
    1418: "let an account do it that has SUPER, or SET GLOBAL log_bin_trust_function_creators = 1",
    1419: "let an account do it that has SUPER, or SET GLOBAL log_bin_trust_function_creators = 1",
}


def error_number(error: BackupError) -> int | None:
    """Return the server's number of an error that a tool passed on, None where there is none."""
    found = re.search(r"\((\d{4})\)", error.message) or re.search(r"(?:error:|ERROR) (\d{4})\b", error.message)
    return int(found[1]) if found is not None else None


def with_fix(error: BackupError) -> BackupError:
    """Return an error of a tool with what to do about it, where that is known."""
    number = error_number(error)
    if number in _OF_THE_PLACE:
        error.error_code = _OF_THE_PLACE[number]
    if error.fix is None and number is not None:
        error.fix = _FIXES.get(number)
    return error
