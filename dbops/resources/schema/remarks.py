"""Renames noted in SQL sources: `-- dbops:renamed_from old` beside what has the new name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dbops.errors import Mark, SchemaError
from dbops.resources.schema.model import Rename
from dbops.sql.dialect import Dialect
from dbops.sql.reader import Reader
from dbops.sql.segments import significant
from dbops.sql.splitter import Comment, SourceStatement
from dbops.sql.subjects import Piece, pieces

_REMARK = re.compile(r"dbops:renamed_from\b(?P<rest>[^\n]*)")
#: What a rename can be about, by SQL's word.
_KINDS = {"table": "table", "column": "column", "view": "view", "index": "index", "sequence": "sequence", "schema": "schema"}


def noted_renames(statements: Sequence[SourceStatement], dialect: Dialect) -> Iterator[Rename]:
    """Yield the renames that remarks ask for.

    A remark before or behind a statement is about what the statement creates; so is one on the line where CREATE TABLE opens.
    Inside, one at the end of a line is about the column (or key) that ends there, one alone on its line about the next.

    Raises:
        SchemaError: a remark without a name, or beside something that has no name to change.
    """
    for statement in statements:
        for comment in statement.comments:
            for found in _REMARK.finditer(comment.text):
                piece = _beside(comment, statement, dialect)
                yield _rename(piece, _old(found["rest"], comment.at, dialect), statement, comment.at)


def _beside(comment: Comment, statement: SourceStatement, dialect: Dialect) -> Piece | None:
    """Return what a comment stands beside, None for nothing that is defined there."""
    text = statement.text
    found = [piece for piece in pieces(text, dialect) if piece.role == "define"]
    whole = next((piece for piece in found if piece.form == "statement"), None)
    parts = [piece for piece in found if piece.form in ("segment", "action")]
    start, end = comment.offset, comment.offset + len(comment.text)
    if start < 0 or start >= len(text) or not parts:
        return whole or (parts[0] if len(parts) == 1 else None)
    before = [piece for piece in parts if piece.start <= start]
    behind = [piece for piece in parts if piece.start > start]
    line_start = text.rfind("\n", 0, start) + 1
    if before and (before[-1].end > start or _ends_line(text, before[-1].end, start, end)):
        return before[-1]
    stands_alone = not text[line_start:start].strip()
    if behind and (before or stands_alone):
        return behind[0]
    return whole if not before or not behind else behind[0]


def _ends_line(text: str, piece_end: int, start: int, end: int) -> bool:
    """Return whether the comment is the last thing on the line where the piece ends, or stands before its comma."""
    between = text[piece_end:start]
    if "\n" in between:
        return False
    rest = text[end:].split("\n", 1)[0].strip()
    return "," not in between or not rest


def _old(rest: str, at: Mark, dialect: Dialect) -> tuple[str, ...]:
    name = Reader(significant(rest.removesuffix("*/"), dialect), dialect).name()
    if not name:
        raise SchemaError("dbops:renamed_from names nothing", at=at, expected="-- dbops:renamed_from old_name")
    return name


def _rename(piece: Piece | None, old: tuple[str, ...], statement: SourceStatement, at: Mark) -> Rename:
    kind = _kind(piece, statement)
    if piece is None or kind is None:
        what = f"a {piece.kind.replace('_', ' ')}" if piece else "nothing that it defines"
        expected = f"beside one of {', '.join([*_KINDS, 'enum'])}"
        raise SchemaError(f"dbops:renamed_from stands beside {what}", at=at, expected=expected)
    schema = f"{piece.schema}." if piece.schema else ""
    if kind == "column":
        return Rename(kind, f"{schema}{piece.table}.{old[-1]}", piece.name, at)
    if kind == "schema":
        return Rename(kind, old[-1], piece.name, at)
    given = f"{old[-2]}." if len(old) > 1 else schema
    return Rename(kind, f"{given}{old[-1]}", f"{schema}{piece.name}", at)


def _kind(piece: Piece | None, statement: SourceStatement) -> str | None:
    if piece is None or not piece.name:
        return None
    if piece.kind == "type":
        return "enum" if re.search(r"\bAS\s+ENUM\b", statement.text, re.IGNORECASE) else None
    if piece.kind == "view" and re.match(r"CREATE\s+MATERIALIZED\b", statement.text, re.IGNORECASE):
        return None
    return _KINDS.get(piece.kind)
