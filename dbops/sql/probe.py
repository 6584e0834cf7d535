"""Questions asked of rows before a change relies on them: how many offend, and which."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dbops.sql.dialect import Dialect

#: Counting stops here: it is enough to know that there are many.
MOST = 1000
SHOWN = 5
EVERY = "1 = 1"


def count(table: str, condition: str, alias: str = "t") -> str:
    """Return a SELECT of the number of rows of `table` (known as `alias`) that meet `condition`, `MOST` at most."""
    return f"SELECT count(*) FROM (SELECT 1 AS hit FROM {table} AS {alias} WHERE {condition} LIMIT {MOST}) AS hits"


def keys(table: str, condition: str, columns: Sequence[str], dialect: Dialect, alias: str = "t") -> str:
    """Return a SELECT of `columns` of the first few rows that meet `condition`."""
    listed = ", ".join(f"{alias}.{dialect.identifier(name)}" for name in columns)
    return f"SELECT {listed} FROM {table} AS {alias} WHERE {condition} LIMIT {SHOWN}"


def none_of(table: str) -> str:
    """Return no row of a table, in its place."""
    return f"(SELECT * FROM {table} AS n WHERE 1 = 0)"


def computed(table: str, value: str) -> str:
    """Return a SELECT that computes a value of each row."""
    return f"SELECT count({value}) FROM {table} AS t"


def is_null(column: str, dialect: Dialect) -> str:
    return f"t.{dialect.identifier(column)} IS NULL"


def breaks(expression: str) -> str:
    """Return the condition of rows that a CHECK refuses: NULL passes.

    NOT would be taken apart, and what the check computes for some rows only be computed for all.
    """
    return f"({expression}) IS FALSE"


def about(value: str, check: str) -> str:
    """Return the check of a domain with a value in VALUE's place; NOT VALID, it holds for what is written all the same."""
    parts = re.split(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")", check.removesuffix(" NOT VALID"))
    return "".join(
        part if place % 2 else re.sub(r"\bVALUE\b", value.replace("\\", r"\\"), part) for place, part in enumerate(parts)
    )


def longer_than(column: str, length: int, dialect: Dialect, *, is_padded: bool) -> str:
    """Return the condition of texts that are too long; blanks at the end do not count where a type fills up with them."""
    name = f"t.{dialect.identifier(column)}"
    return f"char_length({f'rtrim({name})' if is_padded else name}) > {length}"


def outside(column: str, low: int, high: int, dialect: Dialect) -> str:
    name = f"t.{dialect.identifier(column)}"
    return f"({name} < {low} OR {name} > {high})"


def reaches(column: str, limit: int, text: str, dialect: Dialect) -> str:
    """Return the condition of numbers that reach a limit; `text` is the type that shows what is none, and has no digits."""
    name = f"t.{dialect.identifier(column)}"
    return f"abs({name}) >= {limit} AND CAST({name} AS {text}) <> 'NaN'"


def duplicated(table: str, values: Sequence[str], predicate: str | None, *, nulls_are_alike: bool = False) -> str:
    """Return the condition of rows that share all of `values`, columns or expressions over them, with another row.

    Only rows that meet `predicate` count. Rows with a NULL share nothing unless `nulls_are_alike`.
    """
    held = " AND ".join([*_only(predicate), *([] if nulls_are_alike else (f"{value} IS NOT NULL" for value in values))])
    # named, for MySQL's ONLY_FULL_GROUP_BY knows an expression again by its name alone
    names = [f"{_free([*values, predicate or ''])}k{number}" for number in range(len(values))]
    keys, valued = ", ".join(names), ", ".join(f"{value} AS {name}" for value, name in zip(values, names, strict=True))
    counted = f"SELECT {valued} FROM {table} AS s" + (f" WHERE {held}" if held else "")
    twins = f"SELECT {keys} FROM ({counted}) AS held GROUP BY {keys} HAVING count(*) > 1"
    if nulls_are_alike:
        same = " AND ".join(f"{value} IS NOT DISTINCT FROM twins.{name}" for value, name in zip(values, names, strict=True))
        condition = f"EXISTS (SELECT 1 FROM ({twins}) AS twins WHERE {same})"
    else:
        condition = f"({', '.join(values)}) IN ({twins})"
    return " AND ".join([*_only(predicate), condition])  # first, for it may say which rows have such a value at all


