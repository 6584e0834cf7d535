"""Statements without their values, which may be secrets, for showing what a session does."""

from __future__ import annotations

from dbops.sql.dialect import Dialect
from dbops.sql.tokens import tokens


def without_values(text: str, dialect: Dialect) -> str:
    """Return a statement with `?` in the place of texts and numbers, and without comments.

    A text that was cut off may end within a string: that is a value up to its end.
    """
    parts: list[str] = []
    copied = 0
    for token in tokens(text, dialect):
        if token.kind in ("string", "number", "comment", "hint"):
            parts += (text[copied : token.offset], "?" if token.kind in ("string", "number") else " ")
            copied = token.offset + len(token.text)
    parts.append(text[copied:])
    return " ".join("".join(parts).split())
