"""What a clause of ALTER TABLE costs on InnoDB, and what may be lost by it.

From "Online DDL Operations" of the MySQL 8.4 manual (17.12.1) and "InnoDB Online DDL" of the MariaDB Knowledge Base; what
they do not promise counts as a copy of the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from dbops.catalog.changes import AlterColumn
from dbops.catalog.model import CatalogObject, Check, Column, Index, PrimaryKey, Table
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.types import charset_of, is_textual, may_lose_values, members, parts

if TYPE_CHECKING:
    from dbops.engines.mysql.alter import TableChange


class Speed(IntEnum):
    """How the server carries a clause out, from the gentlest; `UNKNOWN` is as gentle as the server can, without a promise."""

    INSTANT = 0
    INPLACE = 1
    INPLACE_REBUILD = 2
    UNKNOWN = 3
    SHARED = 4
    COPY = 5


@dataclass(frozen=True, slots=True)
class Fact:
    """One hazard of a clause; `needs_rows` keeps it silent on tables that are new or empty."""

    code: str
    message: str
    needs_rows: bool = True


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of ALTER TABLE."""

    text: str
    speed: Speed
    facts: tuple[Fact, ...] = ()
    is_partitioning: bool = False


Cost = tuple[Speed, tuple[Fact, ...]]


def dropped_column(column: Column, is_indexed: bool, flavour: Flavour) -> Speed:
    """Return how a column goes; the loss itself is the caller's to tell."""
    if not flavour.has_instant_columns:
        return Speed.INPLACE_REBUILD
    return Speed.UNKNOWN if is_indexed or column.generated else Speed.INSTANT


def added_column(column: Column, change: TableChange, flavour: Flavour) -> Cost:
    """Return how a column comes."""
    table = change.after.name
    if column.generated:
        return (Speed.COPY if column.generated.is_stored else Speed.UNKNOWN), ()
    facts: list[Fact] = []
    if not column.nullable and column.default is None and not column.identity and "as_row" not in dict(column.options):
        facts.append(
            Fact("IMPLICIT_ZERO_VALUE", f"existing rows of {table} get the zero value of {column.type} in {column.name}")
        )
    if column.identity:
        return Speed.SHARED, tuple(facts)
    has_special_index = any(isinstance(item, Index) and item.method in ("fulltext", "spatial") for item in change.before_children)
    is_plain = not column.options and not has_special_index and not _computes(column.default)
    speed = Speed.INSTANT if flavour.has_instant_columns and is_plain else Speed.UNKNOWN
    if _computes(column.default):
        facts.append(Fact("DEFAULT_CHANGES_ROWS", f"every row of {table} is written with its own {column.name}"))
    return speed, tuple(facts)


def _computes(default: str | None) -> bool:
    return default is not None and "(" in default and not default.startswith(("'", "current_timestamp"))


def altered_column(change: AlterColumn, whole: TableChange, flavour: Flavour) -> Cost:
    """Return what a changed column costs, and what its values may lose."""
    before, after, table = change.before, change.after, whole.after.name
    name = f"{table}.{after.name}"
    facts: list[Fact] = []
    speeds = [Speed.INSTANT]
    if before.type != after.type:
        speeds.append(_type_speed(before, after, whole, flavour))
        facts += _type_facts(before.type, after.type, name)
    if before.nullable and not after.nullable:
        speeds.append(Speed.INPLACE_REBUILD)
        facts.append(Fact("MAY_FAIL_ON_DATA", f"rows with NULL in {name} stand in the way"))
    elif before.nullable != after.nullable:
        speeds.append(Speed.INSTANT if flavour.is_mariadb and flavour.has_instant_columns else Speed.INPLACE_REBUILD)
    if is_textual(before.type) and is_textual(after.type) and _collation(before, whole.before) != _collation(after, whole.after):
        speeds.append(Speed.COPY)
        text = f"the text in {name} goes from {_collation(before, whole.before)} to {_collation(after, whole.after)}"
        facts.append(Fact("CHARSET_CONVERSION", text, needs_rows=False))
    if before.generated != after.generated or before.identity != after.identity or dict(before.options) != dict(after.options):
        speeds.append(Speed.UNKNOWN)
    if change.moved:
        speeds.append(Speed.UNKNOWN)
    return max(speeds), tuple(facts)


def _collation(column: Column, table: Table) -> str | None:
    return column.collation or dict(table.options).get("collation")


def _type_speed(before: Column, after: Column, whole: TableChange, flavour: Flavour) -> Speed:
    """A longer VARCHAR whose length byte stays one or two bytes, and members appended to an ENUM or SET, touch no row."""
    (old, old_args, _), (new, new_args, _) = parts(before.type), parts(after.type)
    if old == new == "varchar" and int(new_args) >= int(old_args):
        width = 4 if charset_of(_collation(after, whole.after) or "").startswith("utf8") else 1
        limit = 255 // width
        same_side = int(new_args) <= limit or int(old_args) > 255
        return (
            (Speed.INSTANT if flavour.is_mariadb and flavour.has_instant_columns else Speed.INPLACE)
            if same_side
            else Speed.UNKNOWN
        )
    if old == new and old in ("enum", "set"):
        had, has = members(before.type), members(after.type)
        if has[: len(had)] == had and _member_bytes(old, len(had)) == _member_bytes(new, len(has)):
            return Speed.INSTANT
    return Speed.COPY


