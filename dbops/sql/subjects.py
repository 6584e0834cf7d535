"""What a schema statement is about: the objects it creates, alters, comments on and grants, and the part of its text for each.

Knows names and places only. Reads leniently, as `segments` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dbops.sql.dialect import Dialect
from dbops.sql.segments import Segment, closing_of, column_clauses, segments, significant, table_body
from dbops.sql.tokens import Token

Form = Literal["statement", "segment", "action", "clause"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a statement about one object, from `start` to `end` of its text.

    `form` is the whole statement, a segment of CREATE TABLE, an action of ALTER TABLE or a clause of a column. `role` is
    `define` for what makes the object, else what is done to it: `comment`, `grant`, `owner`, `set`, ... `kind` is the word
    SQL has for it (`table`, `type`, `function`, `column`, `unique`, ...). Names are as the engine reads them; empty is
    unknown. `columns` are those of a key, an index or a column check.
    """

    form: Form
    role: str
    kind: str
    start: int
    end: int
    schema: str = ""
    table: str = ""
    name: str = ""
    columns: tuple[str, ...] = ()
    arguments: str = ""


_KINDS = frozenset(
    [
        *("TABLE", "VIEW", "INDEX", "SEQUENCE", "TYPE", "DOMAIN", "FUNCTION", "PROCEDURE", "AGGREGATE", "ROUTINE", "TRIGGER"),
        *("EVENT", "SCHEMA", "EXTENSION", "POLICY", "RULE", "STATISTICS", "COLLATION", "CAST", "OPERATOR", "SERVER"),
        *("PUBLICATION", "SUBSCRIPTION", "COLUMN", "CONSTRAINT", "CONFIGURATION", "DICTIONARY"),
    ]
)
_FILLERS = frozenset(["IF", "NOT", "EXISTS", "ONLY", "CONCURRENTLY"])
_ON_TABLES = ("index", "trigger", "policy", "rule", "statistics", "constraint")
_TABLE_KEYS = ("PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "CONSTRAINT")


def pieces(text: str, dialect: Dialect) -> list[Piece]:
    """Return the pieces of a statement, the whole of it first; none for a statement about anything else."""
    reader = _Reader(significant(text, dialect), dialect)
    verb = reader.word()
    match verb:
        case "CREATE":
            return list(_created(text, reader, dialect))
        case "ALTER":
            return list(_altered(reader))
        case "COMMENT":
            return list(_commented(reader))
        case "GRANT" | "REVOKE":
            return list(_granted(reader))
        case _:
            return []


class _Reader:
    """Tokens of one statement, read from left to right."""

    def __init__(self, found: Sequence[Token], dialect: Dialect) -> None:
        self.tokens, self.at, self.dialect = found, 0, dialect

    @property
    def end(self) -> int:
        last = self.tokens[-1]
        return last.offset + len(last.text)

    def word(self) -> str:
        """Return the next token in upper case and move past it; empty at the end."""
        self.at += 1
        return self.tokens[self.at - 1].text.upper() if self.at <= len(self.tokens) else ""

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place].text.upper() if place < len(self.tokens) else ""

    def skip_fillers(self) -> None:
        while self.peek() in _FILLERS:
            self.at += 1

    def seek(self, *words: str) -> bool:
        """Move past the next of `words` outside parentheses; stay and return False when there is none."""
        depth = 0
        for place in range(self.at, len(self.tokens)):
            text = self.tokens[place].text.upper()
            depth += (text == "(") - (text == ")")
            if not depth and text in words:
                self.at = place + 1
                return True
        return False

    def name(self) -> tuple[str, ...]:
        """Read a dotted name."""
        parts = []
        while self.at < len(self.tokens) and self.tokens[self.at].kind in ("word", "name", "string"):
            parts.append(unquoted(self.tokens[self.at], self.dialect))
            self.at += 1
            if self.peek() != ".":
                break
            self.at += 1
        return tuple(parts)

    def qualified(self) -> tuple[str, str]:
        parts = self.name()
        return (parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "")

    def parenthesised(self) -> tuple[Token, ...]:
        """Read a group in parentheses, which are left out; nothing when none stands here."""
        if self.peek() != "(":
            return ()
        closing = closing_of(self.tokens, self.at)
        inside = tuple(self.tokens[self.at + 1 : closing])
        self.at = closing + 1
        return inside

    def next_columns(self) -> tuple[str, ...]:
        """Read the next list of columns; what is no plain name is left out."""
        while self.at < len(self.tokens) and self.peek() != "(":
            self.at += 1
        return tuple(
            unquoted(part.tokens[0], self.dialect)
            for part in segments(self.parenthesised())
            if part.tokens[0].kind in ("word", "name")
        )


