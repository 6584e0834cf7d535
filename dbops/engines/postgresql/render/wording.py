"""The server's text of an expression, written so that the server reads it as the same expression.

`status IN ('a', 'b')` with a varchar column compares text with a list that is cast as a whole. The server shows that as
`(ARRAY['a'::character varying, ...])::text[]`, and reads that text as a list whose elements are cast one by one
(transformArrayExpr in parse_expr.c). Without the cast it is implied again, as it was in what the author wrote.
"""

from __future__ import annotations

import re
from dataclasses import replace

from dbops.sql.statement import Statement

_ELEMENT = r"'(?:[^']|'')*'::character varying"
_CAST_LIST = re.compile(rf"\b(ANY|ALL) \(\(ARRAY\[({_ELEMENT}(?:, {_ELEMENT}|)*+)\]\)::text\[\]\)")
_BODY = re.compile(r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE)\b")


def rereadable(statement: Statement) -> Statement:
    """Return a statement without casts that reading it would put elsewhere; bodies of routines are their author's."""
    if "])::text[]" not in statement.sql or _BODY.match(statement.sql):
        return statement
    return replace(statement, sql=_CAST_LIST.sub(r"\1 (ARRAY[\2])", statement.sql))
