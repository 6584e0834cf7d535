"""Sessions of PostgreSQL over psycopg 3: the only module of this engine that imports the driver."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from dbops.engines.base.connect import Abilities, Row, Server, Target
from dbops.engines.postgresql.errors import INSUFFICIENT_PRIVILEGE, MADE_MEANWHILE, connect_error, is_worth_retrying, query_error
from dbops.errors import ConnectError, DbopsError, MissingDatabaseError, QueryError
from dbops.sql.statement import Parameter

if TYPE_CHECKING:
    import psycopg

#: Strings, quoted names, comments and dollar quotes pass as they are; a `?` outside them is a parameter, a `%` is doubled.
_MARKS = re.compile(
    r"""[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | --[^\n]* | /\*.*?\*/ | (\$(?:[A-Za-z_]\w*)?\$).*?\1 | (\?)""",
    re.VERBOSE | re.DOTALL,
)
_JOINT = ";\n"
_LATER_CHARACTERS = 500_000
_IDLE = 0
"""PQTRANS_IDLE of libpq (manual, 34.2 Connection Status Functions)."""
MAINTENANCE = ("postgres", "template1")


class PostgresConnection:
    """One session; see the port for what callers may rely on."""

    def __init__(self, conn: psycopg.Connection[Row], target: Target, server: Server, readonly: bool = False) -> None:
        self._conn = conn
        self._target = target
        self._readonly = readonly
        self.server = server
        self._is_due = False
        """Whether a transaction was asked for of which the server does not know yet."""
        self._is_in_block = False
        self._later: list[str] = []
        self._beside: PostgresConnection | None = None
        self.backend_pid: int = conn.info.backend_pid
        """The server's process; behind a pooler, which makes one up, another than libpq says."""
        self.is_own_cluster = False
        """True for a scratch on a server whose roles are nobody's: missing ones may be made."""

    @property
    def target(self) -> Target:
        """Where this session was opened, for errors and for opening another one beside it."""
        return self._target

    def stop(self) -> None:
        with suppress(DbopsError), self._translated():  # the server may be gone, then there is nothing to end
            self._conn.cancel()

    @property
    def driver(self) -> psycopg.Connection[Row]:
        """The driver's own connection, for sessions of programs."""
        return self._conn

    def query(self, sql: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        with self._translated():
            return self._run(sql, parameters).fetchall()

    def execute(self, sql: str, parameters: Sequence[Parameter] = ()) -> int:
        with self._translated():
            return self._run(sql, parameters).rowcount

    def execute_later(self, sql: str, parameters: Sequence[Parameter] = ()) -> None:
        if not self._is_in_block or not all(value is None or type(value) in (str, int) for value in parameters):
            self.execute(sql, parameters)
            return
        self._later.append(_with_values(sql, parameters))
        if sum(map(len, self._later)) > _LATER_CHARACTERS:
            self._catch_up()

    def send_later(self, statements: Sequence[str]) -> int:
        """Let statements go out with what comes next in this transaction, the COMMIT at the latest.

        Returns the place of the first. The error of what waited ends the transaction, and its context says the `place`.
        """
        place = len(self._later)
        self._later += statements
        return place

    @contextmanager
    def transaction(self, *, schema_change: bool = False) -> Iterator[None]:
        """Run a block as the port says: BEGIN goes out with its first statement, COMMIT with those that had time until then."""
        if not self._is_idle:
            self._catch_up()
            with self._translated(), self._conn.transaction():
                yield
            return
        self._is_due = self._is_in_block = True
        try:
            with self._translated():
                yield
            if self._later or not self._is_due:
                self._catch_up("COMMIT")
        except BaseException:
            self._later.clear()
            self._roll_back()
            raise
        finally:
            self._is_due = self._is_in_block = False

    def _catch_up(self, *then: str) -> None:
        """Send what waits to be sent; what comes next may count on it."""
        if self._is_due or self._later or then:
            _, error = self.run_together(then)
            if error is not None:
                raise error

    def _roll_back(self) -> None:
        """What is gone, or never began, has no transaction."""
        if not (self._is_due or self._conn.closed or self._is_idle):
            with suppress(DbopsError), self._translated():
                self._conn.execute("ROLLBACK")

    @contextmanager
    def giving_up_locks_after(self, lock_s: float) -> Iterator[None]:
        """As the port says; inside a transaction for the transaction alone, which takes the setting back when it fails."""
        usual_s = self._target.timeouts.lock_s
        if lock_s == usual_s:
            yield
            return
        self._set_lock_timeout(lock_s)
        try:
            yield
        except BaseException:
            if self._is_idle:  # else the transaction failed, or the session is gone, and the setting with it
                self._set_lock_timeout(usual_s)
            raise
        self._set_lock_timeout(usual_s)

    @contextmanager
    def ending_statements_after(self, limit_s: float) -> Iterator[None]:
        usual_s = self._target.timeouts.statement_s
        setting = "SELECT pg_catalog.set_config('statement_timeout', ?, false)"
        self.query(setting, (f"{(min(limit_s, usual_s) if usual_s else limit_s) * 1000:.0f}",))
        try:
            yield
        finally:
            self.query(setting, (f"{usual_s * 1000:.0f}",))

    @property
    def _is_idle(self) -> bool:
        return not self._is_due and self._conn.pgconn.transaction_status == _IDLE

    def _set_lock_timeout(self, lock_s: float) -> None:
        is_local = not self._is_idle
        self.query("SELECT pg_catalog.set_config('lock_timeout', ?, ?)", (f"{lock_s * 1000:.0f}", is_local))

    def blockers(self) -> list[str]:
        from dbops.engines.postgresql.blockers import blockers

        if self._beside is None:
            self._beside = connect(replace(self._target, attempts=1), readonly=True)
        return blockers(self._beside, self.backend_pid)

    def close(self) -> None:
        if self._beside is not None:
            self._beside.close()
        self._conn.close()

    def run_together(self, statements: Sequence[str]) -> tuple[int, QueryError | None]:
        """Run statements in one round trip and one implicit transaction: all of them hold, or none.

        Returns how many ran before one failed, and its error. None of them may end with a terminator or return rows in bulk.

        Raises:
            QueryError: of a statement that waited to be sent before them.
        """
        begin = ("BEGIN",) if self._is_due else ()
        before = [*begin, *self._later]
        self._is_due = False
        self._later.clear()
        done, error = self._sent([*before, *statements])
        if error is None:
            return done - len(before), None
        if (position := error.context.get("position")) is not None:
            error.context["position"] = position - sum(len(text) + len(_JOINT) for text in before[:done])
        if done < len(before):
            error.context["place"] = done - len(begin)
            raise error
        return done - len(before), error

    def _sent(self, statements: Sequence[str]) -> tuple[int, QueryError | None]:
        import psycopg
        from psycopg import generators

        with self._translated():
            self._conn.pgconn.send_query(_JOINT.join(statements).encode())  # of a single one, join makes no copy
            results = self._conn.wait(generators.execute(self._conn.pgconn))
        last = results[-1]
        if last.status == psycopg.pq.ExecStatus.FATAL_ERROR:
            refused = query_error(psycopg.errors.error_from_result(last, encoding="utf-8"), self._target.secrets)
            is_unread = len(results) == 1 and "position" in refused.context
            return _place_of(refused.context["position"], statements) if is_unread else len(results) - 1, refused
        return len(results), None

    def copy_in(self, sql: str, rows: str) -> None:
        """Run COPY ... FROM STDIN with its rows."""
        self._catch_up()
        with self._translated(), self._conn.cursor() as cursor, cursor.copy(cast(Any, sql)) as copy:
            copy.write(rows)

    def copy_out(self, sql: str) -> str:
        """Run COPY ... TO STDOUT and return its rows, a line each."""
        self._catch_up()
        with self._translated(), self._conn.cursor() as cursor, cursor.copy(cast(Any, sql)) as copy:
            return b"".join(copy).decode()

    def reset(self) -> None:
        """Take back every setting of the session, roles too, and set those of the target again."""
        self.execute("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL")
        _apply_settings(self, self._readonly)

    def _run(self, sql: str, parameters: Sequence[Parameter]) -> psycopg.Cursor[Row]:
        """Without parameters the simple query protocol carries the text byte for byte, several statements too."""
        self._catch_up()
        statement = cast(Any, sql)  # psycopg types accept only literals; this text was built or read by us
        if not parameters:
            return self._conn.execute(statement)
        return self._conn.execute(cast(Any, with_placeholders(sql)), parameters)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise query_error(error, self._target.secrets) from error


def _place_of(position: int, statements: Sequence[str]) -> int:
    """Return which of the statements of one message holds a position, counted from 1 in the whole.

    What is no SQL is refused while the message is read, before its first statement runs (manual, 55.2.2.1).
    """
    end = 0
    for place, text in enumerate(statements):
        end += len(text) + len(_JOINT)
        if position <= end:
            return place
    return len(statements) - 1


def _with_values(sql: str, parameters: Sequence[Parameter]) -> str:
    """Write texts and whole numbers in the place of `?` marks."""
    from dbops.engines.postgresql.statements import literal

    first, *others = _around_marks(sql)
    written = [first]
    for value, piece in zip(parameters, others, strict=True):
        written.append("NULL" if value is None else literal(value) if isinstance(value, str) else str(value))
        written.append(piece)
    return "".join(written)


@lru_cache(maxsize=64)
def _around_marks(sql: str) -> list[str]:
    """Return what stands around `?` marks, leaving strings, names and comments alone."""
    return _MARKS.sub(lambda match: "\0" if match[2] else match[0], sql).split("\0")


@lru_cache(maxsize=64)
def with_placeholders(sql: str) -> str:
    """Turn `?` marks into the driver's `%s`, and `%` into `%%`, leaving strings, names and comments alone."""
    return "%s".join(piece.replace("%", "%%") for piece in _around_marks(sql))


def connect(target: Target, *, readonly: bool = False) -> PostgresConnection:
    """Open a session as the engine port says."""
    wait_s = 0.2
    for attempt in range(1, max(1, target.attempts) + 1):
        try:
            return _connect_once(target, readonly)
        except ConnectError as error:
            if attempt >= target.attempts or not is_worth_retrying(error):
                raise
        time.sleep(wait_s * random.uniform(0.5, 1.5))
        wait_s *= 2
    raise AssertionError("unreachable: the last attempt returns or raises")


def _connect_once(target: Target, readonly: bool) -> PostgresConnection:
    import psycopg

    place, database = describe(target), database_of(target)
    try:
        conn = psycopg.connect(**parameters(target), autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise connect_error(error, place, database, target.secrets) from error
    session = PostgresConnection(cast("psycopg.Connection[Row]", conn), target, Server("postgresql", (), "", ""), readonly)
    try:
        if not _apply_settings(session, readonly):
            session.backend_pid = _behind_pooler(conn, target, place)
            _apply_settings(session, readonly)
        session.server = _who(session)
    except BaseException:
        conn.close()
        raise
    return session


def _behind_pooler(conn: psycopg.Connection[Any], target: Target, place: str) -> int:
    import psycopg

    from dbops.engines.postgresql.poolers import process_behind

    def beside() -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(**parameters(target), autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise connect_error(error, place, database_of(target), target.secrets) from error

    return process_behind(conn, beside, place, target.timeouts.connect_s or 30.0)


def driver_connection(target: Target) -> Any:
    """Return a connection of the driver itself, for libraries that bring their own sessions; lock timeouts are the target's."""
    import psycopg

    conn = psycopg.connect(**parameters(target), prepare_threshold=None)
    conn.execute(cast(Any, f"SET lock_timeout = {target.timeouts.lock_s * 1000:.0f}"))
    conn.commit()
    return conn


def parameters(target: Target) -> dict[str, Any]:
    """Return what libpq is told; parameters of the URL win, for they are the most explicit."""
    url = target.url
    given: dict[str, Any] = {
        "user": url.username,
        "password": url.password.reveal() if url.password else None,
        "host": url.host,
        "port": url.port,
        "dbname": url.database,
        "connect_timeout": max(2, round(target.timeouts.connect_s)) if target.timeouts.connect_s else None,
        "application_name": "dbops",
        "client_encoding": "UTF8",
    }
    if target.tls is not None:
        tls = target.tls
        given |= {"sslmode": tls.mode, "sslrootcert": tls.root_cert, "sslcert": tls.cert, "sslkey": tls.key}
    given |= dict(url.query)
    return {name: value for name, value in given.items() if value is not None}


_SECRET = re.compile(r"pass|secret|token", re.IGNORECASE)


def for_tools(target: Target, program: str) -> tuple[str, dict[str, str]]:
    """Return a connection string without secrets, and the environment that has them, for PostgreSQL's own programs.

    They obey the same variables as the driver does (PGHOST, PGSSLMODE, ...), so ours are passed on.

    Raises:
        ConnectError: the URL holds a secret that has no variable.
    """
    from psycopg.conninfo import make_conninfo

    given = {name: str(value) for name, value in parameters(target).items() if name != "client_encoding"}
    given["application_name"] = f"dbops {program}"
    env = {name: value for name, value in os.environ.items() if name.startswith("PG")}
    if (password := given.pop("password", None)) is not None:
        env["PGPASSWORD"] = password
    for name in given:
        if _SECRET.search(name) and name != "passfile":
            raise ConnectError(
                f"PostgreSQL's programs cannot be told {name} without showing it to everybody on this machine",
                fix="put it into a connection service file, readable by you alone, and name that: ?service=...",
            )
    return make_conninfo(**given), env


def refuses_replication(target: Target) -> str | None:
    """Say why the server lets us open no replication session, None when it does."""
    import psycopg

    try:
        with psycopg.connect(**{**parameters(target), "replication": "true"}, autocommit=True, prepare_threshold=None) as conn:
            conn.execute("IDENTIFY_SYSTEM")
    except psycopg.Error as error:
        return connect_error(error, describe(target), database_of(target), target.secrets).message
    return None


_WHO = """
SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.current_setting('server_version'), current_user::text,
       pg_catalog.current_database()::text,
       (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
       pg_catalog.current_setting('TimeZone'), EXISTS (SELECT FROM pg_catalog.pg_replication_slots)"""

_UTC = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal"})

_SYSTEM = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"


def _apply_settings(session: PostgresConnection, readonly: bool) -> bool:
    """Set timeouts, the access mode and the target's own settings for the whole session.

    Nothing is set where another process of the server answers than the session's own, which is a pooler's doing: False then.
    """
    timeouts = session.target.timeouts
    settings = {
        "statement_timeout": f"{timeouts.statement_s * 1000:.0f}",
        "lock_timeout": f"{timeouts.lock_s * 1000:.0f}",
        "default_transaction_read_only": "on" if readonly else "off",
        **dict(session.target.settings),
    }
    calls = ", ".join("pg_catalog.set_config(?, ?, false)" for _ in settings)
    values = [part for setting in settings.items() for part in setting]
    rows = session.query(f"SELECT {calls} WHERE pg_catalog.pg_backend_pid() = ?", [*values, session.backend_pid])
    return bool(rows)


def _who(session: PostgresConnection) -> Server:
    [(number, text, user, database, oid, zone, has_replicas)] = session.query(_WHO)
    major, minor = divmod(number, 10000)
    identity = f"{_system(session)}/{database}/{oid}"
    return Server("postgresql", (major, minor), text, identity, user, zone in _UTC, has_replicas)


def _system(session: PostgresConnection) -> str:
    """The cluster's own number; where reading it is not granted, its address."""
    try:
        return str(session.query(_SYSTEM)[0][0])
    except QueryError as error:
        if error.context.get("sqlstate") != INSUFFICIENT_PRIVILEGE:
            raise
    url = session.target.url
    parameters = dict(url.query)
    return f"{parameters.get('host', url.host)}:{parameters.get('port', url.port)}"


def describe(target: Target) -> str:
    """Name the database for messages, without secrets."""
    parameters = dict(target.url.query)
    host = target.url.host or parameters.get("host") or "localhost"
    port = target.url.port or parameters.get("port") or 5432
    return target.titled(f"PostgreSQL database '{database_of(target)}' on {host}, port {port}")


def database_of(target: Target) -> str:
    """The database libpq will ask for: named in the URL, or called like the user."""
    return dict(target.url.query).get("dbname") or target.url.database or target.url.username or ""


def on_database(target: Target, database: str) -> Target:
    """Return the target of another database of the same server."""
    query = tuple((name, value) for name, value in target.url.query if name != "dbname")
    return replace(target, url=replace(target.url, database=database, query=query))


def connect_maintenance(target: Target) -> PostgresConnection:
    """Open a session from which databases can be created: the target's own, else `postgres`, else `template1`.

    Raises:
        ConnectError: none of them lets us in; the error of the last.
    """
    last: ConnectError | None = None
    for database in dict.fromkeys((database_of(target), *MAINTENANCE)):
        try:
            return connect(on_database(target, database))
        except MissingDatabaseError as error:
            last = error
        except ConnectError as error:
            if is_worth_retrying(error):
                raise
            last = error
    raise last or ConnectError(f"no database of {describe(target)} lets us in")


def create_database(target: Target) -> None:
    """Create the database of `target`; do nothing when it exists."""
    name = database_of(target)
    conn = connect_maintenance(target)
    try:
        if not conn.query("SELECT 1 FROM pg_catalog.pg_database WHERE datname = ?", (name,)):
            try:
                conn.execute(f"CREATE DATABASE {quoted(name)}")
            except QueryError as error:
                if error.context.get("sqlstate") not in MADE_MEANWHILE:
                    raise
    finally:
        conn.close()


def quoted(name: str) -> str:
    """Quote an identifier always; where canonical text matters the server's quote_ident speaks."""
    return '"' + name.replace('"', '""') + '"'


_ABILITIES = """
SELECT rolcreatedb OR rolsuper, rolsuper,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AND NOT pg_catalog.pg_is_in_recovery()
FROM pg_catalog.pg_roles WHERE rolname = current_user"""


def abilities(conn: Any) -> Abilities:
    """Ask what the account may do."""
    [(can_create, is_superuser, can_write)] = conn.query(_ABILITIES)
    return Abilities(can_create, is_superuser, can_write)


def closing(conn: PostgresConnection) -> AbstractContextManager[PostgresConnection]:
    """Close the session at the end of a block."""
    from contextlib import closing as close_after

    return close_after(conn)
