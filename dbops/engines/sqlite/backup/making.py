"""A backup of a SQLite file, made from one state of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from dbops.engines.base.backup import Inventory, Link, Order, Produced, Sink, Told
from dbops.engines.sqlite.backup.pages import CHANGES, DATABASE, HASHES, PAGES, changed_pieces, hash_pieces, table_of
from dbops.engines.sqlite.backup.snapshot import Snapshot, snapshot
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.errors import BackupError, QueryError

_COUNTED_BYTES = 64 << 20
"""Rows are counted in files up to this size: larger ones would be read twice."""


_FEW_PAGES = 1000


def produce(order: Order, conn: SqliteConnection, sink: Sink, told: Told) -> Produced:
    """Make a full, incremental or differential backup; see the port."""
    parent = order.parent
    table = table_of(order.chain) if parent is not None else None
    with snapshot(conn) as state:
        ended_at = datetime.now(UTC)
        if parent is None:
            told(f"{state.pages} pages")
            with sink.stream(DATABASE) as database, sink.stream(HASHES, is_compressed=True, is_kept=True) as hashes:
                table = hash_pieces(state.pieces(), state.page_size, secrets.randbits(64), database, hashes)
            changed = state.pages
        else:
            assert table is not None
            _must_fit(state, parent)
            changed = 0
            with sink.stream(PAGES) as pages, sink.stream(CHANGES, is_compressed=True, is_kept=True) as changes:
                after = bytearray()
                for change, content in changed_pieces(state.pieces(), state.page_size, table):
                    changes.write(change)
                    after += change
                    pages.write(content)
                    changed += len(content) // state.page_size
            table.change(bytes(after), state.pages)
            told(f"{changed} of {state.pages} pages changed")
        inventory = _inventory(conn, state)
    assert table is not None
    position = {"change_counter": state.change_counter, "state": table.state}
    return Produced(
        start=dict(parent.end) if parent is not None else position,
        end=position,
        ended_at=ended_at,
        tools={"sqlite": conn.server.version_text},
        inventory=inventory,
        details={"page_size": state.page_size, "pages": state.pages, "changed": changed},
        warnings=_warnings(inventory, parent, changed, state.pages),
    )


def _must_fit(state: Snapshot, parent: Link) -> None:
    before = int(parent.details["page_size"])
    if state.page_size != before:
        raise BackupError(
            f"the file has pages of {state.page_size} bytes now, and had pages of {before} at {parent.id}",
            fix="make a full backup: dbops backup run --type full",
        )


def _warnings(inventory: Inventory, parent: Link | None, changed: int, pages: int) -> tuple[str, ...]:
    if inventory.unread:
        return (f"the database cannot be read as it should be, and may be damaged: {inventory.unread}",)
    if parent is not None and changed * 2 > pages > _FEW_PAGES:
        return (f"{changed} of {pages} pages changed, as after VACUUM; a full backup would be about as large",)
    return ()


def _inventory(conn: SqliteConnection, state: Snapshot) -> Inventory:
    """Look at the same state: its transaction is still open."""
    from dbops.catalog.codec import digest
    from dbops.catalog.scope import Scope
    from dbops.engines.sqlite.inspect import inspect

    try:
        rows = count_rows(conn) if state.size <= _COUNTED_BYTES else {}
        return Inventory(digest(inspect(conn, Scope())), rows, state.size)
    except QueryError as error:  # damaged, perhaps; what stands there is saved before a restore all the same
        return Inventory(None, {}, state.size, error.message)


def count_rows(conn: SqliteConnection) -> dict[str, int]:
    """Return the rows of every plain table."""
    from dbops.engines.sqlite.standing_in import standing_in
    from dbops.engines.sqlite.tokens import quote

    names = [
        str(name)
        for (name,) in conn.query(
            r"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND rootpage > 0"
        )
    ]
    with standing_in(conn.raw) as bring:
        return {name: _count(conn, f"SELECT count(*) FROM {quote(name)}", bring) for name in names}


def _count(conn: SqliteConnection, sql: str, bring: Callable[[str], bool]) -> int:
    """Return the number that a statement gives; rows are counted by an index, which may be in an order that only an application
    knows.
    """
    while True:
        try:
            return int(conn.query(sql)[0][0])
        except QueryError as error:
            if not bring(error.message):
                raise
