"""Where the database of a name is: a file in a folder, a database of a server, or one that all names share."""

from __future__ import annotations

from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target, Timeouts
from dbops.engines.base.sessions import Pooling
from dbops.engines.base.url import MEMORY, DatabaseUrl, parse_url
from dbops.errors import ConnectError
from dbops.resources.schema.discovery import check_database_name
from dbops.usecases.runtime import engine_for
from dbops.usecases.service.settings import DEFAULT_FOLDER, ServiceSettings

_LOCK_S = 10.0


@dataclass(frozen=True, slots=True)
class Places:
    """`base` is what DATABASE_URL says, its paths absolute below the program's root.

    A SQLite URL of a folder (`/` at its end, or without a suffix) has a file `NAME.db` for each name, one of a server without
    a database has a database of each name. A URL of a file, or with a database, is the one place of all names.
    """

    base: DatabaseUrl
    settings: ServiceSettings

    @property
    def is_shared(self) -> bool:
        """Whether all names have one database."""
        if self.is_file:
            return not self._is_folder
        return bool(self.base.database or dict(self.base.query).get("dbname"))

    @property
    def is_file(self) -> bool:
        """Whether databases are files, and not those of a server."""
        return is_file(self.base)

    @property
    def _is_folder(self) -> bool:
        path = str(self.base.database)
        return path.endswith("/") or Path(path).is_dir() or not Path(path).suffix

    def url(self, name: str) -> DatabaseUrl:
        """Return where the database is.

        Raises:
            SchemaError: the name is no plain file name.
        """
        check_database_name(name)
        if self.is_shared:
            return self.base
        if self.is_file:
            return self.base.with_database(str(Path(str(self.base.database)) / f"{name}.db"))
        return self.base.with_database(name)

    def target(self, name: str) -> Target:
        """Return the database of a name as engines take it, with the settings. Raises as `url` does."""
        return target_at(self.url(name), name, self.settings)


def is_file(url: DatabaseUrl) -> bool:
    """Tell whether a database is a file, and not one of a server."""
    return not engine_for(url).features.has_servers


def places_of(settings: ServiceSettings, root: Path) -> Places:
    """Return where databases are: what the settings say, else files below `root`.

    Raises:
        ConnectError: the setting is no database URL, or of a database in memory.
    """
    text = settings.database_url or f"sqlite:///{DEFAULT_FOLDER}/"
    url = parse_url(text)
    if is_file(url):
        if url.database in (None, MEMORY):
            raise ConnectError(
                "a database in memory is gone with its connection, and a pool has many",
                expected="a folder such as sqlite:///data/database/, or a server",
            )
        is_folder = str(url.database).endswith("/")
        url = url.under(root)
        url = url.with_database(f"{url.database}/") if is_folder else url
    return Places(url, settings)


def target_at(url: DatabaseUrl, name: str, settings: ServiceSettings) -> Target:
    """Return a database as engines take it, with the timeouts and pragmas of the settings."""
    return Target(
        name=name,
        url=url,
        timeouts=Timeouts(connect_s=float(settings.connection_timeout), lock_s=_LOCK_S),
        attempts=settings.max_retries,
        settings=settings.pragmas if is_file(url) else (),
        secrets=(url.password.reveal(),) if url.password else (),
    )


def pooling_of(settings: ServiceSettings) -> Pooling:
    """Return the measures of a pool."""
    return Pooling(settings.pool_size, settings.max_overflow, float(settings.connection_timeout), settings.pool_recycle)
