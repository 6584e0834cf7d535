"""The objects that a script speaks of, for telling whether two migrations can change places; errs on the side of too many."""

from __future__ import annotations

from dbops.errors import SchemaError
from dbops.sql.dialect import Dialect
from dbops.sql.splitter import split
from dbops.sql.tokens import Token, tokens

_OPAQUE = frozenset({"DO", "CALL", "EXECUTE", "EXEC"})
"""Statements whose text does not say what they touch."""

_LEADS = frozenset(
    {
        *("TABLE", "VIEW", "INTO", "UPDATE", "FROM", "JOIN", "USING", "REFERENCES", "SEQUENCE", "TYPE", "DOMAIN", "FUNCTION"),
        *("PROCEDURE", "TRIGGER", "ON", "INDEX", "SCHEMA", "EXTENSION", "TRUNCATE", "TO", "COPY", "EVENT", "AGGREGATE", "POLICY"),
    }
)
"""Words behind which the name of an object stands."""

_FILLERS = frozenset(
    {"IF", "NOT", "EXISTS", "ONLY", "CONCURRENTLY", "OR", "REPLACE", "IGNORE", "LOW_PRIORITY", "TABLE", "COLUMN"}
)


def touched(text: str, dialect: Dialect) -> frozenset[str] | None:
    """Return the names in lower case, without schema; None where the text does not tell."""
    found: set[str] = set()
    try:
        for statement in split(text, dialect):
            pieces = [token for token in tokens(statement.text, dialect) if token.kind != "comment"]
            if pieces and pieces[0].text.upper() in _OPAQUE:
                return None
            found |= _named(pieces, dialect)
    except SchemaError:
        return None
    return frozenset(found)


def _named(pieces: list[Token], dialect: Dialect) -> set[str]:
    found = set()
    for place, token in enumerate(pieces):
        if token.kind == "word" and token.text.upper() in _LEADS:
            at = place + 1
            while at < len(pieces) and pieces[at].text.upper() in _FILLERS:
                at += 1
            if name := _name_at(pieces, at):
                found.add(name)
    return found


def _name_at(pieces: list[Token], at: int) -> str:
    """Return the last part of a dotted name, without quotes."""
    name = ""
    while at < len(pieces) and pieces[at].kind in ("word", "name"):
        name = pieces[at].text.strip('"`[]').lower()
        if at + 1 >= len(pieces) or pieces[at + 1].text != ".":
            break
        at += 2
    return name
