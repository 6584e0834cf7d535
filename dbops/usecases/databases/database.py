"""Statements and transactions of many threads and tasks on one database, each on a session of its own."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from weakref import WeakKeyDictionary

from dbops import telemetry
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target
from dbops.engines.base.driver import Answer, Session, TableColumn
from dbops.errors import DbopsError, LockTimeoutError, LostConnectionError, MissingTableError, QueryError, SchemaError
from dbops.usecases.databases.observed import attributes_of, statement, system_of
from dbops.usecases.databases.parameters import Parameters, alike, listed, must_be_text, prepared
from dbops.usecases.databases.pool import Lease, Pool, PoolState
from dbops.usecases.databases.turns import Turn, turns_of
from dbops.usecases.runtime import engine_for

if TYPE_CHECKING:
    from dbops.engines.base.engine import Engine
    from dbops.engines.base.scripts import Conduct

T = TypeVar("T")


@dataclass(slots=True)
class _Held:
    """A session that stays with its user while it is in a transaction.

    `by` says who ends it: the block that began it, the next statement that commits, or SQL of the user's own.
    """

    lease: Lease
    by: Literal["block", "pending", "hand"]
    turn: Turn | None = None
    depth: int = 0
    failure: QueryError | None = None


class Holdings(threading.local):
    """What a thread holds, and each task that runs in it; gone with the thread, and its session back in the pool with that."""

    def __init__(self) -> None:
        self.own: _Held | None = None
        self.of_tasks: WeakKeyDictionary[Any, _Held] = WeakKeyDictionary()


class Database:
    """An open database; for any number of threads. A transaction belongs to the thread, or task, that began it."""

    def __init__(self, target: Target, *, size: int, wait_s: float, holdings: Holdings | None = None) -> None:
        """Open a session; `holdings` are those of the same database before it was closed, so that blocks find that it was."""
        self._engine: Engine = engine_for(target.url)
        self._target = target
        self._attributes: telemetry.Attributes | None = None
        self._driver = self._engine.driver
        self._dialect, self._style = self._engine.dialect, self._driver.style
        self.holdings: Holdings = holdings or Holdings()
        self._wait_s = wait_s
        is_file = not self._engine.features.has_servers and not self._driver.is_private(target)
        self._turns = turns_of(str(target.url.database)) if is_file else None
        self._pool = Pool(target, size, wait_s)

    # --- statements

    def run(self, sql: str, parameters: Parameters = None, *, commit: bool = True) -> Answer:
        """Run one statement; with `commit` False it waits for a later statement, or `commit`, to be kept.

        Raises:
            QueryError: the database refused it; in a transaction that undoes what came before, too.
        """
        must_be_text(sql)
        held = self._held()
        if held is None:
            return self._by_itself(sql, parameters) if commit else self._pending(sql, parameters)
        answer = self._inside(held, lambda session: self._sent(session, sql, parameters), sql)
        if held.by == "pending" and commit:
            self.commit()
        elif held.by == "hand" and not held.lease.session.is_in_transaction():
            self._let_go(held)
        return answer

    def run_many(self, sql: str, given: Iterable[Parameters]) -> int:
        """Run a statement for each row of values, all or nothing; return how many rows were changed."""
        must_be_text(sql)
        if not (rows := listed(given)):
            return 0
        held = self._held()
        if held is not None:
            return self._inside(held, lambda session: self._sent_many(session, sql, rows), sql)
        turn = self._turn()
        try:
            with self._leased() as lease:
                return self._sent_many(lease.session, sql, rows)
        finally:
            _over(turn)

    def ask(self) -> None:
        """Ask the server for an answer, on another session where one is found dead.

        Raises:
            ConnectError, QueryError: it gives none.
        """
        if self._held() is not None:
            self._on_session(lambda session: session.run("SELECT 1"))
        else:
            self._pool.lease(must_answer=True).give_back()

    def _sent(self, session: Session, sql: str, parameters: Parameters) -> Answer:
        if telemetry.is_heard():
            with statement(sql, self._dialect, self._where(session)) as told:
                answer = self._answer(session, sql, parameters)
                told(len(answer.rows))
                return answer
        return self._answer(session, sql, parameters)

    def _answer(self, session: Session, sql: str, parameters: Parameters) -> Answer:
        if not parameters:
            return session.run(sql)
        return session.run(*prepared(sql, parameters, self._dialect, self._style))

    def _where(self, session: Session) -> telemetry.Attributes:
        """What spans say of this database; the server's version, which tells its make, is asked once."""
        if self._attributes is None:
            self._attributes = attributes_of(self._target, system_of(self._engine.name, self._driver.version(session)))
        return self._attributes

    def _sent_many(self, session: Session, sql: str, rows: Sequence[Parameters]) -> int:
        if telemetry.is_heard():
            with statement(sql, self._dialect, self._where(session)):
                return self._changed(session, sql, rows)
        return self._changed(session, sql, rows)

    def _changed(self, session: Session, sql: str, rows: Sequence[Parameters]) -> int:
        text, _ = prepared(sql, rows[0], self._dialect, self._style)
        return session.run_many(text, alike(rows, sql, self._dialect, self._style))

    def _by_itself(self, sql: str, parameters: Parameters) -> Answer:
        turn = None if self._turns is None or _READS.match(sql) else self._turn()
        try:
            lease = self._pool.lease()
            answer = self._or_thrown_away(lease, lambda: self._sent(lease.session, sql, parameters))
            if lease.session.is_in_transaction():  # BEGIN, in the user's own words
                self._hold(_Held(lease, "hand", turn))
                turn = None
            else:
                lease.give_back()
        finally:
            _over(turn)
        return answer

    def _pending(self, sql: str, parameters: Parameters) -> Answer:
        held = self._begun("pending")
        return self._inside(held, lambda session: self._sent(session, sql, parameters), sql)

    def _inside(self, held: _Held, act: Callable[[Session], T], sql: str) -> T:
        if held.failure is not None:
            what = held.failure.message if held.lease.is_over else f"for a statement before failed: {held.failure.message}"
            raise QueryError(f"the transaction is undone, {what}") from held.failure
        try:
            if held.by == "block":
                _must_leave_transaction(conduct_of(sql, self._engine), sql)
            return act(held.lease.session)
        except QueryError as error:
            self._failed(held, error)
            raise
        except BaseException:
            self._let_go(held, is_usable=False)
            raise

    def _failed(self, held: _Held, error: QueryError) -> None:
        if isinstance(error, LostConnectionError) or held.by == "block":
            held.failure = error
        elif held.by == "pending":
            held.lease.session.rollback()
            self._let_go(held)
        elif not held.lease.session.is_in_transaction():
            self._let_go(held)

    # --- transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block in one transaction, kept at its end and undone when it raises or a statement of it failed.

        Inside of another it is a savepoint: only what ran in it is undone.

        Raises:
            QueryError: a statement failed, and the block went on: nothing of it is kept.
        """
        held = self._held()
        if held is None:
            held = self._begun("block")
            yield from self._block(held, held.lease.session.commit, held.lease.session.rollback, ends=True)
            return
        name = f"dbops_{held.depth + 1}"
        session, usual = held.lease.session, held.by
        self._inside(held, lambda session: session.run(f"SAVEPOINT {name}"), "")
        held.by, held.depth = "block", held.depth + 1
        try:
            yield from self._block(
                held,
                lambda: session.run(f"RELEASE SAVEPOINT {name}"),
                lambda: session.run(f"ROLLBACK TO SAVEPOINT {name}"),
                ends=False,
            )
        finally:
            held.by, held.depth = usual, held.depth - 1

    def _block(self, held: _Held, keep: Callable[[], Any], undo: Callable[[], Any], *, ends: bool) -> Iterator[None]:
        try:
            yield
            if held.lease.is_over:
                self._closed_under(held)
                raise QueryError(f"the transaction was rolled back, {_why_over(held.lease)}") from held.failure
            if held.failure is not None:
                raise QueryError(
                    f"the transaction was rolled back, for a statement in it failed: {held.failure.message}",
                    fix="look at the result of every statement, or let execute_query raise",
                ) from held.failure
            keep()
        except BaseException:
            is_lost = isinstance(held.failure, LostConnectionError)
            if not is_lost and self._held() is held:
                self._undone(held, undo)
                if not ends:
                    held.failure = None
            raise
        finally:
            if ends and self._held() is held:
                self._let_go(held, is_usable=not isinstance(held.failure, LostConnectionError))

    def _undone(self, held: _Held, undo: Callable[[], Any]) -> None:
        if held.lease.is_foreign:
            return
        try:
            undo()
        except DbopsError as error:  # the session is of no more use, and the server forgets what it did
            held.failure = LostConnectionError(str(error))

    def commit(self) -> None:
        """Keep what `run` left waiting; nothing to do where nothing waits.

        Raises:
            QueryError: the database refuses, and nothing is kept.
        """
        self._ended(lambda session: session.commit())

    def rollback(self) -> None:
        """Undo what `run` left waiting."""
        self._ended(lambda session: session.rollback())

    def _ended(self, end: Callable[[Session], None]) -> None:
        held = self._own()
        if held is None:
            return
        if held.lease.is_over and self._closed_under(held) is None:
            raise QueryError(f"what waited for its commit is undone, {_why_over(held.lease)}")
        if held.by == "block":
            raise QueryError("a transaction block ends by itself", fix="leave the block, or raise an error in it to undo it")
        try:
            end(held.lease.session)
        except QueryError as error:
            if not isinstance(error, LostConnectionError):
                held.lease.session.rollback()
            self._let_go(held, is_usable=not isinstance(error, LostConnectionError))
            raise
        self._let_go(held)

    def _begun(self, by: Literal["block", "pending"]) -> _Held:
        turn = self._turn()
        try:
            lease = self._pool.lease()
            self._or_thrown_away(lease, lease.session.begin)
        except BaseException:
            _over(turn)
            raise
        held = _Held(lease, by, turn)
        self._hold(held)
        return held

    def _turn(self) -> Turn | None:
        """Wait for the turn to write, where there is one writer at a time."""
        if self._turns is None:
            return None
        if (turn := self._turns.take(self._wait_s)) is None:
            raise LockTimeoutError(
                f"other writers of this program were before this one for {self._wait_s:g} s",
                fix="keep transactions shorter, or raise the connection's timeout",
            )
        return turn

    # --- names

    def identifier(self, name: str) -> str:
        """Return a name as SQL writes it."""
        return self._dialect.identifier(name)

    def table_name(self, table: str) -> str:
        """Return the name of a table, as `tables` gives it, as SQL writes it."""
        schema, dot, name = table.partition(".")
        if dot and self._engine.features.has_schemas:
            return f"{self.identifier(schema)}.{self.identifier(name)}"
        return self.identifier(table)

    # --- what the database says of itself

    @property
    def version(self) -> str:
        """The server's version as it shows it."""
        return self._on_session(self._driver.version)

    @property
    def size_bytes(self) -> int:
        """The size of the database with its indexes."""
        return self._on_session(self._driver.size_bytes)

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        return self._on_session(self._driver.tables)

    def columns(self, table: str) -> list[TableColumn]:
        """Return the columns of a table or view.

        Raises:
            MissingTableError: there is none of that name.
        """
        found = self._on_session(lambda session: self._driver.columns(session, table))
        if not found:
            from difflib import get_close_matches

            near = get_close_matches(str(table), self.tables(), 1)
            raise MissingTableError(f"there is no table {table!r}", fix=f"did you mean {near[0]}?" if near else None)
        return found

    def advance(self, table: str, column: str) -> None:
        """Let a column that the engine numbers go on behind its highest number."""
        self._on_session(lambda session: self._driver.advance(session, self.table_name(table), column))

    @property
    def pool(self) -> PoolState:
        return self._pool.state

    def close(self) -> None:
        """Close all sessions; transactions that are open are undone, those of other threads when these come to them next."""
        held = self._held()
        if held is not None and not held.lease.is_over:
            self._undone(held, held.lease.session.rollback)
            if held.by != "block":
                self._let_go(held)
        self._pool.close()

    # --- sessions

    def _on_session(self, act: Callable[[Session], T]) -> T:
        held = self._held()
        if held is not None and held.failure is None:
            return self._inside(held, act, "")
        with self._leased() as lease:
            return act(lease.session)

    @contextmanager
    def _leased(self) -> Iterator[Lease]:
        lease = self._pool.lease()
        try:
            yield lease
        except QueryError as error:
            _after(lease, error)
            raise
        except BaseException:
            lease.throw_away()
            raise
        lease.give_back()

    def _or_thrown_away(self, lease: Lease, act: Callable[[], T]) -> T:
        try:
            return act()
        except QueryError as error:
            _after(lease, error)
            raise
        except BaseException:
            lease.throw_away()
            raise

    def _held(self) -> _Held | None:
        """Return what this thread, or task, holds."""
        held = self._own()
        return self._closed_under(held) if held is not None and held.lease.is_over else held

    def _own(self) -> _Held | None:
        task = _task()
        return self.holdings.own if task is None else self.holdings.of_tasks.get(task)

    def _closed_under(self, held: _Held) -> _Held | None:
        """Let go of a transaction whose database was closed; a block holds it, as one that failed, to its end."""
        if held.by == "block":
            held.failure = held.failure or QueryError(_why_over(held.lease))
            return held
        self._let_go(held, is_usable=False)
        return None

    def _hold(self, held: _Held) -> None:
        task = _task()
        if task is None:
            self.holdings.own = held
        else:
            self.holdings.of_tasks[task] = held

    def _let_go(self, held: _Held, *, is_usable: bool = True) -> None:
        task = _task()
        if task is None:
            self.holdings.own = None
        else:
            self.holdings.of_tasks.pop(task, None)
        try:
            if is_usable:
                held.lease.give_back()
            else:
                held.lease.throw_away()
        finally:
            _over(held.turn)


