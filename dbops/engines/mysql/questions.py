"""Questions to live rows that only MySQL and MariaDB have: members of ENUM and SET that go, values that their new type refuses,
text that another character set lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, CreateObject, DropColumn, column_ref
from dbops.catalog.model import Column, Index, Table
from dbops.engines.base.question import Question
from dbops.engines.mysql import partitions
from dbops.engines.mysql.becoming import zero
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.show_create import charset
from dbops.engines.mysql.tokens import split_list, tokens
from dbops.engines.mysql.types import integer_range, is_convertible, is_text, members, parts
from dbops.sql import probe

#: What the server reads as a number, spaces around it included. ALTER TABLE takes no fraction for an integer (MariaDB 10.11).
_INTEGER = "'^[[:space:]]*[-+]?[0-9]+[[:space:]]*$'"
_NUMBER = "'^[[:space:]]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?[[:space:]]*$'"
_LETTERS = "'[A-SU-Za-su-z]'"
_CLOCK = "'^[[:space:]]*-?([0-9]+ )?([0-9]{1,6}|[0-9]{1,3}(:[0-9]{1,2}){1,2})([.][0-9]*)?[[:space:]]*$'"
_LAST = "'^[[:space:]]*-?(838:?59:?59|34 22:?59:?59)'"
#: What stands behind a moment, as a zone does.
_BEHIND = "':[0-9]+([.][0-9]*)?[[:space:]]*[-+ ][[:space:]]*[0-9]'"
#: A zone that MySQL takes (8.0 manual, "Date and Time Literals"); MariaDB knows none.
_ZONE = "':[0-9]+([.][0-9]*)?[-+](0[0-9]|1[0-4]):[0-5][0-9]$'"
_MOMENT = "'^[[:space:]]*[0-9]+[-/.][0-9]+[-/.][0-9]+ +[0-9]+:'"
_LARGEST = {"float": "3.402823466e38", "double": "1.7976931348623157e308"}
_OWN_FORMS = ("uuid", "inet4", "inet6")
_MADE = (CreateObject, AlterObject)


def questions(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Yield what has to be asked of tables that are there."""
    for change in changes:
        table = live.objects.get(change.ref.table)
        if not isinstance(change, AlterColumn) or not isinstance(table, Table):
            continue
        before, after = change.before, change.after
        (old, *_), (new, *_) = parts(before.type), parts(after.type)
        if old == new and old in ("enum", "set"):
            yield from _lost_members(change, old)
        if before.type != after.type and after.generated is None and (condition := _refused(before, after, table)):
            words = f"{after.name} is nothing that {after.type} can hold"
            yield Question(change.ref, change.table, condition, words, (after.name,))
        check = dict(after.options).get("check")
        if check is not None and check != dict(before.options).get("check"):
            yield Question(change.ref, change.table, probe.breaks(check), f"they break the check of {after.name}", (after.name,))
    yield from _lost_characters(changes, live)
    yield from _born_broken(changes, live)
    yield from _computed_wide(changes, live)
    for change in changes:
        if isinstance(change, AlterObject) and isinstance(change.before, Table) and isinstance(change.after, Table):
            there = live.objects.get(change.ref)
            if isinstance(there, Table) and (condition := _without_partition(change.before, change.after, there)):
                yield Question(change.ref, change.ref, condition, "they belong to no partition", ())
            if isinstance(there, Table):
                yield from _ends_before_it_begins(change.before, change.after, there)


