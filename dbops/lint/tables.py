"""CREATE TABLE, CREATE INDEX and ALTER TABLE as facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dbops.lint.columns import column, definition, index_keys, name_of, type_of
from dbops.lint.facts import Action, AlterTable, Column, Constraint, CreateIndex, CreateTable
from dbops.sql.dialect import Dialect
from dbops.sql.reader import Reader, unquoted
from dbops.sql.segments import Segment, closing_of, segments
from dbops.sql.tokens import Token

_GUARD = ("IF", "NOT", "EXISTS")


def skip_guard(reader: Reader) -> bool:
    """Move past IF EXISTS or IF NOT EXISTS; return whether it stood there."""
    start = reader.at
    if reader.peek() == "IF":
        while reader.peek() in _GUARD:
            reader.word()
    return reader.at > start


def create_table(reader: Reader, before: Sequence[str], dialect: Dialect) -> CreateTable:
    """Read CREATE TABLE behind the word TABLE; `before` are the words between."""
    is_guarded = skip_guard(reader)
    table = name_of(reader)
    is_temporary = bool({"TEMP", "TEMPORARY"} & set(before))
    if not set(before) <= {"TEMP", "TEMPORARY", "GLOBAL", "LOCAL", "UNLOGGED", "OR", "REPLACE"} or reader.peek() != "(":
        parent = None
        if reader.peek() == "PARTITION" and reader.peek(1) == "OF":
            reader.at += 2
            parent = name_of(reader)
        return CreateTable(table, (), (), {}, is_temporary, is_guarded, False, parent)
    closing = closing_of(reader.tokens, reader.at)
    columns: list[Column] = []
    constraints: list[Constraint] = []
    is_plain = True
    for part in segments(reader.parenthesised()):
        match definition(part, dialect):
            case Column() as found:
                columns.append(found)
            case Constraint() as found:
                constraints.append(found)
            case None:
                is_plain = False
    tail = reader.tokens[closing + 1 :]
    words = [token.text.upper() for token in tail if token.kind == "word"]
    is_plain = is_plain and bool(columns) and not ({"INHERITS", "SELECT", "LIKE"} & set(words))
    return CreateTable(table, tuple(columns), tuple(constraints), table_options(tail), is_temporary, is_guarded, is_plain)


_OPTION_NAMES = {
    "ENGINE": "engine",
    "TYPE": "engine",
    "CHARSET": "charset",
    "COLLATE": "collate",
    "COMMENT": "comment",
    "ALGORITHM": "algorithm",
    "LOCK": "lock",
    "STRICT": "strict",
    "ROWID": "without_rowid",
    "PARTITION": "partition",
    "AUTO_INCREMENT": "auto_increment",
}


def table_options(found: Sequence[Token]) -> Mapping[str, str]:
    """Return the options that stand outside parentheses, by name; `CHARACTER SET` is charset."""
    options: dict[str, str] = {}
    depth = 0
    for place, token in enumerate(found):
        depth += (token.text == "(") - (token.text == ")")
        word = token.text.upper()
        if depth or token.kind != "word":
            continue
        name = _OPTION_NAMES.get(word, "")
        if word == "SET" and place and found[place - 1].text.upper() == "CHARACTER":
            name = "charset"
        if name and name not in options:
            value = next((after for after in found[place + 1 :] if after.text != "="), None)
            options[name] = value.text.strip("'\"`") if value is not None else ""
    return options


def create_index(reader: Reader, before: Sequence[str], dialect: Dialect, at: int) -> CreateIndex | None:
    """Read CREATE INDEX behind the word INDEX."""
    is_concurrent = reader.peek() == "CONCURRENTLY" and bool(reader.word())
    is_guarded = skip_guard(reader)
    name = None if reader.peek() == "ON" else name_of(reader)
    if not reader.seek("ON"):
        return None
    is_on_only = reader.peek() == "ONLY" and bool(reader.word())
    table = name_of(reader)
    signature_from = reader.at
    method = ""
    if reader.peek() == "USING":
        reader.word()
        method = reader.word().lower()
    columns = index_keys(reader, dialect)
    tail = reader.tokens[reader.at :]
    words = [token.text.upper() for token in tail if token.kind == "word"]
    unique = "UNIQUE " if "UNIQUE" in before else ""
    return CreateIndex(
        name,
        table,
        columns,
        at,
        is_unique="UNIQUE" in before,
        is_concurrent=is_concurrent,
        is_guarded=is_guarded,
        is_partial="WHERE" in words,
        method="fulltext" if "FULLTEXT" in before else "spatial" if "SPATIAL" in before else method,
        has_include="INCLUDE" in words,
        is_on_only=is_on_only,
        options=table_options(tail),
        signature=unique + " ".join(token.text.lower() for token in reader.tokens[signature_from:]),
    )


def alter_table(reader: Reader, dialect: Dialect) -> AlterTable:
    """Read ALTER TABLE behind the word TABLE."""
    is_guarded = skip_guard(reader)
    if reader.peek() == "ONLY":
        reader.word()
    table = name_of(reader)
    if reader.peek() == "*":
        reader.word()
    while reader.peek() in ("WAIT", "NOWAIT") and dialect.name == "mysql":
        if reader.word() == "WAIT":
            reader.word()
    actions: list[Action] = []
    options: dict[str, str] = {}
    for part in segments(reader.tokens[reader.at :]):
        head = part.words(1)[0]
        if dialect.name == "mysql" and head in ("ALGORITHM", "LOCK"):
            options[head.lower()] = part.tokens[-1].text.upper()
            continue
        actions += _actions(part, dialect)
    return AlterTable(table, tuple(actions), is_guarded, options)


def _actions(part: Segment, dialect: Dialect) -> Iterator[Action]:
    reader = Reader(part.tokens, dialect)
    words = tuple(token.text.upper() for token in part.tokens[:6])
    verb = reader.word()
    match verb:
        case "ADD":
            yield from _added(reader, part, words, dialect)
        case "DROP":
            yield _dropped(reader, part, words, dialect)
        case "ALTER":
            yield _altered(reader, part, words, dialect)
        case "MODIFY" | "CHANGE":
            yield _modified(reader, part, verb, words, dialect)
        case "RENAME":
            yield _renamed(reader, part, words, dialect)
        case _:
            yield _other(reader, part, words)


def _added(reader: Reader, part: Segment, words: tuple[str, ...], dialect: Dialect) -> Iterator[Action]:
    if reader.peek() in ("PARTITION", "PERIOD", "SYSTEM", "GENERATED"):
        yield Action("add_partition" if reader.peek() == "PARTITION" else "other", part.start, words=words)
        return
    is_column = reader.peek() == "COLUMN" and bool(reader.word())
    is_guarded = skip_guard(reader)
    if reader.peek() == "(" and dialect.name == "mysql":
        for inner in segments(reader.parenthesised()):
            yield _add_one(inner, inner.start, is_guarded, is_column, dialect, words)
        return
    rest = reader.tokens[reader.at :]
    if rest:
        yield _add_one(Segment(rest[0].offset, part.end, tuple(rest)), part.start, is_guarded, is_column, dialect, words)


def _add_one(inner: Segment, at: int, is_guarded: bool, is_column: bool, dialect: Dialect, words: tuple[str, ...]) -> Action:
    found = column(inner, dialect) if is_column else definition(inner, dialect)
    match found:
        case Column():
            return Action("add_column", at, found.name, column=found, type=found.type, is_guarded=is_guarded, words=words)
        case Constraint(kind="index" | "fulltext" | "spatial"):
            return Action("add_index", at, found.name, constraint=found, is_guarded=is_guarded, words=words)
        case Constraint():
            return Action("add_constraint", at, found.name, constraint=found, is_guarded=is_guarded, words=words)
    return Action("other", at, words=words)


_DROPPED = {
    "CONSTRAINT": "drop_constraint",
    "CHECK": "drop_constraint",
    "INDEX": "drop_index",
    "KEY": "drop_index",
    "PARTITION": "drop_partition",
    "COLUMN": "drop_column",
}


def _dropped(reader: Reader, part: Segment, words: tuple[str, ...], dialect: Dialect) -> Action:
    head = reader.peek()
    kind = _DROPPED.get(head, "drop_column")
    if head in ("PRIMARY", "FOREIGN") and reader.peek(1) == "KEY":
        kind = "drop_primary_key" if head == "PRIMARY" else "drop_foreign_key"
        reader.word()
    if head in ("SYSTEM", "PERIOD") or (head in ("INDEX", "KEY", "PARTITION", "CHECK") and dialect.name != "mysql"):
        kind = "drop_column" if reader.peek(1) in ("", "CASCADE", "RESTRICT") else "other"
    elif head in (*_DROPPED, "PRIMARY", "FOREIGN"):
        reader.word()
    is_guarded = skip_guard(reader)
    name = name_of(reader).name
    return Action(kind, part.start, name, is_guarded=is_guarded, words=words)


def _altered(reader: Reader, part: Segment, words: tuple[str, ...], dialect: Dialect) -> Action:
    if reader.peek() in ("CONSTRAINT", "INDEX", "CHECK") and dialect.name != "sqlite":
        what = reader.word().lower()
        return Action(f"alter_{what}", part.start, name_of(reader).name, words=words)
    if reader.peek() == "COLUMN":
        reader.word()
    is_guarded = skip_guard(reader)
    name = name_of(reader).name
    rest = tuple(token.text.upper() for token in reader.tokens[reader.at : reader.at + 3])
    kinds = {
        ("SET", "NOT", "NULL"): "set_not_null",
        ("DROP", "NOT", "NULL"): "drop_not_null",
        ("SET", "DEFAULT"): "set_default",
        ("DROP", "DEFAULT"): "drop_default",
        ("SET", "DATA", "TYPE"): "alter_type",
        ("TYPE",): "alter_type",
        ("ADD", "GENERATED"): "add_identity",
        ("DROP", "IDENTITY"): "drop_identity",
        ("DROP", "EXPRESSION"): "drop_expression",
        ("SET", "EXPRESSION"): "set_expression",
        ("RESTART",): "restart",
        ("SET", "STATISTICS"): "set_statistics",
        ("SET", "STORAGE"): "set_storage",
    }
    kind = next((kind for words_, kind in kinds.items() if rest[: len(words_)] == words_), "alter_column")
    if kind != "alter_type":
        return Action(kind, part.start, name, is_guarded=is_guarded, words=words)
    reader.at += 3 if rest[0] == "SET" else 1
    tail = list(reader.tokens[reader.at :])
    cut = next(
        (i for i, token in enumerate(tail) if token.text.upper() in ("USING", "COLLATE") and token.kind == "word"), len(tail)
    )
    using = next((i for i, token in enumerate(tail) if token.text.upper() == "USING" and token.kind == "word"), len(tail))
    text = " ".join(token.text.lower() for token in tail[using + 1 :])
    return Action(
        "alter_type", part.start, name, type=type_of(tail[:cut], dialect), has_using=using < len(tail), using=text, words=words
    )


def _modified(reader: Reader, part: Segment, verb: str, words: tuple[str, ...], dialect: Dialect) -> Action:
    if reader.peek() == "COLUMN":
        reader.word()
    is_guarded = skip_guard(reader)
    old = ""
    if verb == "CHANGE":
        old = name_of(reader).name
    rest = reader.tokens[reader.at :]
    if not rest:
        return Action("other", part.start, words=words)
    found = column(Segment(rest[0].offset, part.end, tuple(rest)), dialect)
    return Action(
        "modify_column",
        part.start,
        old or found.name,
        found.name,
        column=found,
        type=found.type,
        is_guarded=is_guarded,
        words=words,
    )


def _renamed(reader: Reader, part: Segment, words: tuple[str, ...], dialect: Dialect) -> Action:
    head = reader.peek()
    if head in ("TO", "AS", "="):
        reader.word()
        return Action("rename_table", part.start, to=name_of(reader).name, words=words)
    kinds = {"COLUMN": "rename_column", "CONSTRAINT": "rename_constraint", "INDEX": "rename_index", "KEY": "rename_index"}
    kind = kinds.get(head, "rename_column") if reader.peek(1) != "TO" else "rename_column"
    if head in kinds and reader.peek(1) != "TO":
        reader.word()
    if dialect.name == "mysql" and reader.peek(1) == "":
        return Action("rename_table", part.start, to=name_of(reader).name, words=words)
    skip_guard(reader)
    old = name_of(reader).name
    reader.word()
    return Action(kind, part.start, old, name_of(reader).name, words=words)


_OTHERS: Mapping[tuple[str, ...], str] = {
    ("VALIDATE", "CONSTRAINT"): "validate",
    ("ATTACH", "PARTITION"): "attach",
    ("DETACH", "PARTITION"): "detach",
    ("TRUNCATE", "PARTITION"): "truncate_partition",
    ("CONVERT", "TO"): "convert_charset",
    ("ENABLE", "ROW"): "row_security",
    ("DISABLE", "ROW"): "row_security",
    ("FORCE", "ROW"): "row_security",
    ("NO", "FORCE"): "row_security",
    ("ENABLE", "TRIGGER"): "triggers",
    ("DISABLE", "TRIGGER"): "triggers",
    ("ENABLE", "KEYS"): "keys",
    ("DISABLE", "KEYS"): "keys",
    ("OWNER", "TO"): "owner",
    ("SET", "SCHEMA"): "set_schema",
    ("SET", "LOGGED"): "set_logged",
    ("SET", "UNLOGGED"): "set_logged",
    ("SET", "TABLESPACE"): "set_tablespace",
    ("SET", "ACCESS"): "set_access_method",
    ("SET", "WITHOUT"): "options",
    ("REPLICA", "IDENTITY"): "replica_identity",
    ("CLUSTER", "ON"): "options",
    ("SET", "("): "options",
    ("RESET", "("): "options",
    ("FORCE",): "force",
    ("ENGINE",): "engine",
    ("ROW_FORMAT",): "row_format",
    ("AUTO_INCREMENT",): "auto_increment",
    ("ORDER", "BY"): "force",
    ("REORGANIZE", "PARTITION"): "repartition",
    ("COALESCE", "PARTITION"): "repartition",
    ("PARTITION", "BY"): "repartition",
    ("REMOVE", "PARTITIONING"): "repartition",
    ("EXCHANGE", "PARTITION"): "exchange_partition",
    ("INHERIT",): "inherit",
    ("NO", "INHERIT"): "inherit",
}


def _other(reader: Reader, part: Segment, words: tuple[str, ...]) -> Action:
    kind = next((kind for head, kind in _OTHERS.items() if words[: len(head)] == head), "other")
    is_charset = words[:1] in (("CHARSET",), ("CHARACTER",)) or words[:2] in (("DEFAULT", "CHARSET"), ("DEFAULT", "CHARACTER"))
    if is_charset:
        kind = "default_charset"
    name = ""
    if kind in ("validate", "attach", "detach", "truncate_partition"):
        reader.word()
        name = name_of(reader).name
    to = next((unquoted(token, reader.dialect) for token in part.tokens[1:] if token.text != "="), "") if kind == "engine" else ""
    if kind in ("convert_charset", "default_charset"):
        to = table_options(part.tokens).get("charset", "").lower()
    return Action(kind, part.start, name, to, is_concurrent=part.words(9)[-1] in ("CONCURRENTLY", "FINALIZE"), words=words)
