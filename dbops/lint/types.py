"""Types by their own name, which values fit into which, and which changes an engine makes without writing rows again."""

from __future__ import annotations

from dbops.lint.facts import Type

_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
    "bool": "boolean",
    "character varying": "varchar",
    "character": "char",
    "bpchar": "char",
    "decimal": "numeric",
    "dec": "numeric",
    "fixed": "numeric",
    "float8": "double precision",
    "double": "double precision",
    "float4": "real",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "timetz": "time with time zone",
    "bit varying": "varbit",
    "nvarchar": "varchar",
    "national varchar": "varchar",
}
_WIDTH = {"tinyint": 1, "smallint": 2, "mediumint": 3, "integer": 4, "bigint": 8}
_TEXTS = {"tinytext": 255, "text": 65_535, "mediumtext": 16_777_215, "longtext": 4_294_967_295}
_BLOBS = {"tinyblob": 255, "blob": 65_535, "mediumblob": 16_777_215, "longblob": 4_294_967_295}


def canonical(kind: Type) -> str:
    """Return the one name of a type, arguments left out."""
    return _ALIASES.get(kind.words, kind.words)


def _number(kind: Type, place: int = 0) -> int | None:
    try:
        return int(kind.arguments[place])
    except (IndexError, ValueError):
        return None


def narrows(old: Type, new: Type, *, is_mysql: bool) -> bool:
    """Return whether values of `old` may be lost or cut in `new`, for types whose sizes are known."""
    before, after = canonical(old), canonical(new)
    if before in _WIDTH and after in _WIDTH:
        return _WIDTH[after] < _WIDTH[before] or (old.is_unsigned != new.is_unsigned and _WIDTH[after] <= _WIDTH[before])
    if before in ("varchar", "char", "varbinary") and after in ("varchar", "char", "varbinary"):
        return _length(new) < _length(old)
    if is_mysql and before in _TEXTS | _BLOBS and after in _TEXTS | _BLOBS:
        sizes = _TEXTS | _BLOBS
        return sizes[after] < sizes[before]
    if before == "numeric" and after == "numeric" and new.arguments:
        if not old.arguments:
            return True
        digits_before = (_number(old) or 0) - (_number(old, 1) or 0)
        digits_after = (_number(new) or 0) - (_number(new, 1) or 0)
        return digits_after < digits_before or (_number(new, 1) or 0) < (_number(old, 1) or 0)
    if before in ("numeric", "double precision", "real") and after in _WIDTH:
        return True
    if before == "double precision" and after == "real":
        return True
    if before == "text" and after in ("varchar", "char"):
        return bool(new.arguments) or is_mysql
    return before.startswith("timestamp") and after == "date"


def _length(kind: Type) -> int:
    given = _number(kind)
    if given is not None:
        return given
    return 1 if canonical(kind) == "char" else 1 << 30


def postgres_keeps_rows(old: Type, new: Type) -> bool:
    """Return whether PostgreSQL changes the type without writing the table again (manual, ALTER TABLE, Notes)."""
    if old.is_array or new.is_array:
        return (canonical(old), old.arguments, old.is_array) == (canonical(new), new.arguments, new.is_array)
    before, after = canonical(old), canonical(new)
    if before == after and old.arguments == new.arguments:
        return True
    texts = {"varchar", "text", "citext"}
    if before in texts and after in texts:
        return not new.arguments or (before == "varchar" and bool(old.arguments) and _length(new) >= _length(old))
    if before == after == "numeric":
        if not new.arguments:
            return True
        same_scale = (_number(new, 1) or 0) == (_number(old, 1) or 0)
        return bool(old.arguments) and same_scale and (_number(new) or 0) >= (_number(old) or 0)
    if before == after and before.startswith(("timestamp", "time", "varbit", "interval")):
        return not new.arguments or (bool(old.arguments) and (_number(new) or 0) >= (_number(old) or 0))
    return (before, after) in (("cidr", "inet"), ("xml", "text"))


def mysql_keeps_rows(old: Type, new: Type) -> bool:
    """Return whether MySQL and MariaDB change the column in place: the same type, a longer VARCHAR on the same side of 256
    bytes, or members added behind the last (manual, Online DDL Operations)."""
    before, after = canonical(old), canonical(new)
    if before != after or old.is_unsigned != new.is_unsigned or (new.charset and new.charset != old.charset):
        return False
    if before in ("enum", "set"):
        count = len(new.arguments)
        same_size = (
            (len(old.arguments) > 255) == (count > 255) if before == "enum" else (len(old.arguments) + 7) // 8 == (count + 7) // 8
        )
        return new.arguments[: len(old.arguments)] == old.arguments and same_size
    if before == "varchar":
        return _length(new) >= _length(old) and (_length(old) * 4 > 255) == (_length(new) * 4 > 255)
    return before in _WIDTH or old.arguments == new.arguments