def _free(texts: Sequence[str]) -> str:
    """Return what no name in some expressions begins with: names of our own hide those of rows further out."""
    found = "dbops_"
    while any(found in text.lower() for text in texts):
        found += "_"
    return found


def _only(predicate: str | None) -> list[str]:
    return [f"({predicate})"] if predicate else []


def excluded(table: str, elements: Sequence[tuple[str, str]], predicate: str | None, key: Sequence[str], dialect: Dialect) -> str:
    """Return the condition of rows that another row excludes; `elements` are expressions and the operators that compare them.

    Only rows that meet `predicate` count. `key` tells rows apart; without one they are counted, which takes longer.
    """
    names = [dialect.identifier(name) for name in key]
    free = _free([*names, *(value for value, _ in elements), predicate or ""])
    told = [f"{name} AS {free}p{number}" for number, name in enumerate(names)]
    told += [f"({value}) AS {free}k{number}" for number, (value, _) in enumerate(elements)]
    others = f"(SELECT {', '.join(told)} FROM {table} AS s" + (f" WHERE {predicate}" if predicate else "") + ") AS o"
    met = " AND ".join(f"o.{free}k{number} {operator} ({value})" for number, (value, operator) in enumerate(elements))
    if names:
        others += " WHERE (" + " OR ".join(f"o.{free}p{number} <> {name}" for number, name in enumerate(names)) + ")"
        condition = f"EXISTS (SELECT 1 FROM {others} AND {met})"
    else:  # a row may exclude itself (=), or not (<>)
        itself = " AND ".join(f"({value}) {operator} ({value})" for value, operator in elements)
        found = f"SELECT count(*) FROM (SELECT 1 FROM {others} WHERE {met} LIMIT 2) AS met"
        condition = f"({found}) > CASE WHEN {itself} THEN 1 ELSE 0 END"
    return " AND ".join([*_only(predicate), condition])


def half_null(columns: Sequence[str], dialect: Dialect) -> str:
    """Return the condition of rows with a NULL in some of `columns`, not in all: MATCH FULL refuses them."""
    names = [f"t.{dialect.identifier(name)}" for name in columns]
    empty, filled = (" OR ".join(f"{name} IS {word}" for name in names) for word in ("NULL", "NOT NULL"))
    return f"({empty}) AND ({filled})"


def unlike(columns: Sequence[str], values: Sequence[Sequence[str]], dialect: Dialect) -> str:
    """Return the condition of rows without a NULL in `columns` that hold none of these values, which are SQL."""
    filled = " AND ".join(f"t.{dialect.identifier(name)} IS NOT NULL" for name in columns)
    return f"{filled} AND NOT ({alike(columns, values, dialect)})" if values else filled


def alike(columns: Sequence[str], values: Sequence[Sequence[str]], dialect: Dialect) -> str:
    """Return the condition of rows that hold some of these values, which are SQL."""
    names = [f"t.{dialect.identifier(name)}" for name in columns]
    if len(names) == 1:  # a list may be long
        return f"{names[0]} IN ({', '.join(value for (value,) in values)})"
    same = (" AND ".join(f"{name} = {value}" for name, value in zip(names, row, strict=True)) for row in values)
    return " OR ".join(f"({one})" for one in same)


def orphaned(columns: Sequence[str], parent: str | None, parent_columns: Sequence[str], dialect: Dialect) -> str:
    """Return the condition of rows whose reference leads nowhere; `parent` is None while the table does not exist."""
    names = [f"t.{dialect.identifier(name)}" for name in columns]
    filled = " AND ".join(f"{name} IS NOT NULL" for name in names)
    if parent is None:
        return filled
    same = " AND ".join(f"p.{dialect.identifier(there)} = {here}" for here, there in zip(names, parent_columns, strict=True))
    return f"{filled} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {same})"
