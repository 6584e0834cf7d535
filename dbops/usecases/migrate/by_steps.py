"""Migrations that are functions of a program: in the order of what they depend on, remembered in the database's ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import field
from time import monotonic
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Row
from dbops.errors import DbopsError, Mark, MigrationError
from dbops.reconcile.ledger import Ledger, Record
from dbops.resources.migrations.graph import ordered
from dbops.resources.migrations.model import Migration, Script, checksum_of, one_version
from dbops.usecases.apply import LOCK
from dbops.usecases.databases.address import target_of
from dbops.usecases.databases.parameters import prepared
from dbops.usecases.runtime import OpenTargets, engine_for, timestamp, who
from dbops.version import __version__

_NAME, _SET = "database", "steps"


@dataclass(frozen=True, slots=True)
class StepSession:
    """What a step works with; parameters stand at `?`, `%s` or `:name` marks."""

    _conn: Connection
    _dialect: Any
    _changed: list[int] = field(default_factory=list)

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> list[Row]:
        """Run one statement and return its rows.

        Raises:
            QueryError: the database refused it.
        """
        text, values = prepared(sql, params, self._dialect, "?")
        return self._conn.query(text, values)

    def execute(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> int:
        """Run one statement and return the number of rows that it changed, -1 when the engine does not say.

        Raises:
            QueryError: the database refused it.
        """
        text, values = prepared(sql, params, self._dialect, "?")
        count = self._conn.execute(text, values)
        self._changed.append(max(count, 0))
        return count

    @property
    def changed(self) -> int:
        """The number of rows that all statements so far have changed."""
        return sum(self._changed)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a step: its seconds, the rows that it changed, and what went wrong, None when nothing did."""

    seconds: float
    rows: int
    error: str | None


def in_order(steps: Mapping[str, Sequence[str]]) -> list[str]:
    """Return ids in an order in which what each depends on comes first; equal ones by id.

    Raises:
        Problems: of MigrationError: unknown dependencies, a cycle.
    """
    migrations = [Migration(step, "", Mark(step), Script("", Mark(step)), depends=tuple(needs)) for step, needs in steps.items()]
    return [migration.version for migration in ordered(migrations)]


class StepLedger:
    """The steps that a database has had; its sessions stay open until `close`."""

    def __init__(self, url: str) -> None:
        target = target_of(url, timeout_s=30.0, attempts=3, tls_mode="prefer")
        self._engine = engine_for(target.url)
        if not self._engine.features.has_servers:
            self._engine.create_database(target)
        self._stack = ExitStack()
        self._targets = OpenTargets({_NAME: target}, self._stack)

    def applied(self) -> list[str]:
        """Return the ids of the steps that stand, in the order in which they ran."""
        return [record.version for record in self._ledger().records() if record.state == "applied"]

    def run(self, step_id: str, name: str, act: Callable[[StepSession], object], *, is_up: bool) -> Ran:
        """Run a step, in one transaction with its record.

        Where changes of tables commit by themselves (MySQL), those before the failure stand.

        Raises:
            LockTimeoutError: another apply is at work on the database.
        """
        conn, ledger = self._targets.writer(_NAME), self._ledger()
        with self._engine.lock(conn, LOCK, 60.0):
            ledger.create()
            known = {record.version: record for record in ledger.records()}
            step_id = same_of(step_id, known) or step_id
            started, began = timestamp(), monotonic()
            position = known[step_id].position if step_id in known and not is_up else 0

            def record(state: Any, error: str | None = None) -> Record:
                return Record(
                    version=step_id,
                    name=name,
                    position=position,
                    checksum=checksum_of(step_id),
                    state=state,
                    started_at=started,
                    finished_at=timestamp(),
                    duration_ms=round((monotonic() - began) * 1000),
                    who=who(),
                    dbops_version=__version__,
                    direction="up" if is_up else "down",
                    error=error,
                )

            try:
                session = StepSession(conn, self._engine.dialect)
                with conn.transaction(schema_change=True):
                    act(session)
                    ledger.put(record("applied" if is_up else "rolled back"))
            except Exception as error:  # whatever the program's function raises is the answer
                message = error.message if isinstance(error, DbopsError) else f"{type(error).__name__}: {error}"
                ledger.forget()
                ledger.put(record("failed", message))
                return Ran(monotonic() - began, 0, message)
            return Ran(monotonic() - began, session.changed, None)

    def close(self) -> None:
        """Close the sessions."""
        self._stack.close()

    def _ledger(self) -> Ledger:
        return self._targets.ledger(_NAME, "dbops_migrations", _SET)


def must_be_new(step_id: str, known: Iterable[str]) -> None:
    """Refuse a second step of one id; 1 and 01 are one, as they are among files.

    Raises:
        MigrationError: there is one.
    """
    if (other := same_of(step_id, known)) is not None:
        words = "" if other == step_id else f": {other} is the same version"
        raise MigrationError(
            f"two steps have the id {step_id}{words}", expected="an id of its own for each", error_code="DUPLICATE_VERSION"
        )


def same_of(step_id: str, ids: Iterable[str]) -> str | None:
    """Return the id among `ids` that means this step, None where there is none."""
    key = one_version(step_id)
    return next((one for one in ids if one == step_id or one_version(one) == key), None)


def without(ids: Iterable[str], completed: Iterable[str]) -> list[str]:
    """Return the ids that none of those completed means."""
    done = {one_version(one) for one in completed}
    return [one for one in ids if one_version(one) not in done]
