"""Column types: their canonical spelling, what a change of type does to values, and the portable names of types."""

from __future__ import annotations

import re
from difflib import get_close_matches

from dbops.catalog.model import Column
from dbops.errors import SchemaError

#: The display width MariaDB shows when nobody asked for one; MySQL 8.0.19 shows none.
_DEFAULT_WIDTH = {
    "tinyint": ("4", "3"),
    "smallint": ("6", "5"),
    "mediumint": ("9", "8"),
    "int": ("11", "10"),
    "bigint": ("20", "20"),
}
_INTEGER = re.compile(r"(tinyint|smallint|mediumint|int|bigint)\((\d+)\)( unsigned)?$")
_TEXTUAL = re.compile(r"(?:var)?char\b|(?:tiny|medium|long)?text\b|enum\b|set\b")
_PARTS = re.compile(r"(\w+)(?:\((.*)\))?((?: unsigned)?(?: zerofill)?)$", re.DOTALL)

_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_TEXT_BYTES = {"tinytext": 255, "text": 65535, "mediumtext": 16777215, "longtext": 4294967295}
_BLOB_BYTES = {"tinyblob": 255, "blob": 65535, "mediumblob": 16777215, "longblob": 4294967295}


def canonical_type(text: str) -> str:
    """Leave out the display width an integer has anyway; with ZEROFILL it is part of how values look."""
    if match := _INTEGER.match(text):
        if match[2] == _DEFAULT_WIDTH[match[1]][bool(match[3])]:
            return f"{match[1]}{match[3] or ''}"
        return text
    return "year" if text == "year(4)" else text


def is_textual(type_text: str) -> bool:
    """Tell whether values of the type have a character set."""
    return _TEXTUAL.match(type_text) is not None


def charset_of(collation: str) -> str:
    """Return the character set of a collation: the first word of its name."""
    word = collation.split("_", 1)[0]
    return "utf8mb3" if word == "utf8" else word


#: The most bytes of one character, where it is more than one ("Character Sets and Collations" in both manuals).
_BYTES = {
    **dict.fromkeys(("big5", "cp932", "euckr", "gb2312", "gbk", "sjis", "ucs2"), 2),
    **dict.fromkeys(("eucjpms", "ujis", "utf8mb3"), 3),
    **dict.fromkeys(("gb18030", "utf16", "utf16le", "utf32", "utf8mb4"), 4),
}


def bytes_of(charset: str) -> int:
    """Return how many bytes a character of the set may take."""
    return _BYTES.get(charset, 1)


def parts(type_text: str) -> tuple[str, str, str]:
    """Return base word, arguments and modifiers of a type: `int`, ``, ` unsigned`."""
    match = _PARTS.match(type_text)
    return (match[1], match[2] or "", match[3]) if match else (type_text, "", "")


def members(type_text: str) -> list[str]:
    """Return the quoted members of an ENUM or SET."""
    return re.findall(r"'(?:[^'\\]|\\.|'')*'", parts(type_text)[1])


_CLASSES = {
    **dict.fromkeys(("char", "varchar", "enum", "set", "json", "binary", "varbinary", *_TEXT_BYTES, *_BLOB_BYTES), "text"),
    **{name: name for name in ("uuid", "inet4", "inet6")},
    **dict.fromkeys(("geometry", "point", "linestring", "polygon", "geometrycollection"), "geometry"),
    **dict.fromkeys(("multipoint", "multilinestring", "multipolygon"), "geometry"),
}


def is_convertible(before: str, after: str) -> bool:
    """Tell whether the server makes values of one type out of those of the other (MariaDB error 4078 where it does not).

    What becomes BINARY is filled up with zero bytes: no number comes again of that (error 1292), nor what has less room (1265).
    """
    old, new = (_CLASSES.get(parts(kind)[0], "number") for kind in (before, after))
    if (filled := parts(before))[0] == "binary":
        room = _room(*parts(after)[:2])
        if _is_numeric(after) or (room and room[1] < int(filled[1] or 1)):
            return False
    return old == new or "text" in (old, new)


def comes_back(before: str, after: str) -> bool:
    """Tell whether the server makes values of one type out of those of the other, and of these the old ones again."""
    return is_convertible(before, after) and is_convertible(after, before)


def is_reshaped(before: str, after: str) -> bool:
    """Tell whether values are trimmed or filled up: CHAR loses the blanks at the end of a text, BINARY has zero bytes there."""
    (old, *_), (new, *_) = parts(before), parts(after)
    return before != after and (new == "binary" or (new == "char" and old in ("varchar", *_TEXT_BYTES)))


def _is_numeric(type_text: str) -> bool:
    base = parts(type_text)[0]
    return _CLASSES.get(base, "number") == "number" and not base.startswith(("date", "time", "year"))


def is_text(type_text: str) -> bool:
    """Tell whether a type holds any text, as ENUM and SET do not."""
    return parts(type_text)[0] in ("char", "varchar", *_TEXT_BYTES)


