"""Sessions over PyMySQL: connecting with TLS, time limits and retries; running statements, many in one round trip too."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from dbops.engines.base.connect import Abilities, Row, Server, Target
from dbops.engines.base.interrupt import stopping
from dbops.engines.mysql.errors import (
    LARGE,
    connect_error,
    is_worth_retrying,
    number_of,
    query_error,
    refuse_larger_than_packet,
)
from dbops.engines.mysql.flavour import Flavour, flavour_of, parse_version
from dbops.engines.mysql.limits import ending_after, giving_way_after
from dbops.engines.mysql.raw_text import reading_bytes
from dbops.engines.mysql.tokens import unquoted, with_placeholders
from dbops.errors import ConnectError, DbopsError, LostConnectionError, QueryError
from dbops.sql.splitter import may_be_several
from dbops.sql.statement import Parameter

if TYPE_CHECKING:
    import pymysql

    from dbops.engines.mysql.grants import Ledger

DEFAULT_PORT = 3306
_BATCH = 200  # statements in one round trip: further growth saves nothing
#: For metadata locks, which DDL waits for, and for rows.
_LOCK_TIMEOUTS = ("lock_wait_timeout", "innodb_lock_wait_timeout")
_FOREVER_S = 31536000  # the largest lock_wait_timeout (MySQL 8.4 manual, 7.1.8)

#: Modes that change how text is read or shown. Sessions of ours run without them, so that one spelling serves everywhere.
_READING_MODES = frozenset(
    {
        *("ANSI", "ANSI_QUOTES", "IGNORE_SPACE", "NO_BACKSLASH_ESCAPES", "ORACLE", "PIPES_AS_CONCAT"),
        *("DB2", "MAXDB", "MSSQL", "MYSQL323", "MYSQL40", "POSTGRESQL"),
        *("NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS"),
    }
)


FOUR_BYTES = "utf8mb4"


class MysqlConnection:
    """One session; see the port for what callers may rely on.

    `server_sql_mode` is the server's own sql_mode, under which sources are read. Set on a scratch session alone:
    `parked_events`, the declared states of events that must not run there, `begun_events`, those whose start a server filled in
    that made them before, `ledger`, which notes GRANT and REVOKE in the
    server's place, `stands_for`, the name of the real database, and `home`, where that is; and `came_from`, the name of the
    database whose backup is tried out there: what names the scratch is read as if it named that.
    Where `placed` is a set, the folders that tables have of their own (DATA DIRECTORY) are not read, and such tables noted there.
    `account` is who the session speaks for: another than its own where the scratch is on another server.
    """

    def __init__(self, conn: pymysql.Connection[Any], target: Target, server: Server, server_sql_mode: str) -> None:
        self._conn = conn
        self._target = target
        self.server = server
        self.server_sql_mode = server_sql_mode
        self.session_charset: str = FOUR_BYTES
        self.parked_events: dict[str, str] | None = None
        self.begun_events: frozenset[str] = frozenset()
        self.ledger: Ledger | None = None
        self.stands_for: str | None = None
        self.came_from: str | None = None
        self.placed: set[str] | None = None
        self.home: Target | None = None
        self.account: str = server.user
        self.is_readonly = False
        self._beside: MysqlConnection | None = None
        self._lock_s = target.timeouts.lock_s

    @property
    def target(self) -> Target:
        """Where this session was opened."""
        return self._target

    @property
    def driver(self) -> pymysql.Connection[Any]:
        """The driver's own connection, for sessions of programs."""
        return self._conn

    @property
    def database(self) -> str:
        """The name of the database this session is in."""
        return self._target.url.database or ""

    def query(self, sql: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        with self._translated(), self._conn.cursor() as cursor:
            self._send(cursor, sql, parameters)
            rows = list(cursor.fetchall())
            while cursor.nextset():  # the status of a procedure, or statements a source put into one text
                pass
            return rows

    def execute(self, sql: str, parameters: Sequence[Parameter] = ()) -> int:
        if self.ledger is not None:
            from dbops.engines.mysql.grants import is_grant

            if is_grant(sql):
                self.ledger.take(sql)
                return 0
        if self.parked_events is not None:
            from dbops.engines.mysql.events import park

            sql = park(sql, self.parked_events)
        with stopping(self.stop), self._limited(sql), self._translated(), self._conn.cursor() as cursor:
            self._send(cursor, sql, parameters)
            count = cursor.rowcount
            while cursor.nextset():
                pass
            return int(count)

    def execute_later(self, sql: str, parameters: Sequence[Parameter] = ()) -> None:
        self.execute(sql, parameters)

    def query_each(self, statements: Sequence[str]) -> list[list[Row]]:
        """Run many statements and return the rows of each, 200 statements to a round trip; `raw_text` says what of bytes."""
        results: list[list[Row]] = []
        with self._translated(), reading_bytes(self._conn), self._conn.cursor() as cursor:
            for start in range(0, len(statements), _BATCH):
                cursor.execute(";".join(statements[start : start + _BATCH]))
                results.append(list(cursor.fetchall()))
                while cursor.nextset():
                    results.append(list(cursor.fetchall()))
        return results

    @contextmanager
    def opening_views(self) -> Iterator[None]:
        """Let SHOW look at views that draw from a sequence: the server opens that for writing, which a session that may only read
        is refused.
        """
        if self.is_readonly:
            self.execute("SET SESSION TRANSACTION READ WRITE")
        try:
            yield
        finally:
            if self.is_readonly:
                self.execute("SET SESSION TRANSACTION READ ONLY")

    def named_rows(self, sql: str) -> list[dict[str, Any]]:
        """Run one statement and return its rows by column name, for SHOW statements whose columns differ between versions."""
        with self._translated(), self._conn.cursor() as cursor:
            cursor.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def run_each(self, statements: Sequence[str]) -> tuple[int, QueryError | None]:
        """Run statements in one round trip; return how many ran, and the error of the one that did not.

        One that may be several to the server goes by itself, as `execute` sends it.
        """
        if len(statements) == 1 or any(map(may_be_several, statements)):
            for place, sql in enumerate(statements):
                try:
                    self.execute(sql)
                except QueryError as error:
                    return place, error
            return len(statements), None
        done = 0
        try:
            with stopping(self.stop), self._limited(""), self._translated(), self._conn.cursor() as cursor:
                self._send(cursor, ";".join(statements), ())
                done = 1
                while cursor.nextset():
                    done += 1
        except QueryError as error:
            return done, error
        return done, None

    def is_in_transaction(self) -> bool:
        """Ask the server whether a transaction is open: it says so with every answer (MySQL 8.4, SERVER_STATUS_IN_TRANS)."""
        from pymysql.constants import SERVER_STATUS

        self.execute("DO 0")
        return bool(cast(Any, self._conn).server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    def use_charset(self, name: str) -> None:
        """Set the session's character set, which views, triggers, routines and events remember."""
        self.session_charset = name
        self.execute(_charset(name))

    @contextmanager
    def transaction(self, *, schema_change: bool = False) -> Iterator[None]:
        with self._translated():
            self._conn.begin()
        try:
            yield
        except BaseException:
            with suppress(LostConnectionError), self._translated():  # a session that is gone has rolled back by that
                self._conn.rollback()
            raise
        with self._translated():
            self._conn.commit()

    @contextmanager
    def giving_up_locks_after(self, lock_s: float) -> Iterator[None]:
        usual_s, self._lock_s = self._target.timeouts.lock_s, lock_s
        try:
            with self._giving_up_after_whole(lock_s, usual_s):
                yield
        finally:
            self._lock_s = usual_s

    @contextmanager
    def _giving_up_after_whole(self, lock_s: float, usual_s: float) -> Iterator[None]:
        if _whole_seconds(lock_s) == _whole_seconds(usual_s):
            yield
            return
        self.execute(f"SET {_lock_timeouts(lock_s)}")
        try:
            yield
        finally:
            with suppress(LostConnectionError):  # a session that is gone has no settings
                self.execute(f"SET {_lock_timeouts(usual_s)}")

    @contextmanager
    def ending_statements_after(self, limit_s: float) -> Iterator[None]:
        usual_s = self._target.timeouts.statement_s
        flavour = Flavour(self.server.flavour == "mariadb", self.server.version)
        self.execute(f"SET {_statement_timeout(min(limit_s, usual_s) if usual_s else limit_s, flavour)}")
        try:
            yield
        finally:
            self.execute(f"SET {_statement_timeout(usual_s, flavour)}")

    def blockers(self) -> list[str]:
        from dbops.engines.mysql.blockers import blockers

        if self._beside is None:
            self._beside = connect(replace(self._target, attempts=1), readonly=True)
        return blockers(self._beside, cast(Any, self._conn).thread_id())

    def close(self) -> None:
        if self._beside is not None:
            self._beside.close()
        if self._conn.open:
            self._conn.close()

    @contextmanager
    def _limited(self, sql: str) -> Iterator[None]:
        """End a statement, or its waiting, in time, where the server itself would let it go on.

        Raises:
            QueryError: the time was over.
        """
        limit_s = self._target.timeouts.statement_s if flavour_of(self.server).limits_reads_alone else 0
        with ending_after(limit_s, self.stop), giving_way_after(sql, self._lock_s, self._is_waiting, self.stop):
            yield

    def _is_waiting(self) -> bool:
        """Ask from a session beside whether the running statement waits for a table."""
        from dbops.engines.mysql.blockers import is_waiting_for_table

        with suppress(DbopsError), closing(connect(replace(self._target, attempts=1), readonly=True)) as beside:
            return is_waiting_for_table(beside, cast(Any, self._conn).thread_id())
        return False

    def stop(self) -> None:
        """End the running statement from a session beside: PyMySQL gives up its own session when it is torn out of waiting."""
        with suppress(DbopsError):  # the server may be gone, then there is nothing to end
            beside = connect(replace(on_database(self._target, None), attempts=1))
            try:
                beside.execute(f"KILL QUERY {cast(Any, self._conn).thread_id()}")
            finally:
                beside.close()

    def _send(self, cursor: Any, sql: str, parameters: Sequence[Parameter]) -> None:
        """Without parameters the text goes as it is: PyMySQL formats nothing then."""
        is_wide = _collates_wide(sql) or not all(map(_is_short, (sql, *parameters)))
        needs_four_bytes = self.session_charset != FOUR_BYTES and is_wide
        if needs_four_bytes:
            cursor.execute(_charset(FOUR_BYTES))
        try:
            if parameters:
                cursor.execute(with_placeholders(sql), tuple(parameters))
            else:
                if len(sql) >= LARGE:
                    refuse_larger_than_packet(cursor, sql)
                cursor.execute(sql)
        finally:
            if needs_four_bytes:
                self._conn.query(_charset(self.session_charset))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import pymysql

        try:
            yield
        except pymysql.Error as error:
            raise query_error(error, self._target.secrets) from error


def _is_short(value: object) -> bool:
    """Tell whether a text stays within the three bytes a character has in MariaDB's `utf8`."""
    return not isinstance(value, str) or value.isascii() or max(value) <= "\uffff"


_COLLATED = re.compile(r"(?<!\w)(\w+)?\s*\bCOLLATE\s*[`'\"]?utf8mb4_", re.IGNORECASE)


def _collates_wide(sql: str) -> bool:
    """Tell whether SQL compares by a collation of four bytes what may be a literal, which takes its character set of the session.

    Views of such are refused otherwise, and routines and triggers end with an error when they run (MariaDB 10.11, error 1253).
    """
    if "utf8mb4_" not in sql and "UTF8MB4_" not in sql:
        return False
    return any((found[1] or "").lower() != FOUR_BYTES for found in _COLLATED.finditer(sql))


def _charset(name: str) -> str:
    """What the server takes statements to be written in; results come in four bytes all the same."""
    return f"SET NAMES {name}" if name == FOUR_BYTES else f"SET NAMES {name}; SET character_set_results = {FOUR_BYTES}"


def connect(target: Target, *, readonly: bool = False) -> MysqlConnection:
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


def _connect_once(target: Target, readonly: bool) -> MysqlConnection:
    import pymysql

    from dbops.engines.mysql.wire import WireConnection

    place, database = describe(target), target.url.database or ""
    given = parameters(target)
    _check(given, place)
    limit_s = given["connect_timeout"]
    try:
        conn = WireConnection(**{"read_timeout": limit_s, "write_timeout": limit_s, **given})
    except (pymysql.Error, OSError) as error:
        raise connect_error(error, place, database, target.secrets) from error
    # PyMySQL's connect_timeout does not cover the greeting; once that is over, statements take the time they take.
    cast(Any, conn)._read_timeout, cast(Any, conn)._write_timeout = (
        given.get("read_timeout"),
        given.get("write_timeout"),
    )
    try:
        return _greet(conn, target, readonly)
    except BaseException:
        conn.close()
        raise


def driver_connection(target: Target) -> Any:
    """Return a connection of the driver itself, for libraries that bring their own sessions; lock timeouts are the target's."""
    from dbops.engines.mysql.wire import WireConnection

    conn = WireConnection(**{**parameters(target), "autocommit": False})
    with conn.cursor() as cursor:
        cursor.execute(f"SET {_lock_timeouts(target.timeouts.lock_s)}")
    return conn


def _check(parameters: dict[str, Any], place: str) -> None:
    """Tell what PyMySQL would stumble over.

    Raises:
        ConnectError: it knows no such parameter or character set.
    """
    from pymysql.charset import charset_by_name
    from pymysql.connections import Connection

    code = Connection.__init__.__code__
    known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    for name in parameters:
        if name not in known:
            raise ConnectError(f"unknown parameter '{name}' in the URL of {place}", expected=f"one of {', '.join(sorted(known))}")
    if charset_by_name(parameters["charset"]) is None:
        raise ConnectError(f"unknown charset '{parameters['charset']}' in the URL of {place}", expected="one such as utf8mb4")


_NUMBERS = frozenset({"connect_timeout", "read_timeout", "write_timeout", "max_allowed_packet", "port"})
_SWITCHES = frozenset({"local_infile", "compress", "ssl_disabled", "ssl_verify_cert", "ssl_verify_identity"})


def parameters(target: Target) -> dict[str, Any]:
    """Return what PyMySQL is told; parameters of the URL win, for they are the most explicit."""
    from pymysql.constants import CLIENT

    url = target.url
    secret = url.password.reveal() if url.password else ""
    given: dict[str, Any] = {
        "user": url.username,
        "password": secret.encode().decode("latin-1"),  # PyMySQL and aiomysql send it in Latin 1; what was set is UTF-8
        "host": url.host or "localhost",
        "port": url.port or DEFAULT_PORT,
        "database": url.database,
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": max(1, math.ceil(target.timeouts.connect_s)) if target.timeouts.connect_s else 31536000,
        "client_flag": CLIENT.MULTI_STATEMENTS,
        "program_name": "dbops",
    }
    given |= _tls(target)
    for name, text in url.query:
        given[name] = _typed(name, text, target)
    return {name: value for name, value in given.items() if value is not None}


def _typed(name: str, text: str, target: Target) -> Any:
    try:
        if name in _NUMBERS:
            return int(text)
    except ValueError as error:
        raise ConnectError(f"parameter {name} in the URL of {describe(target)} is no number") from error
    return text.lower() in ("1", "true", "yes", "on") if name in _SWITCHES else text


def _tls(target: Target) -> dict[str, Any]:
    """PyMySQL's own TLS parameters; `_greet` insists where it would go on in the clear.

    From 1.2 on PyMySQL encrypts where the server offers it without being told, and insists once it is told anything; before, it
    encrypted where the server offers it only when it was told.
    """
    import pymysql

    tls = target.tls
    if tls is None or dict(target.url.query).get("unix_socket"):
        return {}
    if tls.mode == "disable":
        return {"ssl_disabled": True}
    if tls.mode == "prefer" and not (tls.root_cert or tls.cert or tls.key) and pymysql.VERSION >= (1, 2):
        return {}
    verify = tls.mode in ("verify-ca", "verify-full")
    files = {name: path for name, path in (("ca", tls.root_cert), ("cert", tls.cert), ("key", tls.key)) if path}
    return {"ssl": {"check_hostname": tls.mode == "verify-full", "verify_mode": "required" if verify else "none"} | files}


def _greet(conn: pymysql.Connection[Any], target: Target, readonly: bool) -> MysqlConnection:
    """Apply session settings and ask who answered."""
    name, version = parse_version(str(cast(Any, conn).server_version))
    flavour = Flavour(name == "mariadb", version)
    session = MysqlConnection(conn, target, Server(name, version, "", ""), "")
    [(text, user, mode, identity, database, has_binary_log)] = session.query(
        f"SELECT VERSION(), CURRENT_USER(), @@GLOBAL.sql_mode, {flavour.identity}, DATABASE(), @@GLOBAL.log_bin"
    )
    if needs_tls(target):
        _insist_on_tls(session)
    session.server = Server(name, version, text, f"{identity}/{database or ''}", user, has_replicas=bool(has_binary_log))
    session.server_sql_mode = mode
    session.account = user
    session.execute(session_settings(target, flavour, mode, readonly))
    session.is_readonly = readonly
    if flavour.is_mariadb and "charset" not in dict(target.url.query):
        session.use_charset(flavour.client_charset)
    return session


def needs_tls(target: Target) -> bool:
    """Tell whether the session must be encrypted; over a Unix socket it need not."""
    is_local = bool(dict(target.url.query).get("unix_socket"))
    return target.tls is not None and target.tls.mode not in ("disable", "prefer") and not is_local


def _insist_on_tls(session: MysqlConnection) -> None:
    """PyMySQL goes on in the clear when the server offers no TLS: refuse that."""
    cipher = session.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    if not cipher or not cipher[0][1]:
        raise no_tls(session.target)


def no_tls(target: Target) -> ConnectError:
    """Return what is said of a server that talks in the clear where encryption is asked for."""
    return ConnectError(
        f"{describe(target)} offers no TLS, and tls.mode asks for it",
        fix="enable TLS on the server, or set tls.mode: prefer",
    )


def session_settings(target: Target, flavour: Flavour, mode: str, readonly: bool = False) -> str:
    """Return the SET of a new session's settings; `mode` is the server's sql_mode."""
    timeouts = target.timeouts
    settings = {
        "sql_mode": f"'{our_sql_mode(mode)}'",
        **{name: str(_whole_seconds(timeouts.lock_s)) for name in _LOCK_TIMEOUTS},
        "sql_quote_show_create": "1",
    }
    assignments = [f"SESSION {name} = {value}" for name, value in settings.items()]
    assignments.append(_statement_timeout(timeouts.statement_s, flavour))
    assignments += [f"SESSION {name} = {_setting(value)}" for name, value in target.settings]
    sql = "SET " + ", ".join(assignments)
    return f"{sql}; SET SESSION TRANSACTION READ ONLY" if readonly else sql


def _whole_seconds(lock_s: float) -> int:
    return max(1, math.ceil(lock_s)) if lock_s else _FOREVER_S


def _lock_timeouts(lock_s: float) -> str:
    return ", ".join(f"SESSION {name} = {_whole_seconds(lock_s)}" for name in _LOCK_TIMEOUTS)


def _statement_timeout(limit_s: float, flavour: Flavour) -> str:
    variable, units = flavour.statement_timeout
    return f"SESSION {variable} = {limit_s * units:.{0 if units > 1 else 3}f}"


def _setting(value: str) -> str:
    return value if re.fullmatch(r"-?\d+(\.\d+)?|\w+", value) else "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def our_sql_mode(server_mode: str) -> str:
    """Return the server's sql_mode without what changes the reading of text."""
    return ",".join(mode for mode in server_mode.split(",") if mode and mode not in _READING_MODES)


def describe(target: Target) -> str:
    """Name the database for messages, without secrets."""
    parameters = dict(target.url.query)
    place = parameters.get("unix_socket")
    where = f"socket {place}" if place else f"{target.url.host or 'localhost'}, port {target.url.port or DEFAULT_PORT}"
    return target.titled(f"MySQL database '{target.url.database or ''}' on {where}")


def on_database(target: Target, database: str | None) -> Target:
    """Return the target of another database of the same server, or of none."""
    return replace(target, url=target.url.with_database(database))


def create_database(target: Target) -> None:
    """Create the database of `target`; do nothing when it exists."""
    conn = connect(on_database(target, None))
    try:
        conn.execute(f"CREATE DATABASE IF NOT EXISTS {quoted(target.url.database or '')}")
    finally:
        conn.close()


def quoted(name: str) -> str:
    """Quote an identifier."""
    return "`" + name.replace("`", "``") + "`"


_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<place>\S+) TO ")


def abilities(conn: MysqlConnection) -> Abilities:
    """Read what the account may do from its grants; roles that are not active do not count."""
    try:
        grants = [str(row[0]) for row in conn.query("SHOW GRANTS")]
        [(read_only,)] = conn.query("SELECT @@GLOBAL.read_only")
    except QueryError as error:
        if number_of(error) in (1044, 1142, 1227):
            return Abilities(None, None, None)
        raise
    found = [(match["what"].split(", "), match["place"].replace("\\_", "_")) for g in grants if (match := _GRANT.match(g))]

    def may(privilege: str, *places: str) -> bool:
        return any(place in places and (privilege in what or "ALL PRIVILEGES" in what) for what, place in found)

    here = f"{quoted(conn.database)}.*"
    is_superuser = may("SUPER", "*.*") or any("ALL PRIVILEGES" in what for what, place in found if place == "*.*")
    can_create = may("CREATE", "*.*") or any(
        "CREATE" in what or "ALL PRIVILEGES" in what
        for what, place in found
        if unquoted(place.split(".")[0]).startswith("dbops_scratch_")
    )
    return Abilities(can_create, is_superuser, may("ALTER", "*.*", here) and (is_superuser or not read_only))
