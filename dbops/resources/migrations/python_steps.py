"""Migrations in Python: a file's `up_fn(step)` or `down_fn(step)` run with a `Step`, which reads, writes and goes in batches.

A batch walks a table along a key, commits after each portion together with how far it has come, and goes on from there when it
is run again: nothing is done twice, whenever the program dies.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import field
from importlib.util import module_from_spec, spec_from_loader
from typing import TYPE_CHECKING, Any, TypeVar

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Row
from dbops.errors import DbopsError, MigrationError
from dbops.reconcile.patience import patiently
from dbops.resources.migrations.prints import printing_aside
from dbops.resources.migrations.traces import place_of
from dbops.sql.dialect import Dialect
from dbops.sql.statement import Parameter

if TYPE_CHECKING:
    from dbops.engines.base.engine import Engine
    from dbops.resources.migrations.model import Direction, Migration
    from dbops.resources.migrations.run import Runner

T = TypeVar("T")


@dataclass(slots=True)
class Step:
    """What a Python migration works with; parameters stand at `?` marks on every engine.

    `done` are the names of the parts that an earlier run finished.
    """

    conn: Connection
    dialect: Dialect
    _reach: Callable[[str], None]
    _told: Callable[[str], None]
    _patiently: Callable[[Callable[[], int]], int]
    _heard: Callable[[str], None] = lambda sql: None
    _progress: dict[str, Any] = field(default_factory=dict)
    _called: dict[str, int] = field(default_factory=dict)
    """How often this run has begun a part of each name: those of an earlier run are told apart by that, too."""
    statements: int = 0

    @property
    def progress(self) -> str | None:
        """What is finished, as the ledger keeps it; None when nothing is."""
        return _written(self._progress) if self._progress else None

    def query(self, sql: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        """Run one statement and return its rows."""
        self.statements += 1
        self._heard(sql)
        return self.conn.query(sql, parameters)

    def execute(self, sql: str, parameters: Sequence[Parameter] = ()) -> int:
        """Run one statement, which commits by itself; return the rows it changed."""
        self.statements += 1
        self._heard(sql)
        return self.conn.execute(sql, parameters)

    def once(self, name: str, act: Callable[[], object]) -> None:
        """Run a part in a transaction, unless an earlier run of this migration finished it.

        Raises:
            MigrationError: a second part of that name.
        """
        if self._calls(name) > 1:
            raise MigrationError(f"two parts are called {name!r}", expected="a name of its own for each")
        if self._progress.get(name) is True:
            return

        def part() -> None:
            act()
            self._keep(name, True)

        self._finishing(part)

    def batches(
        self,
        table: str,
        key: str,
        change: Callable[[list[Row]], object],
        *,
        columns: Sequence[str] = (),
        where: str = "",
        size: int = 1000,
        pause_s: float = 0.0,
    ) -> int:
        """Call `change` with the rows of a table, `size` at a time along `key`, each batch in a transaction of its own.

        `table` may stand behind its schema, `sales.orders`.
        `key` is a column with unique values that have an order; rows hold its value first, then `columns`. `where` narrows the
        rows in SQL. The same rows may be walked several times, in the same order in each run. `pause_s` is waited between
        batches, for those who work beside. Returns how many rows were seen; a run that goes on counts those of earlier runs too.

        Raises:
            MigrationError: a size or pause that cannot be; rows without a value of `key`.
            QueryError: the database refused what is asked.
        """
        if type(size) is not int or size < 1 or pause_s < 0:
            raise MigrationError(
                f"size is {size!r} and pause_s {pause_s!r}", expected="whole rows, at least 1, and no time below 0"
            )
        quote = self.dialect.quote_identifier
        name, source = f"{table}.{key}", ".".join(map(quote, table.split(".")))
        if (count := self._calls(name)) > 1:
            name = f"{name} #{count}"
        last, seen = self._progress.get(name, (None, 0))
        own = quote(table.rsplit(".", 1)[-1])  # SQLite takes a quoted name alone that is no column for text (quirks.html, 8)
        chosen = ", ".join(f"{own}.{quote(column)}" for column in (key, *columns))
        while True:
            conditions = [f"({where})"] if where else []
            conditions += [f"{own}.{quote(key)} > ?"] if last is not None else []
            narrowed = f" WHERE {' AND '.join(conditions)}" if conditions else ""
            sql = f"SELECT {chosen} FROM {source}{narrowed} ORDER BY {own}.{quote(key)} LIMIT {size}"

            def portion(sql: str = sql, last: Any = last, seen: int = seen) -> int:
                rows = self.conn.query(sql, () if last is None else (last,))
                if rows:
                    if any(row[0] is None for row in rows):
                        raise MigrationError(
                            f"{table} has rows without a value of {key}, which have no place in its order",
                            expected="a key that every row has",
                            fix=f'where="{key} IS NOT NULL" leaves them out; step.once can treat them',
                        )
                    change(rows)
                    self._keep(name, (rows[-1][0], seen + len(rows)))
                return len(rows)

            count = self._patiently(lambda portion=portion: self._finishing(portion))  # type: ignore[misc]
            if not count:
                return int(seen)
            last, seen = self._progress[name]
            self.statements += 1
            self._told(f"running: {table}, {seen:,} rows")
            if pause_s:
                time.sleep(pause_s)

    def _calls(self, name: str) -> int:
        """Count one more call of a name; return how many there were in this run."""
        self._called[name] = self._called.get(name, 0) + 1
        return self._called[name]

    def _finishing(self, act: Callable[[], T]) -> T:
        """Run an act in a transaction; what it says is finished is so only when that holds."""
        before = self._progress
        try:
            with self.conn.transaction():
                return act()
        except BaseException:
            self._progress = before
            raise

    def _keep(self, name: str, value: object) -> None:
        """Write down how far a part has come, in the transaction that runs."""
        self._progress = {**self._progress, name: value}
        self._reach(_written(self._progress))


def step_for(migration: Migration, runner: Runner, progress: str | None) -> Step:
    """Return what a Python migration works with; `progress` is what an earlier run kept."""
    ledger = runner.ledger

    def reach(text: str) -> None:
        if ledger is not None:
            ledger.reach(migration.version, 0, text)

    def waiting(act: Callable[[], int]) -> int:
        return patiently(act, runner.patience)

    def sent(sql: str) -> None:
        _must_be_let_through(sql, runner.engine)
        runner.heard(sql)

    return Step(runner.conn, runner.engine.dialect, reach, runner.told, waiting, sent, _read(progress))


_CONTROLS = ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "XA")


def _must_be_let_through(sql: str, engine: Engine) -> None:
    """Raise MigrationError for a statement that ends a transaction of dbops's, or writes what it keeps for itself."""
    from dbops.resources.migrations.script import is_about_own_tables
    from dbops.sql.splitter import iterate

    text = sql.lstrip()
    if is_about_own_tables(text):
        raise MigrationError("the statement is about what dbops keeps for itself", expected="statements about other tables")
    if not text[:8].upper().startswith(_CONTROLS):
        return
    if any(engine.scripts.conduct(statement).control is not None for statement in iterate(text, engine.dialect)):
        raise MigrationError(
            f"{text.split(None, 1)[0]} begins or ends a transaction, which are dbops's own",
            expected="step.once(name, act), which runs a part in one transaction",
            error_code="TRANSACTION_CONTROL",
        )


