"""Database URLs: what `postgresql://user:password@host:port/database?parameter=value` says, read without importing a driver."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal, NoReturn
from urllib.parse import parse_qsl, quote, unquote

from dbops.dataclass import dataclass
from dbops.engines.base.secret import HIDDEN, SecretValue
from dbops.errors import ConnectError

EngineName = Literal["sqlite", "postgresql", "mysql"]

#: Every scheme understood and the engine it names; `+driver` may follow any of them and is ignored.
SCHEMES: dict[str, EngineName] = {
    "sqlite": "sqlite",
    "sqlite3": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}

MEMORY = ":memory:"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9.-]*)(?:\+[A-Za-z0-9_.-]+)?://")
_SECRET_PARAMETER = re.compile(r"pass|secret|token|key$", re.IGNORECASE)
_NOT_SECRET = frozenset({"passfile", "sslkey", "ssl_key"})
_ESCAPE_HINT = "write special characters of a user name or password as percent-escapes: @ as %40, : as %3A, / as %2F, ? as %3F"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Where a database is. `repr` and `str` never show the password.

    `database` is a path or `:memory:` on SQLite, else a name, None for the server's default. `query` keeps the driver's own
    parameters in the order written.
    """

    engine: EngineName
    username: str | None = None
    password: SecretValue | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    query: tuple[tuple[str, str], ...] = ()

    def redacted(self) -> str:
        """Return the URL with `***` in place of the password and of query parameters that carry secrets."""
        query = tuple((name, HIDDEN if _is_secret(name) else value) for name, value in self.query)
        return self._text(HIDDEN if self.password is not None else None, query)

    def reveal(self) -> str:
        """Return the complete URL with the password, for a driver and nobody else."""
        return self._text(None if self.password is None else quote(self.password.reveal(), safe=""), self.query)

    def with_database(self, name: str | None) -> DatabaseUrl:
        """Return the same address with another database of the same server."""
        return replace(self, database=name)

    def with_password(self, password: SecretValue | None) -> DatabaseUrl:
        """Return the same address with another password."""
        return replace(self, password=password)

    def under(self, folder: Path) -> DatabaseUrl:
        """Return the URL with a relative SQLite path made absolute below `folder`; others come back as they are."""
        if self.engine != "sqlite" or self.database in (None, MEMORY):
            return self
        return replace(self, database=_plain((folder / str(self.database)).absolute()))

    def _text(self, password: str | None, query: tuple[tuple[str, str], ...]) -> str:
        authority = ""
        if self.username is not None or password is not None:
            authority = quote(self.username or "", safe="") + ("" if password is None else f":{password}") + "@"
        if self.host is not None:
            authority += f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        if self.port is not None:
            authority += f":{self.port}"
        path = "" if self.database is None else "/" + quote(self.database, safe="/:")
        parameters = "&".join(f"{quote(name, safe='')}={quote(value, safe='/*')}" for name, value in query)
        return f"{self.engine}://{authority}{path}" + (f"?{parameters}" if parameters else "")

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.redacted()!r})"

    def __str__(self) -> str:
        return self.redacted()


def _plain(path: Path) -> str:
    """Return a path without `..`, unless a link on the way makes it lead elsewhere."""
    plain = os.path.normpath(path)
    return plain if os.path.realpath(plain) == os.path.realpath(path) else str(path)


def parse_url(text: str) -> DatabaseUrl:
    """Read a database URL.

    User name, password, host, database and parameters are percent-decoded; `+` in a parameter is a space. The user part ends at
    the last `@` before the path, so a bare `@` in a password is understood. `sqlite:///a.db` is relative, `sqlite:////a.db`
    absolute, `sqlite://` memory.

    Raises:
        ConnectError: the text is no database URL, or of an engine that is not known; it is never quoted in the message.
    """
    scheme = _SCHEME.match(text) if isinstance(text, str) else None
    if scheme is None:
        _refuse(
            "this is not a database URL", "a URL such as sqlite:///shop.db, postgresql://user@host/shop or mysql://user@host/shop"
        )
    engine = SCHEMES.get(scheme[1].lower())
    if engine is None:
        _refuse(f"unknown database '{scheme[1]}' in the URL", f"one of {', '.join(f'{known}://' for known in SCHEMES)}")
    rest, _, parameters = text[scheme.end() :].partition("?")
    query = tuple(parse_qsl(parameters, keep_blank_values=True))
    if engine == "sqlite":
        return DatabaseUrl(engine, database=_sqlite_path(rest), query=query)
    authority, _, path = rest.partition("/")
    return _server_url(engine, authority, unquote(path) or None, query)


def _sqlite_path(rest: str) -> str:
    authority, slash, path = rest.partition("/")
    if authority and authority != MEMORY:
        _refuse(
            "a SQLite URL has no host", "three slashes before a relative path, four before an absolute one: sqlite:///shop.db"
        )
    return unquote(path) if slash and path else MEMORY


def _server_url(engine: EngineName, authority: str, database: str | None, query: tuple[tuple[str, str], ...]) -> DatabaseUrl:
    user, has_user, address = authority.rpartition("@")
    username, has_password, password = user.partition(":")
    host, port = _host_and_port(address)
    return DatabaseUrl(
        engine,
        username=(unquote(username) or None) if has_user else None,
        password=SecretValue(unquote(password)) if has_password else None,
        host=host,
        port=port,
        database=database,
        query=query,
    )


def _host_and_port(address: str) -> tuple[str | None, int | None]:
    if address.startswith("["):
        host, closed, rest = address[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            _refuse("the IPv6 address in the URL is not closed", "brackets around it: postgresql://user@[::1]:5432/shop")
        port = rest[1:]
    else:
        host, _, port = address.partition(":")
        if "," in address:
            _refuse(
                "several hosts in the URL",
                "one host",
                "give several as parameters: postgresql://user@/shop?host=a,b&port=5432,5433",
            )
    if not port:
        return unquote(host) or None, None
    if not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) < 65536:
        _refuse(
            "the port in the URL is not a number between 1 and 65535", "scheme://user:password@host:port/database", _ESCAPE_HINT
        )
    return unquote(host) or None, int(port)


def _is_secret(parameter: str) -> bool:
    return parameter not in _NOT_SECRET and _SECRET_PARAMETER.search(parameter) is not None


def _refuse(message: str, expected: str, fix: str | None = None) -> NoReturn:
    raise ConnectError(message, expected=expected, fix=fix)
