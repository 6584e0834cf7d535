"""The one wiring place: which kinds and engines exist, and an environment with its databases opened on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, TypeVar

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target
from dbops.errors import MissingDatabaseError, PlanError
from dbops.version import __version__

if TYPE_CHECKING:
    from pydantic import BaseModel

    from dbops.engines.base.connect import Connection
    from dbops.engines.base.engine import Engine
    from dbops.engines.base.url import DatabaseUrl
    from dbops.manifests.environment import Environment
    from dbops.reconcile.ledger import Ledger
    from dbops.reconcile.planner import Work
    from dbops.reconcile.resource import Desired, Memory, Resource
    from dbops.state.metrics import MetricsStore

T = TypeVar("T")


def _sqlite() -> Engine:
    from dbops.engines.sqlite.engine import SqliteEngine

    return SqliteEngine()


def _postgresql() -> Engine:
    from dbops.engines.postgresql.engine import PostgresEngine

    return PostgresEngine()


def _mysql() -> Engine:
    from dbops.engines.mysql.engine import MysqlEngine

    return MysqlEngine()


#: How each engine is made; called once a program, when its first database is used.
ENGINES: Mapping[str, Callable[[], Engine]] = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}

_made: dict[str, Engine] = {}


def engine_for(url: DatabaseUrl) -> Engine:
    """Return the engine that speaks to `url`."""
    return engine_named(url.engine)


def engine_named(name: str) -> Engine:
    """Return the engine of that name, one of `ENGINES`."""
    if name not in _made:
        _made[name] = ENGINES[name]()
    return _made[name]


def now() -> datetime:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def moment() -> datetime:
    """Return the time in UTC, with its microseconds."""
    return datetime.now(UTC)


class Named(Mapping[str, T]):
    """Things by name, each made when it is first asked for: what an environment does not use is not imported for it."""

    def __init__(self, makers: Mapping[str, Callable[[], T]]) -> None:
        self._makers, self._made = makers, dict[str, T]()

    def __getitem__(self, name: str) -> T:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def _connection_spec() -> type[BaseModel]:
    from dbops.resources.connections.spec import ConnectionSpec

    return ConnectionSpec


def _schema_spec() -> type[BaseModel]:
    from dbops.resources.schema.spec import SchemaSpec

    return SchemaSpec


def _migration_set_spec() -> type[BaseModel]:
    from dbops.resources.migrations.spec import MigrationSetSpec

    return MigrationSetSpec


def _backup_policy_spec() -> type[BaseModel]:
    from dbops.resources.backups.spec import BackupPolicySpec

    return BackupPolicySpec


def _alert_policy_spec() -> type[BaseModel]:
    from dbops.resources.monitoring.spec import AlertPolicySpec

    return AlertPolicySpec


def specs() -> Mapping[str, type[BaseModel]]:
    """Return the manifest kinds and the models of their specs."""
    return Named(
        {
            "Connection": _connection_spec,
            "Schema": _schema_spec,
            "MigrationSet": _migration_set_spec,
            "BackupPolicy": _backup_policy_spec,
            "AlertPolicy": _alert_policy_spec,
        }
    )


def _connection_resource() -> Resource[Any, Any]:
    from dbops.resources.connections.resource import ConnectionResource

    return ConnectionResource()


def _schema_resource() -> Resource[Any, Any]:
    from dbops.resources.schema.cache import CatalogCache, default_folder
    from dbops.resources.schema.resource import SchemaResource

    # the clock with its microseconds, which tell apart what two plans of one second archive
    return SchemaResource(CatalogCache(default_folder()), partial(datetime.now, UTC))


def _migration_resource() -> Resource[Any, Any]:
    from dbops.resources.migrations.resource import MigrationResource

    return MigrationResource(who, timestamp, __version__)


def _backup_resource() -> Resource[Any, Any]:
    from dbops.resources.backups.resource import BackupResource

    return BackupResource(moment, __version__, os.environ)


def _alert_resource() -> Resource[Any, Any]:
    from dbops.resources.monitoring.resource import AlertResource

    return AlertResource(time, _remembered)


@contextmanager
def _remembered(folder: Path) -> Iterator[MetricsStore | None]:
    """Open the history of figures of an environment where there is one."""
    from dbops.state.metrics_folder import history_file

    if not history_file(folder).exists():
        yield None
        return
    from dbops.state.metrics import MetricsStore

    store = MetricsStore.in_folder(folder)
    try:
        yield store
    finally:
        store.close()


def resources() -> Mapping[str, Resource[Any, Any]]:
    """Return the resource of each manifest kind."""
    return Named(
        {
            "Connection": _connection_resource,
            "Schema": _schema_resource,
            "MigrationSet": _migration_resource,
            "BackupPolicy": _backup_resource,
            "AlertPolicy": _alert_resource,
        }
    )


def who() -> str:
    """Return `user@host` of whoever runs this."""
    import getpass
    import platform

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{platform.node()}"


def timestamp() -> str:
    """Return the time in UTC as the journal and the ledger write it."""
    return _written(int(time()))


@lru_cache(maxsize=1)
def _written(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(slots=True)
class OpenTargets:
    """Fills `reconcile.resource.Targets`: one reader and one writer session per connection, closed with the workspace."""

    known: Mapping[str, Target]
    stack: ExitStack
    _readers: dict[str, Connection | None] = field(default_factory=dict)
    _writers: dict[str, Connection] = field(default_factory=dict)

    def target(self, connection: str) -> Target:
        return self.known[connection]

    def engine(self, connection: str) -> Engine:
        return engine_for(self.known[connection].url)

    def reader(self, connection: str) -> Connection | None:
        if connection in self._writers:
            return self._writers[connection]
        if connection not in self._readers:
            try:
                self._readers[connection] = self._open(connection, readonly=True)
            except MissingDatabaseError:
                self._readers[connection] = None
        return self._readers[connection]

    def writer(self, connection: str) -> Connection:
        if connection not in self._writers:
            self._writers[connection] = self._open(connection, readonly=False)
        return self._writers[connection]

    def writer_if_there(self, connection: str) -> Connection | None:
        """Return the writer, None when its database does not exist yet: who is to write needs no reader to find that out."""
        try:
            return self.writer(connection)
        except MissingDatabaseError:
            self._readers.setdefault(connection, None)
            return None

    def reopen(self, connection: str) -> Connection:
        """Open a new writer in place of one whose session is gone."""
        self._writers.pop(connection, None)
        return self.writer(connection)

    def forget(self, connection: str) -> None:
        """Close the reader of a connection; the next one asked for is opened anew, and sees whether the database is there now."""
        reader = self._readers.pop(connection, None)
        if reader is not None:
            reader.close()

    def create(self, connection: str) -> None:
        self.engine(connection).create_database(self.known[connection])
        self._readers.pop(connection, None)

    def memory(self, connection: str) -> Memory:
        from dbops.state.memory import DatabaseMemory

        return DatabaseMemory(lambda: self.reader(connection), lambda: self.writer(connection), self.engine(connection).features)

    def ledger(self, connection: str, table: str, set_name: str) -> Ledger:
        from dbops.state.ledger import DatabaseLedger

        features = self.engine(connection).features
        return DatabaseLedger(lambda: self.reader(connection), lambda: self.writer(connection), features, table, set_name)

    def _open(self, connection: str, *, readonly: bool) -> Connection:
        conn = self.engine(connection).connect(self.known[connection], readonly=readonly)
        self.stack.callback(conn.close)
        return conn


@dataclass(frozen=True, slots=True)
class Workspace:
    """An environment, what it wants, and the databases it speaks about."""

    path: str
    environment: Environment
    resources: Mapping[str, Resource[Any, Any]]
    work: tuple[Work, ...]
    targets: OpenTargets

    @property
    def by_address(self) -> Mapping[str, Resource[Any, Any]]:
        """The resources by the kind that addresses use, which is the manifests' in lower case; each made when it is asked for."""
        return Named({kind.lower(): partial(self.resources.__getitem__, kind) for kind in self.resources})

    @property
    def desired(self) -> Mapping[str, Desired]:
        """What is wanted, by address."""
        return {item.desired.address: item.desired for item in self.work}

    def connection_names(self) -> list[str]:
        return sorted(self.targets.known)

    def require_connection(self, name: str) -> str:
        """Return `name` when the environment has such a connection.

        Raises:
            PlanError: it has not; names those it has.
        """
        if name not in self.targets.known:
            raise PlanError(
                f"no connection {name!r} in this environment", expected=f"one of {', '.join(self.connection_names())}"
            )
        return name


