"""One migration run on a session: in one transaction where its statements allow that, else journaled statement by statement.

What commits by itself is surrounded by the ledger: before it, how many statements stand and what the next one's objects look
like; behind it, that it stands. A program that dies anywhere leaves a record from which the next run goes on at the right one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError, LostConnectionError, Mark, MigrationError, QueryError
from dbops.reconcile.ledger import Ledger, Record
from dbops.reconcile.patience import Lookout, Patience, patiently
from dbops.resources.migrations.edits import same_beginning
from dbops.resources.migrations.model import Direction, Migration, Script
from dbops.resources.migrations.script import Planned, checked, failure, title
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
    lookout: Lookout = field(init=False)

    def __post_init__(self) -> None:
        self.lookout = Lookout(self.conn, self.lock_s, self.told)

    def hear(self, told: Callable[[str], None]) -> None:
        """Tell somebody else from now on."""
        self.told = told
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
            raise failure(error, statements[done], done + 1, what, "it is run again the next time")
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
        self.script = migration.up if direction == "up" else _down_of(migration)
        self.began, self.started_at = time.monotonic(), runner.author.now()
        is_resumed = previous is not None and previous.state in ("running", "failed") and previous.direction == direction
        self.previous = previous
        self.resumed = previous if is_resumed else None
        self.reached = previous.reached if previous is not None and is_resumed else 0
        self.trace = previous.trace if previous is not None and is_resumed else None
        keeps_place = previous is not None and (is_resumed or direction == "down")
        self.position = previous.position if previous is not None and keeps_place else 0
        self.ran = 0
        self.is_recorded = False
        self.bring_back: Callable[[], None] | None = None
        self.failing: tuple[SourceStatement, int] | None = None

    def run(self) -> int:
        self._must_be_resumable()
        try:
            if self.migration.kind == "python":
                self._run_python()
            else:
                self._run_sql()
        except DbopsError as error:
            self._note_failure(error)
            raise self._explained(error) from error
        finally:
            if self.bring_back is not None:
                self._leave_session()
        return self.ran

    # --- SQL

    def _run_sql(self) -> None:
        self._settle_running()
        is_last = False
        while not is_last:
            start, ran = self.reached, self.ran

            def attempt(start: int = start, ran: int = ran) -> bool:
                try:
                    return self._segment()
                except BaseException:
                    self.reached, self.ran = start, ran
                    raise

            is_last = patiently(attempt, self.runner.patience, self._give_way)

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
            self._record("running")
        with (
            self.conn.transaction(schema_change=self.scripts.rebuilds(self.script.text)),
            self.runner.lookout.watching(),
        ):
            alone = self._run_together(first, coming)
            if self.bring_back is not None and alone is None:
                self._leave_session()
            if alone is None:
                self._finish()
            elif self.ledger is not None:
                self._record("running")
        return alone is None

    def _run_together(self, first: Planned | None, coming: Iterator[Planned]) -> Planned | None:
        """Run statements until one stands alone, which is returned, or there are no more."""
        batch: list[Planned] = []
        size = 0
        statement = first
        while statement is not None:
            if statement.conduct.stands_alone:
                self._flush(batch)
                return statement
            batch.append(statement)
            size += len(statement.source.text)
            if len(batch) >= _BATCH or size >= _BATCH_CHARACTERS:
                self._flush(batch)
                batch, size = [], 0
            if not self.script.is_transactional:
                self._flush(batch)
                return next(coming, None)
            statement = next(coming, None)
        self._flush(batch)
        return None

    def _flush(self, batch: Sequence[Planned]) -> None:
        if not batch:
            return
        self._remember_session(batch)
        self.runner.told(f"running: statement {self.reached + 1}: {title(batch[0].source)}")
        done, error = self.scripts.run(self.conn, [planned.source for planned in batch])
        self.reached += done
        self.ran += done
        if error is not None:
            self.failing = (batch[done].source, self.reached + 1)
            raise error

    def _remember_session(self, batch: Sequence[Planned]) -> None:
        if self.bring_back is None and any(planned.conduct.touches_session for planned in batch):
            self.bring_back = self.scripts.remember(self.conn)

    def _run_alone(self, planned: Planned) -> None:
        """Run what commits by itself, with the ledger before and behind it."""
        self._remember_session([planned])
        statement = planned.source
        if told := self.scripts.mend(self.conn, statement):
            self.runner.told(told)
        if self.ledger is not None:
            self.trace = self.scripts.trace(self.conn, statement) or _ANY
            if self.is_recorded:
                self.ledger.reach(self.migration.version, self.reached, self.trace)
            else:
                self._record("running")
        self.runner.told(f"running: statement {self.reached + 1}: {title(statement)}")
        with self.runner.lookout.watching():
            _, error = self.scripts.run(self.conn, [statement])
        if error is not None:
            if not isinstance(error, LostConnectionError):
                self.trace = None
            self.failing = (statement, self.reached + 1)
            raise error
        self.reached += 1
        self.ran += 1
        self.trace = None
        if self.ledger is not None:
            self.ledger.reach(self.migration.version, self.reached, None)

    def _settle_running(self) -> None:
        """Find out whether the statement that ran when an earlier run died has had its effect, and set the session as it was."""
        if self.trace is not None:
            planned = next(self._from(self.reached), None)
            is_traced = planned is not None and self.trace != _ANY
            if is_traced and planned is not None and self.scripts.trace(self.conn, planned.source) != self.trace:
                self.reached += 1
            self.trace = None
        if self.reached:
            before = islice(checked(self.script, self.engine), self.reached)
            settings = [planned for planned in before if _SETTING.match(planned.source.text)]
            self._remember_session(settings)
            _, error = self.scripts.run(self.conn, [planned.source for planned in settings])
            if error is not None:
                raise error

    def _from(self, start: int) -> Iterator[Planned]:
        return islice(checked(self.script, self.engine), start, None)

    # --- Python

    def _run_python(self) -> None:
        from dbops.resources.migrations.python_steps import run_steps, step_for

        step = step_for(self.migration, self.runner, self.trace)
        self._record("running")
        try:
            run_steps(self.migration, self.direction, step)
        finally:
            self.trace, self.ran = step.progress, step.statements
        self.trace = None
        with self.conn.transaction():
            self._finish()

    # --- the ledger

    def _finish(self) -> None:
        for script in self.runner.each:
            self.runner.run_script(script, f"the hook {script.at.file}")
        if self.ledger is not None:
            self._record("applied" if self.direction == "up" else "rolled back", is_over=True)

    def _record(self, state: str, *, is_over: bool = False, error: str | None = None) -> None:
        if self.ledger is None:
            return
        keeps = self.migration.kind == "sql"
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
                text=self.migration.up.text if keeps else None,
                down_text=self.migration.down.text if keeps and self.migration.down else None,
            )
        )
        self.is_recorded = True

    def _note_failure(self, error: DbopsError) -> None:
        """Write down what stands; where that cannot be done, the record of before says as much as is certain."""
        if self.ledger is None or isinstance(error, LostConnectionError):
            return
        if not self.is_recorded and not self.resumed:
            self.reached = 0
        try:
            self._record("failed", error=error.message)
        except DbopsError as further:
            error.fix = f"{error.fix or ''}\n  and the ledger could not be brought up to date: {further.message}".strip()

    def _explained(self, error: DbopsError) -> DbopsError:
        """Say which statement failed, and what stands."""
        if not isinstance(error, QueryError) or self.failing is None:
            return error
        statement, number = self.failing
        return failure(error, statement, number, self.migration.id, self._standing())

    def _standing(self) -> str:
        if self.reached == 0 or (not self.is_recorded and not self.resumed):
            return "nothing of the migration stands"
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

    def _must_be_resumable(self) -> None:
        """Refuse to go on in a file whose statements that stand were edited since."""
        resumed = self.resumed
        if resumed is None or not self.reached or resumed.checksum == self.migration.checksum or self.ledger is None:
            return
        texts = self.ledger.texts(self.migration.version)
        before = texts[0] if self.direction == "up" else texts[1]
        moved = 1 if before is None else same_beginning(before, self.script.text, self.reached, self.engine.dialect)
        if moved is not None:
            raise MigrationError(
                f"{self.migration.id} failed behind statement {self.reached}; its statement {moved}, which stands, was edited",
                at=self.migration.at,
                expected="the statements that stand as they were; what comes behind them may change",
                fix="take the edit back, or undo the statements by hand and dbops migrate resolve --pending",
                error_code="RESUME_EDITED",
            )


_SETTING = re.compile(r"(?:/\*M?!\d*\s*)?(?:SET|RESET|USE|PRAGMA)\b|SELECT\s+(?:pg_catalog\s*\.\s*)?set_config\b", re.IGNORECASE)
_ANY = "-"
"""Stands in the ledger for a statement that may be run once more whatever it has done."""


def _down_of(migration: Migration) -> Script:
    if migration.down is None:
        why = f": {migration.irreversible}" if migration.irreversible else ""
        raise MigrationError(
            f"nothing leads back from {migration.id}{why}",
            at=migration.at,
            expected="-- migrate:down, or a file beside it",
            error_code="IRREVERSIBLE",
        )
    return migration.down
