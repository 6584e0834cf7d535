"""SQLite's SQL as tokens, names in quotes, and one canonical spelling for texts that mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dbops.sql.lexer import WORD, WORD_START

# fmt: off
#: Words that can stand nowhere as a name (SQLite, parse.y: keywords without a fallback to ID).
RESERVED = frozenset((
    "ADD", "ALL", "ALTER", "AND", "AS", "AUTOINCREMENT", "BETWEEN", "CASE",
    "CHECK", "COLLATE", "COMMIT", "CONSTRAINT", "CREATE", "DEFAULT", "DEFERRABLE", "DELETE",
    "DISTINCT", "DROP", "ELSE", "ESCAPE", "EXCEPT", "EXISTS", "FOREIGN", "FROM",
    "GROUP", "HAVING", "IN", "INDEX", "INSERT", "INTERSECT", "INTO", "IS",
    "ISNULL", "JOIN", "LIMIT", "NOT", "NOTHING", "NOTNULL", "NULL", "ON",
    "OR", "ORDER", "PRIMARY", "REFERENCES", "RETURNING", "SELECT", "SET", "TABLE",
    "THEN", "TO", "TRANSACTION", "UNION", "UNIQUE", "UPDATE", "USING", "VALUES",
    "WHEN", "WHERE",
))
#: Words that are keywords in some places and names in others; as names they are quoted, so that nobody has to know where.
KEYWORDS = RESERVED | frozenset((
    "ABORT", "ACTION", "AFTER", "ALWAYS", "ANALYZE", "ASC", "ATTACH", "BEFORE",
    "BEGIN", "BY", "CASCADE", "CAST", "COLUMN", "CONFLICT", "CROSS", "CURRENT",
    "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "DATABASE", "DEFERRED", "DESC", "DETACH", "DO",
    "EACH", "END", "EXCLUDE", "EXCLUSIVE", "EXPLAIN", "FAIL", "FALSE", "FILTER",
    "FIRST", "FOLLOWING", "FOR", "FULL", "GENERATED", "GLOB", "GROUPS", "IF",
    "IGNORE", "IMMEDIATE", "INDEXED", "INITIALLY", "INNER", "INSTEAD", "KEY", "LAST",
    "LEFT", "LIKE", "MATCH", "MATERIALIZED", "NATURAL", "NO", "NULLS", "OF",
    "OFFSET", "OTHERS", "OUTER", "OVER", "PARTITION", "PLAN", "PRAGMA", "PRECEDING",
    "QUERY", "RAISE", "RANGE", "RECURSIVE", "REGEXP", "REINDEX", "RELEASE", "RENAME",
    "REPLACE", "RESTRICT", "RIGHT", "ROLLBACK", "ROW", "ROWS", "SAVEPOINT", "TEMP",
    "TEMPORARY", "TIES", "TRIGGER", "TRUE", "UNBOUNDED", "VACUUM", "VIEW", "VIRTUAL",
    "WINDOW", "WITH", "WITHOUT",
))
# fmt: on

_TOKEN = re.compile(
    rf"""(?P<gap>(?:\s+|--[^\n]*|/\*.*?(?:\*/|\Z))+)
    |(?P<blob>[xX]'[0-9a-fA-F]*')
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<bracketed>\[[^\]]*\]|`(?:[^`]|``)*`)
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>{WORD_START}{WORD}*)
    |(?P<symbol>\|\||->>|->|<<|>>|<=|>=|<>|!=|==|.)""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAME_KINDS = frozenset(("word", "quoted", "bracketed", "string"))


class Token(NamedTuple):
    """`kind` is word, quoted (`"x"`), bracketed (`[x]` or backticks), string, blob, number or symbol.

    `spaced` says that white space or a comment stands before it. `word` is the text in upper case when it may be a keyword,
    else empty.
    """

    kind: str
    text: str
    spaced: bool
    start: int
    end: int
    word: str = ""

    @property
    def name(self) -> str:
        """The name this token spells, without its quotes."""
        return unquoted(self.text)

    @property
    def is_name(self) -> bool:
        """SQLite takes a string where only a name makes sense."""
        return self.kind in _NAME_KINDS


def tokenize(sql: str) -> list[Token]:
    """Return the tokens without white space and comments."""
    tokens: list[Token] = []
    spaced = False
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "symbol"
        if kind == "gap":
            spaced = True
            continue
        text = match[0]
        tokens.append(Token(kind, text, spaced, match.start(), match.end(), text.upper() if kind == "word" else ""))
        spaced = False
    return tokens


def unquoted(text: str) -> str:
    """Take `"x"`, `'x'`, `[x]` or backticks off a name."""
    quote = text[:1]
    if quote == "[":
        return text[1:-1]
    if quote in ('"', "'", "`"):
        return text[1:-1].replace(quote * 2, quote)
    return text


