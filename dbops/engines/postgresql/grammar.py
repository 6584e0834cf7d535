"""PostgreSQL's own parser asked about a statement, where the package postgast, which carries it, is installed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from dbops.sql.dialect import POSTGRESQL
from dbops.sql.tokens import tokens


def syntax_error(statement: str) -> tuple[int, str] | None:
    """Return where PostgreSQL's parser stops, and its words; None when the statement is grammatical or nobody can be asked."""
    parser = _parser()
    if parser is None:
        return None
    try:
        parser.parse(statement)
    except parser.PgQueryError as error:
        if _has_variables(statement):
            return None
        at = min(max(error.cursorpos - 1, 0), max(len(statement) - 1, 0))
        return at, str(error.message)
    except ValueError:  # text that it cannot take at all, such as a NUL character
        return None
    return None


@cache
def _parser() -> Any:
    """Return the module that holds the parser, None where it is not installed."""
    try:
        return import_module("postgast")
    except ImportError:
        return None


def _has_variables(statement: str) -> bool:
    """Return whether psql (:name, :'name') or a driver (%s, %(name)s) fills in values before the server sees the text."""
    before = ""
    for token in tokens(statement, POSTGRESQL):
        if before == ":" and token.kind in ("word", "name", "string"):
            return True
        if before == "%" and (token.text == "(" or token.text == "s"):
            return True
        before = token.text if token.kind != "comment" else before
    return False
