"""Statements that hold semicolons of their own, and where each of them ends.

A body is fed with what the splitter passes inside it: bare words, parentheses, comments, semicolons. It answers one question:
does this semicolon end the statement?
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from dbops.sql.dialect import Dialect
from dbops.sql.lexer import BLANKS
from dbops.sql.tokens import Token, tokens

_BLANKS = re.compile(f"[{BLANKS}]*+")
_BLANKS_AND_LABEL = re.compile(rf"[{BLANKS}]*+(?:(?:`[^`]+`|[\w$]+)[{BLANKS}]*+:(?!=)[{BLANKS}]*+)?")


class Body(Protocol):
    """A body under way. `words` are the words it wants to hear of; `opened` is where what is still open begins."""

    @property
    def words(self) -> frozenset[str]: ...

    @property
    def opened(self) -> int | None: ...

    def word(self, word: str, start: int, end: int) -> None: ...

    def parenthesis(self, character: str, start: int) -> None: ...

    def comment(self, start: int, end: int) -> None: ...

    def semicolon(self, end: int) -> bool:
        """Hear of a semicolon that ends at `end`; return whether it ends the statement."""
        ...


class BlockBody:
    """`BEGIN ATOMIC ...; END` of PostgreSQL, or `BEGIN ...; END` of an SQLite trigger, which is open from its first word on.

    As in sqlite3_complete(), the END that closes it stands where a statement could start, with a semicolon or nothing behind it:
    CASE ... END and columns named "end" pass.
    """

    words: frozenset[str] = frozenset(("BEGIN", "ATOMIC", "END"))

    def __init__(self, text: str, opened: int | None = None) -> None:
        self._text = text
        self._opened = opened
        self._begin = self._fresh = -1
        self._is_closing = False

    @property
    def opened(self) -> int | None:
        return None if self._is_closing and self._fresh == len(self._text) else self._opened

    def word(self, word: str, start: int, end: int) -> None:
        match word:
            case "BEGIN" if self._opened is None:
                self._begin, self._fresh = start, _next(self._text, end)
            case "ATOMIC" if self._opened is None and start == self._fresh:
                self._opened, self._fresh = self._begin, _next(self._text, end)
            case "END" if start == self._fresh and not self._is_closing:
                self._is_closing, self._fresh = True, _next(self._text, end)

    def parenthesis(self, character: str, start: int) -> None:
        pass

    def comment(self, start: int, end: int) -> None:
        if start == self._fresh:
            self._fresh = _next(self._text, end)

    def semicolon(self, end: int) -> bool:
        if self._is_closing and end - 1 == self._fresh:
            self._opened = None
        self._is_closing, self._fresh = False, _next(self._text, end)
        return self._opened is None


class RuleBody:
    """`CREATE RULE ... DO (a; b)`: semicolons between parentheses."""

    words: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._open: list[int] = []

    @property
    def opened(self) -> int | None:
        return self._open[-1] if self._open else None

    def word(self, word: str, start: int, end: int) -> None:
        pass

    def parenthesis(self, character: str, start: int) -> None:
        if character == "(":
            self._open.append(start)
        elif self._open:
            self._open.pop()

    def comment(self, start: int, end: int) -> None:
        pass

    def semicolon(self, end: int) -> bool:
        return not self._open


class CompoundBody:
    """A compound statement of MySQL or MariaDB: BEGIN, IF, CASE, LOOP, REPEAT, WHILE and FOR, each to its END, with labels.

    Most of these words are functions or names too (IF(), REPEAT(), a column "end"), so they count only where a statement
    starts; a CASE anywhere else is an expression. Each open construct is its offset and whether statements stand in it.
    """

    words: frozenset[str] = frozenset(
        ("BEGIN", "CASE", "IF", "LOOP", "REPEAT", "WHILE", "FOR", "END", "THEN", "ELSE", "DO", "UNTIL", "HANDLER")
    )

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._open: list[tuple[int, bool]] = []
        self._fresh = _next(text, start, label=True)
        self._closed_by = -1
        self._in_handler = False

    @property
    def opened(self) -> int | None:
        return self._open[-1][0] if self._open else None

    def word(self, word: str, start: int, end: int) -> None:
        starts_statement = start == self._fresh
        match word:
            case "END":
                self._end(starts_statement, end)
            case "CASE":
                if start != self._closed_by:
                    self._push(start, end, holds_statements=starts_statement, starts_one=False)
            case "BEGIN" | "LOOP" | "REPEAT":
                if starts_statement or self._in_handler:
                    self._push(start, end, holds_statements=True, starts_one=True)
            case "IF" | "WHILE" | "FOR":
                if starts_statement:
                    self._push(start, end, holds_statements=True, starts_one=False)
            case "THEN" | "ELSE":
                self._expect_statement(end)
            case "DO":
                if not starts_statement:  # else it is the statement DO
                    self._expect_statement(end)
            case "UNTIL":
                if starts_statement and self._open:  # its END follows an expression
                    self._open[-1] = (self._open[-1][0], False)
            case _:
                self._in_handler = True

    def _push(self, start: int, end: int, *, holds_statements: bool, starts_one: bool) -> None:
        self._open.append((start, holds_statements))
        self._in_handler = False
        if starts_one:
            self._fresh = _next(self._text, end, label=True)

    def _expect_statement(self, end: int) -> None:
        if self._open and self._open[-1][1]:
            self._fresh = _next(self._text, end, label=True)

    def _end(self, starts_statement: bool, end: int) -> None:
        if not self._open or (self._open[-1][1] and not starts_statement):
            return
        self._open.pop()
        self._closed_by = _next(self._text, end)  # the CASE of END CASE opens nothing

    def parenthesis(self, character: str, start: int) -> None:
        pass

    def comment(self, start: int, end: int) -> None:
        if start == self._fresh:
            self._fresh = _next(self._text, end, label=True)

    def semicolon(self, end: int) -> bool:
        self._fresh = _next(self._text, end, label=True)
        self._in_handler = False
        return not self._open


def _next(text: str, at: int, *, label: bool = False) -> int:
    """Return the offset of the first character from `at` on that is no blank, behind the label that may stand there."""
    found = (_BLANKS_AND_LABEL if label else _BLANKS).match(text, at)
    return found.end() if found else at


_NO_BODY = re.compile(r"CREATE[ \t\r\n]+(?:UNIQUE[ \t\r\n]+)?(?:TABLE|INDEX|VIEW|SCHEMA|SEQUENCE|TYPE)\b", re.IGNORECASE)


def standard_body(text: str, start: int, dialect: Dialect) -> Body | None:
    """Return the body that the PostgreSQL or SQLite statement at `start` may have, None where it can hold no semicolon."""
    if _NO_BODY.match(text, start):
        return None
    words = [token.text.upper() for token in islice(_significant(text, start, dialect), 7)]
    if dialect.program == "trigger" and words[:1] == ["EXPLAIN"]:
        words = words[3:] if words[1:3] == ["QUERY", "PLAN"] else words[1:]
    if words[:1] != ["CREATE"]:
        return None
    if dialect.program == "trigger":
        is_trigger = "TRIGGER" in (words[2:3] if words[1:2] in (["TEMP"], ["TEMPORARY"]) else words[1:2])
        return BlockBody(text, start) if is_trigger else None
    match words[3:4] if words[1:3] == ["OR", "REPLACE"] else words[1:2]:
        case ["FUNCTION" | "PROCEDURE"]:
            return BlockBody(text)
        case ["RULE"]:
            return RuleBody()
    return None


def _significant(text: str, start: int, dialect: Dialect) -> Iterator[Token]:
    return (token for token in tokens(text, dialect, start) if token.kind not in ("comment", "version"))


_OPENERS = frozenset(("BEGIN", "CASE", "IF", "LOOP", "REPEAT", "WHILE", "FOR"))
_PROGRAMS = frozenset(("PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE"))
_BEFORE_PROGRAM = frozenset(("CREATE", "ALTER", "OR", "REPLACE", "DEFINER", "CURRENT_USER", "CURRENT_ROLE", "AGGREGATE"))
# First words of a body that is one plain statement.
_PLAIN_BODIES = frozenset(
    ("SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "CALL", "RETURN", "SET", "WITH", "DO", "SIGNAL", "TRUNCATE", "EXECUTE")
)


def is_program(text: str, start: int, dialect: Dialect) -> bool:
    """Return whether the MySQL statement at `start` may hold semicolons: a stored program or a compound statement by itself."""
    walk = _significant(text, start, dialect)
    return _program_kind(walk) is not None


def compound_body(text: str, start: int, dialect: Dialect) -> Body | None:
    """Return the compound body of the MySQL statement at `start`, None where it has none."""
    walk = _significant(text, start, dialect)
    kind = _program_kind(walk)
    if kind is None:
        return None
    if kind not in _PROGRAMS:
        return CompoundBody(text, start)
    body = _body_start(walk, kind)
    return CompoundBody(text, body) if body is not None else None


def _program_kind(walk: Iterator[Token]) -> str | None:
    """Return the word that makes a program of the statement: PROCEDURE, TRIGGER, ..., or its first word."""
    first = next(walk, None)
    if first is None or first.kind not in ("word", "name"):
        return None
    word = first.text.upper()
    if word in ("CREATE", "ALTER"):
        return _created_program(walk)
    second = next(walk, None)
    is_label = second is not None and second.text == ":"
    if word == "BEGIN":  # BEGIN; and BEGIN WORK; start a transaction
        return word if is_label or (second is not None and second.kind == "word" and second.text.upper() != "WORK") else None
    return word if is_label or word in _OPENERS or word == "DECLARE" else None


def _created_program(walk: Iterator[Token]) -> str | None:
    for token in walk:
        word = token.text.upper()
        if word == "=":
            next(walk, None)  # the first token of the definer, whatever it is called
        elif word in _PROGRAMS:
            return word
        elif token.kind == "word" and word not in _BEFORE_PROGRAM:
            return None
    return None


def _body_start(walk: Iterator[Token], kind: str) -> int | None:
    """Return where the compound body begins, its label included, after the header of a stored program."""
    if not _skip_header(walk, kind):
        return None
    previous: Token | None = None
    for token in walk:
        word = token.text.upper() if token.kind == "word" else token.text
        if word == ":" and previous:
            return previous.offset
        if word in _OPENERS:
            return token.offset
        is_charset = word == "SET" and previous is not None and previous.text.upper() == "CHARACTER"
        if word == ";" or (word in _PLAIN_BODIES and not is_charset):
            return None
        previous = token
    return None


def _skip_header(walk: Iterator[Token], kind: str) -> bool:
    """Pass what stands before characteristics and body: the parameters, FOR EACH ROW, or the schedule up to DO."""
    last = {"TRIGGER": "ROW", "EVENT": "DO"}.get(kind, ")")
    depth = 0
    for token in walk:
        word = token.text.upper() if token.kind == "word" else token.text
        depth += (word == "(") - (word == ")")
        if word == ";":
            return False
        if word == last and not depth:
            return True
    return False
