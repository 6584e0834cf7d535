"""What a schema statement is about: the objects it creates, alters, comments on and grants, and the part of its text for each.

Knows names and places only. Reads leniently, as `segments` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from dbops.dataclass import dataclass
from dbops.sql.dialect import Dialect
from dbops.sql.reader import Reader, unquoted
from dbops.sql.segments import Segment, column_clauses, segments, significant, table_body
from dbops.sql.tokens import Token

Form = Literal["statement", "segment", "action", "clause"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a statement about one object, from `start` to `end` of its text.

    `form` is the whole statement, a segment of CREATE TABLE, an action of ALTER TABLE or a clause of a column. `role` is
    `define` for what makes the object, else what is done to it: `comment`, `grant`, `owner`, `set`, `switch`, ... `kind` is the
    word SQL has for it (`table`, `type`, `function`, `column`, `unique`, ...). Names are as the engine reads them; empty
    is unknown. `columns` are those of a key, an index or a column check.
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
#: Actions of ALTER TABLE that do something to another object: its kind, and where its name stands.
_SWITCHED: dict[tuple[str, ...], tuple[str, int]] = {("CLUSTER", "ON"): ("index", 2)}
_SWITCHED |= {(verb, kind.upper()): (kind, 2) for verb in ("ENABLE", "DISABLE") for kind in ("trigger", "rule")}
_SWITCHED |= {("ENABLE", when, kind.upper()): (kind, 3) for when in ("REPLICA", "ALWAYS") for kind in ("trigger", "rule")}
_ON_TABLES = ("index", "trigger", "policy", "rule", "statistics", "constraint")
_TABLE_KEYS = ("PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "CONSTRAINT")


def pieces(text: str, dialect: Dialect) -> list[Piece]:
    """Return the pieces of a statement, the whole of it first; none for a statement about anything else."""
    reader = Reader(significant(text, dialect), dialect)
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
        case "CLUSTER":
            return list(_clustered(reader))
        case _:
            return []


def _kind(reader: Reader) -> str:
    """Move past the words before a kind and the kind itself, and return it in lower case."""
    while reader.at < len(reader.tokens):
        if reader.peek() in _KINDS and reader.tokens[reader.at].kind == "word" and not _is_modifier(reader):
            return reader.word().lower()
        reader.at += 1
    return ""


def _is_modifier(reader: Reader) -> bool:
    """CONSTRAINT TRIGGER, EVENT TRIGGER and OPERATOR CLASS are kinds of two words."""
    return reader.peek(1) == "TRIGGER" and reader.peek() in ("CONSTRAINT", "EVENT")


def _head(reader: Reader) -> Piece | None:
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


def _on_table(piece: Piece, reader: Reader) -> Piece:
    """Add the table that an index, a trigger, a policy or a rule stands on."""
    if piece.kind in _ON_TABLES and reader.seek("TO" if piece.kind == "rule" else "ON"):
        reader.skip_fillers()
        schema, table = reader.qualified()
        return replace(piece, schema=schema or piece.schema, table=table)
    return piece


def _created(text: str, reader: Reader, dialect: Dialect) -> Iterator[Piece]:
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
    reader = Reader(segment.tokens, dialect)
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


def _altered(reader: Reader) -> Iterator[Piece]:
    head = _head(reader)
    if head is None:
        return
    if head.kind != "table":
        head = _on_table(head, reader)
        if head.kind == "view" and reader.peek() == "CLUSTER" and reader.seek("ON"):
            yield replace(head, role="cluster", kind="index", table=head.name, name=(reader.name() or ("",))[-1])
        else:
            yield replace(head, role=_role(reader.tokens[reader.at :]))
        return
    yield replace(head, role="alter")
    for segment in segments(reader.tokens[reader.at :]):
        yield from _action(segment, head, reader)


def _action(segment: Segment, table: Piece, reader: Reader) -> Iterator[Piece]:
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
    elif (named := _SWITCHED.get(words[:2]) or _SWITCHED.get(words[:3])) is not None and len(segment.tokens) > named[1]:
        kind, at = named
        yield replace(
            base, kind=kind, name=unquoted(segment.tokens[at], dialect), role="cluster" if kind == "index" else "switch"
        )
    else:
        yield replace(base, role=_role(segment.tokens))


def _role(found: Sequence[Token]) -> str:
    """Return what is done, in the words that stay when it is done otherwise: `owner to`, `set default`, `enable row level`."""
    words = [token.text.lower() for token in found[:3] if token.kind == "word"]
    keep = 1 if words[:1] == ["owned"] else 2
    return " ".join(words[:keep]) or "alter"


def _commented(reader: Reader) -> Iterator[Piece]:
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


def _clustered(reader: Reader) -> Iterator[Piece]:
    schema, table = reader.qualified()
    if reader.seek("USING"):
        yield Piece("statement", "cluster", "index", 0, reader.end, schema, table, (reader.name() or ("",))[-1])


def _granted(reader: Reader) -> Iterator[Piece]:
    if not reader.seek("ON"):
        return
    kind = reader.word().lower() if reader.peek() in _KINDS else "table"
    schema, name = reader.qualified()
    arguments = " ".join(token.text for token in reader.parenthesised())
    yield Piece("statement", "grant", kind, 0, reader.end, schema, "", name, (), arguments)
