"""The spec of kind Connection: where a database is and how to speak to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dbops.engines.base.url import SCHEMES, DatabaseUrl, EngineName, parse_url
from dbops.errors import ConnectError, ManifestError, Mark
from dbops.manifests.secrets import Secret, resolve
from dbops.manifests.spec import Choice, Duration, Spec, complain


def _check_url(secret: Secret) -> Secret:
    if secret.literal is not None:
        try:
            parse_url(secret.literal.reveal())
        except ConnectError as error:
            raise complain(error.message, expected=error.expected, fix=error.fix) from None
    return secret


Url = Annotated[Secret, AfterValidator(_check_url)]


class Pool(Spec):
    """Sessions kept open by the Python API and the servers; plans and applies use one."""

    size: Annotated[int, Field(ge=1)] = 10
    """Sessions kept open."""
    max_overflow: Annotated[int, Field(ge=0)] = 10
    """Sessions above `size` in busy times."""
    timeout: Duration = 30.0
    """How long to wait for a free session."""
    recycle: Duration = 3600.0
    """The age at which a session is replaced."""


class Retries(Spec):
    """Errors that may pass, such as a lost connection, are tried again with growing pauses."""

    attempts: Annotated[int, Field(ge=1)] = 3
    """How often to try to connect in all."""
    locks: Annotated[int, Field(ge=1)] = 10
    """How often to try a statement of an apply that does not get its locks in time."""


class Timeouts(Spec):
    """How long to wait; 0s means without limit."""

    connect: Duration = 30.0
    """For the server to answer."""
    lock: Duration = 3.0
    """For a lock that somebody else holds; then the statement gives way and is tried again, see `retries.locks`."""
    statement: Duration = 0.0
    """For one statement to end."""


class TlsSettings(Spec):
    """Encryption of the connection; paths are relative to the folder of the manifest's environment."""

    mode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "verify-full"
    """What is demanded of the server, from nothing to a certificate with its host name."""
    root_cert: str | None = None
    """The file with the certificates of the authorities to trust."""
    cert: str | None = None
    """The file with the client's certificate."""
    key: str | None = None
    """The file with the key of the client's certificate."""

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if (self.cert is None) != (self.key is None):
            given, missing = ("cert", "key") if self.key is None else ("key", "cert")
            raise complain(f"{given} is given without {missing}", expected="cert and key together", path=(given,))
        return self


class SqliteSettings(Spec):
    """Pragmas of every session; what is not given stays as SQLite has it."""

    journal_mode: Literal["delete", "truncate", "persist", "memory", "wal", "off"] | None = None
    """How SQLite protects a transaction; `wal` lets readers and a writer work at the same time."""
    synchronous: Literal["off", "normal", "full", "extra"] | None = None
    """How often SQLite waits for the disk."""
    cache_size: int | None = None
    """Pages of cache; a negative number means KiB."""
    foreign_keys: bool | None = None
    """Whether foreign keys are enforced."""
    busy_timeout: Duration | None = None
    """How long to wait for another program's lock."""


class ScratchSettings(Spec):
    """Where temporary databases may be made."""

    url: Url
    """A server of the same engine whose account may create databases."""


class ConnectionSpec(Choice):
    """A database: its address as a URL or in parts, and how to speak to it."""

    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = (("url", "engine"),)

    url: Url | None = None
    """sqlite:///path (relative to the environment folder), postgresql://, mysql:// or mariadb://."""
    engine: Literal["sqlite", "postgresql", "mysql", "mariadb"] | None = None
    """The engine, when the address is given in parts."""
    host: str | None = None
    """The server's name, address or socket folder."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The server's port."""
    database: str | None = None
    """The database's name; SQLite: its file, relative to the environment folder."""
    username: str | None = None
    """The account."""
    password: Secret | None = None
    """The account's password; also beside a URL that holds none."""
    tls: TlsSettings | None = None
    pool: Pool = Pool.model_construct()
    retries: Retries = Retries.model_construct()
    timeouts: Timeouts = Timeouts.model_construct()
    sqlite: SqliteSettings | None = None
    scratch: ScratchSettings | None = None

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        given = [name for name in ("host", "port", "database", "username") if getattr(self, name) is not None]
        if self.url is not None and given:
            raise complain(
                f"{given[0]} is given beside url", expected="the whole address in url, or engine and its parts", path=(given[0],)
            )
        if self.engine == "sqlite":
            self._check_sqlite_parts(given)
        self._check_password()
        return self

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        engine = self.engine_name
        if engine is None:
            return self
        if engine != "sqlite" and self.sqlite is not None:
            raise complain(f"sqlite settings for a {engine} database", expected="them on SQLite only", path=("sqlite",))
        if engine == "sqlite" and self.tls is not None:
            raise complain("tls for a SQLite file", expected="it on servers only", path=("tls",))
        scratch = _engine_of(self.scratch.url) if self.scratch else None
        if scratch not in (None, engine):
            raise complain(f"a {scratch} scratch for a {engine} database", expected=f"a {engine} URL", path=("scratch", "url"))
        return self

    def _check_sqlite_parts(self, given: list[str]) -> None:
        if "database" not in given:
            raise complain("there is no database", expected="database: the path of the file", path=("engine",))
        wrong = [name for name in (*given, *(("password",) if self.password else ())) if name != "database"]
        if wrong:
            raise complain(f"{wrong[0]} for a SQLite file", expected="engine: sqlite with database alone", path=(wrong[0],))

    def _check_password(self) -> None:
        if self.url is None or self.password is None or self.url.literal is None:
            return
        if parse_url(self.url.literal.reveal()).password is not None:
            raise complain("a password is given in the URL and beside it", expected="one of them", path=("password",))

    @property
    def engine_name(self) -> EngineName | None:
        """The engine, as far as the manifest tells; None while the URL is a secret not fetched."""
        return SCHEMES[self.engine] if self.engine else _engine_of(self.url)

    def address(self, root: Path, process_env: Mapping[str, str], mark: Callable[..., Mark]) -> DatabaseUrl:
        """Fetch the secrets and return the complete address; a SQLite path stays as written.

        `root` is the manifest's, `mark` gives the place of a field: `manifest.mark`.

        Raises:
            ManifestError: a secret cannot be fetched, or the URL fetched is none.
        """
        url = _fetched(self.url, root, process_env, mark("spec", "url")) if self.url else self._from_parts()
        if self.password is not None:
            url = replace(url, password=resolve(self.password, root, process_env, mark("spec", "password")))
        return url

    def scratch_address(self, root: Path, process_env: Mapping[str, str], mark: Callable[..., Mark]) -> DatabaseUrl | None:
        """Fetch the address for temporary databases as `address` does, None when the manifest gives none."""
        return _fetched(self.scratch.url, root, process_env, mark("spec", "scratch", "url")) if self.scratch else None

    def _from_parts(self) -> DatabaseUrl:
        engine = SCHEMES[str(self.engine)]
        return DatabaseUrl(engine, username=self.username, host=self.host, port=self.port, database=self.database)


def _engine_of(url: Secret | None) -> EngineName | None:
    return parse_url(url.literal.reveal()).engine if url and url.literal is not None else None


def _fetched(url: Secret, root: Path, process_env: Mapping[str, str], at: Mark) -> DatabaseUrl:
    try:
        return parse_url(resolve(url, root, process_env, at).reveal())
    except ConnectError as error:
        raise ManifestError(error.message, at=at, expected=error.expected, fix=error.fix) from None
