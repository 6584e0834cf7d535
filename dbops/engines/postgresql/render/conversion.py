"""What changing a column's type means: how values are converted, whether they fit, whether the table is written again.

Types are format_type's spellings. The families follow pg_cast (PostgreSQL 13 to 18): within a family a plain cast exists,
across families values go through their text, which every type can be written to and read from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

from dbops.dataclass import dataclass

_INTEGERS = {"smallint": 2, "integer": 4, "bigint": 8}
_FLOATS = {"real": 4, "double precision": 8}
_STRINGS = frozenset({"text", "character varying", "character", "name", '"char"'})
_TIMES = frozenset(
    {
        "date",
        "timestamp without time zone",
        "timestamp with time zone",
        "time without time zone",
        "time with time zone",
    }
)
_TYPE = re.compile(r"(?P<name>[^(\[]+?)\s*(?:\((?P<arguments>[^)]*)\))?(?P<tail> with(?:out)? time zone)?(?P<array>(?:\[\])*)")

#: Assignment casts that lose nothing silently; PostgreSQL finds them without USING.
_EASY = frozenset(
    {
        ("date", "timestamp without time zone"),
        ("date", "timestamp with time zone"),
        ("timestamp without time zone", "timestamp with time zone"),
        ("timestamp with time zone", "timestamp without time zone"),
        ("time without time zone", "interval"),
        ("time without time zone", "time with time zone"),
        ("cidr", "inet"),
        ("macaddr", "macaddr8"),
        ("json", "jsonb"),
        ("jsonb", "json"),
        ("xml", "text"),
    }
)


#: Casts without a function: the stored bytes are good as they are (pg_cast, castmethod `b`).
_BINARY = frozenset({("cidr", "inet"), ("xml", "text"), ("xml", "character varying")})


#: Casts that make one value of several (pg_cast).
_LOSSY = frozenset(
    {
        ("integer", "boolean"),
        ("interval", "time without time zone"),
        ("numeric", "money"),
        *(("jsonb", name) for name in _INTEGERS),
    }
)


class Fit(Enum):
    """What happens to the values already stored."""

    ALL = "every value fits"
    SOME = "a value that does not fit stops the change"
    LOSES = "values lose what the new type cannot hold"


@dataclass(frozen=True, slots=True)
class _Type:
    """`modifier` is what an extension's type has in parentheses, whose meaning is the extension's: `geometry(Point,4326)`."""

    name: str
    arguments: tuple[int, ...] = ()
    is_array: bool = False
    modifier: str = ""

    @classmethod
    def parse(cls, text: str) -> _Type:
        match = _TYPE.fullmatch(text)
        if match is None:
            return cls(text)
        if "." in match["name"]:
            return cls(match["name"], (), bool(match["array"]), match["arguments"] or "")
        numbers = tuple(int(part) for part in (match["arguments"] or "").split(",") if part.strip().lstrip("-").isdigit())
        return cls(match["name"] + (match["tail"] or ""), numbers, bool(match["array"]))


def using(column: str, old: str, new: str, domains: Mapping[str, str]) -> str | None:
    """Return the expression that converts `column`, None where assignment does it.

    `domains` maps the domains of both catalogs to their base types.
    """
    a, b = _Type.parse(domains.get(old, old)), _Type.parse(domains.get(new, new))
    if _is_assignable(a, b):
        return None
    if b.is_array and not a.is_array:
        one = using(column, old, domains.get(new, new).removesuffix("[]"), domains) or column
        return f"CASE WHEN {column} IS DISTINCT FROM NULL THEN ARRAY[{one}]::{new} END"
    if a.is_array and not b.is_array:
        return from_one(column, f"{element(column)}::text::{new}", new)
    if a.is_array == b.is_array and (_have_cast(a.name, b.name) or (a.name in _STRINGS - {'"char"'} and not a.is_array)):
        return f"{column}::{new}"
    return f"{column}::text::{new}"


def element(column: str) -> str:
    """Return the first element of an array, whatever its number."""
    return f"({column})[array_lower({column}, 1)]"


def from_one(column: str, converted: str, new: str) -> str:
    """Return the expression that makes an array of one its element, `converted`; any other does not fit."""
    is_one = f"array_ndims({column}) = 1 AND cardinality({column}) = 1"
    return f"CASE WHEN {is_one} THEN {converted} ELSE {column}::text::{new} END"


def fit(old: str, new: str, domains: Mapping[str, str]) -> Fit:
    """Tell what happens to stored values."""
    if new in domains and domains[new] != old:
        return Fit.SOME  # a domain may check what its base type does not
    a, b = _Type.parse(domains.get(old, old)), _Type.parse(domains.get(new, new))
    if a == b:
        return Fit.ALL
    if b.name in _STRINGS and not a.is_array:
        return Fit.ALL if _holds_text(a, b) else Fit.SOME
    if _number(a) and _number(b):
        return _fit_of_numbers(a, b)
    if a.name == b.name:
        return _fit_of_lengths(a, b)
    if (a.name, b.name) in _EASY:
        return Fit.ALL if (a.name, b.name) != ("json", "jsonb") else Fit.LOSES
    if (a.name in _TIMES and b.name in _TIMES) or (a.name, b.name) in _LOSSY:
        return Fit.LOSES
    return Fit.SOME


def can_fail(old: str, new: str) -> bool:
    """Tell whether a value of one type of the server's own may have no counterpart in the other."""
    a, b = _Type.parse(old), _Type.parse(new)
    found = fit(old, new, {})
    return found is Fit.SOME or (found is Fit.LOSES and ((_number(a) and _number(b)) or "jsonb" in (a.name, b.name)))


