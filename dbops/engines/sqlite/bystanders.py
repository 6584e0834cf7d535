"""Triggers and indexes that a plan does not know, for they are excluded or dbops's own, on tables that it builds anew.

A rebuilt table takes everything on it away with the old one, what ANALYZE found out about it included. What was neither
dropped by name nor made again comes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Row
from dbops.engines.sqlite.errors import REBUILD_PREFIX
from dbops.engines.sqlite.statistics import Statistics
from dbops.engines.sqlite.tokens import unquoted

#: A name as statements of acts spell it.
NAME = r"""("(?:[^"]|"")*"|[^\s"]+)"""
_REBUILT = re.compile(rf'ALTER TABLE "?{REBUILD_PREFIX}.* RENAME TO {NAME}\Z', re.DOTALL)
_DROPPED = re.compile(rf"DROP (?:TRIGGER|INDEX) {NAME}\Z")
_ATTACHED = (
    "SELECT type || ' ' || name, lower(tbl_name), sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
)


@dataclass(slots=True)
class Bystanders:
    """What stood on all tables when a transaction began, and what its statements did about it."""

    before: Mapping[str, tuple[str, str]]
    statistics: Statistics
    rebuilt: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, query: Callable[[str], list[Row]]) -> Bystanders:
        return cls({key: (table, sql) for key, table, sql in query(_ATTACHED)}, Statistics(query))

    def note(self, sql: str) -> None:
        """Take notice of a statement of an act."""
        self.statistics.note(sql)
        if match := _REBUILT.match(sql):
            self.rebuilt.add(unquoted(match[1]).lower())
        elif match := _DROPPED.match(sql):
            self.dropped.add(f"{sql.split()[1].lower()} {unquoted(match[1])}")

    def missing(self, query: Callable[[str], list[Row]]) -> Iterable[str]:
        """Return the statements that bring back what went with its table alone."""
        if self.rebuilt:
            there = {key for key, _, _ in query(_ATTACHED)}
            for key, (table, sql) in self.before.items():
                if table in self.rebuilt and key not in there and key not in self.dropped:
                    yield sql
            yield from self.statistics.missing()
