"""Parts of rendered statements in another form, and what differs between two of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dbops.engines.base.engine import Engine
from dbops.resources.schema.accept.rendered import Rendered
from dbops.resources.schema.accept.texts import Found
from dbops.sql.segments import column_clauses, significant, table_body

#: Clauses of a column that are objects of their own.
_OBJECTS = ("primary_key", "unique", "references")


def key_of(found: Found) -> tuple[str, ...]:
    """Return what two statements share when one takes the place of the other."""
    piece = found.piece
    detail = " ".join(found.text.split()) if piece.role == "grant" else ""
    return piece.role, piece.kind, piece.table.lower(), piece.name.lower(), detail


def statements(found: Sequence[Found]) -> list[str]:
    """Return the texts of whole statements."""
    return [one.text for one in found if one.piece.form == "statement"]


def as_segment(found: Found) -> str:
    """Return a piece as it stands inside CREATE TABLE."""
    return (
        re.sub(r"^\s*ADD\s+(?:COLUMN\s+)?", "", found.text, flags=re.IGNORECASE) if found.piece.form == "action" else found.text
    )


def as_statement(found: Found) -> str:
    """Return a piece as a statement of its own."""
    if found.piece.form == "statement":
        return found.text
    text = found.statement.text
    if found.piece.form == "action":
        first = re.match(
            r"\s*ALTER\s+TABLE\s+(?:ONLY\s+)?(?:IF\s+EXISTS\s+)?(?:[^\s\"`\[]|\"[^\"]*\"|`[^`]*`|\[[^\]]*\])+", text, re.I
        )
        return f"{first[0] if first else 'ALTER TABLE'} {found.text}"
    return text


def clause_changes(old: Found, new: Found, after: Rendered) -> Iterator[tuple[str, str | None]]:
    """Yield the clauses of a column that differ, with the text they must have, None for those that go."""
    was, now = (dict(_clauses(one, after.engine)) for one in (old, new))
    for kind in dict.fromkeys((*was, *now)):
        if kind not in _OBJECTS and not after.same(was.get(kind, ""), now.get(kind, "")):
            yield kind, now.get(kind)


def _clauses(found: Found, engine: Engine) -> Iterator[tuple[str, str]]:
    text = found.statement.text
    body = table_body(text, engine.dialect)
    segment = next((one for one in body.segments if one.start == found.piece.start), None) if body else None
    for clause in column_clauses(segment) if segment else ():
        yield clause.kind, text[clause.start : clause.end]


def tail(text: str, engine: Engine) -> tuple[int, str]:
    """Return what stands behind the columns of a CREATE TABLE, and where."""
    body = table_body(text, engine.dialect)
    return (body.closing + 1, text[body.closing + 1 :]) if body else (len(text), "")


def head(text: str, engine: Engine) -> tuple[int, str]:
    """Return the words before TABLE in a CREATE TABLE, and where."""
    found = significant(text, engine.dialect)
    at = next((token.offset for token in found if token.text.upper() == "TABLE"), 0)
    return 0, text[:at]


_OPTION = re.compile(r"(?P<key>[A-Z_]+(?:\s+[A-Z_]+)?)\s*=\s*(?P<value>'(?:[^'\\]|''|\\.)*'|[^\s,]+)", re.IGNORECASE)


def options_changed(there: str, was: str, now: str) -> str:
    """Return the text with the options that differ changed, where both sides are a list of `KEY=value`; else the new text."""
    old, new = ({found["key"].upper(): found[0] for found in _OPTION.finditer(text)} for text in (was, now))
    if not old and not new:
        return now
    if _OPTION.sub("", was).split() != _OPTION.sub("", now).split():
        return now
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            there = _option_set(there, key, new.get(key))
    return there


def _option_set(text: str, key: str, option: str | None) -> str:
    found = next((one for one in _OPTION.finditer(text) if one["key"].upper() == key), None)
    if found is None:
        return f"{text.rstrip()} {option}" if option else text
    before = text[: found.start()] if option else text[: found.start()].rstrip()
    return before + (option or "") + text[found.end() :]
