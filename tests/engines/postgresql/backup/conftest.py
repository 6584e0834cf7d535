"""Servers of their own for backups of a whole server: slots and settings concern everybody on one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Lease, NotToBeHad, PostgresServer
from tests.servers.releases import programs


@pytest.fixture(scope="package")
def own_lease() -> Iterator[Lease]:
    with Lease.take() as lease:
        yield lease


@pytest.fixture(scope="package")
def own_server(own_lease: Lease) -> PostgresServer:
    """A server that these tests may do anything with."""
    return own_lease.postgres()


@pytest.fixture(scope="module")
def newest_server(own_lease: Lease) -> Iterator[PostgresServer]:
    """A server of the newest version, with its programs on the path."""
    try:
        found = programs(18)
    except NotToBeHad as reason:
        pytest.skip(str(reason))
    patch = pytest.MonkeyPatch()
    patch.setenv("PATH", os.pathsep.join([str(found.server), str(found.clients), os.environ["PATH"]]))
    yield own_lease.postgres(18)
    patch.undo()


@pytest.fixture(autouse=True, scope="package")
def quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A temporary folder in memory where there is one: a server is a thousand files."""
    tmp_path_factory.getbasetemp()  # which must not lie in it: it is the whole run's
    memory = Path("/dev/shm")
    usual = tempfile.tempdir
    folder = Path(tempfile.mkdtemp(prefix="dbops-tmp-", dir=memory if os.access(memory, os.W_OK) else None))
    folder.chmod(0o755)
    tempfile.tempdir = str(folder)
    yield folder
    tempfile.tempdir = usual
    shutil.rmtree(folder)