def unquoted(token: Token, dialect: Dialect) -> str:
    """Return the name that a token spells; bare names fold where the engine folds them."""
    if token.kind == "word":
        return token.text.lower() if dialect.caseless_words is None else token.text
    closing = "]" if token.text[0] == "[" else token.text[0]
    return token.text[1:-1].replace(closing * 2, closing)


def _kind(reader: _Reader) -> str:
    """Move past the words before a kind and the kind itself, and return it in lower case."""
    while reader.at < len(reader.tokens):
        if reader.peek() in _KINDS and reader.tokens[reader.at].kind == "word" and not _is_modifier(reader):
            return reader.word().lower()
        reader.at += 1
    return ""


def _is_modifier(reader: _Reader) -> bool:
    """CONSTRAINT TRIGGER, EVENT TRIGGER and OPERATOR CLASS are kinds of two words."""
    return reader.peek(1) == "TRIGGER" and reader.peek() in ("CONSTRAINT", "EVENT")


def _head(reader: _Reader) -> Piece | None:
    """Read kind and name of an object; the reader stands behind them."""
    kind = _kind(reader)
    if not kind:
        return None
    reader.skip_fillers()
    if kind == "index" and reader.peek() == "ON":
        schema, name = "", ""
    else:
        schema, name = reader.qualified()
    arguments = ""
    if kind in ("function", "procedure", "aggregate", "routine"):
        arguments = " ".join(token.text for token in reader.parenthesised())
    return Piece("statement", "define", kind, 0, reader.end, schema, "", name, (), arguments)


def _on_table(piece: Piece, reader: _Reader) -> Piece:
    """Add the table that an index, a trigger, a policy or a rule stands on."""
    if piece.kind in _ON_TABLES and reader.seek("TO" if piece.kind == "rule" else "ON"):
        reader.skip_fillers()
        schema, table = reader.qualified()
        return replace(piece, schema=schema or piece.schema, table=table)
    return piece


def _created(text: str, reader: _Reader, dialect: Dialect) -> Iterator[Piece]:
    head = _head(reader)
    if head is None:
        return
    head = _on_table(head, reader)
    if head.kind == "index":
        head = replace(head, columns=reader.next_columns())
    yield head
    body = table_body(text, dialect) if head.kind == "table" else None
    for segment in body.segments if body else ():
        yield from _defined(segment, head, "segment", dialect)


def _defined(segment: Segment, table: Piece, form: Form, dialect: Dialect, skip: int = 0) -> Iterator[Piece]:
    """Yield what a segment of CREATE TABLE, or an ADD action whose first `skip` tokens are read, defines."""
    inside = replace(segment, tokens=segment.tokens[skip:])
    if not inside.tokens:
        return
    base = Piece(form, "define", "", segment.start, segment.end, table.schema, table.name)
    if inside.tokens[0].kind == "word" and inside.tokens[0].text.upper() in _TABLE_KEYS:
        yield _constraint(inside, base, dialect)
        return
    name = unquoted(inside.tokens[0], dialect)
    yield replace(base, kind="column", name=name)
    for clause in column_clauses(inside):
        if clause.kind in ("primary_key", "unique", "references", "check"):
            kind = "foreign_key" if clause.kind == "references" else clause.kind
            given = unquoted(clause.tokens[1], dialect) if clause.name else ""
            yield replace(base, form="clause", kind=kind, name=given, columns=(name,), start=clause.start, end=clause.end)