def can_merge(old: str, new: str) -> bool:
    """Tell whether two values of one type may be one of the other."""
    a, b = _Type.parse(old), _Type.parse(new)
    integers, texts = (all(one.name in kinds and not one.is_array for one in (a, b)) for kinds in (_INTEGERS, _STRINGS))
    return not integers and not texts and fit(old, new, {}) is not Fit.ALL


def is_rewrite(old: str, new: str, domains: Mapping[str, str], *, in_utc: bool = False) -> bool:
    """Tell whether the table is written again; False where stored bytes are good as they are.

    `in_utc`: the session's time zone has no offset, then times are stored alike with and without zone (PostgreSQL 12).
    """
    if new in domains and domains[new] != old:
        return True
    a, b = _Type.parse(domains.get(old, old)), _Type.parse(domains.get(new, new))
    if a == b:
        return False
    if a.is_array or b.is_array:
        return not (a.is_array and b.is_array and _is_binary(a, b))
    if in_utc and {a.name, b.name} == {"timestamp without time zone", "timestamp with time zone"}:
        return a.arguments != b.arguments and not _is_wider(a, b)
    return not _is_binary(a, b)


def _is_binary(a: _Type, b: _Type) -> bool:
    texts = {"text", "character varying"}
    if a.name in texts and b.name in texts:
        return not b.arguments or (bool(a.arguments) and a.arguments[0] <= b.arguments[0])
    if (a.name, b.name) in _BINARY:
        return True
    if a.name != b.name or a.name in ("character", "bit"):
        return False
    return _is_wider(a, b)


def _is_wider(a: _Type, b: _Type) -> bool:
    """Tell whether `b`, the same type with something else in parentheses, holds all of `a`."""
    if a.modifier != b.modifier:
        return not b.modifier
    if not b.arguments:
        return True
    if not a.arguments:
        return False
    if a.name == "numeric":
        (whole_a, scale_a), (whole_b, scale_b) = _digits(a), _digits(b)
        return scale_a == scale_b and whole_a <= whole_b
    return a.arguments[0] <= b.arguments[0]


def _is_assignable(a: _Type, b: _Type) -> bool:
    if a.is_array != b.is_array:
        return b.name in _STRINGS and not b.is_array
    if a.name == b.name:
        return True
    if b.name in _STRINGS and not b.is_array and (b.name != '"char"' or _number(a)):
        return True
    return (_number(a) and _number(b)) or (a.name, b.name) in _EASY or (a.name in _STRINGS and b.name in _STRINGS)


def _have_cast(a: str, b: str) -> bool:
    pairs = {
        ("integer", "boolean"),
        ("boolean", "integer"),
        ("integer", "bit"),
        ("bit", "integer"),
        ("bigint", "bit"),
        ("bit", "bigint"),
        ("bit", "bit varying"),
        ("bit varying", "bit"),
        ("inet", "cidr"),
        ("interval", "time without time zone"),
        ("timestamp with time zone", "time with time zone"),
        ("numeric", "money"),
        ("money", "numeric"),
        ("macaddr8", "macaddr"),
    }
    impossible = {"time without time zone", "time with time zone"}
    if a in _TIMES and b in _TIMES:
        return not (a in impossible and b not in impossible) and (a, b) != ("date", "time without time zone")
    return (a, b) in pairs or (a == "jsonb" and (b in _INTEGERS or b in _FLOATS or b in ("numeric", "boolean")))


def _number(a: _Type) -> bool:
    return a.name in _INTEGERS or a.name in _FLOATS or a.name == "numeric"


def _fit_of_numbers(a: _Type, b: _Type) -> Fit:
    if a.name in _INTEGERS and b.name in _INTEGERS:
        return Fit.ALL if _INTEGERS[a.name] <= _INTEGERS[b.name] else Fit.SOME
    if a.name in _INTEGERS and b.name == "numeric":
        digits = {2: 5, 4: 10, 8: 19}[_INTEGERS[a.name]]
        whole = _digits(b)[0] if b.arguments else digits
        return Fit.ALL if whole >= digits else Fit.SOME
    if (a.name, b.name) in (("real", "double precision"), ("smallint", "real"), ("integer", "double precision")):
        return Fit.ALL
    if a.name == b.name:
        return _fit_of_lengths(a, b)
    return Fit.LOSES


def _fit_of_lengths(a: _Type, b: _Type) -> Fit:
    """Tell what happens to values of the same type with something else in parentheses.

    More digits behind the point take nothing away, though the table is written again; too few before it stop the change.
    """
    if _is_wider(a, b):
        return Fit.ALL
    if a.modifier != b.modifier:
        return Fit.SOME
    if a.name != "numeric" or not a.arguments:
        return Fit.LOSES
    (whole_a, scale_a), (whole_b, scale_b) = _digits(a), _digits(b)
    if scale_a > scale_b:
        return Fit.LOSES
    return Fit.ALL if whole_a <= whole_b else Fit.SOME


def _digits(a: _Type) -> tuple[int, int]:
    """Return how many digits stand before and behind the point of a `numeric(precision, scale)`."""
    scale = a.arguments[1] if len(a.arguments) > 1 else 0
    return a.arguments[0] - scale, scale


def _holds_text(a: _Type, b: _Type) -> bool:
    if b.name == "text" or (b.name == "character varying" and not b.arguments):
        return True
    if a.name not in _STRINGS or not b.arguments:
        return False
    return bool(a.arguments) and a.arguments[0] <= b.arguments[0]
