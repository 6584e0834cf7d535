"""Questions to live rows that only MySQL and MariaDB have: members of ENUM and SET that go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterColumn, CatalogChange
from dbops.engines.base.question import Question
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.types import members, parts


def questions(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Yield what has to be asked of tables that are there."""
    for change in changes:
        if not isinstance(change, AlterColumn) or change.table not in live.objects:
            continue
        (old, *_), (new, *_) = parts(change.before.type), parts(change.after.type)
        if old != new or old not in ("enum", "set"):
            continue
        has = members(change.after.type)
        if gone := [member for member in members(change.before.type) if member not in has]:
            name = f"t.{quoted(change.after.name)}"
            tests = [f"FIND_IN_SET({member}, {name}) > 0" if old == "set" else f"{name} = {member}" for member in gone]
            words = f"{change.after.name} holds {' or '.join(gone)}, which the type loses"
            yield Question(change.ref, change.table, " OR ".join(tests), words, (change.after.name,))
