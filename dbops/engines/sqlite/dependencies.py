"""What views and triggers use, as SQLite itself finds out when it compiles them.

SQLite keeps no record of dependencies, but tells an authorizer every table and column that a statement reaches, and through
which view or trigger (https://www.sqlite.org/c3ref/set_authorizer.html). Statements are only explained, none runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from dbops.engines.sqlite.connect import SqliteConnection
from dbops.engines.sqlite.standing_in import standing_in
from dbops.engines.sqlite.statements import Firing
from dbops.engines.sqlite.tokens import literal, quote
from dbops.errors import QueryError

_ALLOWED = 0
_DELETE, _INSERT, _READ, _UPDATE = 9, 18, 20, 23

Use = tuple[str, str]
"""A table or view and one of its columns, or the table alone when the column is empty."""


def uses(conn: SqliteConnection, views: Collection[str], firings: Mapping[str, Firing]) -> dict[str, frozenset[Use]]:
    """Return by lower-case name what views and triggers use; those that do not compile (a table is gone) are not in it.

    Functions and collations that only the application brings along are stood in for.
    """
    found: defaultdict[str, set[Use]] = defaultdict(set)
    compiled: set[str] = set()
    known = {name.lower() for name in (*views, *firings)}
    with _standing_in(conn) as explain:
        for view in views:
            if explain(f"SELECT * FROM {quote(view)}", _listener(found, view, known)):
                compiled.add(view.lower())
        by_firing: defaultdict[Firing, list[str]] = defaultdict(list)
        for trigger, firing in firings.items():
            by_firing[firing].append(trigger)
        for firing, triggers in by_firing.items():
            sql = _firing_sql(conn, firing)
            if sql and explain(sql, _listener(found, "", known)):
                compiled.update(trigger.lower() for trigger in triggers)
    return {name: frozenset(use for use in found[name] if use[0].lower() != name) for name in compiled}


def _listener(found: defaultdict[str, set[Use]], outermost: str, known: Collection[str]) -> Callable[..., int]:
    """A query of a WITH clause is said to be inside what that clause calls it; whose it is comes to light with what follows."""
    pending: set[Use] = set()

    def listen(action: int, first: str | None, second: str | None, _: str | None, inside: str | None) -> int:
        used: set[Use] = set()
        if first and action in (_READ, _UPDATE):
            used = {(first, ""), (first, second or "")}
        elif first and action in (_INSERT, _DELETE):
            used = {(first, "")}
        if inside and inside.lower() not in known:
            pending.update(used)
        elif user := (inside or outermost).lower():
            found[user] |= used | pending
            pending.clear()
        return _ALLOWED

    return listen


def _firing_sql(conn: SqliteConnection, firing: Firing) -> str | None:
    """Return a statement that would fire the triggers, None when there is none because their view does not compile."""
    table = quote(firing.table)
    if firing.event == "INSERT":
        return f"INSERT INTO {table} DEFAULT VALUES"
    if firing.event == "DELETE":
        return f"DELETE FROM {table}"
    try:
        rows = conn.query(f"SELECT name FROM pragma_table_xinfo({literal(firing.table)}) WHERE hidden < 2")
    except QueryError:
        return None
    return f"UPDATE {table} SET " + ", ".join(f"{quote(name)} = {quote(name)}" for (name,) in rows) if rows else None


@contextmanager
def _standing_in(conn: SqliteConnection) -> Iterator[Callable[[str, Callable[..., int]], bool]]:
    """Yield a function that compiles a statement and tells whether that worked."""
    with standing_in(conn.raw) as bring:

        def explain(sql: str, listen: Callable[..., int]) -> bool:
            while True:
                conn.raw.set_authorizer(listen)
                try:
                    conn.query(f"EXPLAIN {sql}")
                except QueryError as error:
                    conn.raw.set_authorizer(None)
                    if not bring(error.message):
                        return False
                else:
                    return True
                finally:
                    conn.raw.set_authorizer(None)

        yield explain