def run_steps(migration: Migration, direction: Direction, step: Step) -> None:
    """Run a Python migration; what it prints goes to standard error.

    Raises:
        MigrationError: the file cannot be imported, or its function raised something that is no error of a database.
    """
    with printing_aside():
        _run_module(_module(migration), migration, direction, step)


def _run_module(module: Any, migration: Migration, direction: Direction, step: Step) -> None:
    function = getattr(module, "up_fn" if direction == "up" else "down_fn", None)
    if function is None:
        raise MigrationError(f"nothing leads back from {migration.id}", at=migration.at, expected="a function down_fn(step)")
    try:
        function(step)
    except DbopsError as error:
        if error.at is None:
            error.at = place_of(error, migration.at.file, migration.at)
        raise
    except (Exception, SystemExit) as error:  # a step that ends the program would leave everybody else without a word
        raise MigrationError(
            f"{type(error).__name__}: {error}",
            at=place_of(error, migration.at.file, migration.at),
            fix="what its batches have done stands, and the next run goes on behind it",
        ) from error


def _written(progress: dict[str, Any]) -> str:
    return json.dumps(progress, default=lambda value: {_BYTES: value.hex()} if isinstance(value, bytes) else str(value))


_BYTES = "hex"
"""Marks a key that is bytes; a moment, a number or a uuid is known again by its text."""


def _read(progress: str | None) -> dict[str, Any]:
    try:
        found = json.loads(progress, object_hook=_whole) if progress else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _whole(data: dict[str, Any]) -> Any:
    return bytes.fromhex(data[_BYTES]) if data.keys() == {_BYTES} and isinstance(data[_BYTES], str) else data


def _module(migration: Migration) -> Any:
    name = f"dbops_migration_{migration.version.replace('.', '_')}"
    spec = spec_from_loader(name, loader=None)
    assert spec is not None
    module = module_from_spec(spec)
    module.__file__ = migration.at.file
    try:
        exec(compile(migration.up.text, migration.at.file, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise MigrationError(
            f"the file cannot be run: {type(error).__name__}: {error}", at=place_of(error, migration.at.file, migration.at)
        ) from error
    return module
