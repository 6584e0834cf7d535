"""Words, strings and symbols of SQL text, and what can be had from them cheaply: first words, no comments, a normal form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from dbops.sql.dialect import Dialect
from dbops.sql.lexer import DOLLAR_TAG, WORD, WORD_START, line_comment, opaque_end

Kind = Literal["word", "name", "string", "number", "variable", "symbol", "comment", "hint", "version"]


class Token(NamedTuple):
    """A piece of SQL. `name` is a quoted identifier; `version` is either edge of a version comment, whose contents are tokens."""

    kind: Kind
    text: str
    offset: int


def tokens(text: str, dialect: Dialect, start: int = 0) -> Iterator[Token]:
    """Yield the tokens of `text` from `start` on; blanks are left out, and an unterminated token reaches the end of the text."""
    scan, at, depth = _pattern(dialect).search, start, 0
    while found := scan(text, at):
        group, at = found.lastgroup, found.end()
        kind: Kind
        match group:
            case "string" | "name" | "block" | "hint":
                kind = "comment" if group == "block" else group
                edge = found.start() if group in ("block", "hint") or found[0][0] == "$" else at - 1
                at = opaque_end(text, edge, dialect, edge)
                at = at if at >= 0 else len(text)
            case "version" if depth or found[0] != "*/":
                kind = group
                depth += -1 if found[0] == "*/" else 1
            case "word" | "number" | "variable" | "comment":
                kind = group
            case _:
                kind = "symbol"
                at = found.start() + (1 if group == "version" else _operator_length(found[0], dialect))
        yield Token(kind, text[found.start() : at], found.start())


def leading_words(text: str, dialect: Dialect, count: int = 3) -> tuple[str, ...]:
    """Return the first words in upper case, at most `count`; stops at the first token that is no bare word, comments excepted."""
    words: list[str] = []
    for token in tokens(text, dialect):
        if token.kind == "word":
            words.append(token.text.upper())
        elif token.kind not in ("comment", "version"):
            break
        if len(words) >= count:
            break
    return tuple(words)


def strip_comments(text: str, dialect: Dialect) -> str:
    """Return `text` with a blank in place of each comment; hints and version comments stay, since engines act on them."""
    parts: list[str] = []
    copied = 0
    for token in tokens(text, dialect):
        if token.kind == "comment":
            parts += (text[copied : token.offset], " ")
            copied = token.offset + len(token.text)
    parts.append(text[copied:])
    return "".join(parts)


def normalise(text: str, dialect: Dialect) -> str:
    """Return the form that two spellings of one statement share: for comparing and hashing, not for running.

    Comments go, blanks and line ends become one space between any two tokens, and case is folded where the engine ignores it:
    for every bare word where names fold too, for keywords elsewhere. Quoted text, including function bodies, stays as it is.
    """
    parts: list[str] = []
    for token in tokens(text, dialect):
        if token.kind == "word":
            parts.append(_folded(token.text, parts, dialect))
        elif token.kind != "comment":
            parts.append(token.text)
    return " ".join(parts)


_UPPER_TO_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _folded(word: str, before: list[str], dialect: Dialect) -> str:
    lower = word.translate(_UPPER_TO_LOWER)  # engines fold ASCII alone
    if dialect.caseless_words is None or lower in dialect.reserved:
        return lower
    is_qualified = bool(before) and before[-1] == "."
    is_shouted_or_plain = word == lower or word.isupper()  # a name in MixedCase is a name, whatever else the word means
    return lower if lower in dialect.caseless_words and is_shouted_or_plain and not is_qualified else word


# Longer runs do not occur; the bound keeps a line of nothing but operators from being read over and over.
_OPERATOR = r"(?:(?!--|/\*)[-+*/<>=~!@#%^&|`?]){1,63}"
_FIXED_OPERATORS = r"<=>|->>|->|<<|>>|<=|>=|<>|!=|==|:=|\|\||&&"


@lru_cache(maxsize=16)
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    strings, names = re.escape(dialect.string_quotes), re.escape(dialect.identifier_quotes)
    prefix = "(?:[eEbBxXnN]|[uU]&)?" if dialect.escape_strings else "[bBxXnN]?"
    groups = {
        "comment": line_comment(dialect),
        "version": r"/\*M?!(?!999999)[0-9]*|\*/" if dialect.version_comments else "",
        "hint": r"/\*\+" if dialect.version_comments else "",
        "block": r"/\*",
        "string": rf"{prefix}[{strings}]" + (f"|{DOLLAR_TAG}" if dialect.dollar_quotes else ""),
        "name": rf"(?:[uU]&)?[{names}]" if dialect.escape_strings else f"[{names}]",
        "number": rf"[0-9](?:(?!\$){WORD}|\.|(?<=[eE])[-+](?=[0-9]))*",
        "variable": dialect.variable,
        "word": f"{WORD_START}{WORD}*",
        "operator": rf"{_OPERATOR}|::|:=" if dialect.open_operators else _FIXED_OPERATORS,
        "symbol": r"[^ \t\n\r\f\v]",
    }
    return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in groups.items() if pattern))


def _operator_length(operator: str, dialect: Dialect) -> int:
    """Return how much of a run of operator characters is one operator.

    PostgreSQL ends an operator before a trailing + or - unless it holds one of ~ ! @ # % ^ & | ` ? (manual, 4.1.3 Operators).
    """
    if dialect.open_operators and len(operator) > 1 and not re.search(r"[~!@#%^&|`?:]", operator):
        return max(1, len(operator.rstrip("+-")))
    return len(operator)
