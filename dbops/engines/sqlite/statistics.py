"""What ANALYZE found out about tables that are built anew: a table that is dropped takes it away, and the planner then guesses.

What was said of the table as a whole, and of indexes over the same columns of the same types, still holds of the new one
(https://www.sqlite.org/fileformat2.html#stat1tab and #stat4tab).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Row
from dbops.engines.sqlite.errors import REBUILD_PREFIX
from dbops.engines.sqlite.tokens import literal, unquoted

_BEGINS = re.compile(rf'CREATE TABLE ("{REBUILD_PREFIX}(?:[^"]|"")*"|{REBUILD_PREFIX}\w*)')
_PLACES = {"sqlite_stat1": ("stat",), "sqlite_stat4": ("neq", "nlt", "ndlt", "sample")}
_THERE = "SELECT name FROM sqlite_schema WHERE name IN ('sqlite_stat1', 'sqlite_stat4')"
# A table WITHOUT ROWID is the index of its primary key, and called by its own name.
_INDEXES = """
SELECT iif(l.origin = 'pk' AND t.wr, t.name, l.name), s.sql, (
  SELECT group_concat(coalesce(quote(c.name) || ' ' || c.type, '?')) FROM pragma_index_xinfo(l.name) AS x
  LEFT JOIN pragma_table_xinfo(t.name) AS c ON c.cid = x.cid WHERE x.key)
FROM pragma_table_list AS t JOIN pragma_index_list(t.name) AS l LEFT JOIN sqlite_schema AS s ON s.name = l.name
WHERE t.schema = 'main' AND lower(t.name) = lower({table})"""


@dataclass(frozen=True, slots=True)
class _Known:
    """Lines of one table in one of the places, and what its indexes were when they were read."""

    place: str
    lines: Sequence[Row]
    indexes: frozenset[Row]


@dataclass(slots=True)
class Statistics:
    """What was known of the tables that a transaction builds anew."""

    query: Callable[[str], list[Row]]
    known: dict[str, list[_Known]] = field(default_factory=dict)

    def note(self, sql: str) -> None:
        """Read what is known of a table that a statement begins to build anew."""
        match = _BEGINS.match(sql)
        table = unquoted(match[1]).removeprefix(REBUILD_PREFIX) if match else None
        if table is None or table in self.known:
            return
        places = [place for (place,) in self.query(_THERE)]
        indexes = self._indexes(table) if places else frozenset()
        self.known[table] = [_Known(place, self._lines(place, table), indexes) for place in places]

    def missing(self) -> Iterable[str]:
        """Return the statements that bring back what still holds."""
        for table, found in self.known.items():
            there = self._indexes(table) if found else frozenset()
            for known in found:
                same = {index.lower() for index, _, _ in known.indexes & there}
                kept = [line for line in known.lines if line[0] == "NULL" or unquoted(line[0]).lower() in same]
                if kept and not self._lines(known.place, table):
                    values = ", ".join(f"({literal(table)}, {', '.join(line)})" for line in kept)
                    columns = ", ".join(("tbl", "idx", *_PLACES[known.place]))
                    yield f"INSERT INTO {known.place} ({columns}) VALUES {values}"

    def _lines(self, place: str, table: str) -> list[Row]:
        columns = ", ".join(f"quote({column})" for column in ("idx", *_PLACES[place]))
        return self.query(f"SELECT {columns} FROM {place} WHERE lower(tbl) = lower({literal(table)})")

    def _indexes(self, table: str) -> frozenset[Row]:
        return frozenset(self.query(_INDEXES.format(table=literal(table))))
