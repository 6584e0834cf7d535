"""The parts of CREATE TABLE, ALTER TABLE and column definitions: where each stands, what it is called, nothing of what it means.

Reads leniently, since whoever edits by it proves the outcome: what it does not recognise is a part like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.dataclass import dataclass
from dbops.sql.dialect import Dialect
from dbops.sql.tokens import Token, tokens


@dataclass(frozen=True, slots=True)
class Segment:
    """A part between commas: its place in the text, without blanks and comments around it, and its tokens but comments."""

    start: int
    end: int
    tokens: tuple[Token, ...]

    def words(self, count: int = 3) -> tuple[str, ...]:
        """Return the first tokens in upper case, at most `count`."""
        return tuple(token.text.upper() for token in self.tokens[:count])


@dataclass(frozen=True, slots=True)
class Body:
    """A parenthesised list: the places of its parentheses, and what stands between its commas."""

    opening: int
    closing: int
    segments: tuple[Segment, ...]


def significant(text: str, dialect: Dialect) -> list[Token]:
    """Return the tokens of a statement without comments."""
    return [token for token in tokens(text, dialect) if token.kind != "comment"]


def table_body(text: str, dialect: Dialect) -> Body | None:
    """Return the columns and constraints of a CREATE TABLE statement, None when it lists none (AS SELECT, PARTITION OF, LIKE)."""
    found = significant(text, dialect)
    opening = next((index for index, token in enumerate(found) if token.text == "("), None)
    if opening is None or any(token.text.upper() in ("AS", "OF") for token in found[:opening] if token.kind == "word"):
        return None
    closing = closing_of(found, opening)
    inside = found[opening + 1 : closing]
    end = found[closing].offset if closing < len(found) else len(text)
    return Body(found[opening].offset, end, tuple(segments(inside)))


def closing_of(found: Sequence[Token], opening: int) -> int:
    """Return the index of the parenthesis that closes the one at `opening`; the length when nothing does."""
    depth = 0
    for index in range(opening, len(found)):
        depth += _depth(found[index])
        if not depth:
            return index
    return len(found)


def segments(found: Sequence[Token]) -> Iterator[Segment]:
    """Yield what stands between the commas of a list, those inside parentheses and brackets left alone."""
    part: list[Token] = []
    depth = 0
    for token in found:
        depth += _depth(token)
        if token.text == "," and not depth:
            if part:
                yield _segment(part)
            part = []
        else:
            part.append(token)
    if part:
        yield _segment(part)


def _depth(token: Token) -> int:
    return (token.text in ("(", "[")) - (token.text in (")", "]")) if token.kind == "symbol" else 0


def _segment(part: Sequence[Token]) -> Segment:
    return Segment(part[0].offset, part[-1].offset + len(part[-1].text), tuple(part))


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a column definition; `kind` is type, null, default, primary_key, unique, references, check, generated, ..."""

    kind: str
    start: int
    end: int
    tokens: tuple[Token, ...]
    name: str = ""
    """The constraint's name as written, empty when it has none."""


_STARTS = {
    "NOT": "null",
    "NULL": "null",
    "DEFAULT": "default",
    "PRIMARY": "primary_key",
    "UNIQUE": "unique",
    "REFERENCES": "references",
    "CHECK": "check",
    "GENERATED": "generated",
    "AS": "generated",
    "COLLATE": "collate",
    "COMMENT": "comment",
    "AUTO_INCREMENT": "auto_increment",
    "ON": "on_update",
    "STORAGE": "storage",
    "COMPRESSION": "compression",
    "INVISIBLE": "visibility",
    "VISIBLE": "visibility",
    "CONSTRAINT": "constraint",
}
#: Words that begin nothing inside a clause, because they belong to it: after which word, in which clause (any when empty).
_INSIDE = {
    "NULL": (("NOT", "null"), ("SET", "references"), ("DEFAULT", "default")),
    "DEFAULT": (("SET", "references"), ("BY", "generated")),
    "AS": (("ALWAYS", "generated"), ("DEFAULT", "generated")),
    "UNIQUE": (("GENERATED", ""),),
}
#: NOT DEFERRABLE, ON DELETE, ON CONFLICT belong to the constraint before them.
_CONTINUED = {"NOT": ("DEFERRABLE", "VALID", "ENFORCED"), "ON": ("DELETE", "CONFLICT")}
_CONSTRAINTS = ("primary_key", "unique", "references", "check")


def column_clauses(segment: Segment) -> list[Clause]:
    """Return the clauses of a column definition in order, its type first; the name is left out."""
    found = segment.tokens
    starts: list[tuple[int, str]] = [(1, "type")]
    depth = 0
    for index in range(1, len(found)):
        token = found[index]
        if not depth and token.kind == "word" and (kind := _started(found, index, starts[-1])):
            starts.append((index, kind))
        depth += _depth(token)
    ends = [index for index, _ in starts[1:]] + [len(found)]
    clauses = [_clause(kind, found[start:end]) for (start, kind), end in zip(starts, ends, strict=True) if start < end]
    return _named(clauses)


def _started(found: Sequence[Token], index: int, current: tuple[int, str]) -> str | None:
    word, before = found[index].text.upper(), found[index - 1].text.upper()
    kind = _STARTS.get(word)
    if kind is None or found[index - 1].text == ".":
        return None
    follows = found[index + 1].text.upper() if index + 1 < len(found) else ""
    if current[1] == "default" and index == current[0] + 1:
        return None
    if follows in _CONTINUED.get(word, ()) or (word == "ON" and current[1] == "references"):
        return None
    if any(before == after and current[1] in (inside, "") for after, inside in _INSIDE.get(word, ()) if inside):
        return None
    return None if current[1] == "constraint" and index == current[0] + 1 else kind


def _clause(kind: str, part: Sequence[Token]) -> Clause:
    return Clause(kind, part[0].offset, part[-1].offset + len(part[-1].text), tuple(part))


def _named(clauses: Sequence[Clause]) -> list[Clause]:
    """Join CONSTRAINT name with what it names."""
    result: list[Clause] = []
    for clause in clauses:
        if result and result[-1].kind == "constraint" and clause.kind in (*_CONSTRAINTS, "null", "default", "generated"):
            head = result.pop()
            name = head.tokens[1].text if len(head.tokens) > 1 else ""
            clause = Clause(clause.kind, head.start, clause.end, (*head.tokens, *clause.tokens), name)
        result.append(clause)
    return result
