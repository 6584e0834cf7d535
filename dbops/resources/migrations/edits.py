"""What changed in a file that was applied: nothing that counts, or which statement or function, and how."""

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
    """`where` reads `in statement 3`, `in upgrade()` or `as a whole`; `diff` is what changed, line by line."""

    is_cosmetic: bool
    where: str = ""
    diff: tuple[str, ...] = ()


def edit(before: str, after: str, dialect: Dialect) -> Edit:
    """Compare two texts of a migration: comments, blanks, line ends and the case of keywords count for nothing."""
    old, new = _forms(before, dialect), _forms(after, dialect)
    if old is not None and old == new:
        return Edit(True)
    place = _first_difference(old or [], new or [])
    return Edit(False, f"in statement {place}" if place else _AS_A_WHOLE, _lines(before, after))


def edit_of_python(before: str, after: str) -> Edit:
    """Compare two texts of a migration in Python: comments, blanks, line ends and docstrings count for nothing."""
    old, new = _parts(before), _parts(after)
    if old is not None and old == new:
        return Edit(True)
    names = [*(new or {}), *(name for name in old or {} if name not in (new or {}))]
    named = [name for name in names if name and (old or {}).get(name) != (new or {}).get(name)]
    return Edit(False, f"in {named[0]}()" if old and new and named else _AS_A_WHOLE, _lines(before, after))


def is_python(text: str) -> bool:
    """Tell whether a text of the ledger is Python: it defines a function, as every migration in Python does."""
    return any(_parts(text) or ())


def _parts(text: str) -> dict[str, str] | None:
    """Return what a module says: each function by its name, all else under the empty one; None where it is no Python."""
    import ast

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    documented = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    found: dict[str, str] = {}
    for node in tree.body:
        name = node.name if isinstance(node, ast.FunctionDef) else ""
        found[name] = found.get(name, "") + ast.dump(node) + "\n"
    return found


_AS_A_WHOLE = "as a whole"


def _lines(before: str, after: str) -> tuple[str, ...]:
    from difflib import unified_diff

    return tuple(islice(unified_diff(before.splitlines(), after.splitlines(), "applied", "file", lineterm="", n=1), _LONGEST))


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
