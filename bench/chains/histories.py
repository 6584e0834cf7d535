"""Which schemas and version chains a folder holds, and how each is loaded by the engine's own client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from dbops.engines.postgresql.statements import Role, role_of
from dbops.errors import SchemaError
from dbops.resources.schema.sources import read_sql
from dbops.sql.dialect import MYSQL, POSTGRESQL, SQLITE
from dbops.sql.splitter import split
from tests.databases import Database, PostgresDatabase, SqliteDatabase, fresh_mysql, fresh_postgres
from tests.servers import Lease, ServerError

_VERSION = re.compile(r"v\d+_")
_DIALECTS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE}
_MISSING_ROLE = re.compile(r'role "([^"]+)" does not exist')
#: Lines that lead out of the database in hand, or to files that are not here.
_ELSEWHERE = {
    "postgresql": re.compile(r"(?im)^(\\(connect|c|copy)\b.*|(CREATE|DROP|ALTER)\s+DATABASE\b[^;]*;)$"),
    "mysql": re.compile(r"(?im)^((CREATE|DROP|ALTER)\s+(DATABASE|SCHEMA)\b[^;]*;|USE\s+\S+\s*;)"),
    "sqlite": re.compile(r"(?!)"),
}
_NAMES_ENCODING = re.compile(r"(?im)^SET\s+(client_encoding\s*(=|TO)|NAMES)\s*'?[\w-]+'?\s*;$")


@dataclass(frozen=True, slots=True)
class History:
    """The versions of one schema, oldest first; most have only one."""

    name: str
    engine: str
    versions: tuple[Path, ...]


def histories(folder: Path) -> list[History]:
    """Return the histories below a folder: files `v00_...sql`, `v01_...sql` of one folder are versions, others stand alone."""
    files = sorted(path for path in folder.rglob("*.sql") if "upgrade" not in path.parts)
    found: list[History] = []
    for parent, group in groupby(files, key=lambda path: path.parent):
        inside = list(group)
        versions = [path for path in inside if _VERSION.match(path.name)]
        alone = [path for path in inside if path not in versions]
        if versions:
            found.append(_history(str(parent.relative_to(folder)), versions))
        found += [_history(str(path.relative_to(folder).with_suffix("")), [path]) for path in alone]
    return found


def _history(name: str, versions: Sequence[Path]) -> History:
    engine = next((part for part in versions[0].parts[::-1] if part in _DIALECTS), None)
    return History(name, engine or _guessed(versions[0].read_text(errors="replace")), tuple(versions))


def _guessed(sql: str) -> str:
    return "mysql" if re.search(r"(?i)AUTO_INCREMENT|ENGINE\s*=", sql) else "sqlite"


class NotLoaded(Exception):
    """The engine's own client does not load the file."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where fresh databases come from; `major` is a version of PostgreSQL, None what the machine has."""

    lease: Lease
    major: int | None = None

    @contextmanager
    def fresh(self, engine: str) -> Iterator[Database]:
        """Give an empty database of an engine and drop it afterwards."""
        match engine:
            case "postgresql":
                with fresh_postgres(self.lease.postgres(self.major), "chain") as postgres:
                    yield postgres
            case "mysql":
                with fresh_mysql(self.lease.mysql(), "chain") as mysql:
                    yield mysql
            case _:
                with TemporaryDirectory(prefix="chain-") as folder:
                    yield SqliteDatabase(Path(folder) / "chain.db")

    @contextmanager
    def loaded(self, history: History, version: Path) -> Iterator[Database]:
        """Give a database with one version in it.

        Raises:
            NotLoaded: with what the client says.
        """
        sql = _ELSEWHERE[history.engine].sub("", _text(version, history.engine))
        for _ in range(9):
            with self.fresh(history.engine) as database:
                try:
                    missing = _load(database, sql)
                except NotLoaded:
                    if (schema := _without_rows(history.engine, sql)) == sql:
                        raise
                    sql = schema
                    continue
                if missing is None:
                    yield database
                    return
            self.lease.postgres(self.major).psql("postgres", f'CREATE ROLE "{missing}"')
        raise NotLoaded("too many roles are missing")


def as_source(history: History, version: Path, folder: Path) -> Path:
    """Return a file that dbops reads: the version's own, or a copy in UTF-8 where it is in Latin 1 and does not say so."""
    if _named(version, history.engine) is not None:
        return version
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / version.name
    copy.write_text(_text(version, history.engine), encoding="utf-8")
    return copy


def _text(version: Path, engine: str) -> str:
    """Return a script in the encoding that it names, as text that says it is UTF-8; one that names none may be in Latin 1."""
    text = _named(version, engine)
    if text is None:
        return version.read_bytes().decode("latin-1")
    return _NAMES_ENCODING.sub("SET client_encoding = 'UTF8';", text) if _DIALECTS[engine].sets_encoding else text


def _named(version: Path, engine: str) -> str | None:
    """Return a script in the encoding that it names, UTF-8 where it names none; None where it is not in that."""
    try:
        return read_sql(version, _DIALECTS[engine])
    except SchemaError:
        return None


def _without_rows(engine: str, sql: str) -> str:
    """Return a script without what is about rows: their files may not be here, or they may rely on an older client's settings."""
    if engine != "postgresql":
        return sql
    statements = [found for found in split(sql, POSTGRESQL) if role_of(found) is not Role.ROWS]
    return "".join(
        f"{found.text}\n" if found.kind == "meta" else POSTGRESQL.terminated(found.text) + "\n" for found in statements
    )


def _load(database: Database, sql: str) -> str | None:
    """Load, and return the role that was missing, None when all went well."""
    try:
        database.load(sql)
    except ServerError as error:
        missing = _MISSING_ROLE.search(str(error)) if isinstance(database, PostgresDatabase) else None
        if missing:
            return missing[1]
        raise NotLoaded(str(error)[-400:]) from error
    except Exception as error:
        raise NotLoaded(str(error)) from error
    return None
