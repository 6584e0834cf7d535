"""Sessions of SQLite over the standard library's driver: the only module of this engine that imports it."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote as percent_encoded

from dbops.engines.base.connect import Abilities, Row, Server, Target
from dbops.engines.base.interrupt import stopping
from dbops.engines.base.url import MEMORY
from dbops.engines.sqlite.errors import LEFT_HALF_WRITTEN, connect_error, query_error
from dbops.engines.sqlite.features import MINIMUM_VERSION
from dbops.errors import ConnectError, MissingDatabaseError, QueryError
from dbops.sql.statement import Parameter

if TYPE_CHECKING:
    import sqlite3

    from dbops.engines.sqlite.bystanders import Bystanders
    from dbops.engines.sqlite.foreign_keys import Watch

#: Pragmas that write to the file; on a read-only connection they are left out.
_WRITES = frozenset(
    (
        "application_id",
        "auto_vacuum",
        "encoding",
        "incremental_vacuum",
        "journal_mode",
        "optimize",
        "page_size",
        "user_version",
        "wal_checkpoint",
    )
)
#: What may stand behind `?` in the URL (https://www.sqlite.org/uri.html); `uri` is what other programs need to hear.
_URL_PARAMETERS = ("cache", "immutable", "mode", "nolock", "psow", "vfs", "uri")
_FOREVER_S = 2_000_000.0
_STEPS_BETWEEN_CLOCKS = 10_000
_FOREIGN_KEYS_OFF = re.compile(r"\s*PRAGMA\s+foreign_keys\s*=\s*(?:OFF|0)\s*\Z", re.IGNORECASE)


class SqliteConnection:
    """One session on one file; see the port for what callers may rely on. `raw` is the driver's own connection."""

    def __init__(self, raw: sqlite3.Connection, path: str, server: Server, lock_s: float, statement_s: float = 0.0) -> None:
        self.raw = raw
        self.path = path
        self.server = server
        self._lock_s = lock_s
        self._deadline = math.inf
        self._statement_s = statement_s
        self._bystanders: Bystanders | None = None
        self._watch: Watch | None = None
        # Signals are heard while Python code runs, so this is also what lets Ctrl-C in while a statement runs.
        raw.set_progress_handler(lambda: time.monotonic() > self._deadline, _STEPS_BETWEEN_CLOCKS)

    def query(self, sql: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        with self._translated():
            return self.raw.execute(sql, parameters).fetchall()

    def execute(self, sql: str, parameters: Sequence[Parameter] = ()) -> int:
        if self._watch is not None:
            self._watch.note(sql)
        if self._bystanders is not None:
            self._bystanders.note(sql)
        elif self.raw.in_transaction and _FOREIGN_KEYS_OFF.match(sql):
            self._refuse_foreign_keys()
        with stopping(self.stop):
            return self._run(sql, parameters)

    def execute_later(self, sql: str, parameters: Sequence[Parameter] = ()) -> None:
        """There is no round trip to spare; inside a transaction nothing is waited for that a signal would have to stop."""
        if self._watch is None and self._bystanders is None and self.raw.in_transaction:
            self._run(sql, parameters)
        else:
            self.execute(sql, parameters)

    def _run(self, sql: str, parameters: Sequence[Parameter]) -> int:
        import sqlite3

        self._deadline = time.monotonic() + self._statement_s if self._statement_s else math.inf
        try:
            return self.raw.execute(sql, parameters).rowcount
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise self._translation(error) from error

    def run_each(self, statements: Sequence[str]) -> tuple[int, QueryError | None]:
        """Run statements in order; return how many ran, and the error of the one that did not."""
        import sqlite3

        run, watch = self.raw.execute, self._watch.note if self._watch is not None else None
        done = 0
        with stopping(self.stop):
            self._deadline = math.inf
            for sql in statements:
                if watch is not None:
                    watch(sql)
                if self._statement_s:
                    self._deadline = time.monotonic() + self._statement_s
                try:
                    cursor = run(sql)
                    if cursor.description is not None:
                        cursor.fetchall()
                except (sqlite3.Error, sqlite3.Warning) as error:
                    return done, self._translation(error)
                done += 1
        return done, None

    @contextmanager
    def transaction(self, *, schema_change: bool = False) -> Iterator[None]:
        """Run a block in one transaction, which locks out other writers from its start.

        `schema_change` switches foreign keys off around it, as SQLite wants it for rebuilding a table, since dropping the
        old one would delete the rows that refer to it (https://www.sqlite.org/lang_altertable.html, section 7). Before the
        commit they are checked: violations that were not there before undo everything. Where they were off anyway, this
        is so for changes that build a table anew or add a foreign key.
        """
        enforced = schema_change and bool(self.query("PRAGMA foreign_keys")[0][0])
        if enforced:
            self.execute("PRAGMA foreign_keys = OFF")
        try:
            self.execute("BEGIN IMMEDIATE")
            with self._committed():
                if schema_change:
                    self._begin_watching(enforced)
                yield
                self._bring_back()
                if self._watch is not None:
                    self._watch.finish()
        finally:
            self._bystanders = self._watch = None
            if schema_change:
                self.execute("PRAGMA legacy_alter_table = OFF")
            if enforced:
                self.execute("PRAGMA foreign_keys = ON")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Run queries that see one state of the database, whoever writes meanwhile."""
        if self.raw.in_transaction:
            yield
            return
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("COMMIT")

    @contextmanager
    def giving_up_locks_after(self, lock_s: float) -> Iterator[None]:
        usual_s = self._lock_s
        if lock_s == usual_s:
            yield
            return
        self._set_lock_timeout(lock_s)
        try:
            yield
        finally:
            self._set_lock_timeout(usual_s)

    def _set_lock_timeout(self, lock_s: float) -> None:
        self._lock_s = lock_s
        self.query(f"PRAGMA busy_timeout = {round((lock_s or _FOREVER_S) * 1000)}")

    @contextmanager
    def ending_statements_after(self, limit_s: float) -> Iterator[None]:
        usual_s = self._statement_s
        self._statement_s = min(limit_s, usual_s) if usual_s else limit_s
        try:
            yield
        finally:
            self._statement_s = usual_s

    def blockers(self) -> list[str]:
        from dbops.engines.sqlite.blockers import blockers

        return blockers(self.path)

    def close(self) -> None:
        self.raw.close()

    def _begin_watching(self, enforced: bool) -> None:
        from dbops.engines.sqlite.bystanders import Bystanders
        from dbops.engines.sqlite.foreign_keys import Watch

        self._bystanders, self._watch = Bystanders.of(self.query), Watch(self.query, enforced)
        if enforced:
            self._watch.begin()

    def _bring_back(self) -> None:
        if self._bystanders is not None:
            for sql in self._bystanders.missing(self.query):
                self.execute(sql)

    @contextmanager
    def _committed(self) -> Iterator[None]:
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.raw.in_transaction:  # some errors, a full disk among them, have rolled back by themselves
                self.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import sqlite3

        self._deadline = time.monotonic() + self._statement_s if self._statement_s else math.inf
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise self._translation(error) from error

    def _translation(self, error: sqlite3.Error | sqlite3.Warning) -> QueryError:
        """Return our error for the driver's; a warning is of several statements in one text, an Error from Python 3.12 on."""
        import sqlite3

        return query_error(error, self.path, self._lock_s) if isinstance(error, sqlite3.Error) else QueryError(str(error))

    def stop(self) -> None:
        """End the running statement, when its progress is next asked about."""
        self._deadline = 0.0

    def _refuse_foreign_keys(self) -> None:
        """SQLite ignores the pragma in a transaction, and what follows would then delete rows of other tables."""
        if self.query("PRAGMA foreign_keys")[0][0]:
            raise QueryError("foreign keys cannot be switched off inside a transaction", fix="begin it as a schema change")


def connect(target: Target, *, readonly: bool = False) -> SqliteConnection:
    """Open a session as the engine port says."""
    path = target.url.database or MEMORY
    if path == MEMORY:
        return connect_memory(target)
    _must_be_known(target)
    _must_exist(path)
    if not readonly:
        return _open(target, path, "rw", readonly)
    try:
        return _open(target, path, "ro", readonly)
    except ConnectError as error:
        if error.context.get("sqlstate") != LEFT_HALF_WRITTEN:
            raise
    _open(replace(target, settings=()), path, "rw", readonly=False).close()
    return _open(target, path, "ro", readonly)


def connect_memory(target: Target) -> SqliteConnection:
    """Open an empty database that lives as long as the session, with the settings of `target` that make sense there."""
    return _open(target, MEMORY, "memory", readonly=False)


def connect_or_make(target: Target) -> SqliteConnection:
    """Open a session on a file that is made where it is missing, as the library itself does, or in memory."""
    path = target.url.database or MEMORY
    if path == MEMORY:
        return connect_memory(target)
    _must_be_known(target)
    _must_have_folder(path)
    return _open(target, path, "rwc", readonly=False)


def create_database(target: Target) -> None:
    """Make a valid, empty database file; leave an existing file alone."""
    path = target.url.database or MEMORY
    if path == MEMORY or Path(path).exists():
        return
    _must_have_folder(path)
    conn = _open(target, path, "rwc", readonly=False)
    try:
        if not Path(path).stat().st_size:
            conn.execute("VACUUM")  # writes the first page, so that other programs recognise the file
    finally:
        conn.close()


def _must_be_known(target: Target) -> None:
    for name, _ in target.url.query:
        if name not in _URL_PARAMETERS:
            raise ConnectError(
                f"unknown parameter '{name}' in the SQLite URL",
                expected=f"one of {', '.join(_URL_PARAMETERS)}",
                fix="a ? that belongs to the path is written %3F",
            )


def _must_exist(path: str) -> None:
    try:
        if not Path(path).is_file():
            _must_have_folder(path)
            if Path(path).exists():
                raise ConnectError(f"{path} is not a file", path=path)
            raise MissingDatabaseError(f"there is no database file {path}", path=path)
    except PermissionError as error:
        raise ConnectError(f"{path} cannot be opened: {error.strerror}", path=path) from error


def _must_have_folder(path: str) -> None:
    if not Path(path).parent.is_dir():
        raise ConnectError(
            f"there is no folder {Path(path).parent} for the database file",
            path=path,
            fix="create the folder, or correct the path",
        )


def _open(target: Target, path: str, mode: str, readonly: bool) -> SqliteConnection:
    import sqlite3

    _must_be_recent(sqlite3.sqlite_version_info)
    lock_s = target.timeouts.lock_s
    raw: sqlite3.Connection | None = None
    try:
        raw = sqlite3.connect(
            _uri(target, path, mode), uri=True, isolation_level=None, timeout=lock_s or _FOREVER_S, check_same_thread=False
        )
        raw.execute("PRAGMA schema_version").fetchall()  # the file is opened and its header read only now
        server = Server("sqlite", sqlite3.sqlite_version_info[:3], sqlite3.sqlite_version, _identity(path, raw))
        conn = SqliteConnection(raw, path, server, lock_s, target.timeouts.statement_s)
        _settle(conn, target, readonly)
    except BaseException as error:
        if raw is not None:
            raw.close()
        if isinstance(error, sqlite3.Error):
            raise connect_error(error, path, lock_s) from error
        raise
    return conn


def _must_be_recent(version: tuple[int, ...]) -> None:
    if version < MINIMUM_VERSION:
        found, needed = (".".join(map(str, numbers)) for numbers in (version, MINIMUM_VERSION))
        raise ConnectError(f"this Python uses SQLite {found}, too old for dbops", expected=f"SQLite {needed} or newer")


def _uri(target: Target, path: str, mode: str) -> str:
    parameters = dict(target.url.query) if path != MEMORY else {}
    parameters.pop("uri", None)
    if parameters.get("mode") != "ro":
        parameters["mode"] = mode
    tail = "&".join(f"{name}={percent_encoded(value, safe='')}" for name, value in parameters.items())
    return f"file:{percent_encoded(path)}?{tail}"


def _identity(path: str, raw: sqlite3.Connection) -> str:
    if path == MEMORY:
        return f"{MEMORY}/{os.getpid()}/{id(raw)}"
    status = Path(path).stat()
    return f"{os.path.realpath(path)}:{status.st_dev}:{status.st_ino}"


def _settle(conn: SqliteConnection, target: Target, readonly: bool) -> None:
    if not target.settings:
        return
    known = {name for (name,) in conn.query("SELECT name FROM pragma_pragma_list")}
    for name, value in target.settings:
        pragma = name.lower()
        if pragma not in known:  # SQLite itself passes over a pragma that it does not know
            raise ConnectError(f"SQLite has no setting '{name}'", expected=_nearest(pragma, known))
        if readonly and pragma in _WRITES:
            continue
        answer = conn.query(f"PRAGMA {pragma} = {_setting(value)}")
        if pragma == "journal_mode" and conn.path != MEMORY and answer[0][0].lower() != value.lower():
            raise ConnectError(f"{conn.path} cannot use the journal mode '{value}', it stays with '{answer[0][0]}'")


def _setting(value: str) -> str:
    if re.fullmatch(r"[A-Za-z_]+|-?\d+(\.\d+)?", value):
        return value
    from dbops.engines.sqlite.tokens import literal

    return literal(value)


def _nearest(name: str, known: set[str]) -> str:
    from difflib import get_close_matches

    return " or ".join(get_close_matches(name, known)) or "the name of a pragma, such as foreign_keys"


def abilities(conn: SqliteConnection) -> Abilities:
    """Say whether the file, and its folder, where journals are put, can be written."""
    if conn.path == MEMORY:
        return Abilities(True, None, True)
    folder = Path(conn.path).parent
    allowed: Callable[[Path], bool] = lambda place: os.access(place, os.W_OK)  # noqa: E731
    return Abilities(allowed(folder), None, allowed(folder) and allowed(Path(conn.path)))
