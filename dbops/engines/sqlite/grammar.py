"""SQLite's own parser asked about a statement, in an empty database in memory; nothing is run."""

from __future__ import annotations

import re
import sqlite3

from dbops.sql.dialect import SQLITE
from dbops.sql.tokens import Token, leading_words, tokens

# Some PRAGMAs act while they are compiled (pragma.html), so only these are compiled.
_COMPILED = [(verb,) for verb in ("CREATE", "ALTER", "DROP", "SELECT", "WITH", "INSERT", "REPLACE", "UPDATE", "DELETE", "VALUES")]
_NEAR = re.compile(r'near "(.*)": syntax error', re.DOTALL)
_INCOMPLETE = "incomplete input"


def syntax_error(statement: str) -> tuple[int, str] | None:
    """Return where the parser of this machine's SQLite stops, and its words; None when the statement is grammatical.

    What it says about names does not count: the tables are elsewhere.
    """
    if leading_words(statement, SQLITE, 1)[:1] not in _COMPILED:
        return None
    conn = sqlite3.connect(":memory:")
    try:
        problem = _compile(conn, statement)
        if problem is None:
            return None
        return _place(conn, statement), f"SQLite {sqlite3.sqlite_version}: {problem}"
    finally:
        conn.close()


def _compile(conn: sqlite3.Connection, statement: str) -> str | None:
    """Return the parser's complaint, None for none and for complaints that are not about grammar."""
    try:
        conn.execute(f"EXPLAIN {statement}")
    except sqlite3.Error as error:
        text = str(error)
        return text if _NEAR.search(text) or text == _INCOMPLETE else None
    return None


def _place(conn: sqlite3.Connection, statement: str) -> int:
    """Return the offset of the token at which the parser stops, found by halving: what stands before it is only incomplete."""
    found = [token for token in tokens(statement, SQLITE) if token.kind != "comment"]
    low, high = 0, len(found) - 1
    while low < high:
        middle = (low + high) // 2
        if _NEAR.search(_compile(conn, statement[: _end(found[middle])]) or ""):
            high = middle
        else:
            low = middle + 1
    return found[low].offset if found else 0


def _end(token: Token) -> int:
    return token.offset + len(token.text)