def quote(name: str) -> str:
    """Write a name, in double quotes where it needs them."""
    if _PLAIN.match(name) and name.upper() not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write a string."""
    return "'" + text.replace("'", "''") + "'"


Names = Mapping[str, str]
"""Known names by their lower-case form, each with the spelling it was declared with."""


def names_of(names: Iterable[str]) -> Names:
    return {name.lower(): name for name in names}


def expression(tokens: Sequence[Token], columns: Names) -> str:
    """Spell an expression over one table canonically.

    Comments go, white space is one blank or none, keywords are upper case, functions lower case, columns as declared. White
    space around operators stays as written. A double-quoted word that is no column is a string to SQLite and stays as it is.
    """
    return _joined(tokens, [_in_expression(tokens, at, columns) for at in range(len(tokens))])


def statement(tokens: Sequence[Token], names: Names) -> str:
    """Spell a view or trigger canonically.

    Unlike in an expression names keep their case, for result columns are called by them. `names` are those of the tables and
    columns it uses: quotes around them go; others may be strings.
    """
    return _joined(tokens, [_in_statement(token, names) for token in tokens])


def verbatim(tokens: Sequence[Token]) -> str:
    """Fold white space and comments only."""
    return _joined(tokens, [token.text for token in tokens])


def _in_expression(tokens: Sequence[Token], at: int, columns: Names) -> str:
    token = tokens[at]
    if token.kind in ("bracketed", "quoted", "word"):
        declared = columns.get(token.name.lower())
        if declared is not None:
            return quote(declared)
    if token.kind == "word":
        if token.text.upper() in KEYWORDS:
            return token.text.upper()
        is_call = at + 1 < len(tokens) and tokens[at + 1].text == "("
        return token.text.lower() if is_call else token.text
    return quote(token.name) if token.kind == "bracketed" else token.text


def _in_statement(token: Token, names: Names) -> str:
    if token.kind == "word":
        return token.text.upper() if token.text.upper() in RESERVED else token.text
    if token.kind == "bracketed" or (token.kind == "quoted" and token.name.lower() in names):
        return quote(token.name)
    return token.text


def _joined(tokens: Sequence[Token], texts: Sequence[str]) -> str:
    parts: list[str] = []
    for at, text in enumerate(texts):
        if at and (_is_apart(tokens, at) or _would_merge(texts[at - 1], text)):
            parts.append(" ")
        parts.append(text)
    return "".join(parts)


def _would_merge(left: str, right: str) -> bool:
    """A name that lost its quotes must not run into its neighbour."""
    return (left[-1].isalnum() or left[-1] in "_$") and (right[0].isalnum() or right[0] in "_$")


def _is_apart(tokens: Sequence[Token], at: int) -> bool:
    """Around parentheses and commas white space never matters, elsewhere it stays as written.

    An operator beside a parenthesis is set like its other side.
    """
    before, token = tokens[at - 1], tokens[at]
    if token.text in (",", ")") or before.text == "(":
        return False
    if before.text == ",":
        return True
    if token.text == "(":
        if before.kind == "word":
            return before.word in KEYWORDS
        return before.kind == "symbol" and (before.spaced or (at > 1 and tokens[at - 2].text == ")"))
    if before.text == ")":
        if token.kind != "symbol":
            return True
        following = tokens[at + 1] if at + 1 < len(tokens) else token
        return token.text not in (".", ";") and (following.spaced or following.text == "(")
    return token.spaced
