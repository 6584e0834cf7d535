"""How each engine's SQL is spelled: quotes, escapes, comments, client commands and bare names."""

from __future__ import annotations

import re
from dataclasses import field
from itertools import count
from typing import Literal

from dbops.dataclass import dataclass
from dbops.errors import SchemaError
from dbops.sql.keywords import MYSQL_RESERVED, MYSQL_WORDS, POSTGRESQL_RESERVED, SQLITE_RESERVED, SQLITE_WORDS

_COMPOUND = re.compile(r"\s*(?:/\*M?!\d*\s*)?(?:CREATE|ALTER|BEGIN|IF|CASE|LOOP|WHILE|REPEAT|FOR|\w+\s*:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Lexical rules of one engine, as data.

    `string_quotes` open strings, `identifier_quotes` names (`[` closes with `]`); the first of each is what dbops writes.
    `program` names the statements that hold semicolons of their own: SQL-standard function bodies and rules, compound statements
    of stored programs, or trigger bodies.
    """

    name: str
    string_quotes: str
    identifier_quotes: str
    program: Literal["atomic", "compound", "trigger"]
    reserved: frozenset[str] = field(repr=False, compare=False)
    caseless_words: frozenset[str] | None = field(default=None, repr=False, compare=False)
    """Words that are mostly not names, so that their case means nothing; None where bare names fold too."""
    plain_name: str = "[A-Za-z_][A-Za-z0-9_]*"
    variable: str = ""
    """Regular expression of parameters and session variables."""
    open_operators: bool = False
    """Any run of operator characters may be an operator."""
    backslash_escapes: bool = False
    escape_strings: bool = False
    """Strings of the form E'...' know backslash escapes."""
    dollar_quotes: bool = False
    nested_comments: bool = False
    hash_comments: bool = False
    dash_needs_blank: bool = False
    """`--` starts a comment only before a blank or control character."""
    carriage_return_ends_comment: bool = False
    version_comments: bool = False
    """`/*! ... */` and `/*M! ... */` are run, and `/*+ ... */` is a hint: text, not comments."""
    delimiter_command: bool = False
    """The client's DELIMITER lines, and USE without a terminator, are understood."""
    client: str = ""
    """The engine's own client program."""
    client_line: str = r"\\[^\n]*"
    """Regular expression of a line for the client program, where a statement could begin; caseless, two backslashes end it."""
    client_command: str = ""
    """Regular expression of what the client would take for a command of its own in the middle of a statement."""
    client_line_end: str = ""
    """Regular expression of what the client drops at the end of a line, outside of quotes and comments."""
    hash_lines: bool = False
    """The client passes over lines that begin with `#`, where a statement could begin."""
    client_mark: str = ""
    """Regular expression of what the client takes for a terminator besides the semicolon."""
    copy_data: bool = False
    """COPY ... FROM STDIN is followed by its rows, up to a line of `\\.`."""
    sets_encoding: bool = False
    """`SET client_encoding`, `SET NAMES` and the like say which encoding the rest of the script is in."""

    def quote_identifier(self, name: str) -> str:
        """Return `name` in quotes, whatever it is.

        Raises:
            SchemaError: an empty name or one with a NUL character, which no engine can hold.
        """
        if not name or "\0" in name:
            raise SchemaError(f"{name!r} cannot be the name of anything")
        quote = self.identifier_quotes[0]
        return f"{quote}{name.replace(quote, quote * 2)}{quote}"

    def string(self, value: str) -> str:
        """Return `value` as a string literal."""
        quote = self.string_quotes[0]
        text = value.replace("\\", "\\\\") if self.backslash_escapes else value
        return f"{quote}{text.replace(quote, quote * 2)}{quote}"

    def is_plain(self, name: str) -> bool:
        """Return whether `name` written without quotes means exactly `name`; errs on the side of quotes."""
        return re.fullmatch(self.plain_name, name) is not None and name.lower() not in self.reserved

    def identifier(self, name: str) -> str:
        """Return the shortest safe spelling of `name`: bare where it is plain, quoted where not."""
        return name if self.is_plain(name) else self.quote_identifier(name)

    def terminated(self, statement: str) -> str:
        """Return `statement` as a script line that this engine's client and the splitter read back as that one statement."""
        last_line = statement.rsplit("\n", 1)[-1]
        gap = "\n" if "--" in last_line or (self.hash_comments and "#" in last_line) else ""
        if not self.delimiter_command or ";" not in statement or not _COMPOUND.match(statement):
            return f"{statement}{gap};"
        delimiter = next(mark for mark in ("/" * length for length in count(2)) if mark not in statement)
        return f"DELIMITER {delimiter}\n{statement}{gap}{delimiter}\nDELIMITER ;"


# Runs of groups end with an empty alternative: Python before 3.11.5 otherwise goes on from where the last of them failed
# (https://github.com/python/cpython/issues/106052).

# psqlscanslash.l: some commands take their whole line, the others end at a backslash that no quote protects.
_PSQL_QUOTED = r"""'(?:[^'\\\n]|\\.|)*+'|"[^"\n]*+"|`[^`\n]*+`"""
_PSQL_LINE = rf"""\\(?:!|(?:copy|h|help|sf|sv|ef|ev)\b)[^\n]*+|\\[^\s\\]*+(?:{_PSQL_QUOTED}|[^\n\\'"`]|)*+(?:['"`][^\n]*+)?"""

# mysql.cc, `commands`: words that the client takes for itself where a statement could begin.
_MYSQL_LINE = (
    r"\\[^\ngG][^\n]*|(?:source|system|connect|charset|tee|prompt|pager|help)(?![^ \t\r\n;])[^\n]*"
    r"|(?:status|quit|exit|go|ego|clear|print|edit|rehash|warnings|nowarning|notee|nopager)(?=[ \t]*(?:;|\r?\n|\Z))[^\n]*"
)

POSTGRESQL = Dialect(
    name="postgresql",
    string_quotes="'",
    identifier_quotes='"',
    program="atomic",
    reserved=POSTGRESQL_RESERVED,
    plain_name="[a-z_][a-z0-9_$]*",
    variable=r"\$[0-9]+",
    open_operators=True,
    escape_strings=True,
    dollar_quotes=True,
    nested_comments=True,
    carriage_return_ends_comment=True,
    client="psql",
    client_line=_PSQL_LINE,
    client_mark=r"\\gx?(?=\s|\Z)[^\n\\]*+(?:\\\\)?|\\;",
    client_command=r"\\",
    copy_data=True,
    sets_encoding=True,
)

MYSQL = Dialect(
    name="mysql",
    string_quotes="'\"",
    identifier_quotes="`",
    program="compound",
    reserved=MYSQL_RESERVED,
    caseless_words=MYSQL_WORDS,
    variable=r"@@?[\w$.]+",
    backslash_escapes=True,
    hash_comments=True,
    dash_needs_blank=True,
    version_comments=True,
    delimiter_command=True,
    client="mysql",
    client_line=_MYSQL_LINE,
    client_mark=r"\\[gG]",
    client_command=r"\\(?!N)",
    client_line_end=r"\\(?=\n|\Z)",
)
"""MySQL and MariaDB."""

SQLITE = Dialect(
    name="sqlite",
    string_quotes="'",
    identifier_quotes='"`[',
    program="trigger",
    reserved=SQLITE_RESERVED,
    caseless_words=SQLITE_WORDS,
    variable=r"[@:$#?][\w$]+",
    client="sqlite3",
    client_line=r"\.[A-Za-z][^\n]*",
    hash_lines=True,
)
