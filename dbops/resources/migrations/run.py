"""One migration run on a session: in one transaction where its statements allow that, else journaled statement by statement.

What commits by itself is surrounded by the ledger: before it, how many statements stand and what the next one's objects look
like; behind it, that it stands. A program that dies anywhere leaves a record from which the next run goes on at the right one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import field, replace
from itertools import islice
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError, LostConnectionError, Mark, QueryError
from dbops.reconcile.ledger import Ledger, Record
from dbops.reconcile.patience import Lookout, Patience, patiently
from dbops.resources.migrations.model import Direction, Migration, Script
from dbops.resources.migrations.resuming import must_be_resumable
from dbops.resources.migrations.script import Planned, checked, failure, further, of_session, title, way_back
from dbops.sql.redact import redact
from dbops.sql.splitter import SourceStatement

_BATCH, _BATCH_CHARACTERS = 200, 500_000


@dataclass(frozen=True, slots=True)
class Author:
    """Who runs migrations, for the ledger; `now` returns UTC in ISO 8601."""

    who: str
    dbops_version: str
    now: Callable[[], str]


@dataclass(slots=True)
class Runner:
    """Runs migrations on one session; without a ledger (on a scratch) nothing is remembered.

    `told` hears in words what runs and what it waits for. `each` are scripts that run behind every migration.
    """

    conn: Connection
    engine: Engine
    ledger: Ledger | None
    author: Author
    lock_s: float = 3.0
    patience: Patience = field(default_factory=lambda: Patience(1))
    told: Callable[[str], None] = lambda text: None
    each: Sequence[Script] = ()
    done: Callable[[], None] = lambda: None
    heard: Callable[[str], None] = lambda sql: None
    """Hears what Python steps send."""
    lookout: Lookout = field(init=False)

    def __post_init__(self) -> None:
        self.lookout = Lookout(self.conn, self.lock_s, self.told)

    def hear(self, told: Callable[[str], None], done: Callable[[], None]) -> None:
        """Tell somebody else from now on; `done` is called inside the transaction that ends a migration."""
        self.told, self.done = told, done
        self.lookout.told = told

    def run(self, migration: Migration, direction: Direction, previous: Record | None) -> int:
        """Run a migration up or down, from where an earlier run left it; return how many statements ran.

        Raises:
            MigrationError: a statement cannot stand in a migration, or the file is no longer what an earlier run began.
            QueryError: the database refused a statement; the message and `context` say which, and what stands.
        """
        return _Run(self, migration, direction, previous).run()

    def run_script(self, script: Script, what: str) -> int:
        """Run a hook: statements one after the other, each committing by itself unless the caller has a transaction."""
        statements = [planned.source for planned in checked(script, self.engine)]
        done, error = self.engine.scripts.run(self.conn, statements)
        if error is not None:
            raise failure(error, script, statements[done], done + 1, what, "what ran before it stands")
        return done


def read_hooks(files: Sequence[Path]) -> list[Script]:
    """Return the scripts of hook files.

    Raises:
        MigrationError: a file cannot be read.
    """
    from dbops.resources.migrations.folder import read_text, shown

    return [Script(read_text(file), Mark(shown(file), 1, 1)) for file in files]


class _Run:
    """One run of one migration."""

    def __init__(self, runner: Runner, migration: Migration, direction: Direction, previous: Record | None) -> None:
        self.runner, self.migration, self.direction = runner, migration, direction
        self.conn, self.engine, self.ledger, self.scripts = runner.conn, runner.engine, runner.ledger, runner.engine.scripts
        self.script = migration.up if direction == "up" else way_back(migration)
        self.began, self.started_at = time.monotonic(), runner.author.now()
        is_resumed = previous is not None and previous.state in ("running", "failed") and previous.direction == direction
        self.previous = previous
        self.resumed = previous if is_resumed else None
        self.reached = previous.reached if previous is not None and is_resumed else 0
        self.secured = self.reached
        """How many statements stand whatever happens to the transaction that runs; `reached` counts those inside it too."""
        self.trace = previous.trace if previous is not None and is_resumed else None
        keeps_place = previous is not None and (is_resumed or direction == "down")
        self.position = previous.position if previous is not None and keeps_place else 0
        self.ran = 0
        self.is_recorded = False
        self.alone: set[int] = set()
        """Places of statements that turned out to stand alone, though their text does not say it."""
        self.bring_back: Callable[[], None] | None = None
        self.failing: tuple[SourceStatement, int] | None = None
        self.sent: _Sent | None = None
        """What goes out with the COMMIT."""
        self.is_partial = False
        """Whether the failing statement committed a part of what it does."""

    def run(self) -> int:
        if self.resumed is not None and self.ledger is not None:
            must_be_resumable(self.migration, self.direction, self.script, self.resumed, self.ledger, self.engine.dialect)
        try:
            match self.migration.kind:
                case "python":
                    self._run_python()
                case "alembic":
                    self._run_alembic()
                case "sql":
                    self._run_sql()
        except DbopsError as error:
            self._leave_session()
            self._note_failure(error)
            raise self._explained(error) from error
        finally:
            self._leave_session()
        return self.ran

    # --- SQL

    def _run_sql(self) -> None:
        self._settle_running()
        while not patiently(self._attempt, self.runner.patience, self._give_way):
            pass

    def _attempt(self) -> bool:
        """Run the next segment; what its transaction did is forgotten where that was rolled back. True at the end of the file."""
        was_recorded, self.failing, self.sent = self.is_recorded, None, None
        if self.ledger is not None:
            self.ledger.look()
        try:
            return self._segment()
        except BaseException as error:
            if isinstance(error, DbopsError) and self.sent is not None:
                self.failing = self.sent.failing(error)
            self.ran -= self.reached - self.secured
            self.reached, self.is_recorded = self.secured, was_recorded
            if self.ledger is not None:
                self.ledger.forget()
            if isinstance(error, QueryError) and self._turns_out_alone(error):
                return False
            raise

    def _turns_out_alone(self, error: QueryError) -> bool:
        """Take notice of a statement that the server refuses inside a transaction; True when that was not known."""
        if self.failing is None or not self.scripts.is_refused_inside(self.failing[0], error):
            return False
        place = self.failing[1] - 1
        is_new = place not in self.alone
        self.alone.add(place)
        return is_new

    def _segment(self) -> bool:
        """Run what can be one transaction from `reached` on, then what stands alone behind it; True at the end of the file.

        The transaction holds the ledger's record, so that both stand or neither.
        """
        coming = self._from(self.reached)
        first = next(coming, None)
        if first is not None and first.conduct.stands_alone:
            self._run_alone(first)
            return False
        if not self.engine.features.has_transactional_ddl and not self.is_recorded:
            self._reach(None)
            self.is_recorded = True
        with (
            self.runner.lookout.watching(),
            self.conn.transaction(schema_change=self.scripts.rebuilds(self.script.text)),
        ):
            further = self._run_together(first, coming)
            if further is not None:
                self._reach(None)
            else:
                if self.bring_back is not None:
                    self.bring_back()
                self._finish()
        if further is None:
            self.bring_back = None
        self.secured, self.is_recorded = self.reached, True
        return further is None

    def _run_together(self, first: Planned | None, coming: Iterator[Planned]) -> Planned | None:
        """Run statements until one belongs behind this transaction, which is returned, or there are no more."""
        batch: list[Planned] = []
        size = 0
        statement = first
        while statement is not None:
            if statement.conduct.stands_alone:
                self._flush(batch)
                return statement
            if statement.conduct.may_commit and not self.engine.features.has_transactional_ddl:
                self._flush(batch)
                batch, size = [], 0
                if not self._run_opaque(statement):
                    return statement
                statement = next(coming, None)
                continue
            length = len(statement.source.text)
            if (
                batch and size + length > _BATCH_CHARACTERS
            ):  # a large one goes alone: to be joined with others, it would be copied
                self._flush(batch)
                batch, size = [], 0
            batch.append(statement)
            size += length
            if len(batch) >= _BATCH or size >= _BATCH_CHARACTERS:
                self._flush(batch)
                batch, size = [], 0
            if not self.script.is_transactional:
                self._flush(batch)
                return next(coming, None)
            statement = next(coming, None)
        if not self._goes_with_commit(batch):
            self._flush(batch)
        return None

    def _goes_with_commit(self, batch: Sequence[Planned]) -> bool:
        """Let the last statements go out with the ledger's record behind them, where nothing else comes between."""
        if not batch or self.bring_back or self.runner.each or self.ledger is None or not self.script.is_transactional:
            return False
        if any(planned.conduct.touches_session for planned in batch):
            return False
        place = self.scripts.run_later(self.conn, [planned.source for planned in batch])
        if place is None:
            return False
        self._tell(batch[0])
        self.sent = _Sent(batch, place, self.reached)
        self.reached += len(batch)
        self.ran += len(batch)
        return True

    def _tell(self, planned: Planned) -> None:
        self.runner.told(f"running: statement {self.reached + 1}: {title(planned.source)}")

    def _flush(self, batch: Sequence[Planned]) -> None:
        if not batch:
            return
        self._remember_session(batch)
        self._tell(batch[0])
        done, error = self.scripts.run(self.conn, [planned.source for planned in batch])
        self.reached += done
        self.ran += done
        if error is not None:
            self.failing = (batch[done].source, self.reached + 1)
            raise error

    def _run_opaque(self, planned: Planned) -> bool:
        """Run what may commit though its text does not say so; False when it did, so that what ran until now stands.

        The ledger is written before, inside the transaction: a commit inside the statement lets that stand too.
        """
        self._remember_session([planned])
        if self.ledger is not None:
            self._reach(self.scripts.trace(self.conn, planned.source) or _ANY)
        self._tell(planned)
        is_same, error = self.scripts.run_opaque(self.conn, planned.source)
        if not is_same:
            self.secured = self.reached
        if error is not None:
            self.failing, self.is_partial = (planned.source, self.reached + 1), not is_same
            raise error
        self.reached += 1
        self.ran += 1
        if not is_same:
            self.secured = self.reached
        self._reach(None)
        return is_same

    def _remember_session(self, batch: Sequence[Planned]) -> None:
        if self.bring_back is None and any(planned.conduct.touches_session for planned in batch):
            self.bring_back = self.scripts.remember(self.conn, self.script.text)

    def _run_alone(self, planned: Planned) -> None:
        """Run what commits by itself, with the ledger before and behind it."""
        self._remember_session([planned])
        statement = planned.source
        if told := self.scripts.mend(self.conn, statement):
            self.runner.told(told)
        if self.ledger is not None:
            self.trace = self.scripts.trace(self.conn, statement) or _ANY
            self._reach(self.trace)
            self.is_recorded = True
        self._tell(planned)
        waits_long = planned.conduct.waits_long and self.bring_back is None  # else the file has settings of its own
        with self.conn.giving_up_locks_after(0) if waits_long else nullcontext(), self.runner.lookout.watching():
            _, error = self.scripts.run(self.conn, [statement])
            if error is not None:
                if not isinstance(error, LostConnectionError):
                    self.trace = None
                self.failing = (statement, self.reached + 1)
                raise error
        self.reached += 1
        self.secured = self.reached
        self.ran += 1
        self.trace = None
        self._reach(None)

    def _settle_running(self) -> None:
        """Find out whether the statement that ran when an earlier run died has had its effect, and set the session as it was."""
        if self.trace is not None:
            planned = next(self._from(self.reached), None)
            is_traced = planned is not None and self.trace != _ANY
            if is_traced and planned is not None and self.scripts.trace(self.conn, planned.source) != self.trace:
                self.reached += 1
                self.secured = self.reached
            self.trace = None
        if self.reached:
            settings = list(of_session(islice(checked(self.script, self.engine), self.reached)))
            self._remember_session(settings)
            _, error = self.scripts.run(self.conn, [planned.source for planned in settings])
            if error is not None:
                raise error

    def _from(self, start: int) -> Iterator[Planned]:
        """Yield the statements behind the first `start`, each as it is known to behave by now."""
        may_commit_inside = self.script.is_transactional or not self.engine.features.has_transactional_ddl
        for place, planned in enumerate(islice(checked(self.script, self.engine), start, None), start):
            if place in self.alone or (planned.conduct.may_commit and not may_commit_inside):
                yield replace(planned, conduct=replace(planned.conduct, stands_alone=True))
            else:
                yield planned

    # --- Python

    def _run_python(self) -> None:
        from dbops.resources.migrations.python_steps import run_steps, step_for

        step = step_for(self.migration, self.runner, self.trace)
        self._record("running")
        self.is_recorded = True
        try:
            run_steps(self.migration, self.direction, step)
        finally:
            self.trace, self.ran = step.progress, step.statements
        self.trace = None
        with self.conn.transaction():
            self._finish()

    # --- Alembic

    def _run_alembic(self) -> None:
        """Alembic knows by its own table what it has run, so one that died is simply run again."""
        from dbops.resources.migrations import alembic_scripts

        self._record("running")
        alembic_scripts.run(self.migration, self.direction, self.engine, self.conn, on_scratch=self.ledger is None)
        self.ran = 1
        with self.conn.transaction():
            self._finish()

    # --- the ledger

    def _finish(self) -> None:
        for script in self.runner.each:
            self.runner.run_script(script, f"the hook {script.at.file}")
        if self.ledger is not None:
            self._record("applied" if self.direction == "up" else "rolled back", is_over=True)
            self.runner.done()

    def _reach(self, trace: str | None) -> None:
        """Write how far the run has come; as whoever the connection is, where the script may have become somebody else."""
        if self.ledger is None:
            return
        with nullcontext() if self.bring_back is None else self.scripts.aside(self.conn):
            if self.is_recorded:
                self.ledger.reach(self.migration.version, self.reached, trace)
            else:
                self._record("running")

    def _record(self, state: str, *, is_over: bool = False, error: str | None = None) -> None:
        if self.ledger is None:
            return
        text, down_text = self.migration.kept_texts
        self.position = self.ledger.put(
            Record(
                version=self.migration.version,
                name=self.migration.name,
                position=self.position,
                checksum=self.migration.checksum,
                state=state,  # type: ignore[arg-type]  # one of the words of the ledger
                started_at=self.started_at,
                finished_at=self.runner.author.now() if is_over or error else None,
                duration_ms=round((time.monotonic() - self.began) * 1000),
                who=self.runner.author.who,
                dbops_version=self.runner.author.dbops_version,
                total=self.reached if is_over else None,
                reached=self.reached,
                direction=self.direction,
                trace=self.trace,
                error=error,
                text=text,
                down_text=down_text,
            ),
            is_ahead=is_over and self.sent is not None,
        )

    def _note_failure(self, error: DbopsError) -> None:
        """Write down what stands; where that cannot be done, the record of before says as much as is certain."""
        if self.ledger is None or isinstance(error, LostConnectionError):
            return
        try:
            self._record("failed", error=redact(error.message[:_LONGEST_ERROR]))
        except DbopsError as further:
            error.fix = f"{error.fix or ''}\n  and the ledger could not be brought up to date: {further.message}".strip()

    def _explained(self, error: DbopsError) -> DbopsError:
        """Say which statement failed, and what stands."""
        if not isinstance(error, QueryError) or self.migration.kind != "sql":
            return error
        if self.failing is None:
            is_unknown = isinstance(error, LostConnectionError)
            error.fix = further(_UNKNOWN if is_unknown else self._standing(), error.fix)
            return error
        statement, number = self.failing
        return failure(error, self.script, statement, number, self.migration.id, self._standing())

    def _standing(self) -> str:
        if self.is_partial:
            further = f"{self.reached} of its statements stand, and what the failing one committed before it failed"
            return f"{further}; the next run goes on at statement {self.reached + 1}"
        if self.reached == 0:
            return f"nothing of the {'migration' if self.direction == 'up' else 'way back'} stands"
        return (
            f"{self.reached} of its statements stand, and are not run again; the next run goes on at statement {self.reached + 1}"
        )

    def _give_way(self, error: DbopsError, text: str) -> None:
        blamed = f"; in the way: {' and '.join(self.runner.lookout.seen)}" if self.runner.lookout.seen else ""
        self.runner.told(f"{error.message}{blamed}; {text}")

    def _leave_session(self) -> None:
        bring_back, self.bring_back = self.bring_back, None
        if bring_back is not None:
            with suppress(LostConnectionError):  # a session that is gone has no settings
                bring_back()


@dataclass(frozen=True, slots=True)
class _Sent:
    """Statements that are sent with the COMMIT: the place of the first among what is sent, and how many stood before it."""

    batch: Sequence[Planned]
    place: int
    before: int

    def failing(self, error: DbopsError) -> tuple[SourceStatement, int] | None:
        """Return the statement that failed, and its number; None where what failed is none of them."""
        index = error.context.pop("place", -1) - self.place
        if not 0 <= index < len(self.batch):
            error.context.pop("position", None)  # counts in a text that nobody has seen
            return None
        return self.batch[index].source, self.before + index + 1


_LONGEST_ERROR = 10_000
_UNKNOWN = (
    "whether the transaction that was being committed stands is not known here; the ledger knows, and the next run goes by it"
)
_ANY = "-"
"""Stands in the ledger for a statement that may be run once more whatever it has done."""
