"""Rows that refer to nothing: found before and after a schema change, so that it brings no new ones."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Row
from dbops.engines.sqlite.bystanders import NAME
from dbops.engines.sqlite.errors import REBUILD_PREFIX
from dbops.engines.sqlite.tokens import literal, unquoted
from dbops.errors import QueryError

Violations = Counter[tuple[str, object, str]]
"""How many rows of a table refer to nothing: `(table, rowid, parent)`, the tables in lower case."""

Query = Callable[[str], list[Row]]

#: Statements that build a table anew, or give one a column that refers: what brings violations with foreign keys off.
_MAY_BRING_VIOLATIONS = re.compile(rf'CREATE TABLE "?{REBUILD_PREFIX}|ALTER TABLE .*\bREFERENCES\b', re.DOTALL | re.IGNORECASE)
_RENAMED = re.compile(rf"ALTER TABLE {NAME} RENAME TO {NAME}\Z")
_RESTORED = re.compile(rf'INSERT INTO {NAME} \(.*\)\nSELECT .* FROM "?dbops_archive_\w+"?\Z', re.DOTALL)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watch:
    """The violations before the first statement that may bring new ones; None until then, for finding them reads the tables.

    Where foreign keys are not enforced, one that can never be is the schema's affair: only rows count. Rows that an undo brings
    back are as they were: those of them that refer to nothing are told and do not stop it, for nobody could correct them first.
    """

    query: Query
    is_enforced: bool = False
    before: Violations | None = None
    restored: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Look for the violations there are."""
        self.before = self._found()

    def note(self, sql: str) -> None:
        """Take notice of a statement about to run."""
        if self.before is None and _MAY_BRING_VIOLATIONS.match(sql):
            self.begin()
        if match := _RESTORED.match(sql):
            self.restored.add(unquoted(match[1]).lower())
        if self.before and (match := _RENAMED.match(sql)):
            old, new = (unquoted(name).lower() for name in match.groups())
            moved = {old: new}
            self.before = Counter(
                {(moved.get(t, t), rowid, moved.get(p, p)): count for (t, rowid, p), count in self.before.items()}
            )

    def finish(self) -> None:
        """Raise QueryError when there are new violations."""
        if self.before is None:
            return
        after = self._found()
        back = Counter({row: count for row, count in after.items() if row[0] in self.restored})
        if told := back - self.before:
            _log.warning("rows came back that refer to nothing: %s", ", ".join(sorted({row[0] for row in told})))
        refuse_new(self.before, after - back)

    def _found(self) -> Violations:
        return violations(self.query, with_mismatches=self.is_enforced)


def violations(query: Query, *, with_mismatches: bool = True) -> Violations:
    """Return the rows that violate a foreign key, and the keys that refer to no unique columns; reads all tables with keys."""
    try:
        rows = query("PRAGMA foreign_key_check")
    except QueryError:  # one key that refers to no unique columns ends the whole check, so ask table by table
        rows = [row for (table,) in query(_WITH_FOREIGN_KEYS) for row in _violations_of(query, table, with_mismatches)]
    return Counter((str(table).lower(), rowid, str(parent).lower()) for table, rowid, parent, _ in rows)


_WITH_FOREIGN_KEYS = """
SELECT DISTINCT name FROM sqlite_schema, pragma_foreign_key_list(name) WHERE type = 'table' AND sql LIKE '%REFERENCES%'"""


def _violations_of(query: Query, table: str, with_mismatches: bool) -> list[Row]:
    try:
        return query(f"PRAGMA foreign_key_check({literal(table)})")
    except QueryError as error:
        return [(table, None, error.message, 0)] if with_mismatches else []


def refuse_new(before: Violations, after: Violations) -> None:
    """Complain about violations that a change brought.

    Raises:
        QueryError: names the first of the rows.
    """
    grown = _by_key(after) - _by_key(before)  # row ids are not the same when a table has them no longer
    if not grown:
        return
    new = Counter({row: count for row, count in (after - before).items() if (row[0], row[2]) in grown})
    shown = ", ".join(f"{table} row {rowid} → {parent}" for table, rowid, parent in list(new)[:5])
    raise QueryError(
        f"the change would leave {new.total()} rows that refer to nothing: {shown.replace(REBUILD_PREFIX, '')}",
        {"sqlstate": "SQLITE_CONSTRAINT_FOREIGNKEY", "rows": new.total()},
        fix="correct or delete these rows first",
    )


def _by_key(found: Violations) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for (table, _, parent), count in found.items():
        counted[table, parent] += count
    return counted
