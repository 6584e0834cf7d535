"""What a clause of ALTER TABLE costs on InnoDB, and what may be lost by it.

From "Online DDL Operations" of the MySQL 8.4 manual (17.12.1) and "InnoDB Online DDL" of the MariaDB Knowledge Base; what
they do not promise counts as a copy of the table.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING

from dbops.catalog.changes import AlterColumn
from dbops.catalog.model import CatalogObject, Check, Column, Index, PrimaryKey, Table
from dbops.dataclass import dataclass
from dbops.engines.base.connect import TableSize
from dbops.engines.base.render import MANY, about
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.types import (
    bytes_of,
    charset_of,
    comes_back,
    is_reshaped,
    is_spatial,
    is_textual,
    may_lose_values,
    members,
    parts,
)

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
    """Return how a column goes, from an index that goes along too; the loss itself is the caller's to tell."""
    if not flavour.has_instant_columns:
        return Speed.INPLACE_REBUILD
    if column.generated is not None and column.generated.is_stored:
        return Speed.UNKNOWN
    return Speed.INPLACE_REBUILD if is_indexed and not flavour.is_mariadb else Speed.INSTANT


def added_column(column: Column, change: TableChange, flavour: Flavour) -> Cost:
    """Return how a column comes."""
    table = change.after.name
    if column.generated:
        return (Speed.COPY if column.generated.is_stored else _at_once(flavour)), ()
    facts: list[Fact] = []
    has_no_zero = is_spatial(column.type) and not column.nullable and not flavour.is_mariadb
    if has_no_zero:
        facts.append(Fact("MAY_FAIL_ON_DATA", f"rows of {table} stand in the way: {column.type} has no zero value"))
    elif not column.nullable and column.default is None and not column.identity and "as_row" not in dict(column.options):
        facts.append(
            Fact("IMPLICIT_ZERO_VALUE", f"existing rows of {table} get the zero value of {column.type} in {column.name}")
        )
    if column.identity:
        return Speed.SHARED, tuple(facts)
    has_special_index = any(isinstance(item, Index) and item.method in ("fulltext", "spatial") for item in change.before_children)
    is_plain = not column.options and not has_special_index
    called = calls(column.default)
    speed = Speed.INSTANT if flavour.has_instant_columns and is_plain and called <= _STEADY else Speed.UNKNOWN
    if has_no_zero:
        speed = Speed.INPLACE_REBUILD
    is_worked_out = column.default is not None and column.default.startswith("(")  # as MySQL writes it
    if called & _PER_ROW or (not flavour.is_mariadb and (is_worked_out or has_special_index)):
        speed = Speed.COPY
    if called - _STEADY:
        facts.append(Fact("DEFAULT_CHANGES_ROWS", f"every row of {table} is written with its own {column.name}"))
    return speed, tuple(facts)


def _at_once(flavour: Flavour) -> Speed:
    return Speed.INSTANT if flavour.has_instant_columns else Speed.UNKNOWN


_CALL = re.compile(r"(\w+)\s*\(")
#: Functions with one value for a whole statement, and those with another for each row.
_STEADY = frozenset({"concat", "lower", "upper", "json_array", "json_object", "current_timestamp", "curdate", "curtime"})
_PER_ROW = frozenset({"uuid", "uuid_short", "uuid_v4", "uuid_v7", "sys_guid", "rand", "nextval", "random_bytes"})


def calls(default: str | None) -> frozenset[str]:
    """Return the functions that a default calls."""
    return frozenset(name.lower() for name in _CALL.findall(re.sub(r"'(?:[^'\\]|\\.|'')*'", "", default or "")))


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
        speeds.append(Speed.INPLACE_REBUILD)
    if is_textual(before.type) and is_textual(after.type) and _collation(before, whole.before) != _collation(after, whole.after):
        speeds.append(_collation_speed(before, after, whole, flavour))
        text = f"the text in {name} goes from {_collation(before, whole.before)} to {_collation(after, whole.after)}"
        facts.append(Fact("CHARSET_CONVERSION", text, needs_rows=False))
    if after.generated is not None and len(speeds) > 1:
        speeds.append(Speed.COPY if after.generated.is_stored else Speed.UNKNOWN)
    if before.generated is None and after.generated is not None:
        facts.append(Fact("DELETES_DATA", f"the values of {name} give way to what is computed"))
    if before.generated != after.generated or before.identity != after.identity:
        speeds.append(Speed.UNKNOWN)
    elif {*before.options} ^ {*after.options}:
        is_only_hidden = {*before.options} ^ {*after.options} == {("invisible", "")}
        speeds.append(_at_once(flavour) if is_only_hidden else Speed.UNKNOWN)
    if change.moved:
        speeds.append(_at_once(flavour) if flavour.is_mariadb else Speed.INPLACE_REBUILD)
    return max(speeds), tuple(facts)


