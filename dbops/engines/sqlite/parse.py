"""CREATE TABLE as SQLite stores it, read for what its pragmas do not tell: names, checks, conflict clauses, order.

The text has been accepted by SQLite, so this reads what is there and complains only where it loses its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from functools import lru_cache
from typing import Any, NamedTuple

from dbops.catalog.model import Check, Column, Constraint, ForeignKey, Generated, Identity, Options, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.sqlite.reader import Reader, Unreadable, created_name, split_commas
from dbops.engines.sqlite.tokens import Names, Token, expression, names_of, quote, tokenize, unquoted

_ENDS_A_TYPE = frozenset(
    (
        "CONSTRAINT",
        "DEFAULT",
        "NOT",
        "NULL",
        "PRIMARY",
        "UNIQUE",
        "CHECK",
        "REFERENCES",
        "COLLATE",
        "AS",
        "DEFERRABLE",
        "GENERATED",
    )
)
_TABLE_CONSTRAINTS = frozenset(("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"))
_STANDARD_TYPES = frozenset(("ANY", "BLOB", "INT", "INTEGER", "REAL", "TEXT"))


class ParsedTable(NamedTuple):
    """A table with its constraints; types, defaults and nullability are this parser's guess at what pragmas show."""

    table: Table
    constraints: tuple[Constraint, ...]
    name_end: int = 0
    """Where its name ends in the text it was read from."""
    qualifiers: tuple[tuple[int, int], ...] = ()
    """Where checks name the table itself there (`t.` of `t.a`)."""


@dataclass(slots=True)
class _Found:
    """A constraint before its place among the others, and so its name, is known."""

    kind: str
    name: str | None
    columns: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tokens: Sequence[Token] = ()
    on_conflict: str = ""
    descends: bool = False
    in_column: bool = False
    references: str = ""
    referenced: tuple[str, ...] = ()
    actions: dict[str, str] = field(default_factory=dict)
    match: str = "SIMPLE"
    deferrable: bool = False
    deferred: bool = False


@lru_cache(maxsize=20_000)  # a live database and its scratch hold mostly the same texts
def parse_table(sql: str) -> ParsedTable:
    """Read a CREATE TABLE.

    Raises:
        Unreadable: it is none, or not built as expected.
    """
    name, reader = created_name(tokenize(sql), "TABLE")
    body = reader.group()
    options = _table_options(reader)
    columns: list[Column] = []
    found: list[_Found] = []
    generated: dict[int, tuple[Sequence[Token], bool]] = {}
    for part in split_commas(body):
        item = Reader(part)
        if item.token.word in _TABLE_CONSTRAINTS:
            _table_constraints(item, found)
            continue
        column, computed = _column(item, sql, found)
        if computed:
            generated[len(columns)] = computed
        columns.append(column)
    qualifiers = [span for item in found for span in _unqualify(item, name.name)]
    names = names_of(column.name for column in columns)
    for at, (tokens, is_stored) in generated.items():
        columns[at] = replace(columns[at], generated=Generated(expression(tokens, names), is_stored))
    constraints = _constraints(name.name, found, names, _rowid_alias(columns, found, options))
    table = Table(name=name.name, columns=_with_keys(columns, constraints, options), options=options)
    return ParsedTable(table, constraints, name.end, tuple(qualifiers))


def _unqualify(item: _Found, table: str) -> Iterable[tuple[int, int]]:
    """Take the table's own name off columns in a check, which says the same without, and return where it stood."""
    tokens, kept, spans = item.tokens, list[Token](), []
    at = 0
    while at < len(tokens):
        texts = [token.name.lower() if token.is_name else token.text for token in tokens[at : at + 4]]
        length = next(
            (len(own) for own in (["main", ".", table.lower(), "."], [table.lower(), "."]) if texts[: len(own)] == own), 0
        )
        is_begun = at + length < len(tokens) and not (kept and kept[-1].text == ".")
        if length and is_begun:
            spans.append((tokens[at].start, tokens[at + length].start))
            kept.append(tokens[at + length]._replace(spaced=tokens[at].spaced))
            at += length + 1
        else:
            kept.append(tokens[at])
            at += 1
    item.tokens = kept
    return spans


