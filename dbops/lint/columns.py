"""Column definitions, table constraints and types, from their tokens."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.lint.facts import Column, Constraint, Name, Reference, Type
from dbops.sql.dialect import Dialect
from dbops.sql.reader import Reader, unquoted
from dbops.sql.segments import Clause, Segment, column_clauses, segments
from dbops.sql.tokens import Token

_CONSTRAINT_WORDS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE")
#: Reserved on MySQL, plain names elsewhere.
_INDEX_WORDS = ("INDEX", "KEY", "FULLTEXT", "SPATIAL")
_SERIALS = frozenset(("serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"))


def definition(segment: Segment, dialect: Dialect) -> Column | Constraint | None:
    """Return what a part of CREATE TABLE, or of ADD behind its words, defines; None for LIKE and what else defines nothing."""
    if not segment.tokens:
        return None
    first = segment.tokens[0]
    if first.kind == "word":
        word = first.text.upper()
        follows = segment.tokens[1].text.upper() if len(segment.tokens) > 1 else ""
        if word == "LIKE" and dialect.name == "postgresql":
            return None
        if word in _CONSTRAINT_WORDS or (word in _INDEX_WORDS and dialect.name == "mysql"):
            return constraint(segment, dialect)
        if word == "PERIOD" and follows == "FOR":
            return None
    if first.kind not in ("word", "name", "string"):
        return None
    return column(segment, dialect)


def column(segment: Segment, dialect: Dialect) -> Column:
    """Return a column definition, whatever of it is understood."""
    clauses: dict[str, Clause] = {}
    for clause in column_clauses(segment):
        clauses.setdefault(clause.kind, clause)
    kind = _type(clauses.get("type"), dialect)
    words = [token.text.upper() for token in segment.tokens if token.kind == "word"]
    generated, primary = clauses.get("generated"), clauses.get("primary_key")
    is_identity = generated is not None and "IDENTITY" in _words(generated.tokens)
    comment = clauses.get("comment")
    collate = clauses.get("collate")
    is_primary = primary is not None or (dialect.name == "mysql" and words[-1:] == ["KEY"] and "UNIQUE" not in words)
    return Column(
        name=unquoted(segment.tokens[0], dialect),
        type=kind,
        at=segment.start,
        end=segment.end,
        is_not_null="null" in clauses and "NOT" in _words(clauses["null"].tokens),
        default=clauses["default"].tokens[1:] if "default" in clauses else None,
        generated="" if generated is None or is_identity else _storage(generated, dialect),
        is_identity=is_identity,
        counts_up="auto_increment" in clauses or "AUTOINCREMENT" in words or (kind is not None and kind.words in _SERIALS),
        is_primary=is_primary,
        is_unique="unique" in clauses,
        references=_reference(clauses["references"].tokens, dialect) if "references" in clauses else None,
        has_check="check" in clauses,
        comment=unquoted(comment.tokens[1], dialect) if comment is not None and len(comment.tokens) > 1 else None,
        collation=collate.tokens[-1].text.strip("\"'`").lower() if collate is not None else "",
        is_placed=dialect.name == "mysql" and ("AFTER" in words or words[-1:] == ["FIRST"]),
    )


def _storage(clause: Clause, dialect: Dialect) -> str:
    words = _words(clause.tokens)
    if "VIRTUAL" in words:
        return "virtual"
    if "STORED" in words or "PERSISTENT" in words:
        return "stored"
    return "stored" if dialect.name == "postgresql" else "virtual"


def constraint(segment: Segment, dialect: Dialect) -> Constraint:
    """Return a table constraint, or an index that stands inside CREATE TABLE."""
    reader = Reader(segment.tokens, dialect)
    name = ""
    if reader.peek() == "CONSTRAINT":
        reader.word()
        if reader.peek() not in ("PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "NOT") or reader.tokens[reader.at].kind == "name":
            name = _last(reader.name())
    word = reader.word()
    kind = {"PRIMARY": "primary_key", "FOREIGN": "foreign_key", "KEY": "index"}.get(word, word.lower())
    words = _words(segment.tokens)
    is_validated = not ("NOT" in words and "VALID" in words[words.index("NOT") :])
    using_index = "USING" in words and "INDEX" in words[words.index("USING") : words.index("USING") + 2]
    if word == "NOT" and reader.word() == "NULL":  # PostgreSQL 18: CONSTRAINT name NOT NULL column
        column_name = (_last(reader.name()),)
        return Constraint("not_null", name, column_name, segment.start, segment.end, is_validated=words[-2:] != ["NOT", "VALID"])
    if kind in ("check", "exclude"):
        proved = _not_null(reader, dialect) if kind == "check" else ()
        return Constraint(kind, name, proved, segment.start, segment.end, is_validated=is_validated)
    while reader.peek() in ("KEY", "INDEX"):
        reader.word()
    if reader.peek() not in ("(", "USING", "NULLS", "") and kind != "primary_key":
        while reader.peek() in ("IF", "NOT", "EXISTS"):
            reader.word()
        own = _last(reader.name())
        name = name or own if kind == "foreign_key" else own or name
    keys = index_keys(reader, dialect)
    references = None
    if kind == "foreign_key" and reader.seek("REFERENCES"):
        references = _referenced(reader, dialect)
    return Constraint(
        kind, name, keys, segment.start, segment.end, references, is_validated, using_index, has_expressions="" in keys
    )


def _not_null(reader: Reader, dialect: Dialect) -> tuple[str, ...]:
    """Return the column of a check that says nothing but `column IS NOT NULL`."""
    found = reader.parenthesised()
    while found and found[0].text == "(" and found[-1].text == ")":
        found = found[1:-1]
    is_not_null = [token.text.upper() for token in found[1:]] == ["IS", "NOT", "NULL"]
    return (unquoted(found[0], dialect),) if is_not_null else ()


def index_keys(reader: Reader, dialect: Dialect) -> tuple[str, ...]:
    """Read the next list of index keys; an expression is an empty name."""
    while reader.at < len(reader.tokens) and reader.peek() != "(":
        reader.at += 1
    return tuple(_key(part.tokens, dialect) for part in segments(reader.parenthesised()))


def _key(found: Sequence[Token], dialect: Dialect) -> str:
    is_name = found[0].kind in ("word", "name") or (found[0].kind == "string" and dialect.name == "sqlite")
    is_call = len(found) > 1 and found[1].text == "(" and dialect.name != "mysql"
    return unquoted(found[0], dialect) if is_name and not is_call and (len(found) < 2 or found[1].text not in ("::", ".")) else ""


def _reference(found: Sequence[Token], dialect: Dialect) -> Reference | None:
    reader = Reader(found, dialect)
    return _referenced(reader, dialect) if reader.seek("REFERENCES") else None


def _referenced(reader: Reader, dialect: Dialect) -> Reference:
    table = name_of(reader)
    columns: tuple[str, ...] = ()
    if reader.peek() == "(":
        columns = tuple(unquoted(part.tokens[0], dialect) for part in segments(reader.parenthesised()))
    return Reference(table, columns)


def name_of(reader: Reader) -> Name:
    """Read a dotted name, empty where none stands."""
    at = reader.tokens[reader.at].offset if reader.at < len(reader.tokens) else 0
    schema, name = reader.qualified()
    return Name(schema, name, at)


def _type(clause: Clause | None, dialect: Dialect) -> Type | None:
    return None if clause is None else type_of(clause.tokens, dialect)


_BEHIND_TYPES = (
    "UNSIGNED",
    "SIGNED",
    "ZEROFILL",
    "CHARACTER",
    "CHARSET",
    "BINARY",
    "ASCII",
    "UNICODE",
    "USING",
    "FIRST",
    "AFTER",
    "KEY",
)


def type_of(found: Sequence[Token], dialect: Dialect) -> Type | None:
    """Return the type that tokens spell, None when they spell none."""
    if not found or found[0].kind not in ("word", "name", "string"):
        return None
    words: list[str] = []
    arguments: tuple[str, ...] = ()
    reader = Reader(found, dialect)
    is_array = False
    while reader.at < len(found):
        token, word = found[reader.at], reader.peek()
        if word == "(":
            arguments = arguments or tuple("".join(t.text for t in part.tokens) for part in segments(reader.parenthesised()))
            continue
        if word == "[" or (word == "ARRAY" and dialect.name == "postgresql"):
            is_array = True
            break
        if word in ("%", "=") or (words and word in _BEHIND_TYPES and dialect.name == "mysql" and token.kind == "word"):
            break
        if word == ".":
            words = []
        elif token.kind in ("word", "name", "string"):
            words.append(unquoted(token, dialect).lower() if token.kind != "string" else token.text[1:-1].lower())
        else:
            break
        reader.at += 1
    rest = [token.text.upper() for token in found]
    return Type(
        " ".join(words),
        arguments,
        found[0].offset,
        is_array,
        is_unsigned="UNSIGNED" in rest,
        is_zerofill="ZEROFILL" in rest,
        charset=_charset(found) if dialect.name == "mysql" else "",
    )


def _charset(found: Sequence[Token]) -> str:
    words = [token.text.upper() for token in found]
    for place, word in enumerate(words):
        if word == "CHARSET" or (word == "SET" and words[place - 1 : place] == ["CHARACTER"]):
            return next((value.strip("'\"`").lower() for value in words[place + 1 :] if value != "="), "")
    return ""


def _words(found: Sequence[Token]) -> list[str]:
    return [token.text.upper() for token in found if token.kind == "word"]


def _last(parts: tuple[str, ...]) -> str:
    return parts[-1] if parts else ""
