"""What all tests share: private servers, fresh databases, and how hard Hypothesis works.

Servers start when a test first asks for one and are shared by all workers of a run; every test gets databases of its own.

* `postgres_server`, `mysql_server`   the servers: `url`, `tcp_url` (with a password), `admin_url`, `new_database`,
  `drop_database`, `rows`, `dump`, and the native client: `psql`, `client`
* `pg_database`, `my_database`, `sqlite_database`   a fresh database: `engine`, `url`, `load`, `rows`, `dump`
* `database`   each of the three in turn; `-k postgresql` picks one

Tests marked `majors` run on the oldest and the newest PostgreSQL too (`-k pg18` picks one): in the campaign, and in every run
with `majors(daily=True)`.

DBOPS_TEST_MYSQL=folder puts MySQL, whose programs are in the folder, in MariaDB's place, and runs what concerns it alone.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.databases import Database, MysqlDatabase, PostgresDatabase, SqliteDatabase, fresh_mysql, fresh_postgres
from tests.servers import RELEASES, Lease, MysqlServer, NotToBeHad, PostgresServer
from tests.servers.azurite import azurite
from tests.servers.mysql_makes import MYSQL_FOLDER
from tests.servers.s3 import s3_server
from tests.servers.sftp import SftpServer, sftp_server

_LEASE = pytest.StashKey[Lease]()
_ENGINE_TESTS = Path(__file__).parent / "engines" / "mysql"
_FIXTURES = {"sqlite": "sqlite_database", "postgresql": "pg_database", "mysql": "my_database"}
_MAJORS = {f"pg{major}": major for major in RELEASES}

# Databases answer as fast as the machine is free, so time says nothing about an example.
# Every run tries the same few examples, so that it says something about the change; the campaign looks for new ones.
settings.register_profile(
    "dev",
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "campaign", settings.get_profile("dev"), max_examples=1000, derandomize=False, phases=tuple(Phase), print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_configure(config: pytest.Config) -> None:
    """Take the run's lease, or join it in a worker; MySQL's programs are found first where the tests run on MySQL.

    Shells let jobs in the background ignore Ctrl-C, and so would the programs that tests interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if folder := os.environ.get(MYSQL_FOLDER):
        os.environ["PATH"] = os.pathsep.join((os.path.realpath(folder), os.environ["PATH"]))
    joined = getattr(config, "workerinput", {}).get("servers")
    config.stash[_LEASE] = Lease.join(Path(joined)) if joined else Lease.take()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what runs on the MySQL-speaking server alone, when that is MySQL: everything else was tested without it."""
    if MYSQL_FOLDER not in os.environ:
        return
    kept = [item for item in items if _runs_on_mysql(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def _runs_on_mysql(item: pytest.Item) -> bool:
    """Tests ask for a server by a fixture, or by a parameter that says which; the engine's own start some by themselves, too."""
    parameters = getattr(item, "callspec", None)
    fixtures = getattr(item, "fixturenames", ())
    return (
        _ENGINE_TESTS in item.path.parents
        or "mysql_server" in fixtures
        or "logging_mysql_server" in fixtures
        or (parameters is not None and "mysql" in parameters.params.values())
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a new xdist worker where the lease is."""
    node.workerinput["servers"] = str(node.config.stash[_LEASE].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the lease, and with it the servers."""
    config.stash[_LEASE].release()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests each engine in turn, and those marked `majors` other versions of PostgreSQL."""
    marker = metafunc.definition.get_closest_marker("majors")
    marks = [] if marker and marker.kwargs.get("daily") else [pytest.mark.campaign]
    others = [pytest.param(name, marks=marks) for name in _MAJORS] if marker else []
    has_its_own = any("database" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "database" in metafunc.fixturenames and not has_its_own:
        metafunc.parametrize("database", [*sorted(_FIXTURES), *others], indirect=True)
    elif "postgres_server" in metafunc.fixturenames and others:
        metafunc.parametrize("postgres_server", ["installed", *others], indirect=True, scope="session")


def _postgres(config: pytest.Config, name: str) -> PostgresServer:
    try:
        return config.stash[_LEASE].postgres(_MAJORS.get(name))
    except NotToBeHad as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> PostgresServer:
    """The private PostgreSQL server; accounts a test makes on it are the test's to drop."""
    return _postgres(pytestconfig, getattr(request, "param", "installed"))


@pytest.fixture(scope="session")
def mysql_server(pytestconfig: pytest.Config) -> MysqlServer:
    """The private MariaDB server, or MySQL; accounts a test makes on it are the test's to drop."""
    return pytestconfig.stash[_LEASE].mysql()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of a server of S3's protocol, one for each worker of a run."""
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def azure_endpoint() -> Iterator[str]:
    """The endpoint of a server of Azure's blobs."""
    with tempfile.TemporaryDirectory(prefix="dbops-azurite-") as place, azurite(Path(place)) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def sftp() -> Iterator[SftpServer]:
    """A server of SFTP, one for each worker of a run."""
    with tempfile.TemporaryDirectory(prefix="dbops-sftp-") as place:
        Path(place).chmod(0o755)
        with sftp_server(Path(place)) as server:
            yield server


@pytest.fixture(scope="session")
def logging_mysql_server(pytestconfig: pytest.Config) -> MysqlServer:
    """Another private server of MySQL's protocol, with a binary log: for tests of backups alone."""
    return pytestconfig.stash[_LEASE].mysql(logs=True)


@pytest.fixture
def pg_database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """An empty PostgreSQL database."""
    with fresh_postgres(postgres_server) as fresh:
        yield fresh


@pytest.fixture
def my_database(mysql_server: MysqlServer) -> Iterator[MysqlDatabase]:
    """An empty MariaDB database."""
    with fresh_mysql(mysql_server) as fresh:
        yield fresh


@pytest.fixture
def sqlite_database(tmp_path: Path) -> SqliteDatabase:
    """A SQLite file that does not exist yet."""
    return SqliteDatabase(tmp_path / "test.db")


@pytest.fixture
def database(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[Database]:
    """An empty database of each engine in turn."""
    if request.param in _FIXTURES:
        yield request.getfixturevalue(_FIXTURES[request.param])
        return
    with fresh_postgres(_postgres(pytestconfig, request.param)) as fresh:
        yield fresh