def _table_options(reader: Reader) -> Options:
    options: dict[str, str] = {}
    while not reader.is_done:
        if reader.take("WITHOUT", "ROWID"):
            options["without_rowid"] = "true"
        elif reader.take("STRICT"):
            options["strict"] = "true"
        elif not reader.take(","):
            raise Unreadable(f"unknown table option {reader.token.text!r}")
    return tuple(sorted(options.items()))


def _with_keys(columns: list[Column], constraints: Iterable[Constraint], options: Options) -> tuple[Column, ...]:
    """Mark what a primary key implies: NOT NULL in WITHOUT ROWID and STRICT tables."""
    key = next((item for item in constraints if isinstance(item, PrimaryKey)), None)
    if key is None or not options:
        return tuple(columns)
    implied = {name.lower() for name in key.columns}
    if is_rowid_alias(key, columns, options):
        return tuple(columns)
    return tuple(replace(column, nullable=False) if column.name.lower() in implied else column for column in columns)


# --- columns --------------------------------------------------------------------------------------------------------------


def _column(reader: Reader, sql: str, found: list[_Found]) -> tuple[Column, tuple[Sequence[Token], bool] | None]:
    name = reader.name()
    held: dict[str, Any] = {"name": name, "type": _type(reader, sql)}
    computed: tuple[Sequence[Token], bool] | None = None
    constraint: str | None = None
    while not reader.is_done:
        if reader.take("CONSTRAINT"):
            constraint = reader.name()
            continue
        if reader.take("DEFAULT"):
            held["default"] = _default(reader, sql)
        elif reader.take("COLLATE"):
            collation = reader.name()
            held["collation"] = None if collation.upper() == "BINARY" else collation
        elif reader.take("NOT", "NULL"):
            held |= {"nullable": False, "options": _not_null_options(constraint, _on_conflict(reader))}
        elif reader.take("NULL"):
            _on_conflict(reader)
        elif reader.take("GENERATED", "ALWAYS", "AS") or reader.take("AS"):
            expression_tokens = reader.group()
            computed = expression_tokens, reader.take("STORED")
            reader.take("VIRTUAL")
        elif not _column_key(reader, name, constraint, found):
            raise Unreadable(f"column {name}: unexpected {reader.token.text!r}")
        elif found[-1].kind == "primary_key" and reader.take("AUTOINCREMENT"):
            held["identity"] = Identity("autoincrement")
        constraint = None
    return Column(**held), computed


def _not_null_options(constraint: str | None, on_conflict: str) -> Options:
    options = {"not_null_name": constraint or "", "not_null_on_conflict": on_conflict}
    return tuple((name, value) for name, value in options.items() if value)


def _type(reader: Reader, sql: str) -> str:
    first = reader.token
    last: Token | None = None
    while not reader.is_done and (reader.token.word not in _ENDS_A_TYPE or _is_type_generated(reader)):
        if reader.token.text == "(":
            reader.group()
        else:
            reader.at += 1
        last = reader.tokens[reader.at - 1]
    if last is None:
        return ""
    text = sql[first.start : last.end]
    if first.kind in ("quoted", "bracketed", "string"):
        return unquoted(first.text)
    return text.upper() if text.upper() in _STANDARD_TYPES else text


def _is_type_generated(reader: Reader) -> bool:
    """GENERATED is a type like any other word unless ALWAYS follows."""
    return reader.token.word == "GENERATED" and reader.following.word != "ALWAYS"


def _default(reader: Reader, sql: str) -> str:
    if reader.token.text == "(":
        start = reader.token.end
        reader.group()
        return sql[start : reader.tokens[reader.at - 1].start].strip()
    start = reader.token.start
    if reader.token.text in ("+", "-"):
        reader.at += 1
    reader.at += 1
    return sql[start : reader.tokens[reader.at - 1].end]


