"""What changed in a file that was applied: nothing that counts, or which statement, and how."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from dbops.dataclass import dataclass
from dbops.errors import SchemaError
from dbops.sql.dialect import Dialect
from dbops.sql.splitter import SourceStatement, iterate, split
from dbops.sql.tokens import normalise

_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Edit:
    """`statement` counts from 1, 0 where the text as a whole differs; `diff` is what changed, line by line."""

    is_cosmetic: bool
    statement: int = 0
    diff: tuple[str, ...] = ()


def edit(before: str, after: str, dialect: Dialect) -> Edit:
    """Compare two texts of a migration: comments, blanks, line ends and the case of keywords count for nothing."""
    old, new = _forms(before, dialect), _forms(after, dialect)
    if old is not None and old == new:
        return Edit(True)
    from difflib import unified_diff

    lines = tuple(islice(unified_diff(before.splitlines(), after.splitlines(), "applied", "file", lineterm="", n=1), _LONGEST))
    return Edit(False, _first_difference(old or [], new or []), lines)


def same_beginning(before: str, after: str, count: int, dialect: Dialect) -> int | None:
    """Return the first of the first `count` statements that differs between two texts, counted from 1; None when none does."""
    old = _beginning(before, count, dialect)
    new = _beginning(after, count, dialect)
    return next((place + 1 for place in range(count) if old[place : place + 1] != new[place : place + 1]), None)


def _beginning(text: str, count: int, dialect: Dialect) -> list[str]:
    return [_form(statement, dialect) for statement in islice(iterate(text, dialect), count)]


def _forms(text: str, dialect: Dialect) -> list[str] | None:
    try:
        return [_form(statement, dialect) for statement in split(text, dialect)]
    except SchemaError:  # what cannot be split is compared as it stands
        return None


def _form(statement: SourceStatement, dialect: Dialect) -> str:
    return normalise(statement.text, dialect) + "\0" + (statement.copy_data or "")


def _first_difference(old: Sequence[str], new: Sequence[str]) -> int:
    for place, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other:
            return place + 1
    return min(len(old), len(new)) + 1 if len(old) != len(new) else 0
