"""A chain restored for trial: a dump into a scratch database of the same server, all else on a private server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from dbops.engines.base.backup import LATEST, Link, Point, Told
from dbops.engines.base.connect import Target
from dbops.engines.mysql.backup.dumping import ELSEWHERE
from dbops.engines.mysql.backup.loading import Dump, Keeping, defaults_clause, load_code, load_tables, must_take, on
from dbops.engines.mysql.backup.staging import Stage, staged
from dbops.engines.mysql.backup.still_named import mentions
from dbops.engines.mysql.backup.tools import error_number
from dbops.engines.mysql.connect import MysqlConnection, connect, quoted
from dbops.engines.mysql.events import park
from dbops.engines.mysql.flavour import flavour_of
from dbops.engines.mysql.grants import Ledger
from dbops.engines.mysql.scratch import scratch
from dbops.errors import BackupError, ConnectError, SchemaError

_STORED = """
SELECT table_name, table_type, engine FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name"""
_AT_ONCE = 100
#: Errors that say something of this machine or account, and nothing of the backup.
_NO_PLACE = frozenset({"MISSING_TOOL", "WRONG_TOOL", "OLD_TOOL", "SMALL_PACKETS", "NO_ENGINE", "NO_ZONE"})
#: What making something takes and reading it does not: other definers, functions beside a binary log, databases, tables; engines
#: and time zones that are there; and, for a view over views, definers.
_RIGHTS = frozenset({1044, 1142, 1143, 1227, 1286, 1298, 1370, 1418, 1419, 1449})


@contextmanager
def trial(chain: Sequence[Link], near: Target, point: Point, told: Told) -> Iterator[MysqlConnection]:
    """Restore a chain, check every table, and open a session on it; see the port.

    Raises:
        BackupError: it cannot be restored, or CHECK TABLE found something.
    """
    with ExitStack() as stack:
        try:
            if chain[0].method == "logical" and len(chain) == 1:
                conn = _in_scratch(chain, near, told, stack)
            else:
                conn = _on_stage(chain, point, told, stack)
            check_tables(conn, told)
        except SchemaError as error:
            raise BackupError(error.message, fix=error.fix, error_code="NO_TRIAL") from error
        except BackupError as error:
            if error.error_code in _NO_PLACE:
                error.error_code = "NO_TRIAL"
            raise
        yield conn


def _in_scratch(chain: Sequence[Link], near: Target, told: Told, stack: ExitStack) -> MysqlConnection:
    """Load a dump into a scratch database of the same server; of a private one where that does not answer, or the account may not
    make what the dump holds.
    """
    made = Dump.of(chain[0])
    try:
        with ExitStack() as tried:
            conn = tried.enter_context(scratch(near))
            _load_scratch(made, conn, told)
            stack.push(tried.pop_all())
            return conn
    except (ConnectError, BackupError) as error:
        is_near = isinstance(error, BackupError)
        if isinstance(error, BackupError) and error_number(error) not in _RIGHTS:
            raise
        told(f"{error.message}: on a private server then")
        try:
            return _on_stage(chain, LATEST, told, stack)
        except BackupError as other:
            if is_near or other.error_code not in _NO_PLACE:
                raise
            raise BackupError(
                f"there is no place to try it out: {error.message}; {other.message}", fix=error.fix, error_code="NO_TRIAL"
            ) from other


def _on_stage(chain: Sequence[Link], point: Point, told: Told, stack: ExitStack) -> MysqlConnection:
    stage = stack.enter_context(staged(chain, point, told))
    conn = _session_on(stage, str(chain[0].details["account"]))
    stack.callback(conn.close)
    conn.begun_events = frozenset(chain[0].details.get("begun_events", ()))
    conn.placed = set()
    return conn


def _session_on(stage: Stage, account: str) -> MysqlConnection:
    """Open a session that reads a catalog as the one that made the backup did, without grants."""
    conn = connect(on(stage.target, stage.database))
    conn.account = account
    conn.ledger = Ledger(flavour_of(conn.server), account, {stage.database})
    return conn


def _load_scratch(made: Dump, conn: MysqlConnection, told: Told) -> None:
    """Events are made but do not run: what they do might reach beyond the scratch."""
    must_take(made, conn)
    conn.execute(f"ALTER DATABASE {quoted(conn.database)} {defaults_clause(made.details)}")
    there = on(conn.target, conn.database)
    states: dict[str, str] = {}
    load_tables(made, there, told, keeping=Keeping(directories=False))
    may_be_set = conn.query("SHOW GLOBAL VARIABLES WHERE variable_name = 'secure_timestamp' AND value <> 'NO'") == []
    load_code(made, there, told, park=lambda sql, mode: park(sql, states, mode), keeps_past=may_be_set)
    conn.parked_events, conn.came_from, conn.placed = states, made.database, set()
    conn.begun_events = frozenset(made.details.get("begun_events", ()))
    if left := [one for one in mentions(conn, made.naming) if not one.is_text]:
        raise BackupError(
            f"restored to another name, {left[0]} still means the database {quoted(made.database)}",
            {"mentions": [str(one) for one in left]},
            fix="restore under the name it had, or make that anew afterwards",
        )


def check_tables(conn: MysqlConnection, told: Told) -> None:
    """Let the server check every table of a database.

    Raises:
        BackupError: it found something; names the tables.
    """
    names = [str(name) for name, _, engine in conn.query(_STORED) if str(engine).upper() not in ELSEWHERE]
    problems = []
    for start in range(0, len(names), _AT_ONCE):
        told(f"checking tables: {start} of {len(names)}")
        tables = ", ".join(map(quoted, names[start : start + _AT_ONCE]))
        for table, _, kind, text in conn.query(f"CHECK TABLE {tables}"):
            if str(kind).lower() == "error" or (str(kind).lower() == "status" and not _is_fine(str(text))):
                problems.append(f"{table}: {text}")
    if problems:
        raise BackupError(f"CHECK TABLE found: {problems[0]}", {"problems": problems})


def _is_fine(text: str) -> bool:
    return text == "OK" or "doesn't support check" in text or "Table is already up to date" in text


def count_rows(conn: MysqlConnection) -> Mapping[str, int]:
    """Count the rows that every table has of its own, those of the past in versioned ones too."""
    tables = conn.query(_STORED)
    found = {str(name): 0 for name, *_ in tables}
    own = [(str(name), kind) for name, kind, engine in tables if str(engine).upper() not in ELSEWHERE]
    queries = [
        f"SELECT COUNT(*) FROM {quoted(name)}{' FOR SYSTEM_TIME ALL' if kind == 'SYSTEM VERSIONED' else ''}" for name, kind in own
    ]
    answers = conn.query_each(queries)
    return found | {name: int(rows[0][0]) for (name, _), rows in zip(own, answers, strict=True)}