def _column_key(reader: Reader, column: str, constraint: str | None, found: list[_Found]) -> bool:
    """Read a constraint that could as well stand at the end of the table; False when there is none."""
    if reader.take("PRIMARY", "KEY"):
        key = _Found("primary_key", constraint, (column,), in_column=True)
        key.descends = _is_descending(reader)
        key.keys = (quote(column) + (" DESC" if key.descends else ""),)
        key.on_conflict = _on_conflict(reader)
        found.append(key)
    elif reader.take("UNIQUE"):
        found.append(_Found("unique", constraint, (column,), (quote(column),), on_conflict=_on_conflict(reader), in_column=True))
    elif reader.take("CHECK"):
        found.append(_Found("check", constraint, tokens=reader.group()))
    elif reader.take("REFERENCES"):
        found.append(_references(reader, _Found("foreign_key", constraint, (column,))))
    else:  # stands by itself when CONSTRAINT or another clause came between it and its REFERENCES
        last = next((item for item in reversed(found) if item.kind == "foreign_key"), _Found("foreign_key", None))
        return _deferral(reader, last)
    return True


# --- constraints ----------------------------------------------------------------------------------------------------------


def _table_constraints(reader: Reader, found: list[_Found]) -> None:
    """Read one constraint or more: SQLite does not ask for the commas between them."""
    while not reader.is_done:
        constraint = reader.name() if reader.take("CONSTRAINT") else None
        if reader.take("PRIMARY", "KEY"):
            found.append(_key(reader, "primary_key", constraint))
        elif reader.take("UNIQUE"):
            found.append(_key(reader, "unique", constraint))
        elif reader.take("CHECK"):
            check = _Found("check", constraint, tokens=reader.group())
            check.on_conflict = _on_conflict(reader)
            found.append(check)
        elif reader.take("FOREIGN", "KEY"):
            columns = tuple(Reader(part).name() for part in split_commas(reader.group()))
            reader.must("REFERENCES")
            found.append(_references(reader, _Found("foreign_key", constraint, columns)))
        elif constraint is None or not reader.is_done:
            raise Unreadable(f"unexpected {reader.token.text!r} among the constraints")


def _key(reader: Reader, kind: str, constraint: str | None) -> _Found:
    key = _Found(kind, constraint)
    columns, keys = [], []
    for part in split_commas(reader.group()):
        item = Reader(part)
        name = item.name()
        text = quote(name)
        if item.take("COLLATE"):
            text += f" COLLATE {quote(item.name())}"
        columns.append(name)
        keys.append(text + (" DESC" if _is_descending(item) else ""))
        if item.take("AUTOINCREMENT"):
            key.actions["autoincrement"] = name
    key.columns, key.keys = tuple(columns), tuple(keys)
    key.on_conflict = _on_conflict(reader)
    return key


def _is_descending(reader: Reader) -> bool:
    reader.take("ASC")
    return reader.take("DESC")


def _on_conflict(reader: Reader) -> str:
    if not reader.take("ON", "CONFLICT"):
        return ""
    word = reader.name().upper()
    return "" if word == "ABORT" else word


def _references(reader: Reader, key: _Found) -> _Found:
    key.references = reader.name()
    if reader.token.text == "(":
        key.referenced = tuple(Reader(part).name() for part in split_commas(reader.group()))
    while True:
        if reader.take("ON", "INSERT"):  # parsed by SQLite, and ignored
            _action(reader)
        elif reader.take("ON", "DELETE"):
            key.actions["on_delete"] = _action(reader)
        elif reader.take("ON", "UPDATE"):
            key.actions["on_update"] = _action(reader)
        elif reader.take("MATCH"):
            key.match = reader.name().upper()
        elif not _deferral(reader, key):
            return key


def _action(reader: Reader) -> str:
    for words in (("SET", "NULL"), ("SET", "DEFAULT"), ("NO", "ACTION"), ("CASCADE",), ("RESTRICT",)):
        if reader.take(*words):
            return " ".join(words)
    raise Unreadable(f"unknown foreign key action {reader.token.text!r}")


def _deferral(reader: Reader, key: _Found) -> bool:
    if reader.take("NOT", "DEFERRABLE"):
        key.deferrable = False
    elif reader.take("DEFERRABLE"):
        key.deferrable = True
    else:
        return False
    if reader.take("INITIALLY", "DEFERRED"):
        key.deferred = key.deferrable
    else:
        reader.take("INITIALLY", "IMMEDIATE")
    return True