def _why_over(lease: Lease) -> str:
    return "for this process was forked in it" if lease.is_foreign else "for the connection was closed in it"


#: What does not write, by its first word; what might counts as writing.
_READS = re.compile(r"\s*(?:SELECT|VALUES|EXPLAIN|PRAGMA)\b", re.IGNORECASE)


def _over(turn: Turn | None) -> None:
    if turn is not None:
        turn.give_up()


def _after(lease: Lease, error: QueryError) -> None:
    if isinstance(error, LostConnectionError):
        lease.throw_away()
    else:
        lease.give_back()


def _task() -> Any:
    """Return the asyncio task that runs in this thread, None outside of one; nothing is imported to know it."""
    import sys

    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return None
    return asyncio.current_task()


def conduct_of(sql: str, engine: Engine) -> Conduct | None:
    """Tell how a statement behaves in a transaction; None of an empty text."""
    return _conduct(sql, engine.name) if sql else None


@lru_cache(maxsize=512)
def _conduct(sql: str, name: str) -> Conduct | None:
    from dbops.sql.splitter import split
    from dbops.usecases.runtime import engine_named

    engine = engine_named(name)
    try:
        statements = split(sql, engine.dialect)
    except SchemaError:  # a string that nothing closes: the database will say so
        return None
    return engine.scripts.conduct(statements[0]) if statements else None


def _must_leave_transaction(conduct: Conduct | None, sql: str) -> None:
    """Refuse what would end the transaction behind the back of its block.

    Raises:
        QueryError: it would.
    """
    if conduct is None or not (conduct.stands_alone or conduct.control):
        return
    words = " ".join(sql.split()[:3])
    if conduct.control:
        raise QueryError(f"{words}: a transaction block begins and ends by itself", fix="leave the statement out")
    raise QueryError(
        f"{words}: this statement commits by itself, so it cannot be undone with the transaction",
        fix="run it outside of the transaction",
    )