def _constraint(segment: Segment, base: Piece, dialect: Dialect) -> Piece:
    reader = _Reader(segment.tokens, dialect)
    name = ""
    if reader.peek() == "CONSTRAINT":
        reader.at += 1
        if reader.peek() not in _TABLE_KEYS or reader.tokens[reader.at].kind == "name":
            name = (reader.name() or ("",))[-1]
    word = reader.word()
    kind = {"PRIMARY": "primary_key", "FOREIGN": "foreign_key", "EXCLUDE": "exclusion"}.get(word, word.lower())
    kind = "index" if kind in ("key", "fulltext", "spatial") else kind
    if kind in ("check", "exclusion"):
        return replace(base, kind=kind, name=name)
    while reader.peek() in ("KEY", "INDEX"):
        reader.at += 1
    if not name and kind != "primary_key" and reader.peek() != "(":
        name = (reader.name() or ("",))[-1]
    return replace(base, kind=kind, name=name, columns=reader.next_columns())


def _altered(reader: _Reader) -> Iterator[Piece]:
    head = _head(reader)
    if head is None:
        return
    if head.kind != "table":
        head = _on_table(head, reader)
        yield replace(head, role=_role(reader.tokens[reader.at :]))
        return
    yield replace(head, role="alter")
    for segment in segments(reader.tokens[reader.at :]):
        yield from _action(segment, head, reader)


def _action(segment: Segment, table: Piece, reader: _Reader) -> Iterator[Piece]:
    dialect = reader.dialect
    words = segment.words(4)
    base = Piece("action", "", "table", segment.start, segment.end, table.schema, table.name, table.name)
    if words[0] == "ADD":
        skip = 1 + (words[1:2] == ("COLUMN",))
        skip += 3 if segment.words(skip + 3)[skip:] == ("IF", "NOT", "EXISTS") else 0
        yield from _defined(segment, table, "action", dialect, skip)
    elif words[0] in ("ALTER", "MODIFY", "CHANGE") and len(segment.tokens) > 1:
        at = 2 if words[1] == "COLUMN" and len(segment.tokens) > 2 else 1
        name = unquoted(segment.tokens[at], dialect)
        role = "modify" if words[0] != "ALTER" else _role(segment.tokens[at + 1 :])
        yield replace(base, kind="column", name=name, role=role)
    elif words[0] in ("VALIDATE", "DROP") and words[1:2] == ("CONSTRAINT",) and len(segment.tokens) > 2:
        yield replace(base, kind="constraint", name=unquoted(segment.tokens[2], dialect), role=words[0].lower())
    else:
        yield replace(base, role=_role(segment.tokens))


def _role(found: Sequence[Token]) -> str:
    """Return what is done, in the words that stay when it is done otherwise: `owner to`, `set default`, `enable row level`."""
    words = [token.text.lower() for token in found[:3] if token.kind == "word"]
    keep = 1 if words[:1] == ["owned"] else 2
    return " ".join(words[:keep]) or "alter"


def _commented(reader: _Reader) -> Iterator[Piece]:
    if reader.word() != "ON":
        return
    kind = _kind(reader)
    if not kind:
        return
    base = Piece("statement", "comment", kind, 0, reader.end)
    if kind == "column":
        parts = reader.name()
        table = parts[-2] if len(parts) > 1 else ""
        yield replace(base, schema=parts[-3] if len(parts) > 2 else "", table=table, name=parts[-1] if parts else "")
        return
    schema, name = reader.qualified()
    arguments = " ".join(token.text for token in reader.parenthesised())
    yield _on_table(replace(base, schema=schema, name=name, arguments=arguments), reader)


def _granted(reader: _Reader) -> Iterator[Piece]:
    if not reader.seek("ON"):
        return
    kind = reader.word().lower() if reader.peek() in _KINDS else "table"
    schema, name = reader.qualified()
    arguments = " ".join(token.text for token in reader.parenthesised())
    yield Piece("statement", "grant", kind, 0, reader.end, schema, "", name, (), arguments)
