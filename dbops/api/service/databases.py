"""The databases of a service: discovered, made, opened and registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbops.arguments import checked
from dbops.errors import DbopsError
from dbops.usecases.runtime import target_for_url
from dbops.usecases.service.creating import create_database, create_tables
from dbops.usecases.service.discovery import ModelFile, discovered, refuse_table_of_two, tables_of
from dbops.usecases.service.places import Places, is_file, places_of, pooling_of, target_at
from dbops.usecases.service.pools import PooledDatabase, models_by_name, open_pool
from dbops.usecases.service.revisions import Revisions
from dbops.usecases.service.tables import Tables

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    from dbops.usecases.service.settings import ServiceSettings


class DatabaseInfo(Mapping[str, Any]):
    """One open database: also a mapping of `name`, `url`, `engine`, `session_factory`, `tables` and `owner`.

    `url` is without the password; `owner` is the module that registered it, None for one that was discovered.
    """

    def __init__(self, pool: PooledDatabase, owner: str | None = None) -> None:
        self.pool = pool
        self.owner = owner
        self.catalog: Tables = Tables(pool)

    @property
    def name(self) -> str:
        return self.pool.name

    @property
    def url(self) -> str:
        return self.pool.url

    @property
    def is_server(self) -> bool:
        """Whether it is a database of a server, and not a file."""
        return not is_file(self.pool.target.url)

    @property
    def engine(self) -> AsyncEngine:
        return self.pool.engine

    @property
    def session_factory(self) -> async_sessionmaker[AsyncSession]:
        return self.pool.reading

    @property
    def tables(self) -> list[str]:
        """The tables that models describe."""
        return sorted(self.pool.models)

    def __getitem__(self, key: str) -> Any:
        if key not in _KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)


_KEYS = ("name", "url", "engine", "session_factory", "tables", "owner")


@checked
class DatabaseOperations:
    """Find, make and open databases. `root` is the folder below which model files are, and the program's data."""

    def __init__(self, root: Path, settings: ServiceSettings, migrations: Path) -> None:
        self.root = root
        self.settings = settings
        self.places: Places = places_of(settings, root)
        self.revisions: Revisions = Revisions(migrations, self.places)
        self.databases: dict[str, DatabaseInfo] = {}
        self._files: Mapping[str, Sequence[ModelFile]] = {}
        self._metadata: dict[str, list[MetaData]] = {}

    @property
    def discovered(self) -> Mapping[str, Sequence[ModelFile]]:
        """The model files of each database, as they were found last."""
        return self._files

    def discover_databases(self) -> dict[str, list[str]]:
        """Return the databases that model files below the root name, with the tables of their classes; nothing is imported.

        Raises:
            Problems: of SchemaError: files that Python cannot read, names that no database can have.
        """
        self._files = discovered(self.root)
        self._metadata.clear()
        return {name: [table for item in files for table in item.tables] for name, files in self._files.items()}

    def get_database_url(self, db_name: str) -> str:
        """Return the URL of a database, with the password where there is one.

        Raises:
            SchemaError: the name is no plain file name.
        """
        return self.places.url(db_name).reveal()

    def get_database_path(self, db_name: str) -> Path | None:
        """Return the file of a database, None for one on a server. Raises as `get_database_url` does."""
        url = self.places.url(db_name)
        return Path(str(url.database)) if self.places.is_file else None

    def metadata(self, db_name: str) -> list[MetaData]:
        """Return what the model files of a database say; they are loaded for it once.

        Raises:
            SchemaError: one fails to load.
        """
        if db_name not in self._metadata:
            files = self._files.get(db_name, ())
            self._metadata[db_name] = tables_of(files, self.root) if files else []
        return self._metadata[db_name]

    def create_all_databases_now(self, discovered_databases: Mapping[str, Any] | None = None) -> dict[str, list[str]]:
        """Make all discovered databases and their tables that are missing; return the tables that were made, by database.

        A database with migrations gets its tables from them: a new one is taken to the head, another is left as it is.

        Raises:
            SchemaError: models fail to load, or two databases have a table of one name in one place.
            ConnectError, QueryError: a database refuses.
        """
        names = list(self.discover_databases() if discovered_databases is None else discovered_databases)
        if self.places.is_shared:
            refuse_table_of_two({name: self.metadata(name) for name in names})
        made = {}
        for name in names:
            target = self.places.target(name)
            create_database(target)
            made[name] = (
                self.revisions.begin(name) if self.revisions.governs(name) else create_tables(target, self.metadata(name))
            )
            if name not in self.databases:
                self.databases[name] = self.create_database_engine(name)
        return made

    def refresh(self) -> None:
        """Let open databases look their tables up anew, and take the models as they were read last."""
        for name, info in self.databases.items():
            if name in self._metadata:
                info.pool.models = models_by_name(self._metadata[name])
            info.catalog.forget()

    def create_database_engine(self, db_name: str, db_url: str | None = None) -> DatabaseInfo:
        """Make a database that is not there, and return it with a pool; `db_url` is where it is, None for the usual place.

        Raises:
            ConnectError: the URL is none, the server or file system refuses, or a driver is not installed.
            SchemaError: the name is no plain file name, or models fail to load.
        """
        target = self.places.target(db_name)
        if db_url is not None:
            target = target_at(target_for_url(db_url).url, db_name, self.settings)
        create_database(target)
        return DatabaseInfo(open_pool(target, pooling_of(self.settings), self.metadata(db_name)))

    def create_tables_for_database(self, engine: DatabaseInfo, tables: Any = None) -> list[str]:
        """Make the tables that are missing and return their names.

        `tables` is a MetaData, SQLAlchemy tables, or names of tables that models describe; None for all of these.

        Raises:
            DbopsError: a name that no model describes.
            QueryError: the database refuses one.
        """
        from sqlalchemy import MetaData, Table

        if isinstance(tables, MetaData):
            return create_tables(engine.pool.target, [tables])
        chosen = MetaData()
        for table in engine.pool.models if tables is None else tables:
            known = table if isinstance(table, Table) else engine.pool.models.get(table)
            if known is None:
                raise DbopsError(f"no model of {engine.name!r} describes a table {table!r}", error_code="TABLE_NOT_FOUND")
            for needed in _with_referred(known):
                if needed.name not in chosen.tables:
                    needed.to_metadata(chosen)
        return create_tables(engine.pool.target, [chosen])

    def register_database(self, db_name: str, db_info: Mapping[str, Any], module_id: str | None = None) -> DatabaseInfo:
        """Let the service know a database that a module has made with `create_database_engine`.

        Raises:
            DbopsError: there is another one of this name already.
            TypeError: `db_info` does not come from `create_database_engine`.
        """
        if not isinstance(db_info, DatabaseInfo):
            raise TypeError("register_database takes what create_database_engine returned")
        known = self.databases.get(db_name)
        if known is not None and known is not db_info and known.pool.target.url != db_info.pool.target.url:
            raise DbopsError(
                f"a database {db_name!r} is registered already, at {known.url}",
                error_code="DATABASE_REGISTERED",
                owner=known.owner,
            )
        if known is None or known is db_info:
            self.databases[db_name] = db_info
            db_info.owner = module_id or db_info.owner
            return db_info
        known.owner = module_id or known.owner
        return known

    def utilities(self, session: Callable[[str], Any], retry: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
        """Return what modules need to make databases of their own, by name."""
        from dbops.usecases.service.discovery import get_database_base

        return {
            "get_database_url": self.get_database_url,
            "get_database_path": self.get_database_path,
            "create_database_engine": self.create_database_engine,
            "create_tables_for_database": self.create_tables_for_database,
            "register_database": self.register_database,
            "get_database_base": get_database_base,
            "get_database_session": session,
            "execute_with_retry": retry,
        }


def _with_referred(table: Any, seen: frozenset[str] = frozenset()) -> list[Any]:
    """Return a table and those that its foreign keys need, the needed ones first."""
    found = []
    for key in sorted(table.foreign_keys, key=lambda key: str(key.target_fullname)):
        other = key.column.table
        if other is not table and other.name not in seen:
            found += _with_referred(other, seen | {table.name})
    return [*found, table]