def _collation(column: Column, table: Table) -> str | None:
    return column.collation or dict(table.options).get("collation")


def _collation_speed(before: Column, after: Column, whole: TableChange, flavour: Flavour) -> Speed:
    """The rows stay where only the order of text changes; MySQL copies the table for a column in an index all the same.

    MariaDB keeps them, too, where what was utf8mb3 becomes utf8mb4, of which it is a part; it copies the table for an ENUM or
    SET (10.11, error 1846).
    """
    old, new = _collation(before, whole.before) or "", _collation(after, whole.after) or ""
    is_recoded = charset_of(old) != charset_of(new)
    base = parts(after.type)[0]
    items = [item for item in (*whole.before_children, *whole.after_children) if after.name in _key_columns(item)]
    if base in ("enum", "set") or (is_recoded and not (flavour.is_mariadb and _is_widened(old, new))):
        return Speed.COPY
    if not flavour.is_mariadb:
        return Speed.COPY if items else Speed.INPLACE
    speeds = [_at_once(flavour)]
    if is_recoded and base == parts(before.type)[0] == "varchar":
        speeds.append(_length_speed(_most_bytes(before, whole.before), _most_bytes(after, whole.after), flavour))
    is_same = _order_of(old) == _order_of(new)
    return max([*speeds, *(_resorted(item, after, whole, is_same=is_same) for item in items)])


def _is_widened(old: str, new: str) -> bool:
    return (charset_of(old), charset_of(new)) == ("utf8mb3", "utf8mb4")


def _order_of(collation: str) -> str:
    return collation.partition("_")[2]


def _resorted(item: CatalogObject, column: Column, whole: TableChange, *, is_same: bool) -> Speed:
    """Return how MariaDB sorts a key of the column anew: not the one that the table itself is stored by, nor one of a TEXT."""
    if parts(column.type)[0] not in ("char", "varchar"):
        return Speed.COPY
    if is_same:
        return Speed.INSTANT
    has_key = any(isinstance(child, PrimaryKey) for child in whole.before_children)
    if not isinstance(item, Index) or (item.unique and not has_key):
        return Speed.COPY
    return Speed.SHARED if item.method == "fulltext" else Speed.INPLACE


def _key_columns(item: CatalogObject) -> tuple[str, ...]:
    if isinstance(item, PrimaryKey):
        return item.columns
    return tuple(key.column or "" for key in item.keys) if isinstance(item, Index) else ()


def _type_speed(before: Column, after: Column, whole: TableChange, flavour: Flavour) -> Speed:
    """A longer VARCHAR whose length byte stays one or two bytes, and members appended to an ENUM or SET, touch no row."""
    (old, old_args, _), (new, new_args, _) = parts(before.type), parts(after.type)
    if old == new == "varchar" and int(new_args) >= int(old_args):
        return _length_speed(_most_bytes(before, whole.before), _most_bytes(after, whole.after), flavour)
    if old == new and old in ("enum", "set"):
        had, has = members(before.type), members(after.type)
        if has[: len(had)] == had and _member_bytes(old, len(had)) == _member_bytes(new, len(has)):
            return Speed.INSTANT
    return Speed.COPY


def _most_bytes(column: Column, table: Table) -> int:
    """The most that a VARCHAR takes."""
    return int(parts(column.type)[1]) * bytes_of(charset_of(_collation(column, table) or ""))


def _length_speed(was: int, becomes: int, flavour: Flavour) -> Speed:
    """Values of up to 255 bytes have a length of one byte; MariaDB widens it at once where all of them fit in seven bits."""
    if flavour.is_mariadb:
        return _at_once(flavour) if was <= 127 or becomes <= 255 or was > 255 else Speed.COPY
    return Speed.INPLACE if becomes <= 255 or was > 255 else Speed.COPY


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
        if comes_back(before, after) and not is_reshaped(
            before, after
        ):  # else the values are copied before, as those of a dropped column
            facts.append(Fact("IRREVERSIBLE", f"no undo brings back what values of {name} lose in {after}"))
    return facts


def added_child(item: CatalogObject, change: TableChange) -> Cost:
    """Return what a new key, index or check costs; periods without overlaps are compared while the table is copied."""
    speed, facts = _added_child(item, change)
    return (Speed.COPY if _compares_periods(item) else speed), facts