def _constraints(table: str, found: list[_Found], names: Names, alias: _Found | None) -> tuple[Constraint, ...]:
    """Give every constraint its name: the source's own, or one made of its columns; equal names get a number."""
    taken: set[tuple[str, str]] = set()
    result = []
    for item in found:
        wished = item.name or _own_name(item, names)
        name, number = wished, 1
        while (item.kind, name.lower()) in taken:
            number += 1
            name = f"{wished}#{number}"
        taken.add((item.kind, name.lower()))
        result.append(_constraint(table, name, item, names, is_alias=item is alias))
    return tuple(result)


def _own_name(item: _Found, names: Names) -> str:
    columns: Iterable[str] = item.columns or dict.fromkeys(
        names[token.name.lower()]
        for token in item.tokens
        if token.kind in ("word", "quoted", "bracketed") and token.name.lower() in names
    )
    return f"({','.join(_declared(columns, names))})"


def _declared(columns: Iterable[str], names: Names) -> tuple[str, ...]:
    return tuple(names.get(column.lower(), column) for column in columns)


def _constraint(table: str, name: str, item: _Found, names: Names, is_alias: bool) -> Constraint:
    named = item.name is not None
    options: dict[str, str] = {}
    if named and item.name != name:
        options["name"] = str(item.name)
    if item.on_conflict:
        options["on_conflict"] = item.on_conflict
    columns = _declared(item.columns, names)
    plain = tuple(quote(column) for column in columns)
    keys = tuple(_declared_key(key, column, own) for key, column, own in zip(item.keys, item.columns, plain, strict=False))
    if keys != plain and item.keys and not is_alias:
        options["keys"] = ", ".join(keys)
    chosen = tuple(sorted(options.items()))
    if item.kind == "primary_key":
        return PrimaryKey(parent=table, name=name, is_named=named, columns=columns, options=chosen)
    if item.kind == "unique":
        return Unique(parent=table, name=name, is_named=named, columns=columns, options=chosen)
    if item.kind == "check":
        return Check(parent=table, name=name, is_named=named, expression=expression(item.tokens, names), options=chosen)
    return ForeignKey(
        parent=table, name=name, is_named=named, columns=columns, references=Ref("table", "", item.references),
        referenced_columns=item.referenced, on_delete=item.actions.get("on_delete", "NO ACTION"),
        on_update=item.actions.get("on_update", "NO ACTION"), match=item.match,
        deferrable=item.deferrable, initially_deferred=item.deferred, options=chosen,
    )  # fmt: skip


def _declared_key(key: str, column: str, declared: str) -> str:
    return declared + key.removeprefix(quote(column))


def _rowid_alias(columns: Sequence[Column], found: Sequence[_Found], options: Options) -> _Found | None:
    """Find the primary key that is the rowid itself (https://www.sqlite.org/lang_createtable.html, section 5).

    Its DESC means nothing, but `INTEGER PRIMARY KEY DESC` in a column, for the sake of old files, is no alias at all.
    """
    key = next((item for item in found if item.kind == "primary_key"), None)
    if key is None or len(key.columns) != 1 or ("without_rowid", "true") in options or (key.in_column and key.descends):
        return None
    column = next((at for at, item in enumerate(columns) if item.name.lower() == key.columns[0].lower()), None)
    if column is None or columns[column].type.upper() != "INTEGER":
        return None
    if "autoincrement" in key.actions and isinstance(columns, list):
        columns[column] = replace(columns[column], identity=Identity("autoincrement"))
    return key


def is_rowid_alias(key: PrimaryKey, columns: Iterable[Column], options: Options) -> bool:
    """Tell whether this primary key is the rowid itself."""
    if len(key.columns) != 1 or ("without_rowid", "true") in options or any(name == "keys" for name, _ in key.options):
        return False
    return any(column.type.upper() == "INTEGER" for column in columns if column.name.lower() == key.columns[0].lower())
