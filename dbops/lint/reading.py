"""Any statement as a fact: the way in is `read`, which never fails; what it does not know is `Other`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise

from dbops.lint.columns import name_of
from dbops.lint.facts import (
    Alter,
    AlterType,
    CommentOn,
    Create,
    CreateIndex,
    CreateTable,
    Dml,
    Drop,
    Fact,
    Grant,
    Insert,
    Maintenance,
    Name,
    Other,
    Rename,
    Setting,
    Transaction,
    Truncate,
)
from dbops.lint.tables import alter_table, create_index, create_table, skip_guard, table_options
from dbops.sql.dialect import Dialect
from dbops.sql.keywords import words
from dbops.sql.reader import Reader, unquoted
from dbops.sql.segments import segments
from dbops.sql.tokens import Token, tokens

#: Kinds of objects as CREATE, ALTER and DROP name them, those of several words first.
_KINDS: tuple[tuple[str, ...], ...] = (
    ("MATERIALIZED", "VIEW"),
    ("FOREIGN", "TABLE"),
    ("FOREIGN", "DATA", "WRAPPER"),
    ("VIRTUAL", "TABLE"),
    ("EVENT", "TRIGGER"),
    ("CONSTRAINT", "TRIGGER"),
    ("TEXT", "SEARCH"),
    ("USER", "MAPPING"),
    ("OPERATOR", "CLASS"),
    ("OPERATOR", "FAMILY"),
    ("ACCESS", "METHOD"),
    ("DEFAULT", "PRIVILEGES"),
    ("LARGE", "OBJECT"),
    ("PACKAGE", "BODY"),
    ("RESOURCE", "GROUP"),
    ("LOGFILE", "GROUP"),
    ("SPATIAL", "REFERENCE", "SYSTEM"),
    *(
        (word,)
        for word in sorted(
            words("""
    TABLE INDEX VIEW SEQUENCE TYPE DOMAIN FUNCTION PROCEDURE AGGREGATE ROUTINE TRIGGER EVENT SCHEMA DATABASE EXTENSION POLICY
    RULE STATISTICS COLLATION CAST CONVERSION OPERATOR SERVER PUBLICATION SUBSCRIPTION ROLE USER GROUP LANGUAGE TABLESPACE
    TRANSFORM PACKAGE SYSTEM INSTANCE COLUMN OWNED PREPARE CONSTRAINT PROFILE CATALOG
""")
        )
    ),
)
#: Words that may stand between CREATE and the kind.
MODIFIERS = words("""
    OR REPLACE TEMP TEMPORARY GLOBAL LOCAL UNLOGGED UNIQUE FULLTEXT SPATIAL RECURSIVE TRUSTED PROCEDURAL DEFAULT
    CONSTRAINT ALGORITHM DEFINER SQL SECURITY INVOKER MERGE TEMPTABLE UNDEFINED AGGREGATE IF NOT EXISTS UNDO ONLINE
    OFFLINE IGNORE VECTOR COLUMNSTORE CURRENT_USER CURRENT_ROLE
