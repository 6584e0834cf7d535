"""The regular expressions of the splitter: one match passes everything that means nothing and names what stands behind it.

Every alternative begins with a character that the leading run leaves out, so that the run never has to be read twice. Runs of
groups end with an empty alternative for Python before 3.11.5, which otherwise goes on from where the last of them failed
(https://github.com/python/cpython/issues/106052).
"""

from __future__ import annotations

import re
from functools import lru_cache

from dbops.sql.dialect import Dialect
from dbops.sql.lexer import BLANKS, WORD, WORD_START, line_comment

# MariaDB's dumps begin with /*M!999999\- enable the sandbox mode */: a version that no server has, so a comment to all.
_VERSION_OPENING = r"/\*M?!(?!999999)"


@lru_cache(maxsize=64)
def gap_pattern(dialect: Dialect, delimiter: str) -> re.Pattern[str]:
    """Match blanks and one `comment`, `block` comment opening or `mark` between statements; no group where a statement begins."""
    marks = _marks((delimiter, ";"))
    if dialect.delimiter_command:  # for mysql, \g behind nothing is nothing; for psql, the last statement once more
        marks = f"{marks}|{dialect.client_mark}|{dialect.client_line_end}"
    return re.compile(f"[{BLANKS}]*+(?:(?P<mark>{marks})|{_comments(dialect, leading=True)})?")


@lru_cache(maxsize=16)
def tail_pattern(dialect: Dialect) -> re.Pattern[str]:
    """Match a `comment` or `block` comment opening behind a terminator on its line."""
    return re.compile(rf"[ \t]*+(?:{_comments(dialect, leading=True)})")


@lru_cache(maxsize=128)
def statement_pattern(dialect: Dialect, marks: tuple[str, ...], has_body: bool) -> re.Pattern[str]:
    """Match up to the next piece of a statement, past whole quotes; no match at the end of the text.

    Groups: `mark` (may end the statement), `comment`, `block`, `opaque` (hints, dollar quotes, and quotes that are not plain,
    known by their opening only), `version`, `close`, `continued` (dropped by the client), `backslash`; with
    `has_body` also `word` and `parenthesis`.
    """
    groups = {
        "mark": "|".join(filter(None, (_marks(marks), dialect.client_mark))),
        "version": _VERSION_OPENING if dialect.version_comments else "",
        "close": r"\*/" if dialect.version_comments else "",
        "opaque": _openings(dialect),
        "continued": dialect.client_line_end,
        "backslash": dialect.client_command,
        "word": f"{WORD_START}{WORD}*+" if has_body else "",
        "parenthesis": "[()]" if has_body else "",
    }
    pieces = [f"(?P<{name}>{pattern})" for name, pattern in groups.items() if pattern]
    passed = [f"{_unremarkable(dialect, marks, has_body)}++", *_whole_quotes(dialect), *_harmless(marks)]
    numbers = ["[0-9]+"] if has_body else []
    return re.compile(rf"(?:{'|'.join(passed)}|)*+(?:{'|'.join([*pieces, _comments(dialect), *numbers])}|[\s\S])", re.ASCII)


def _marks(marks: tuple[str, ...]) -> str:
    return "|".join(re.escape(mark) for mark in sorted(set(marks), key=lambda mark: (-len(mark), mark)))


def _comments(dialect: Dialect, *, leading: bool = False) -> str:
    block = r"/\*(?!M?!(?!999999))" if dialect.version_comments else r"/\*"
    return f"(?P<comment>{line_comment(dialect, leading=leading)})|(?P<block>{block})"


def _whole_quotes(dialect: Dialect) -> list[str]:
    """Match quoted text from end to end; escape strings go on in the next line, which takes more than a pattern."""
    whole = []
    for quote in dialect.string_quotes:
        opening = rf"{quote}(?<![eE]{quote})" if dialect.escape_strings else quote
        plain = rf"(?:[^{quote}\\]++|\\[\s\S]|{quote}{quote}|)*+" if dialect.backslash_escapes else _doubled(quote)
        whole.append(f"{opening}{plain}{quote}")
    for quote in dialect.identifier_quotes:
        whole.append(r"\[[^\]]*+\]" if quote == "[" else f"{quote}{_doubled(quote)}{quote}")
    return whole


def _doubled(quote: str) -> str:
    return f"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+|)*+"


def _harmless(marks: tuple[str, ...]) -> list[str]:
    """Match characters that could open a comment and do not."""
    alone = {"-": "-(?!-)", "/": r"/(?!\*)", "*": r"\*(?!/)"}
    return [pattern for character, pattern in alone.items() if all(mark[0] != character for mark in marks)]


def _openings(dialect: Dialect) -> str:
    dollar = "$" if dialect.dollar_quotes else ""
    openings = [f"[{re.escape(dialect.string_quotes + dialect.identifier_quotes + dollar)}]"]
    if dialect.version_comments:
        openings.append(r"/\*\+")
    return "|".join(openings)


def _unremarkable(dialect: Dialect, marks: tuple[str, ...], has_body: bool) -> str:
    """Return the class of characters that begin no alternative."""
    notable = {"-", "/", "\\", *dialect.string_quotes, *dialect.identifier_quotes, *(mark[0] for mark in marks)}
    notable |= {"#"} if dialect.hash_comments else set()
    notable |= {"$"} if dialect.dollar_quotes else set()
    notable |= {"*"} if dialect.version_comments else set()
    if not has_body:
        return "[^" + "".join(re.escape(character) for character in sorted(notable)) + "]"
    word = re.compile(WORD)
    plain = (chr(code) for code in range(128) if not word.match(chr(code)) and chr(code) not in notable | {"(", ")"})
    return "[" + "".join(re.escape(character) for character in plain) + "]"