def integer_range(type_text: str) -> tuple[int, int] | None:
    """Return the least and the greatest value of an integer type, None for any other."""
    base, _, modifiers = parts(type_text)
    if base not in _INTEGERS:
        return None
    values = 256 ** {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}[base]
    return (0, values - 1) if "unsigned" in modifiers else (-values // 2, values // 2 - 1)


def is_comparable(one: str, other: str) -> bool:
    """Tell whether values of two types can be compared: of different ones only numbers, texts and times (MariaDB error 4078)."""
    return one == other or all(_CLASSES.get(parts(kind)[0], "number") in ("number", "text") for kind in (one, other))


def is_long(type_text: str) -> bool:
    """Tell whether values of the type are bytes, of any number: texts, blobs, documents and shapes."""
    return _CLASSES.get(parts(type_text)[0]) in ("text", "geometry")


def is_spatial(type_text: str) -> bool:
    """Tell whether a type holds shapes, which no table in partitions takes (MySQL 8.4 manual, 26.6; MariaDB error 1178)."""
    return _CLASSES.get(parts(type_text)[0]) == "geometry"


def may_lose_values(before: str, after: str) -> bool:
    """Tell whether some value of the old type has no place in the new one."""
    (old, old_args, old_mods), (new, new_args, new_mods) = parts(before), parts(after)
    if old in _INTEGERS and new in _INTEGERS:
        narrower = _INTEGERS.index(new) < _INTEGERS.index(old)
        signed_lost = "unsigned" in new_mods and "unsigned" not in old_mods
        return narrower or signed_lost or ("unsigned" in old_mods and "unsigned" not in new_mods and new == old)
    if old == new and old in ("enum", "set"):
        return not set(members(before)) <= set(members(after))
    if old == new == "decimal":
        (old_p, old_s), (new_p, new_s) = _precision(old_args), _precision(new_args)
        return new_s < old_s or new_p - new_s < old_p - old_s or ("unsigned" in new_mods and "unsigned" not in old_mods)
    old_room, new_room = _room(old, old_args), _room(new, new_args)
    if old_room and new_room and old_room[0] == new_room[0]:
        return new_room[1] < old_room[1]
    if old in ("datetime", "timestamp", "time") and old == new:
        return int(new_args or 0) < int(old_args or 0)
    if new_room and new_room[0] == "text" and old not in ("json", *_BLOB_BYTES, "binary", "varbinary"):
        return new_room[1] < 255
    return before != after and (old, new) not in {("float", "double"), ("date", "datetime")}


def _precision(arguments: str) -> tuple[int, int]:
    numbers = [int(number) for number in arguments.split(",")] if arguments else []
    return (numbers or [10])[0], (numbers[1:] or [0])[0]


def _room(base: str, arguments: str) -> tuple[str, int] | None:
    """Family and length of a text or binary type, so that two of them can be compared."""
    if base in ("char", "varchar"):
        return "text", int(arguments or 1)
    if base in _TEXT_BYTES:
        return "text", _TEXT_BYTES[base]
    if base in ("binary", "varbinary"):
        return "binary", int(arguments or 1)
    return ("binary", _BLOB_BYTES[base]) if base in _BLOB_BYTES else None


# --- portable types -------------------------------------------------------------------------------------------------------

_PORTABLE = {
    "boolean": "tinyint(1)",
    "smallint": "smallint",
    "integer": "int",
    "bigint": "bigint",
    "decimal": "decimal",
    "float": "float",
    "double": "double",
    "string": "varchar",
    "char": "char",
    "text": "longtext",
    "binary": "longblob",
    "date": "date",
    "time": "time",
    "datetime": "datetime",
    "timestamp": "timestamp",
    "uuid": "char(36)",
    "json": "json",
}
_DEFAULT_ARGUMENTS = {"string": "255", "decimal": "18,4"}


def portable_type(name: str, arguments: tuple[int, ...]) -> str:
    """Translate a portable type into MySQL's own.

    Raises:
        SchemaError: unknown type; names the known ones.
    """
    own = _PORTABLE.get(name)
    if own is None:
        near = get_close_matches(name, _PORTABLE, 1)
        raise SchemaError(
            f"unknown column type '{name}'",
            expected=f"one of {', '.join(_PORTABLE)}",
            fix=f"did you mean '{near[0]}'?" if near else None,
        )
    if name == "binary" and arguments:
        return f"varbinary({arguments[0]})"
    given = ",".join(str(argument) for argument in arguments) or _DEFAULT_ARGUMENTS.get(name, "")
    return f"{own}({given})" if given and "(" not in own else own


_NAMES = {own: name for name, own in _PORTABLE.items() if name not in ("string", "char", "decimal", "double", "timestamp")}
_WITH_NUMBERS = re.compile(r"(varchar|decimal)\((\d+(?:,\d+)?)\)")


def portable_type_of(column: Column) -> str | None:
    """Return the portable type of a column, None when it has none.

    JSON is an alias in MariaDB: LONGTEXT in utf8mb4_bin with a check of its own (MariaDB Knowledge Base, JSON Data Type).
    """
    if any(name == "check" and value.startswith("json_valid(") for name, value in column.options):
        return "json" if column.type == "longtext" else None
    if found := _WITH_NUMBERS.fullmatch(column.type):
        return f"{'decimal' if found[1] == 'decimal' else 'string'}({found[2]})"
    return _NAMES.get(column.type)