""")
_ON_TABLES = frozenset(("trigger", "policy", "rule", "constraint trigger"))


def read(found: Sequence[Token], dialect: Dialect) -> Fact:
    """Return what the statement of these tokens, as `code` gives them, does."""
    if not found:
        return Other(())
    reader = Reader(found, dialect)
    verb = reader.word()
    handler = _VERBS.get(verb)
    fact = handler(reader, dialect) if handler else None
    return fact or Other(tuple(token.text.upper() for token in found[:3]))


def code(text: str, dialect: Dialect, most: int | None = None) -> list[Token]:
    """Return the tokens of a statement that are neither comments nor the edges of version comments, at most so many."""
    found = (token for token in tokens(text, dialect) if token.kind not in ("comment", "version", "hint"))
    return list(islice(found, most))


def kind_of(reader: Reader) -> str:
    """Move past the kind of object that stands here and return it in lower case, empty when none does."""
    for parts in _KINDS:
        if all(reader.peek(ahead) == word for ahead, word in enumerate(parts)):
            reader.at += len(parts)
            return " ".join(parts).lower()
    return ""


def _create(reader: Reader, dialect: Dialect) -> Fact | None:
    before: list[str] = []
    while reader.at < len(reader.tokens):
        if reader.peek() == "=" or reader.tokens[reader.at].text == "@":
            reader.at += 2  # the definer or algorithm, and the host of an account
            continue
        word = reader.peek()
        is_aggregate = word == "AGGREGATE" and reader.peek(1) == "FUNCTION"
        is_constraint = word == "CONSTRAINT" and reader.peek(1) == "TRIGGER"
        if not (word in ("CONSTRAINT", "AGGREGATE") and not is_aggregate) and (word in MODIFIERS or is_aggregate):
            before.append(word)
            reader.at += 1
            continue
        if is_constraint or (kind := _peeked_kind(reader)):
            break
        if reader.tokens[reader.at].kind in ("variable", "string", "name") or before[-1:] == ["DEFINER"]:
            reader.at += 1
            continue
        return None
    at = reader.tokens[reader.at].offset if reader.at < len(reader.tokens) else 0
    kind = kind_of(reader)
    match kind:
        case "table" | "foreign table" | "virtual table":
            return create_table(reader, [*before, *([] if kind == "table" else [kind])], dialect)
        case "index":
            return create_index(reader, before, dialect, at)
        case "":
            return None
    is_guarded = "REPLACE" in before or skip_guard(reader) or "EXISTS" in before
    name = Name("", "") if reader.peek() == "FOR" else name_of(reader)
    table = None
    rest = reader.at
    if kind in _ON_TABLES and reader.seek("TO" if kind == "rule" else "ON"):
        table = name_of(reader)
    tail = reader.tokens[rest:]
    is_temporary = bool({"TEMP", "TEMPORARY"} & set(before))
    words = tuple(token.text.upper() for token in tail if token.kind == "word")
    body = next((token.text for token in tail if token.text.startswith("$") and token.kind == "string"), "")
    elements = tuple(_elements(name.name, tail, dialect)) if kind == "schema" else ()
    return Create(kind, name, table, is_guarded, is_temporary, words, body, elements)


def _elements(schema: str, tail: Sequence[Token], dialect: Dialect) -> Iterator[CreateTable | CreateIndex | Create]:
    """Yield what CREATE SCHEMA creates in the schema (PostgreSQL manual, CREATE SCHEMA)."""
    depth, starts = 0, []
    for place, token in enumerate(tail):
        depth += (token.text == "(") - (token.text == ")")
        if not depth and token.kind == "word" and token.text.upper() in ("CREATE", "GRANT"):
            starts.append(place)
    for start, end in pairwise([*starts, len(tail)]):
        match read(tail[start:end], dialect):
            case CreateTable(table) as fact if not table.schema:
                yield replace(fact, table=replace(table, schema=schema))
            case CreateIndex(_, table) as fact if not table.schema:
                yield replace(fact, table=replace(table, schema=schema))
            case CreateTable() | CreateIndex() | Create() as fact:
                yield fact
            case _:
                pass


def _peeked_kind(reader: Reader) -> str:
    at = reader.at
    kind = kind_of(reader)
    reader.at = at
    return kind


def _alter(reader: Reader, dialect: Dialect) -> Fact | None:
    while reader.peek() in ("ONLINE", "OFFLINE", "IGNORE", "DEFINER", "ALGORITHM") and dialect.name == "mysql":
        reader.at += 3 if reader.peek(1) == "=" else 1
    kind = kind_of(reader)
    if kind in ("table", "foreign table"):
        return alter_table(reader, dialect)
    if not kind:
        return None
    skip_guard(reader)
    name = name_of(reader)
    reader.parenthesised()
    words = tuple(token.text.upper() for token in reader.tokens[reader.at : reader.at + 8])
    if kind == "type":
        return _altered_type(name, reader, words)
    if words[:2] == ("RENAME", "TO"):
        return Rename(kind, name, unquoted(reader.tokens[reader.at + 2], dialect), name.at) if len(words) > 2 else None
    return Alter(kind, name, words)


def _altered_type(name: Name, reader: Reader, words: tuple[str, ...]) -> AlterType:
    match words[:2]:
        case ("ADD", "VALUE"):
            reader.at += 2
            is_guarded = skip_guard(reader)
            value = reader.tokens[reader.at].text if reader.at < len(reader.tokens) else ""
            return AlterType(name, "add value", value, bool({"BEFORE", "AFTER"} & set(words)), is_guarded)
        case ("RENAME", "VALUE"):
            return AlterType(name, "rename value", words[2] if len(words) > 2 else "")
        case ("RENAME", "TO"):
            return AlterType(name, "rename", unquoted(reader.tokens[reader.at + 2], reader.dialect) if len(words) > 2 else "")
    return AlterType(name, " ".join(words[:2]).lower())


def _drop(reader: Reader, dialect: Dialect) -> Fact | None:
    is_temporary = reader.peek() in ("TEMPORARY", "TEMP") and bool(reader.word())
    kind = kind_of(reader)
    if kind not in _DROPPABLE:
        return None
    is_concurrent = reader.peek() == "CONCURRENTLY" and bool(reader.word())
    is_guarded = skip_guard(reader)
    names = []
    for part in segments(reader.tokens[reader.at :]):
        inner = Reader(part.tokens, dialect)
        names.append(name_of(inner))
    table = None
    if (kind in _ON_TABLES or kind == "index") and reader.seek("ON"):
        table = name_of(reader)
    return Drop(kind, tuple(names), is_guarded, is_concurrent, is_temporary, table, table_options(reader.tokens[reader.at :]))


_DROPPABLE = frozenset(" ".join(words).lower() for words in _KINDS)


def _truncate(reader: Reader, dialect: Dialect) -> Fact | None:
    if reader.peek() == "TABLE":
        reader.word()
    names = []
    for part in segments(reader.tokens[reader.at :]):
        inner = Reader(part.tokens, dialect)
        if inner.peek() == "ONLY":
            inner.word()
        names.append(name_of(inner))
    return Truncate(tuple(names), any(token.text.upper() == "RESTART" for token in reader.tokens))


def _rows(reader: Reader, dialect: Dialect) -> Fact | None:
    verb = reader.tokens[0].text.upper()
    return _row_change(verb, reader, dialect, has_cte=False)


def _row_change(verb: str, reader: Reader, dialect: Dialect, *, has_cte: bool) -> Fact | None:
    while reader.peek() in ("LOW_PRIORITY", "QUICK", "IGNORE", "DELAYED", "HIGH_PRIORITY"):
        reader.word()
    if verb == "UPDATE" and reader.peek() == "OR" and dialect.name == "sqlite":
        reader.at += 2
    if verb == "DELETE" and not (reader.peek() == "FROM" or reader.seek("FROM")):
        return None
    if verb == "DELETE" and reader.peek() == "FROM":
        reader.word()
    if reader.peek() == "ONLY":
        reader.word()
    table = name_of(reader)
    depth, is_bounded = 0, False
    for token in reader.tokens[reader.at :]:
        depth += (token.text == "(") - (token.text == ")")
        is_bounded = is_bounded or (
            depth == 0 and token.kind == "word" and token.text.upper() in ("WHERE", "LIMIT", "JOIN", "USING")
        )
    return Dml(verb.lower(), table, is_bounded, has_cte)


def _with(reader: Reader, dialect: Dialect) -> Fact | None:
    """Find what a WITH statement does to rows at its outermost level."""
    depth = 0
    for place in range(reader.at, len(reader.tokens)):
        token = reader.tokens[place]
        depth += (token.text == "(") - (token.text == ")")
        word = token.text.upper()
        if depth == 0 and token.kind == "word" and word in ("UPDATE", "DELETE", "INSERT", "SELECT"):
            reader.at = place + 1
            if word == "INSERT":
                return _insert(reader, dialect)
            return _row_change(word, reader, dialect, has_cte=True) if word != "SELECT" else None
    return None


def _insert(reader: Reader, dialect: Dialect) -> Fact | None:
    while reader.peek() in (
        "OR",
        "INTO",
        "IGNORE",
        "REPLACE",
        "LOW_PRIORITY",
        "DELAYED",
        "HIGH_PRIORITY",
        "ABORT",
        "FAIL",
        "ROLLBACK",
    ):
        reader.word()
    table = name_of(reader)
    if reader.peek() == "(" and reader.peek(1) not in ("SELECT", "WITH"):
        reader.parenthesised()
    is_query = reader.peek() in ("SELECT", "WITH", "(", "OVERRIDING", "TABLE")
    return Insert(table, is_query)


def _rename(reader: Reader, dialect: Dialect) -> Fact | None:
    kind = reader.word()
    if kind not in ("TABLE", "TABLES", "USER"):
        return None
    pairs = []
    for part in segments(reader.tokens[reader.at :]):
        inner = Reader(part.tokens, dialect)
        skip_guard(inner)
        old = name_of(inner)
        if inner.word() == "TO":
            pairs.append((old, name_of(inner).name))
    if not pairs:
        return None
    (old, new), *more = pairs
    return Rename(kind.removesuffix("S").lower(), old, new, old.at, tuple(more))


def _grant(reader: Reader, dialect: Dialect) -> Fact | None:
    return Grant(reader.tokens[0].text.lower(), " ".join(token.text for token in reader.tokens[1:13]))


def _set(reader: Reader, dialect: Dialect) -> Fact | None:
    is_local = False
    while reader.peek() in ("SESSION", "LOCAL", "GLOBAL", "PERSIST"):
        is_local = reader.word() == "LOCAL"
    name = reader.name() if reader.at < len(reader.tokens) and reader.tokens[reader.at].kind != "variable" else ()
    if not name and reader.at < len(reader.tokens):
        name = (reader.word().lower(),)
    if not name:
        return None
    reader.at += reader.peek() in ("=", "TO", ":=")
    value = " ".join(token.text for token in reader.tokens[reader.at :])
    plain = name[-1].lower().removeprefix("@@").split(".")[-1]
    return Setting(plain, value.strip("'\""), is_local)


def _pragma(reader: Reader, dialect: Dialect) -> Fact | None:
    name = name_of(reader).name
    value = "".join(token.text for token in reader.tokens[reader.at :]).strip("=()'\"")
    return Setting(f"pragma {name.lower()}", value)


def _select(reader: Reader, dialect: Dialect) -> Fact | None:
    """Read SELECT set_config('name', 'value', is_local), as dumps write it."""
    words = [token.text for token in reader.tokens[1:]]
    while words[:1] and (words[0].lower() == "pg_catalog" or words[0] == "."):
        words = words[1:]
    if words[:1] and words[0].lower() == "set_config" and len(words) >= 5:
        return Setting(words[2].strip("'").lower(), words[4].strip("'"), words[-2].lower() == "true")
    return None


_STEPS = {"BEGIN": "begin", "START": "begin", "COMMIT": "commit", "END": "commit", "ROLLBACK": "rollback", "ABORT": "rollback"}


def _transaction(reader: Reader, dialect: Dialect) -> Fact | None:
    word = reader.tokens[0].text.upper()
    follows = reader.peek()
    if word == "START" and follows != "TRANSACTION":
        return None
    if word == "BEGIN" and dialect.name == "mysql" and follows not in ("", "WORK"):
        return None
    if word in ("COMMIT", "ROLLBACK") and (follows == "PREPARED" or reader.seek("TO")):
        return None
    if word == "END" and dialect.name == "mysql":
        return None
    return Transaction(_STEPS[word])


def _comment(reader: Reader, dialect: Dialect) -> Fact | None:
    if reader.word() != "ON":
        return None
    kind = kind_of(reader)
    if not kind:
        return None
    table = None
    if kind == "column":
        parts = reader.name()
        name = Name("", parts[-1] if parts else "")
        table = Name(parts[-3] if len(parts) > 2 else "", parts[-2]) if len(parts) > 1 else None
    else:
        name = name_of(reader)
    if not reader.seek("IS"):
        return None
    text = None if reader.peek() == "NULL" else (reader.tokens[reader.at].text if reader.at < len(reader.tokens) else "")
    return CommentOn(kind, name, table, text)


def _maintenance(reader: Reader, dialect: Dialect) -> Fact | None:
    verb = reader.tokens[0].text.lower()
    words = tuple(token.text.upper() for token in reader.tokens if token.kind == "word")
    reader.parenthesised()
    kind = kind_of(reader)
    if verb == "refresh" and kind != "materialized view":
        return None
    if (
        verb in ("lock", "optimize", "repair", "check", "analyze")
        and not kind
        and reader.peek() in ("TABLES", "LOCAL", "NO_WRITE_TO_BINLOG")
    ):
        reader.word()
    is_concurrent = reader.peek() == "CONCURRENTLY" and bool(reader.word())
    while reader.peek() in ("FULL", "FREEZE", "VERBOSE", "ANALYZE", "ONLY") and verb == "vacuum":
        reader.word()
    name = name_of(reader) if reader.at < len(reader.tokens) else None
    return Maintenance(verb, kind, name, is_concurrent or "CONCURRENTLY" in words, words)


Handler = Callable[[Reader, Dialect], Fact | None]

_VERBS: dict[str, Handler] = {
    "CREATE": _create,
    "ALTER": _alter,
    "DROP": _drop,
    "TRUNCATE": _truncate,
    "UPDATE": _rows,
    "DELETE": _rows,
    "WITH": _with,
    "INSERT": _insert,
    "REPLACE": _insert,
    "RENAME": _rename,
    "GRANT": _grant,
    "REVOKE": _grant,
    "SET": _set,
    "PRAGMA": _pragma,
    "SELECT": _select,
    "COMMENT": _comment,
    **dict.fromkeys(_STEPS, _transaction),
    **dict.fromkeys(("VACUUM", "REINDEX", "CLUSTER", "REFRESH", "LOCK", "OPTIMIZE"), _maintenance),
}