@contextmanager
def open_workspace(path: Path, process_env: Mapping[str, str] = os.environ) -> Iterator[Workspace]:
    """Load an environment and open nothing yet; sessions opened meanwhile are closed at the end.

    Raises:
        ManifestError, Problems: the manifests are wrong.
    """
    from dbops.manifests.environment import load_environment
    from dbops.reconcile.planner import Work
    from dbops.resources.connections.target import target_of
    from dbops.usecases.beside import beside_alembic

    environment = load_environment(path, specs(), process_env)
    known = {m.name: target_of(m, environment, process_env) for m in environment.of_kind("Connection")}
    kinds = resources()
    work = tuple(
        Work(kinds[manifest.kind], desired)
        for manifest in environment.manifests
        if manifest.kind in kinds
        for desired in kinds[manifest.kind].desired(manifest, environment)
    )
    with ExitStack() as stack:
        yield Workspace(str(path), environment, kinds, beside_alembic(work), OpenTargets(known, stack))


def target_for_url(text: str, password: str | None = None) -> Target:
    """Return the target of a URL given on the command line; SQLite paths are relative to the working directory.

    `password` is that of a URL without one.

    Raises:
        ConnectError: not a database URL.
    """
    from dbops.engines.base.secret import SecretValue
    from dbops.engines.base.url import parse_url

    url = parse_url(text).under(Path.cwd())
    if password is not None:
        url = replace(url, password=SecretValue(password))
    secrets = (url.password.reveal(),) if url.password else ()
    return Target("", url, secrets=secrets)


def looks_like_url(text: str) -> bool:
    return "://" in text


@contextmanager
def connected(target: Target, *, readonly: bool = True) -> Iterator[tuple[Engine, Connection]]:
    """Open one session outside any environment."""
    engine = engine_for(target.url)
    conn = engine.connect(target, readonly=readonly)
    try:
        yield engine, conn
    finally:
        conn.close()