def _member_bytes(base: str, count: int) -> int:
    """Storage of an ENUM (1 or 2 bytes) or a SET (1, 2, 3, 4 or 8 bytes): MySQL 8.4 manual, 13.7."""
    if base == "enum":
        return 1 if count < 256 else 2
    size = (count + 7) // 8
    return size if size <= 4 else 8


def _type_facts(before: str, after: str, name: str) -> list[Fact]:
    facts: list[Fact] = []
    old, new = parts(before)[0], parts(after)[0]
    if old == new and old in ("enum", "set"):
        had, has = members(before), members(after)
        if has[: len(had)] != had:
            facts.append(
                Fact(
                    "ENUM_REBUILD", f"the members of {name} are removed or reordered: {before} becomes {after}", needs_rows=False
                )
            )
    if may_lose_values(before, after):
        facts.append(Fact("DELETES_DATA", f"values of {name} that do not fit {after} are lost or refused", needs_rows=False))
        facts.append(Fact("MAY_FAIL_ON_DATA", f"values of {name} may not fit {after}"))
    return facts


def added_child(item: CatalogObject, change: TableChange) -> Cost:
    """Return what a new key, index or check costs."""
    table = change.after.name
    match item:
        case PrimaryKey():
            facts = [Fact("MAY_FAIL_ON_DATA", f"rows of {table} with equal {', '.join(item.columns)} stand in the way")]
            return Speed.INPLACE_REBUILD, tuple(facts)
        case Index():
            build = Fact("INDEX_BUILD", f"index {item.name} is built over the rows of {table}")
            clash = Fact("MAY_FAIL_ON_DATA", f"rows of {table} that are equal in the unique index {item.name} stand in the way")
            speed = Speed.SHARED if item.method in ("fulltext", "spatial") or _is_functional(item) else Speed.INPLACE
            return speed, (build, clash) if item.unique else (build,)
        case Check():
            scan = Fact("SCANS_TABLE", f"every row of {table} is read to prove {item.name}")
            return Speed.COPY, (scan, Fact("MAY_FAIL_ON_DATA", f"rows of {table} may violate {item.name}"))
        case _:
            return Speed.UNKNOWN, ()


def dropped_index(index: Index, *, is_alone: bool) -> Speed:
    """Return how an index goes: a functional one takes a hidden virtual column along, which goes in place only alone."""
    return Speed.INPLACE if is_alone or not _is_functional(index) else Speed.UNKNOWN


def _is_functional(index: Index) -> bool:
    """Adding one adds a hidden virtual column with its index, for which writers wait (MySQL error 1846)."""
    return any(key.expression for key in index.keys)


_MOVES = re.compile(r"(?:ADD|DROP) COLUMN |.* (?:FIRST|AFTER `(?:[^`]|``)+`)$", re.DOTALL)


def as_kept(clauses: list[Clause], table: Table, children: Iterable[CatalogObject]) -> list[Clause]:
    """Return the clauses without promises that the server keeps on plainer tables only.

    A table with full-text or spatial indexes, or with an index over a virtual column, cannot change its columns at once,
    and such a table, or one with stored computed columns, cannot be rebuilt while it is written (MariaDB, "InnoDB Online DDL
    Operations with the INPLACE Alter Algorithm"; MySQL 8.0, section 17.12.2).
    """
    computed = {column.name: column.generated.is_stored for column in table.columns if column.generated}
    indexes = [item for item in children if isinstance(item, Index)]
    is_hindered = any(
        index.method in ("fulltext", "spatial") or any(computed.get(key.column or "") is False for key in index.keys)
        for index in indexes
    )
    result = []
    for clause in clauses:
        moves = is_hindered and clause.speed == Speed.INSTANT and _MOVES.match(clause.text)
        rebuilds = (is_hindered or any(computed.values())) and clause.speed == Speed.INPLACE_REBUILD
        result.append(replace(clause, speed=Speed.UNKNOWN) if moves or rebuilds else clause)
    return result


def online_words(clauses: list[Clause], table: Table, flavour: Flavour) -> str:
    """Return `ALGORITHM=..., LOCK=...` where the manuals promise it for every clause; empty where they do not.

    The words make the server refuse rather than block, should it not be able to do what is promised.
    """
    is_innodb = dict(table.options).get("engine", "InnoDB").lower() == "innodb"
    if not is_innodb or table.partition_by or not clauses or not flavour.has_instant_columns:
        return ""
    slowest = max(clause.speed for clause in clauses)
    if slowest == Speed.INSTANT:
        return "ALGORITHM=INSTANT"
    return "ALGORITHM=INPLACE, LOCK=NONE" if slowest in (Speed.INPLACE, Speed.INPLACE_REBUILD) else ""


def lock_facts(clauses: list[Clause], table: str, rows: int) -> list[Fact]:
    """Return what the whole statement does to readers and writers."""
    if not clauses:
        return []
    slowest = max(clause.speed for clause in clauses)
    about = f"about {rows} rows"
    if slowest == Speed.COPY:
        return [
            Fact("REWRITES_TABLE", f"{table} is copied, {about}"),
            Fact("BLOCKS_WRITES", f"writers of {table} wait while it is copied, {about}"),
        ]
    if slowest == Speed.SHARED:
        return [Fact("BLOCKS_WRITES", f"writers of {table} wait while its index or numbers are built, {about}")]
    if slowest == Speed.UNKNOWN:
        return [Fact("BLOCKS_WRITES", f"writers of {table} wait where the server has to copy it, {about}")]
    if any(clause.speed == Speed.INPLACE_REBUILD for clause in clauses):
        return [Fact("REWRITES_TABLE", f"{table} is rebuilt in place while it is read and written, {about}")]
    return []
