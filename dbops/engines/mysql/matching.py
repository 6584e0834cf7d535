"""How values that were copied aside find back to the rows they are of.

A key that stays tells the rows of a table apart. Without one, rows are the same when all that stays of them is. Those that are
the same, be it because nothing stays at all, are counted on both sides, and each takes the values of its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbops.catalog.model import CatalogObject, Column, Table
from dbops.dataclass import dataclass
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.row_keys import row_keys
from dbops.engines.mysql.show_create import collation_of
from dbops.engines.mysql.types import is_comparable, is_long, is_textual
from dbops.sql.statement import Statement


@dataclass(frozen=True, slots=True)
class Match:
    """The columns of a table before and after a change by which its rows are known again; `is_key` where no two have the same."""

    before: Table
    after: Table
    columns: tuple[str, ...]
    is_key: bool

    @classmethod
    def of(cls, before: Table, after: Table, children: Iterable[CatalogObject], stored: Iterable[str]) -> Match:
        """Return the primary key among the columns `stored` before, else another key without NULLs, else all that stay."""
        staying = [name for name in stored if _stays(before.column(name), after.column(name))]
        for _, columns in row_keys(before, children):
            if set(columns) <= set(staying):
                return cls(before, after, columns, is_key=True)
        return cls(before, after, tuple(staying), is_key=False)

    def row_column(self) -> Column | None:
        """Return the column that undo adds to tell rows apart, None where a key does. Its name is free before and after."""
        if self.is_key:
            return None
        name = "dbops_row"
        while self.before.column(name) or self.after.column(name):
            name += "_"
        return Column(name=name, type="bigint unsigned")

    def filled(self, copy: str, columns: Sequence[str], still: Sequence[str]) -> tuple[Statement, ...]:
        """Return what writes the copied columns into the rows; those in `still` keep their values meanwhile."""
        table, kept = quoted(self.after.name), [f"t.{quoted(name)} = t.{quoted(name)}" for name in still]
        row = self.row_column()
        if row is None:
            values = [f"t.{quoted(name)} = a.{quoted(name)}" for name in columns]
            same = " AND ".join(map(self._same, self.columns))
            return (Statement(f"UPDATE {table} AS t JOIN {quoted(copy)} AS a ON {same} SET {', '.join([*values, *kept])}"),)
        # UUID_SHORT() is another number for each row, and a higher one (MySQL 8.4 manual, 14.23; MariaDB Knowledge Base).
        numbered = f"UPDATE {table} AS t SET {', '.join([f't.{quoted(row.name)} = UUID_SHORT()', *kept])}"
        rows = self._counted(table, [f"{quoted(row.name)} AS id"], f"ORDER BY {quoted(row.name)}")
        copied = self._counted(quoted(copy), [f"{quoted(name)} AS v{n}" for n, name in enumerate(columns)], "")
        same = " AND ".join(["r.nth = a.nth", *(f"r.k{n} <=> a.k{n}" for n in range(len(self.columns)))])
        values = [f"t.{quoted(name)} = a.v{n}" for n, name in enumerate(columns)]
        return (
            Statement(numbered),
            Statement(
                f"UPDATE {table} AS t JOIN {rows} AS r ON t.{quoted(row.name)} = r.id JOIN {copied} AS a ON {same} "
                f"SET {', '.join([*values, *kept])}"
            ),
        )

    def _counted(self, source: str, fields: Sequence[str], order: str) -> str:
        """The rows of a table or its copy, each with what stays of it and with its number among those that are the same.

        A subquery that is a table of its own may read the table that is updated (MySQL 8.4 manual, 15.2.17).
        """
        keys = [self._telling(name) for name in self.columns]
        window = f"{'PARTITION BY ' + ', '.join(keys) if keys else ''} {order}".strip()
        listed = [*fields, *(f"{key} AS k{n}" for n, key in enumerate(keys)), f"ROW_NUMBER() OVER ({window}) AS nth"]
        return f"(SELECT {', '.join(listed)} FROM {source})"

    def _telling(self, name: str) -> str:
        """What is the same for the same value alone: a sort looks at the first bytes of long ones, and not at case."""
        old, new = self.before.column(name), self.after.column(name)
        if old and new and is_textual(old.type) and is_textual(new.type):
            return f"SHA2(CONVERT({quoted(name)} USING utf8mb4), 256)"
        return f"SHA2({quoted(name)}, 256)" if old and new and is_long(old.type) and is_long(new.type) else quoted(name)

    def _same(self, name: str) -> str:
        """Compare a column with its copy; text whose collation changed meanwhile by its characters."""
        old, new = self.before.column(name), self.after.column(name)
        sides = [f"{side}.{quoted(name)}" for side in ("t", "a")]
        if old and new and is_textual(old.type) and collation_of(old, self.before) != collation_of(new, self.after):
            sides = [f"CONVERT({side} USING utf8mb4) COLLATE utf8mb4_bin" for side in sides]
        return " <=> ".join(sides)


def _stays(old: Column | None, new: Column | None) -> bool:
    return old is not None and new is not None and is_comparable(old.type, new.type)
