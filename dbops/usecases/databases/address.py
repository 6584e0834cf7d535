"""A database URL, or its parts, as the target of an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target, Timeouts, Tls
from dbops.engines.base.secret import SecretValue
from dbops.engines.base.url import MEMORY, DatabaseUrl, EngineName, parse_url
from dbops.errors import ConnectError

TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]

#: Port and user name of a server of which nothing else is said.
DEFAULTS: dict[str, tuple[int | None, str | None]] = {
    "sqlite": (None, None),
    "postgresql": (5432, "postgres"),
    "mysql": (3306, "root"),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a URL says, read: `database` is a path on SQLite, `password` empty where there is none."""

    engine: str
    database: str
    host: str | None
    port: int | None
    username: str | None
    password: str


def parts_of(url: str) -> Parts:
    """Read a URL.

    Raises:
        ConnectError: it is none, or of a database that is not known.
    """
    read = parse_url(url)
    password = read.password.reveal() if read.password else ""
    return Parts(read.engine, read.database or "", read.host, read.port, read.username, password)


def url_of(parts: Parts) -> str:
    """Return the URL with all that needs it percent-escaped, the password too: a secret."""
    return _url(parts).reveal()


def redacted(url: str) -> str:
    """Return a URL with `***` in place of its password."""
    return parse_url(url).redacted()


def title_of(url: str) -> str:
    """Return a short name for the database of a URL: the stem of the file, or the database's own name."""
    read = parse_url(url)
    if read.engine != "sqlite":
        return read.database or read.username or read.engine
    return "memory" if read.database in (None, MEMORY) else Path(str(read.database)).stem


def same_place(one: str, other: str) -> bool:
    """Tell whether two URLs are the same, relative paths of SQLite read from the working directory; memory is never shared."""
    here = Path.cwd()
    first, second = parse_url(one).under(here), parse_url(other).under(here)
    return first == second and first.database != MEMORY


def target_of(url: str, *, timeout_s: float, attempts: int, tls_mode: str) -> Target:
    """Return the target of a URL: `timeout_s` limits connecting and waiting for a lock, `attempts` are those to connect.

    SQLite enforces foreign keys. A `sslmode` in the URL wins.

    Raises:
        ConnectError: not a database URL, or no such TLS mode.
    """
    if tls_mode not in get_args(TlsMode):
        raise ConnectError(f"unknown TLS mode {tls_mode!r}", expected=f"one of {', '.join(get_args(TlsMode))}")
    read = parse_url(url).under(Path.cwd())
    is_file = read.engine == "sqlite"
    return Target(
        "",
        read,
        Timeouts(connect_s=timeout_s, lock_s=timeout_s),
        attempts=max(1, attempts),
        tls=None if is_file else Tls(tls_mode),
        settings=(("foreign_keys", "1"),) if is_file else (),
        secrets=(read.password.reveal(),) if read.password else (),
    )


def _url(parts: Parts) -> DatabaseUrl:
    engine: EngineName = "sqlite" if parts.engine == "sqlite" else "postgresql" if parts.engine == "postgresql" else "mysql"
    if engine == "sqlite":
        return DatabaseUrl(engine, database=parts.database or MEMORY)
    password = SecretValue(parts.password) if parts.password else None
    return DatabaseUrl(engine, parts.username, password, parts.host, parts.port, parts.database or None)
