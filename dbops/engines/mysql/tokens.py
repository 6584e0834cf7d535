"""The words of MySQL's SQL: enough to find names and marks without mistaking strings and comments for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dbops.errors import QueryError

#: Executable comments (`/*!50110 ... */`, `/*M! ... */`) are code: only their opening and closing count as space.
_TOKEN = r"""(?P<space>\s+|--(?=\s|$)[^\n]*|\#[^\n]*|/\*M?!\d*|\*/|/\*.*?\*/)
      | (?P<string>%s)
      | (?P<name>`(?:[^`]|``)*`%s)
      | (?P<word>@{0,2}(?:[^\W\d]|[$\u0080-\uffff])[\w$\u0080-\uffff]*|@{1,2}|\d+[A-Za-z_$][\w$]*)
      | (?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)
      | (?P<mark>.)"""
_SINGLE = {True: r"'(?:[^'\\]|\\.|'')*'", False: r"'(?:[^']|'')*'"}
_DOUBLE = {True: r'"(?:[^"\\]|\\.|"")*"', False: r'"(?:[^"]|"")*"'}


def _lexer(*, names: bool, escapes: bool) -> re.Pattern[str]:
    """`names` where double quotes hold names, `escapes` where a backslash escapes in strings."""
    strings = _SINGLE[escapes] if names else f"{_SINGLE[escapes]}|{_DOUBLE[escapes]}"
    return re.compile(_TOKEN % (strings, f"|{_DOUBLE[False]}" if names else ""), re.VERBOSE | re.DOTALL)


_LEXERS = {(names, escapes): _lexer(names=names, escapes=escapes) for names in (False, True) for escapes in (False, True)}
_CODE = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`|(?P<opening> ?/\*M?!\d* ?)|(?P<closing> ?\*/)")


class Token(NamedTuple):
    """One token: `kind` is space, string, name (in quotes), word, number or mark; `start` its offset in the text."""

    kind: str
    text: str
    start: int

    @property
    def upper(self) -> str:
        """The word in capitals, for keywords."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def identifier(self) -> str | None:
        """The name this token is, without its quotes; None when it is no name."""
        if self.kind == "name":
            return unquoted(self.text)
        return self.text if self.kind == "word" and not self.text.startswith("@") else None


def tokens(sql: str, sql_mode: str = "") -> Iterator[Token]:
    """Yield all tokens, space and comments included, so that their texts together are the statement.

    Of the `sql_mode` that a text was written under count ANSI_QUOTES and NO_BACKSLASH_ESCAPES (MySQL 8.4 manual, 7.1.11).
    """
    modes = sql_mode.upper().split(",")
    for match in _LEXERS["ANSI_QUOTES" in modes, "NO_BACKSLASH_ESCAPES" not in modes].finditer(sql):
        yield Token(match.lastgroup or "mark", match[0], match.start())


def words(sql: str, sql_mode: str = "") -> list[Token]:
    """Return the tokens that mean something: no space, no comments."""
    return [token for token in tokens(sql, sql_mode) if token.kind != "space"]


def unquoted(name: str) -> str:
    """Return a name without its quotes."""
    return name[1:-1].replace(name[0] * 2, name[0])


def plain(sql: str) -> str:
    """Take the wrapping off executable comments: `/*!80023 INVISIBLE */` becomes `INVISIBLE`."""
    if "/*" not in sql:
        return sql
    text = _CODE.sub(lambda match: " " if match["opening"] else "" if match["closing"] else match[0], sql)
    return re.sub(r" +(?=,?$)", "", text, flags=re.MULTILINE)


def with_placeholders(sql: str) -> str:
    """Turn `?` marks into the driver's `%s`, and `%` into `%%`, leaving strings, names and comments alone."""
    return "".join("%s" if token.kind == "mark" and token.text == "?" else token.text.replace("%", "%%") for token in tokens(sql))


def closing(text: str, start: int) -> int:
    """Return the offset just behind the parenthesis that closes the one at `start`."""
    depth = 0
    for match in _BRACKETS.finditer(text, start):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if depth == 0:
                return match.end()
    raise QueryError(f"no closing parenthesis in {text!r}")


_BRACKETS = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`|[()]")


def split_list(text: str) -> list[str]:
    """Split at the commas that stand outside strings, names and parentheses; parts come back stripped."""
    parts, depth, begin = [], 0, 0
    for match in _LIST.finditer(text):
        mark = match[0]
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth -= 1
        elif mark == "," and depth == 0:
            parts.append(text[begin : match.start()].strip())
            begin = match.end()
    parts.append(text[begin:].strip())
    return parts


_LIST = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`|[(),]")


def without_comments(sql: str) -> str:
    """Remove comments as the command-line client does unless told otherwise: the line end behind a line comment stays."""
    if "--" not in sql and "#" not in sql and "/*" not in sql:
        return sql
    return "".join(token.text for token in tokens(sql) if not _is_comment(token))


def _is_comment(token: Token) -> bool:
    text = token.text
    if token.kind != "space" or text.isspace() or text == "*/":
        return False
    return text.startswith(("--", "#")) or (text.startswith("/*") and text.endswith("*/"))