def _added_child(item: CatalogObject, change: TableChange) -> Cost:
    table = change.after.name
    match item:
        case PrimaryKey():
            facts = [Fact("MAY_FAIL_ON_DATA", f"rows of {table} with equal {', '.join(item.columns)} stand in the way")]
            return Speed.INPLACE_REBUILD, tuple(facts)
        case Index():
            build = Fact("INDEX_BUILD", f"index {item.name} is built over the rows of {table}")
            clash = Fact("MAY_FAIL_ON_DATA", f"rows of {table} that are equal in the unique index {item.name} stand in the way")
            speed = Speed.SHARED if item.method in ("fulltext", "spatial") or _is_functional(item) else Speed.INPLACE
            speed = Speed.COPY if _is_hashed(item) else speed
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


def _compares_periods(item: CatalogObject) -> bool:
    """A key WITHOUT OVERLAPS: the table is copied for it and for all that changes beside it (MariaDB 10.11, error 1845)."""
    return isinstance(item, PrimaryKey | Index) and "without_overlaps" in dict(item.options)


def _is_hashed(index: Index) -> bool:
    """A unique index over more than a key may hold is one over a hidden column with a hash: next to it nothing is promised
    (MariaDB 10.11, error 1846)."""
    return index.unique and index.method == "hash"


_MOVES = re.compile(r"(?:ADD|DROP) COLUMN |.* (?:FIRST|AFTER `(?:[^`]|``)+`)$", re.DOTALL)


def commented_table(flavour: Flavour) -> Speed:
    """Return how the comment of a table changes, which MySQL counts among what is done in place (9.7, error 1845)."""
    return Speed.INSTANT if flavour.is_mariadb else Speed.INPLACE


_BUILDS = re.compile(r"ADD (?:UNIQUE )?(?:KEY|INDEX) ")


def _rebuilt_together(clauses: list[Clause], *, is_compressed: bool) -> list[Clause]:
    """Columns that come or go at once do so alone: with an index that is built the table is rebuilt (both manuals, as above), and
    with a comment that comes in place.

    So is one in ROW_FORMAT=COMPRESSED, whatever comes or goes.
    """
    is_building = is_compressed or any(
        _BUILDS.match(clause.text) or (clause.text.startswith("COMMENT=") and clause.speed == Speed.INPLACE) for clause in clauses
    )
    return [
        replace(clause, speed=Speed.INPLACE_REBUILD)
        if is_building and clause.speed == Speed.INSTANT and _MOVES.match(clause.text)
        else clause
        for clause in clauses
    ]


def _is_compressed(table: Table) -> bool:
    options = dict(table.options)
    return options.get("row_format", "").upper() == "COMPRESSED" or "key_block_size" in options


def as_kept(clauses: list[Clause], change: TableChange) -> list[Clause]:
    """Return the clauses without promises that the server keeps on plainer tables only.

    A table with full-text or spatial indexes, or with an index over a virtual column, cannot change its columns at once,
    and such a table, or one with stored computed columns, cannot be rebuilt while it is written (MariaDB, "InnoDB Online DDL
    Operations with the INPLACE Alter Algorithm"; MySQL 8.0, section 17.12.2). A column that a virtual one is computed from
    takes that along, which goes in place only alone, and one that comes to stand before a virtual one moves it (MariaDB 10.11,
    error 1846). Nor does a virtual one itself come or go next to anything but plain indexes.
    """
    table = change.before
    computed = {column.name: column.generated.is_stored for column in table.columns if column.generated}
    indexes = [item for item in change.before_children if isinstance(item, Index)]
    if any(map(_is_hashed, indexes)) or any(map(_compares_periods, change.before_children)) or _has_company(clauses, change):
        return [replace(clause, speed=max(clause.speed, Speed.UNKNOWN)) for clause in clauses]
    clauses = _rebuilt_together(clauses, is_compressed=_is_compressed(table))
    is_hindered = any(
        index.method in ("fulltext", "spatial") or any(computed.get(key.column or "") is False for key in index.keys)
        for index in indexes
    )
    result = []
    bases = {f"MODIFY COLUMN `{name}` " for name in _computed_from(table)} if len(clauses) > 1 else set()
    for clause in clauses:
        if any(map(clause.text.startswith, bases)) or _shifts_virtual(clause.text, table):
            result.append(replace(clause, speed=max(clause.speed, Speed.UNKNOWN)))
            continue
        moves = is_hindered and clause.speed == Speed.INSTANT and _MOVES.match(clause.text)
        rebuilds = (is_hindered or any(computed.values())) and clause.speed == Speed.INPLACE_REBUILD
        result.append(replace(clause, speed=Speed.UNKNOWN) if moves or rebuilds else clause)
    return result


