"""Questions to live rows that only MySQL and MariaDB have: members of ENUM and SET that go, texts that become something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterColumn, CatalogChange
from dbops.catalog.model import Column
from dbops.engines.base.question import Question
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.types import integer_range, is_text, members, parts
from dbops.sql import probe

#: What the server reads as a number, spaces around it included. ALTER TABLE takes no fraction for an integer (MariaDB 10.11).
_INTEGER = "'^[[:space:]]*[-+]?[0-9]+[[:space:]]*$'"
_NUMBER = "'^[[:space:]]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?[[:space:]]*$'"
_LETTERS = "'[A-SU-Za-su-z]'"
_CLOCK = "'^[[:space:]]*-?([0-9]+ )?([0-9]{1,6}|[0-9]{1,3}(:[0-9]{1,2}){1,2})([.][0-9]*)?[[:space:]]*$'"
_MOMENT = "'^[[:space:]]*[0-9]+[-/.][0-9]+[-/.][0-9]+ +[0-9]+:'"
_LARGEST = {"float": "3.402823466e38", "double": "1.7976931348623157e308"}
_OWN_FORMS = ("uuid", "inet4", "inet6")


def questions(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Yield what has to be asked of tables that are there."""
    for change in changes:
        if not isinstance(change, AlterColumn) or change.table not in live.objects:
            continue
        before, after = change.before, change.after
        (old, *_), (new, *_) = parts(before.type), parts(after.type)
        if old == new and old in ("enum", "set"):
            yield from _lost_members(change, old)
        if is_text(before.type) and before.type != after.type and (condition := _not_taken(after)):
            words = f"{after.name} is nothing that {after.type} can hold"
            yield Question(change.ref, change.table, condition, words, (after.name,))
        check = dict(after.options).get("check")
        if check is not None and check != dict(before.options).get("check"):
            yield Question(change.ref, change.table, probe.breaks(check), f"they break the check of {after.name}", (after.name,))


def _lost_members(change: AlterColumn, kind: str) -> Iterator[Question]:
    has = members(change.after.type)
    if gone := [member for member in members(change.before.type) if member not in has]:
        name = f"t.{quoted(change.after.name)}"
        tests = [f"FIND_IN_SET({member}, {name}) > 0" if kind == "set" else f"{name} = {member}" for member in gone]
        words = f"{change.after.name} holds {' or '.join(gone)}, which the type loses"
        yield Question(change.ref, change.table, " OR ".join(tests), words, (change.after.name,))


def _not_taken(column: Column) -> str | None:
    """The condition of texts that a column of this type refuses in strict mode; None where there is none to tell.

    A cast in a query turns what it cannot read into NULL, or leaves its end out, with a warning in place of an error.
    """
    (kind, arguments, modifiers), name = parts(column.type), f"t.{quoted(column.name)}"
    if limits := integer_range(column.type):
        return f"({name} NOT REGEXP {_INTEGER} OR CAST({name} AS DECIMAL(65, 0)) NOT BETWEEN {limits[0]} AND {limits[1]})"
    match kind:
        case "decimal":
            digits, scale = (int(number) for number in arguments.split(","))
            value = f"CAST({name} AS DECIMAL(65, {scale}))"
            below = f" OR {value} < 0" if "unsigned" in modifiers else ""
            return f"({name} NOT REGEXP {_NUMBER} OR abs({value}) >= 1e{digits - scale}{below})"
        case "float" | "double":
            below = f" OR {name} + 0 < 0" if "unsigned" in modifiers else ""
            return f"({name} NOT REGEXP {_NUMBER} OR abs({name} + 0e0) >= {_LARGEST[kind]}{below})"
        case "year":
            year = f"CAST({name} AS DECIMAL(65, 0))"
            return f"({name} NOT REGEXP {_INTEGER} OR NOT ({year} BETWEEN 0 AND 99 OR {year} BETWEEN 1901 AND 2155))"
        case "json":
            return f"NOT JSON_VALID({name})"
        case "date" | "datetime":
            return f"({name} IS NOT NULL AND (CAST({name} AS {kind}) IS NULL OR {name} REGEXP {_LETTERS}))"
        case "timestamp":
            moment = f"UNIX_TIMESTAMP(CAST({name} AS DATETIME))"
            return f"({name} IS NOT NULL AND (COALESCE({moment}, 0) = 0 OR {name} REGEXP {_LETTERS}))"
        case "time":
            clock = f"{name} REGEXP {_CLOCK} AND CAST({name} AS TIME) IS NOT NULL"
            return f"NOT ({clock} OR {name} REGEXP {_MOMENT} AND CAST({name} AS DATETIME) IS NOT NULL)"
        case _ if kind in _OWN_FORMS:
            return f"({name} IS NOT NULL AND CAST({name} AS {kind}) IS NULL)"
        case _:
            return None
