"""Marks that stand for parameters in SQL of other programs: `?`, `%s`, `:name` and `%(name)s`, each turned into a driver's own.

Strings, quoted names, comments, casts (`::`), assignments (`:=`), slices of arrays and the operators of PostgreSQL that are
written with question marks (`?`, `?|`, `?&`, `@?`) are no marks. `??` is a `?` that is an operator wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from dbops.dataclass import dataclass
from dbops.errors import QueryError
from dbops.sql.dialect import Dialect
from dbops.sql.keywords import POSTGRESQL_RESERVED, words
from dbops.sql.tokens import Token, tokens

Style = Literal["?", "%s"]

#: Operators with a question mark: jsonb (manual, 9.16) and geometry (9.11). A longer one comes before its beginning.
_OPERATORS = ("?-|", "?||", "<?>", "?|", "?&", "@?", "?#", "?-", "?")
#: Words that PostgreSQL does not reserve, behind which a value comes nevertheless.
_BEFORE_VALUES = words("between by escape first next rows range groups zone values call execute interval limit offset")
_NAMED = re.compile(r":([^\W\d]\w*)")
_PERCENT = re.compile(r"%s(?!\w)")
_PERCENT_NAMED = re.compile(r"%\(([^()]*)\)s")
_WORD_END = re.compile(r"[\w\])]")


@dataclass(frozen=True, slots=True)
class Marked:
    """A statement in a driver's style; `names` says whose value stands at each mark, None where they stand in order."""

    sql: str
    names: tuple[str, ...] | None
    count: int


class _Mark(NamedTuple):
    start: int
    end: int
    name: str
    written: str = ""
    """What stands there instead, of what is no parameter."""


@lru_cache(maxsize=512)
def positional(sql: str, count: int, dialect: Dialect, style: Style) -> Marked:
    """Return a statement with `?` or `%s` marks for `count` values in order.

    Where both could be meant the ones that are as many as the values are: `%s` first where `?` is an operator.

    Raises:
        QueryError: the marks are not as many as the values.
    """
    found = [token for token in tokens(sql, dialect) if token.kind != "comment"]
    questions, percents = _questions(sql, found, dialect), _percents(sql, found)
    real = [mark for mark in questions if not mark.written]
    order = (percents, questions) if dialect.open_operators else (questions, percents)
    chosen = next((marks for marks in order if _parameters(marks) == count), (real and questions) or percents)
    if not chosen and count and any(token.kind == "variable" and token.text[0] == "?" for token in found):
        return Marked(sql, None, count)  # numbered ones, which the engine knows by itself
    if (marks := _parameters(chosen)) != count:
        raise QueryError(
            f"the statement has {marks} {'mark' if marks == 1 else 'marks'} for parameters, and {count} "
            f"{'value was' if count == 1 else 'values were'} given",
            expected="as many values as there are ? or %s outside of strings and comments",
        )
    return Marked(_written(sql, chosen, style), None, count)


@lru_cache(maxsize=512)
def named(sql: str, names: frozenset[str], dialect: Dialect, style: Style) -> Marked:
    """Return a statement with `:name` or `%(name)s` marks for values by name, each as often as it stands there.

    Raises:
        QueryError: a mark has no value.
    """
    found = [token for token in tokens(sql, dialect) if token.kind != "comment"]
    marks = _colons(sql, found, names) or _percents_named(sql, found)
    if missing := next((mark.name for mark in marks if not mark.written and mark.name not in names), None):
        raise QueryError(
            f"no value was given for the parameter {missing!r}",
            expected=f"values by name, there are: {', '.join(sorted(map(str, names)))}",
        )
    order = tuple(mark.name for mark in marks if not mark.written)
    return Marked(_written(sql, marks, style), order, len(order))


def _parameters(marks: Sequence[_Mark]) -> int:
    return sum(1 for mark in marks if not mark.written)


def _written(sql: str, marks: Sequence[_Mark], style: Style) -> str:
    parts, at = list[str](), 0
    escape = (lambda text: text.replace("%", "%%")) if style == "%s" else str
    for mark in marks:
        gap = " " if sql[mark.end : mark.end + 1].isalnum() else ""
        parts += (escape(sql[at : mark.start]), escape(mark.written) if mark.written else style + gap)
        at = mark.end
    return "".join([*parts, escape(sql[at:])])


