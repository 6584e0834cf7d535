"""Catalog objects as CREATE statements: as their author spelled them where that still says the same, else written anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import (
    Check,
    Column,
    Constraint,
    ForeignKey,
    Index,
    IndexKey,
    PrimaryKey,
    Table,
    Trigger,
    Unique,
    View,
    VirtualTable,
)
from dbops.catalog.ref import Ref
from dbops.engines.sqlite.parse import ParsedTable, is_rowid_alias, parse_table
from dbops.engines.sqlite.reader import Unreadable
from dbops.engines.sqlite.statements import parse_index, parse_trigger, parse_view
from dbops.engines.sqlite.tokens import RESERVED, Names, names_of, quote, tokenize

# --- tables ---------------------------------------------------------------------------------------------------------------


def create_table(table: Table, constraints: Sequence[Constraint], name: str | None = None) -> str:
    """Write a table with all its constraints, under another name when `name` is given, which checks do not use."""
    if table.spelling is not None and _still_says(table.spelling, table, constraints):
        return f"CREATE TABLE {quote(name or table.name)}{_behind_name(table.spelling, is_renamed=name is not None)}"
    key = next((item for item in constraints if isinstance(item, PrimaryKey)), None)
    inline = key if key is not None and _is_inline(key, table) else None
    lines = [column_definition(column, inline) for column in table.columns]
    lines += [constraint_definition(item) for item in sorted(constraints, key=_constraint_rank) if item is not inline]
    options = [word for option, word in _TABLE_OPTIONS if (option, "true") in table.options]
    return (
        f"CREATE TABLE {quote(name or table.name)} (\n  "
        + ",\n  ".join(lines)
        + "\n)"
        + (" " + ", ".join(options) if options else "")
    )


def _behind_name(spelling: str, *, is_renamed: bool) -> str:
    parsed = parse_table(spelling)
    text, at = "", parsed.name_end
    for start, end in parsed.qualifiers if is_renamed else ():
        text, at = text + spelling[at:start], end
    return text + spelling[at:]


_TABLE_OPTIONS = (("without_rowid", "WITHOUT ROWID"), ("strict", "STRICT"))
_CONSTRAINT_RANKS = (PrimaryKey, Unique, ForeignKey, Check)


def _constraint_rank(item: Constraint) -> int:
    return next(rank for rank, kind in enumerate(_CONSTRAINT_RANKS) if isinstance(item, kind))


def _still_says(spelling: str, table: Table, constraints: Iterable[Constraint]) -> bool:
    try:
        parsed = parse_table(spelling)
    except Unreadable:
        return False
    return is_same(parsed, ParsedTable(table, tuple(constraints)))


def is_same(one: ParsedTable, other: ParsedTable) -> bool:
    """Tell whether two tables are the same but for the order of their parts."""
    return (
        one.table.options == other.table.options
        and {column.name: column for column in one.table.columns} == {column.name: column for column in other.table.columns}
        and _by_ref(one.constraints) == _by_ref(other.constraints)
    )


def _by_ref(constraints: Iterable[Constraint]) -> Mapping[Ref, Constraint]:
    return {item.ref: item for item in (replace(item, parent="") for item in constraints)}


def _is_inline(key: PrimaryKey, table: Table) -> bool:
    """AUTOINCREMENT and `INTEGER PRIMARY KEY DESC` can be said only in the column; one with a collation only outside."""
    return len(key.columns) == 1 and dict(key.options).get("keys", "") in ("", f"{quote(key.columns[0])} DESC")


def column_definition(column: Column, key: PrimaryKey | None = None, references: ForeignKey | None = None) -> str:
    """Write a column, with the primary key in it when it is its own, and with a foreign key."""
    parts = [quote(column.name)]
    if column.type:
        parts.append(type_name(column.type))
    if column.generated is not None:
        parts.append(
            f"GENERATED ALWAYS AS ({column.generated.expression}) {'STORED' if column.generated.is_stored else 'VIRTUAL'}"
        )
    if key is not None and key.columns == (column.name,):
        descends = " DESC" if dict(key.options).get("keys") else ""
        parts.append(f"{_named(key)}PRIMARY KEY{descends}{_on_conflict(dict(key.options).get('on_conflict'))}")
        if column.identity is not None:
            parts.append("AUTOINCREMENT")
    options = dict(column.options)
    if not column.nullable:
        name = options.get("not_null_name")
        parts.append(f"{f'CONSTRAINT {quote(name)} ' if name else ''}NOT NULL{_on_conflict(options.get('not_null_on_conflict'))}")
    if column.default is not None:
        parts.append(f"DEFAULT {default_clause(column.default)}")
    if column.collation is not None:
        parts.append(f"COLLATE {quote(column.collation)}")
    if references is not None:
        parts.append(_named(references) + _references(references))
    return " ".join(parts)


def constraint_definition(item: Constraint) -> str:
    """Write a constraint as a part of CREATE TABLE."""
    options = dict(item.options)
    conflict = _on_conflict(options.get("on_conflict"))
    match item:
        case PrimaryKey():
            return f"{_named(item)}PRIMARY KEY ({options.get('keys') or names(item.columns)}){conflict}"
        case Unique():
            return f"{_named(item)}UNIQUE ({options.get('keys') or names(item.columns)}){conflict}"
        case Check():
            return f"{_named(item)}CHECK ({item.expression}){conflict}"
        case ForeignKey():
            return f"{_named(item)}FOREIGN KEY ({names(item.columns)}) {_references(item)}"
        case _:
            raise AssertionError(f"SQLite has no {item.kind} constraint")


def _references(key: ForeignKey) -> str:
    text = f"REFERENCES {quote(key.references.name)}"
    if key.referenced_columns:
        text += f" ({names(key.referenced_columns)})"
    if key.on_delete != "NO ACTION":
        text += f" ON DELETE {key.on_delete}"
    if key.on_update != "NO ACTION":
        text += f" ON UPDATE {key.on_update}"
    if key.match != "SIMPLE":
        text += f" MATCH {key.match}"
    if key.deferrable:
        text += " DEFERRABLE" + (" INITIALLY DEFERRED" if key.initially_deferred else "")
    return text


def _named(item: Constraint) -> str:
    return f"CONSTRAINT {quote(dict(item.options).get('name', item.name))} " if item.is_named else ""


def _on_conflict(word: str | None) -> str:
    return f" ON CONFLICT {word}" if word else ""


def names(columns: Iterable[str]) -> str:
    """Write a list of names."""
    return ", ".join(quote(column) for column in columns)


@lru_cache(maxsize=1024)
def type_name(declared: str) -> str:
    """Write a declared type such that SQLite shows it as it was; most stand for themselves, the odd ones need quotes."""
    try:
        [column] = parse_table(f"CREATE TABLE t(c {declared})").table.columns
    except (Unreadable, ValueError):
        column = None
    is_plain = column is not None and column.type == declared and not any(token.word in RESERVED for token in tokenize(declared))
    return declared if is_plain else '"' + declared.replace('"', '""') + '"'


def default_clause(text: str) -> str:
    """Write a default: literals and words as they are, anything else in parentheses, which SQLite does not keep."""
    tokens = tokenize(text)
    if len(tokens) == 1 and tokens[0].text == text:
        return text
    if len(tokens) == 2 and tokens[0].text in ("+", "-") and tokens[0].start == 0 and tokens[1].end == len(text):
        return text
    return f"({text}\n)" if "--" in text else f"({text})"


def default_value(text: str) -> str:
    """Write a default for use in a query, where a bare word would be a column."""
    tokens = tokenize(text)
    if len(tokens) == 1 and tokens[0].kind in ("word", "quoted", "bracketed") and tokens[0].word not in _CONSTANTS:
        return "'" + tokens[0].name.replace("'", "''") + "'"
    return default_clause(text)


_CONSTANTS = frozenset(("NULL", "TRUE", "FALSE", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP"))


def rowid_alias(table: Table, constraints: Iterable[Constraint]) -> str | None:
    """Return the column that is the rowid itself."""
    key = next((item for item in constraints if isinstance(item, PrimaryKey)), None)
    return key.columns[0] if key is not None and is_rowid_alias(key, table.columns, table.options) else None


# --- everything else ------------------------------------------------------------------------------------------------------


def create_index(index: Index, columns: Names) -> str:
    """Write an index; `columns` are those of its table."""
    if index.spelling is not None and _index_says(index, columns):
        return index.spelling
    keys = ", ".join(_index_key(key) for key in index.keys)
    predicate = f" WHERE {index.predicate}" if index.predicate else ""
    return f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {quote(index.name)} ON {quote(index.parent)} ({keys}){predicate}"


def _index_says(index: Index, columns: Names) -> bool:
    try:
        return parse_index(index.spelling or "", columns) == index
    except Unreadable:
        return False


def _index_key(key: IndexKey) -> str:
    text = key.expression if key.expression is not None else quote(key.column or "")
    collation = f" COLLATE {quote(key.collation)}" if key.collation else ""
    return f"{text}{collation}{' DESC' if key.descending else ''}"


def create_view(view: View, catalog: Catalog) -> str:
    """Write a view."""
    if view.spelling is not None:
        try:
            if parse_view(view.spelling, used_names(catalog, view.ref)) == view:
                return view.spelling
        except Unreadable:
            pass
    columns = dict(view.options).get("columns")
    return f"CREATE VIEW {quote(view.name)}{f' ({columns})' if columns else ''} AS {view.definition}"


def create_trigger(trigger: Trigger, catalog: Catalog) -> str:
    """Write a trigger."""
    if trigger.spelling is not None:
        try:
            if parse_trigger(trigger.spelling, used_names(catalog, trigger.ref))[0] == trigger:
                return trigger.spelling
        except Unreadable:
            pass
    return trigger.definition


def create_virtual(table: VirtualTable, name: str | None = None) -> str:
    """Write a virtual table; its arguments are the module's own language and stay as they are."""
    return f"CREATE VIRTUAL TABLE {quote(name or table.name)} {table.definition}"


def used_names(catalog: Catalog, ref: Ref) -> Names:
    """Return the names of the tables and columns that a view or trigger uses."""
    needs = catalog.dependencies.get(ref, frozenset())
    return names_of(name for need in needs for name in (need.name, need.parent) if name)
