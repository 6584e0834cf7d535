"""A server of one test module, with settings of its own: not shared, ended with the block."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.servers.mysql import MysqlServer
from tests.servers.postgresql import PostgresServer
from tests.servers.programs import free_port, server_account

S = TypeVar("S", PostgresServer, MysqlServer)


@contextmanager
def alone(kind: type[S], settings: Mapping[str, str], prepared: Callable[[S], None] = lambda made: None) -> Iterator[S]:
    """Run a server; `prepared` is called between the making of its data directory and its start."""
    memory = Path("/dev/shm")
    home = Path(tempfile.mkdtemp(prefix="dbops-alone-", dir=memory if memory.is_dir() else None))
    made = kind(home, free_port())
    account = server_account(made.account)
    shutil.chown(home, account.get("user"), account.get("group"))
    made.prepare()
    prepared(made)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    with subprocess.Popen([*made.command(), *options], cwd=home, stderr=subprocess.DEVNULL, **account) as process:
        try:
            for _ in range(300):
                if made.is_ready():
                    break
                time.sleep(0.1)
            made.finish()
            yield made
        finally:
            process.terminate()
            process.wait(30)
            shutil.rmtree(home, ignore_errors=True)