_OF_COLUMN = re.compile(r"(?:ADD|DROP) COLUMN `((?:[^`]|``)+)`")


def _has_company(clauses: list[Clause], change: TableChange) -> bool:
    """Tell whether a virtual column comes or goes beside something else than plain indexes over other columns."""
    columns = [*change.before.columns, *change.after.columns]
    virtual = {quoted(c.name)[1:-1] for c in columns if c.generated and not c.generated.is_stored}
    own = [clause for clause in clauses if (named := _OF_COLUMN.match(clause.text)) and named[1] in virtual]
    coming = {c.name for c in change.after.columns if c.generated and not change.before.column(c.name)}
    return bool(own) and any(clause not in own and not _is_of_plain_index(clause.text, change, coming) for clause in clauses)


def _is_of_plain_index(text: str, change: TableChange, coming: set[str]) -> bool:
    """Tell whether it drops or adds an index that hinders no writer: one over a column that comes along does (error 1846)."""
    gone = [quoted(i.name) for i in change.before_children if _is_plain(i)]
    come = [quoted(i.name) for i in change.after_children if _is_plain(i) and not coming & {*_key_columns(i)}]
    return any(text == f"DROP INDEX {name}" for name in gone) or any(text.startswith(f"ADD KEY {name} ") for name in come)


def _is_plain(item: CatalogObject) -> bool:
    return isinstance(item, Index) and not item.unique and item.method not in ("fulltext", "spatial")


_PLACED = re.compile(r"(?:ADD|MODIFY) COLUMN `((?:[^`]|``)+)` .*(?:FIRST|AFTER `((?:[^`]|``)+)`)$", re.DOTALL)


def _shifts_virtual(clause: str, table: Table) -> bool:
    """Tell whether a column comes to stand, or stood and leaves its place, before a virtual one."""
    names = [quoted(column.name)[1:-1] for column in table.columns]
    last = max((at for at, c in enumerate(table.columns) if c.generated and not c.generated.is_stored), default=-1)
    placed = _PLACED.match(clause)
    if placed is None or last < 0:
        return False
    own, left = placed.groups()
    return left not in names[last:] or own in names[:last]


def _computed_from(table: Table) -> set[str]:
    """The columns that virtual ones are computed from, as they stand between backticks."""
    expressions = [c.generated.expression for c in table.columns if c.generated and not c.generated.is_stored]
    return {name for text in expressions for name in re.findall(r"`((?:[^`]|``)+)`", text)}


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


def lock_facts(clauses: list[Clause], table: str, size: TableSize, has_replicas: bool) -> list[Fact]:
    """Return what the whole statement does to readers and writers, to the disk, and to replicas, which do it again."""
    if not clauses:
        return []
    slowest = max(clause.speed for clause in clauses)
    rows = about(size.rows)
    queue = Fact("LOCK_QUEUE", f"the metadata lock of {table} for an instant; sessions queue behind it while it waits")
    facts = [queue, *_work(slowest, table, rows)]
    if slowest in (Speed.COPY, Speed.INPLACE_REBUILD):
        room = f"about {size.size_bytes / 2**20:,.1f} MiB are" if size.rows < MANY else "as much as the table takes is"
        facts.append(Fact("DISK_SPACE", f"{room} needed until the old copy of {table} goes"))
    if has_replicas and slowest >= Speed.INPLACE:
        facts.append(
            Fact("REPLICATION_IMPACT", f"replicas do it after the primary, and lag as long as it takes on {table}, {rows}")
        )
    return facts


def _work(slowest: Speed, table: str, rows: str) -> list[Fact]:
    if slowest == Speed.COPY:
        return [
            Fact("REWRITES_TABLE", f"{table} is copied, {rows}"),
            Fact("BLOCKS_WRITES", f"writers of {table} wait while it is copied, {rows}"),
        ]
    if slowest == Speed.SHARED:
        return [Fact("BLOCKS_WRITES", f"writers of {table} wait while its index or numbers are built, {rows}")]
    if slowest == Speed.UNKNOWN:
        return [Fact("BLOCKS_WRITES", f"writers of {table} wait where the server has to copy it, {rows}")]
    if slowest == Speed.INPLACE_REBUILD:
        return [Fact("REWRITES_TABLE", f"{table} is rebuilt in place while it is read and written, {rows}")]
    return []
