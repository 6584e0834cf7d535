"""Whether a transaction of many changes finds room in the server's lock table.

Every relation that a transaction makes, changes or drops stays locked until its end, and the table that holds all locks has its
size from the start of the server (manual, "Lock Management").
"""

from __future__ import annotations

from collections.abc import Sequence

from dbops.catalog.changes import CatalogChange, CreateObject, DropObject
from dbops.catalog.model import Exclusion, Index, MaterializedView, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection

_WORTH_ASKING = 1_000
"""Fewer locks than this find room on any server but one made smaller on purpose."""

_ROOM = """
SELECT pg_catalog.current_setting('max_locks_per_transaction')::int,
       pg_catalog.current_setting('max_connections')::int + pg_catalog.current_setting('max_prepared_transactions')::int"""

_RELATIONS = frozenset({"view", "sequence", "foreign_table", "composite_type"})


def locks_of(changes: Sequence[CatalogChange]) -> int:
    """Estimate how many locks one transaction with all the changes holds at its end."""
    known: set[Ref] = set()
    more = 0
    for change in changes:
        ref = change.ref
        if isinstance(change, CreateObject | DropObject):
            match change.item:
                case Table(columns=columns):
                    more += 2 + sum(column.identity is not None for column in columns)  # its TOAST table and that one's index
                case MaterializedView():
                    more += 2
                case PrimaryKey() | Unique() | Exclusion() | Index():
                    more += 1
        if ref.parent:
            known.add(ref.table)
        elif ref.kind in _RELATIONS or ref.kind in ("table", "materialized_view"):
            known.add(ref)
    return len(known) + more


def lock_shortage(conn: Connection, changes: Sequence[CatalogChange]) -> str | None:
    """Say that the changes need more locks than the server has room for; None where they do not."""
    needed = locks_of(changes)
    if needed < _WORTH_ASKING:
        return None
    [(each, sessions)] = conn.query(_ROOM)
    if needed <= each * sessions:
        return None
    return (
        f"one transaction with all of this holds about {needed:,} locks, and the server's lock table has room for"
        f" {each * sessions:,}: set max_locks_per_transaction to {-(-needed * 5 // (sessions * 4)):,} and restart the server,"
        " or apply the plan in parts with --target"
    )