# --- question marks


def _questions(sql: str, found: Sequence[Token], dialect: Dialect) -> list[_Mark]:
    marks: list[_Mark] = []
    if not dialect.open_operators:
        return [_Mark(t.offset, t.offset + 1, "") for t in found if t.text == "?" and t.kind == "symbol"]
    for place, token in enumerate(found):
        if token.kind == "symbol" and "?" in token.text:
            before = found[place - 1] if place else None
            after = found[place + 1] if place + 1 < len(found) else None
            marks += _in_run(token, _is_operand(before), _begins_operand(after))
    return marks


def _in_run(token: Token, is_behind_operand: bool, is_before_operand: bool) -> list[_Mark]:
    """Return the marks in a run of operator characters: `=?` has one, `?||` may begin with one, `?|` is an operator."""
    text, offset = token.text, token.offset
    if "??" in text and (is_behind_operand or text.startswith("??")):
        at = text.index("??")
        return [_Mark(offset + at, offset + at + 2, "", "?")]
    if is_behind_operand and is_before_operand and text in _OPERATORS:
        return []
    return [_Mark(offset + at, offset + at + 1, "") for at, character in enumerate(text) if character == "?"]


def _is_operand(token: Token | None) -> bool:
    """Tell whether a value may end with this token, so that an operator comes next."""
    if token is None:
        return False
    if token.kind == "word":
        word = token.text.lower()
        return word in _VALUES or not (word in POSTGRESQL_RESERVED or word in _BEFORE_VALUES)
    return token.kind in ("name", "string", "number", "variable") or token.text in (")", "]", "?")


def _begins_operand(token: Token | None) -> bool:
    if token is None:
        return False
    if token.kind == "word":
        return token.text.lower() not in POSTGRESQL_RESERVED or token.text.lower() in _BEGINNINGS
    return token.kind in ("name", "string", "number", "variable") or token.text in ("(", ":", "?", "%", "$")


#: Reserved words that are values, and those that a value may begin with.
_VALUES = words("true false null current_date current_timestamp current_user end localtime localtimestamp")
_BEGINNINGS = _VALUES - {"end"} | words("array cast case coalesce row")


# --- percent signs


def _percents(sql: str, found: Sequence[Token]) -> list[_Mark]:
    """Return `%s` marks."""
    return _behind_percent(sql, found, _PERCENT)


def _percents_named(sql: str, found: Sequence[Token]) -> list[_Mark]:
    """Return `%(name)s` marks."""
    return _behind_percent(sql, found, _PERCENT_NAMED)


def _behind_percent(sql: str, found: Sequence[Token], pattern: re.Pattern[str]) -> list[_Mark]:
    """Return the marks that `pattern` finds at percent signs; `%%` is one percent sign, as drivers of this style have it."""
    marks: list[_Mark] = []
    end = -1
    for token in found:
        for at in range(token.offset, token.offset + len(token.text)) if token.kind == "symbol" and "%" in token.text else ():
            if at < end or sql[at] != "%":
                continue
            if sql.startswith("%%", at):
                end = at + 2
                marks.append(_Mark(at, end, "", "%"))
            elif match := pattern.match(sql, at):
                end = match.end()
                marks.append(_Mark(at, end, match[1] if match.lastindex else ""))
    return marks if _parameters(marks) else []


# --- colons


def _colons(sql: str, found: Sequence[Token], names: frozenset[str]) -> list[_Mark]:
    marks: list[_Mark] = []
    brackets = 0
    for token in found:
        if token.kind in ("symbol", "variable"):
            brackets += (token.text == "[") - (token.text == "]")
            at = token.offset + (token.text.rfind(":") if token.kind == "symbol" else 0)
            match = _NAMED.match(sql, at) if token.text.endswith(":") or token.kind == "variable" else None
            if match is None or token.text.endswith("::") or _is_slice(sql, at, match[1] in names, brackets):
                continue
            marks.append(_Mark(at, match.end(), match[1]))
    return marks


def _is_slice(sql: str, at: int, is_known: bool, brackets: int) -> bool:
    """Tell whether a colon divides the bounds of a slice: `a[1:n]`."""
    return brackets > 0 and (not is_known or (at > 0 and _WORD_END.match(sql[at - 1]) is not None))