def _born_broken(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Ask whether what rows get in a new column breaks the column's own check, as '' does the one of JSON.

    MariaDB does not look (10.11), and refuses whatever copies the table afterwards (error 4025).
    """
    for change in changes:
        table = live.objects.get(change.ref.table)
        if not isinstance(change, AddColumn) or not isinstance(table, Table) or change.column.generated is not None:
            continue
        column, check = change.column, dict(change.column.options).get("check")
        value = column.default or (None if column.nullable else zero(column.type))
        if check is None or value is None or "(" in value:  # a call may count on, or say something else each time
            continue
        texts = [(token.text, token.identifier if token.kind == "name" else None) for token in tokens(check)]
        if all(name is None or name == column.name or table.column(name) for _, name in texts):
            given = "".join(f"({value})" if name == column.name else text for text, name in texts)
            said = f"what they get in the new column {column.name} breaks its check"
            yield Question(change.ref, change.table, probe.breaks(given), said, ())


def _computed_wide(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Ask whether what a column computes fits it; the server computes what it stores, or keeps in an index."""
    touched = {change.ref for change in changes if isinstance(change, AlterColumn | DropColumn)}
    made = [change.item if isinstance(change, CreateObject) else change.after for change in changes if isinstance(change, _MADE)]
    for change in changes:
        table = live.objects.get(change.ref.table)
        if not isinstance(change, AddColumn | AlterColumn) or not isinstance(table, Table):
            continue
        column = change.column if isinstance(change, AddColumn) else change.after
        if column.generated is None:
            continue
        if isinstance(change, AlterColumn) and change.before.generated == column.generated:
            continue  # all that it holds is asked about
        kept = column.generated.is_stored or any(
            isinstance(item, Index) and item.ref.table == change.ref.table and any(key.column == column.name for key in item.keys)
            for item in (*made, *live)
        )
        value = f"({column.generated.expression})"
        names = [token.identifier for token in tokens(value) if token.kind == "name"]
        is_told = all(name and table.column(name) and column_ref(table.ref, name) not in touched for name in names)
        if kept and is_told and (condition := _too_wide(column, value)):
            said = f"what they get in the computed column {column.name} is nothing that {column.type} can hold"
            yield Question(change.ref, change.table, condition, said, ())


def _too_wide(column: Column, value: str) -> str | None:
    kind, arguments, modifiers = parts(column.type)
    if limits := integer_range(column.type):
        return f"ROUND({value}) NOT BETWEEN {limits[0]} AND {limits[1]}"
    if kind == "decimal":
        digits, scale = (int(number) for number in arguments.split(","))
        below = f" OR {value} < 0" if "unsigned" in modifiers else ""
        return f"(ABS(ROUND({value}, {scale})) >= 1e{digits - scale}{below})"
    return _too_long(column, f"RTRIM({value})" if kind in ("char", "varchar") else value) if is_text(column.type) else None


def _ends_before_it_begins(before: Table, after: Table, there: Table) -> Iterator[Question]:
    """Ask for rows that an application period does not take: MariaDB compares its ends like a check (error 4025)."""
    for name, ends in dict(after.options).items():
        names = [token.identifier for token in tokens(ends) if token.kind == "name"]
        columns = tuple(column.name for each in names if each and (column := there.column(each)))
        if (
            name.startswith("period:")
            and name != "period:SYSTEM_TIME"
            and (name, ends) not in before.options
            and len(columns) == 2
        ):
            start, end = (f"t.{quoted(column)}" for column in columns)
            words = f"{columns[0]} is not before {columns[1]}, as {name.removeprefix('period:')} wants"
            yield Question(after.ref, after.ref, f"{start} >= {end}", words, columns)


def _without_partition(before: Table, after: Table, there: Table) -> str | None:
    """The condition of rows that have no place in a table divided anew; partitions that are dropped take theirs along (1526)."""
    old, new = before.partition_by, after.partition_by
    if new is None or not new.partitions or (old is not None and partitions.changes(old, new) is not None):
        return None
    names = [token.identifier for token in tokens(new.expression) if token.kind == "name"]
    if any(name is None or there.column(name) is None for name in names):
        return None
    bounds = [dict(partition).get("values", "") for partition in new.partitions]
    if new.strategy.startswith("RANGE"):
        last = bounds[-1]
        return None if "MAXVALUE" in last else f"{new.expression} >= {last[last.find('(') :]}"
    if (
        not new.strategy.startswith("LIST")
        or len(split_list(new.expression[1:-1])) > 1
        or any("DEFAULT" in text for text in bounds)
    ):
        return None
    values = [value for text in bounds for value in split_list(text[text.find("(") + 1 : -1])]
    given = [value for value in values if value.upper() != "NULL"]
    outside = f"{new.expression} NOT IN ({', '.join(given)})" if given else f"{new.expression} IS NOT NULL"
    return outside if len(given) < len(values) else f"({outside} OR {new.expression} IS NULL)"


def _lost_members(change: AlterColumn, kind: str) -> Iterator[Question]:
    has = members(change.after.type)
    if gone := [member for member in members(change.before.type) if member not in has]:
        name = f"t.{quoted(change.after.name)}"
        is_kept = f" AND {name} NOT IN ({', '.join(has)})" if kind == "enum" else ""  # in another case, which is the same member
        tests = [f"FIND_IN_SET({member}, {name}) > 0" if kind == "set" else f"{name} = {member}{is_kept}" for member in gone]
        words = f"{change.after.name} holds {' or '.join(gone)}, which the type loses"
        yield Question(change.ref, change.table, " OR ".join(tests), words, (change.after.name,))


def _lost_characters(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Ask for text that the character set which comes cannot write; in strict mode the server refuses it (error 1366)."""
    altered = {change.ref: change for change in changes if isinstance(change, AlterColumn)}
    tables = {c.ref: c.after for c in changes if isinstance(c, AlterObject) and isinstance(c.after, Table)}
    for ref in dict.fromkeys([*tables, *(change.table for change in altered.values())]):
        there = live.objects.get(ref)
        if not isinstance(there, Table):
            continue
        for before in there.columns:
            cause = altered.get(column_ref(ref, before.name))
            after = cause.after if cause else before
            charsets = charset(before, there), charset(after, tables.get(ref, there))
            if after.generated is not None or None in charsets or charsets[0] == charsets[1] or charsets[1] in _ALL_CHARACTERS:
                continue
            name = f"t.{quoted(before.name)}"
            there_and_back = f"CONVERT(CONVERT({name} USING {charsets[1]}) USING utf8mb4)"
            condition = f"CAST({there_and_back} AS BINARY) <> CAST(CONVERT({name} USING utf8mb4) AS BINARY)"
            words = f"{before.name} has characters that {charsets[1]} has not"
            yield Question(cause.ref if cause else ref, ref, condition, words, (before.name,))


_ALL_CHARACTERS = frozenset({"utf8mb4", "utf16", "utf16le", "utf32", "binary"})
_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year", "bit"})
_BINARY = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_MOMENTS = frozenset({"date", "datetime", "timestamp", "time"})


def _refused(before: Column, after: Column, table: Table) -> str | None:
    """The condition of values that a column of another type refuses in strict mode; None where there is none to tell."""
    (kind, *_), name = parts(before.type), f"t.{quoted(after.name)}"
    if not is_convertible(before.type, after.type):
        return None  # such a column is filled anew
    if is_text(before.type):
        return _not_taken(after) or _not_chosen(after, name) or _too_long(after, name)
    if kind in _NUMBERS or kind in _MOMENTS:
        return _out_of_range(kind, after) or _too_long(after, name)
    if kind in _BINARY and not is_text(after.type):
        taken = None if parts(after.type)[0] in _OWN_FORMS else _not_taken(after)
        return taken or _not_chosen(after, name) or _too_long(after, name)
    if kind in _BINARY:
        return _no_text(after, table, name)
    if kind in ("enum", "set"):
        return None if kind == parts(after.type)[0] else _refused_member(after, f"CAST({name} AS CHAR)")
    is_shown = kind in _OWN_FORMS and is_text(after.type)
    return _too_long(after, f"CAST({name} AS CHAR)") if is_shown else None


def _refused_member(after: Column, text: str) -> str | None:
    """Members of an ENUM or SET as what they are called; to a number they are the number of their place."""
    if parts(after.type)[0] in _MOMENTS:
        return _not_taken(after)
    return _not_chosen(after, text, by_number=False) or _too_long(after, text)


def _out_of_range(old: str, after: Column) -> str | None:
    """Of integers that become others everybody asks."""
    (kind, arguments, modifiers), name = parts(after.type), f"t.{quoted(after.name)}"
    is_integer, value = old.endswith("int"), f"({name} + 0)"
    below = f" OR {value} < 0" if "unsigned" in modifiers else ""
    if limits := integer_range(after.type):
        return None if is_integer else f"ROUND({value}) NOT BETWEEN {limits[0]} AND {limits[1]}"
    match kind:
        case "decimal" if not is_integer or below:
            digits, scale = (int(number) for number in arguments.split(","))
            return f"(ABS(ROUND({value}, {scale})) >= 1e{digits - scale}{below})"
        case "float" | "double":
            return f"(ABS({value} + 0e0) > {_LARGEST[kind]}{below})"
        case "timestamp" if old in ("date", "datetime"):
            return f"({name} IS NOT NULL AND COALESCE(UNIX_TIMESTAMP({name}), 0) = 0)"
        case _ if old in _MOMENTS:
            return None
        case "year":
            return f"NOT (ROUND({value}) BETWEEN 0 AND 99 OR ROUND({value}) BETWEEN 1901 AND 2155)"
        case "enum" | "set" | "bit":
            low, high = _places(after.type)
            return f"ROUND({value}) NOT BETWEEN {low} AND {high}"
        case _ if kind in _MOMENTS and old != "year":
            return _no_moment(kind, name)
        case _:
            return None


def _places(type_text: str) -> tuple[int, int]:
    """The numbers that stand for members of an ENUM or SET, or fill a BIT; of all 64 bits one says that a number is negative."""
    kind, arguments, _ = parts(type_text)
    if kind == "enum":
        return 1, len(members(type_text))
    bits = int(arguments or 1) if kind == "bit" else len(members(type_text))
    return (-(2**63) if kind == "bit" and bits == 64 else 0), 2**bits - 1


def _no_moment(kind: str, name: str) -> str:
    """Numbers that are no date (20260131) or time (235959); a query makes the nearest of what is too long a time."""
    if kind == "time":
        return f"({name} IS NOT NULL AND (CAST({name} AS TIME) IS NULL OR ABS({name}) BETWEEN 8385960 AND 9999999))"
    if kind == "timestamp":
        return f"({name} <> 0 AND COALESCE(UNIX_TIMESTAMP(CAST({name} AS DATETIME)), 0) = 0)"
    return f"({name} <> 0 AND CAST({name} AS {kind}) IS NULL)"


def _not_chosen(after: Column, name: str, *, by_number: bool = True) -> str | None:
    """Texts that are no member of the ENUM or SET that a column becomes, nor the number of one."""
    kind, has = parts(after.type)[0], members(after.type)
    if kind not in ("enum", "set"):
        return None
    low, high = _places(after.type)
    number = f"({name} REGEXP {_INTEGER} AND CAST({name} AS DECIMAL(65, 0)) BETWEEN {low} AND {high})"
    is_number = f" AND NOT {number}" if by_number else ""
    if kind == "enum":
        return f"({name} NOT IN ({', '.join(has)}){is_number})"
    # REPLACE knows a member in one case alone, FIND_IN_SET in any, but once
    left, text = f"CONCAT(',', REPLACE({name}, ',', ',,'), ',')", f"RTRIM({name})"
    for member in has:
        left = f"REPLACE({left}, CONCAT(',', {member}, ','), '')"
    found = " + ".join(f"(FIND_IN_SET({member}, {text}) > 0)" for member in has)
    many = f"CHAR_LENGTH({name}) - CHAR_LENGTH(REPLACE({name}, ',', '')) + 1"
    return f"({name} <> '' AND {left} <> '' AND {found} < {many}{is_number})"


def _no_text(after: Column, table: Table, name: str) -> str | None:
    """Bytes that are no text of the character set that comes, of which the server makes question marks or nothing to look at."""
    target = charset(after, table)
    if target is None or not target.startswith("utf8"):
        return _too_long(after, name)
    text = f"CONVERT({name} USING {target})"
    is_long = _too_long(after, name if parts(after.type)[0] in _BYTES else text)
    is_none = f"({name} IS NOT NULL AND COALESCE(HEX({text}), '') <> HEX({name}))"
    return f"({is_none} OR {is_long})" if is_long else is_none


def _too_long(after: Column, value: str) -> str | None:
    """Values longer than what a column becomes; of texts in fewer characters everybody asks."""
    kind, arguments, _ = parts(after.type)
    is_shown = value.startswith("CAST(")
    if kind in ("char", "varchar"):
        text = f"CAST({value} AS CHAR)"
        return (
            f"CHAR_LENGTH({f'RTRIM({text})' if kind == 'char' else text}) > {arguments or 1}"  # CHAR keeps no blanks at its end
        )
    if kind in ("binary", "varbinary"):
        return f"LENGTH({value}) > {arguments or 1}"
    if kind in _BYTES and not is_shown:
        return f"LENGTH({value}) > {_BYTES[kind]}"
    return None


_BYTES = {"tinytext": 255, "text": 65535, "mediumtext": 16777215, "tinyblob": 255, "blob": 65535, "mediumblob": 16777215}


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
        case "bit":
            low, high = _places(column.type)
            return f"({name} NOT REGEXP {_INTEGER} OR CAST({name} AS DECIMAL(65, 0)) NOT BETWEEN {low} AND {high})"
        case "year":
            year = f"CAST({name} AS DECIMAL(65, 0))"
            return f"({name} NOT REGEXP {_INTEGER} OR NOT ({year} BETWEEN 0 AND 99 OR {year} BETWEEN 1901 AND 2155))"
        case "json":
            return f"NOT JSON_VALID({name})"
        case "date" | "datetime":
            return f"({name} IS NOT NULL AND (CAST({name} AS {kind}) IS NULL OR {_says_more(name)}))"
        case "timestamp":
            moment = f"UNIX_TIMESTAMP(CAST({name} AS DATETIME))"
            return f"({name} IS NOT NULL AND (COALESCE({moment}, 0) = 0 OR {_says_more(name)}))"
        case "time":
            is_cut = f"ABS(TIME_TO_SEC(CAST({name} AS TIME))) >= 3020399 AND {name} NOT REGEXP {_LAST}"
            clock = f"{name} REGEXP {_CLOCK} AND CAST({name} AS TIME) IS NOT NULL AND NOT ({is_cut})"
            moment = f"{name} REGEXP {_MOMENT} AND CAST({name} AS DATETIME) IS NOT NULL AND NOT {_has_more_behind(name)}"
            return f"({name} IS NOT NULL AND NOT ({clock} OR {moment}))"
        case _ if kind in _OWN_FORMS:
            return f"({name} IS NOT NULL AND CAST({name} AS {kind}) IS NULL)"
        case _:
            return None


def _says_more(name: str) -> str:
    """The condition of texts that are more than a moment, of which a query reads the beginning."""
    return f"{name} REGEXP {_LETTERS} OR {_has_more_behind(name)}"


def _has_more_behind(name: str) -> str:
    return f"({name} REGEXP {_BEHIND} AND (VERSION() REGEXP 'MariaDB' OR {name} NOT REGEXP {_ZONE}))"
