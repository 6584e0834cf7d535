"""One environment put to the test: changes of every shape on tables with rows, and what must hold whatever happens to an apply.

`in_child` runs a verb in a forked process that `strike` can kill at any of its writes; `Trial` says what must be true afterwards.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dbops.engines.base.url import parse_url
from dbops.reconcile.plan import Plan
from dbops.usecases.apply import Consent, apply
from dbops.usecases.history import AppliedTo, history, show_apply
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import Database

_MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: {url}, timeouts: {{lock: {lock}}}, retries: {{locks: {tries}}}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec: {{connection: shop, source: {{sql: [shop.sql]}}}}
"""

BEFORE = """\
CREATE TABLE customers (id integer NOT NULL PRIMARY KEY, email varchar(100) NOT NULL, city varchar(40));
CREATE TABLE orders (
  id integer NOT NULL PRIMARY KEY,
  customer_id integer NOT NULL,
  note varchar(50),
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
);
CREATE TABLE notes (id integer NOT NULL PRIMARY KEY, body varchar(80));
CREATE TABLE doomed (id integer NOT NULL PRIMARY KEY);
CREATE VIEW cities AS SELECT city FROM customers;
"""

AFTER = """\
CREATE TABLE regions (id integer NOT NULL PRIMARY KEY, name varchar(40) DEFAULT 'north' NOT NULL);
CREATE TABLE customers (
  id integer NOT NULL PRIMARY KEY,
  email varchar(120) NOT NULL,
  city varchar(40) DEFAULT 'Rome',
  region_id integer,
  CONSTRAINT customers_region FOREIGN KEY (region_id) REFERENCES regions (id)
);
CREATE UNIQUE INDEX customers_email ON customers (email);
CREATE TABLE orders (
  id integer NOT NULL PRIMARY KEY,
  customer_id integer NOT NULL,
  note varchar(50) DEFAULT 'none' NOT NULL,
  total integer DEFAULT 0 NOT NULL,
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
  CONSTRAINT orders_total CHECK (total >= 0)
);
CREATE INDEX orders_customer_id ON orders (customer_id);
CREATE TABLE notes (id integer NOT NULL PRIMARY KEY, body varchar(80), stars integer DEFAULT 5);
CREATE INDEX notes_body ON notes (body);
CREATE VIEW cities AS SELECT city, region_id FROM customers;
CREATE VIEW big AS SELECT id FROM orders WHERE total > 10;
CREATE TABLE later (id integer NOT NULL PRIMARY KEY, label varchar(20));
"""

ROWS = """\
INSERT INTO customers (id, email, city) VALUES (1, 'a@b.c', 'Oslo'), (2, 'd@e.f', NULL), (3, 'g@h.i', 'Rome');
INSERT INTO orders (id, customer_id, note) VALUES (10, 1, 'first'), (11, 2, 'second'), (12, 3, 'third');
INSERT INTO notes (id, body) VALUES (1, 'one'), (2, NULL);
"""

_KEPT = ("SELECT id, email, city FROM customers", "SELECT id, customer_id, note FROM orders", "SELECT id, body FROM notes")


def yes(_: Plan) -> bool:
    """Approve."""
    return True


ALL = Consent(yes, allow=frozenset({"all"}))


@dataclass(frozen=True, slots=True)
class Trial:
    """A database and the environment that describes it."""

    database: Database
    folder: Path

    @classmethod
    def make(
        cls, database: Database, folder: Path, sql: str = BEFORE, *, lock: str = "3s", tries: int = 2, url: str | None = None
    ) -> Trial:
        """Write the environment; nothing is applied yet."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "env.yaml").write_text(_MANIFEST.format(url=json.dumps(url or database.url), lock=lock, tries=tries))
        trial = cls(database, folder)
        trial.wants(sql)
        return trial

    def wants(self, sql: str) -> None:
        """Change the manifests."""
        (self.folder / "shop.sql").write_text(sql)

    def apply(self, consent: Consent = ALL) -> str:
        """Apply in this process; return its state."""
        with open_workspace(self.folder) as workspace:
            return apply(workspace, consent).state

    def plan(self) -> Plan:
        """Plan in this process."""
        with open_workspace(self.folder) as workspace:
            return plan(workspace)

    def history(self) -> list[AppliedTo]:
        """Return all applies, newest first."""
        with open_workspace(self.folder) as workspace:
            return history(workspace, limit=1000)

    def show(self, apply_id: str) -> AppliedTo:
        """Return one apply with its statements."""
        with open_workspace(self.folder) as workspace:
            return show_apply(workspace, apply_id)[0]

    def kept_rows(self) -> list[list[tuple[Any, ...]]]:
        """Return the rows of what both schemas have."""
        return [sorted(self.database.rows(sql), key=str) for sql in _KEPT]

    def command(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `dbops` with arguments, the environment's folder last."""
        return start(*arguments, str(self.folder), **options)


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start `dbops` with its output in pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "dbops", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def assert_truthful(journal: AppliedTo, later: Plan) -> None:
    """Check what the journal of a dead apply says against what the next plan still has to do."""
    wanting = {entry.change.address for entry in later.entries}
    for step in journal.steps:
        others = {other.state for other in journal.steps if other.address == step.address}
        if others == {"done"}:
            assert step.address not in wanting, f"{step.title}: the journal says done, and the plan still wants it"
        if others <= {"pending", "rolled back"}:
            assert step.address in wanting, f"{step.title}: the journal says {step.state}, and it is there"


Strike = Callable[[], None]


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked process; return its exit code, negative when a signal ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
        work()
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        code = 99
        if log := os.environ.get("TRIAL_LOG"):
            with Path(log).open("a") as file:
                traceback.print_exc(file=file)
    finally:
        os._exit(code)


@contextmanager
def struck(database: Database, place: int, moment: str, strike: Strike) -> Iterator[list[str]]:
    """Call `strike` before or after write number `place` to the database; yields the writes as they are made."""
    from dbops.engines.mysql.connect import MysqlConnection
    from dbops.engines.postgresql.connect import PostgresConnection
    from dbops.engines.sqlite.connect import SqliteConnection

    kind: Any = {"sqlite": SqliteConnection, "postgresql": PostgresConnection, "mysql": MysqlConnection}[database.engine]
    execute, writes = kind.execute, []

    def counted(self: Any, sql: str, parameters: Any = ()) -> int:
        if not is_on(self, database) or sql.startswith("SET "):
            return int(execute(self, sql, parameters))
        writes.append(sql)
        if len(writes) == place and moment == "before":
            strike()
        done = execute(self, sql, parameters)
        if len(writes) == place and moment == "after":
            strike()
        return int(done)

    kind.execute = counted
    try:
        yield writes
    finally:
        kind.execute = execute


def is_on(conn: Any, database: Database) -> bool:
    """Tell whether a session is on the database itself, and not on a scratch."""
    name = parse_url(database.url).database
    return bool((conn.path if database.engine == "sqlite" else conn.target.url.database) == name)


def end_by(number: int) -> Strike:
    """Return a strike that sends this process a signal."""
    return lambda: os.kill(os.getpid(), number)


def without_links(patch: pytest.MonkeyPatch) -> None:
    """Let files have one name only, as on FAT."""

    def refuse(source: object, destination: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(source), None, str(destination))

    patch.setattr(os, "link", refuse)


def wait_until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait for a condition.

    Raises: TimeoutError when it does not come.
    """
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
