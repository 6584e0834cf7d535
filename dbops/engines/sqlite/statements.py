"""CREATE statements of indexes, views, triggers and virtual tables as SQLite stores them, taken to pieces."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from dbops.catalog.model import Index, IndexKey, Options, Trigger, View, VirtualTable
from dbops.engines.sqlite.reader import Reader, created_name, split_commas
from dbops.engines.sqlite.tokens import Names, expression, quote, statement, tokenize, verbatim


def parse_index(sql: str, columns: Names) -> Index:
    """Read a CREATE INDEX; `columns` are those of its table."""
    return _index(sql, tuple(columns.items()))


@lru_cache(maxsize=20_000)  # as of tables: the same texts are read from the live database and from scratches
def _index(sql: str, names: tuple[tuple[str, str], ...]) -> Index:
    columns = dict(names)
    tokens = tokenize(sql)
    name, reader = created_name(tokens, "INDEX")
    reader.must("ON")
    table = reader.name()
    keys = tuple(_index_key(Reader(part), columns) for part in split_commas(reader.group()))
    predicate = expression(reader.rest(), columns) if reader.take("WHERE") else None
    return Index(parent=table, name=name.name, keys=keys, unique=tokens[1].word == "UNIQUE", predicate=predicate)


def _index_key(reader: Reader, columns: Names) -> IndexKey:
    tokens = list(reader.rest())
    descending = bool(tokens) and tokens[-1].word == "DESC"
    if tokens and tokens[-1].word in ("ASC", "DESC"):
        tokens.pop()
    collation = None
    if len(tokens) > 2 and tokens[-2].word == "COLLATE":
        collation = tokens[-1].name
        tokens = tokens[:-2]
    if len(tokens) == 1 and tokens[0].is_name and tokens[0].name.lower() in columns:
        return IndexKey(column=columns[tokens[0].name.lower()], descending=descending, collation=collation)
    return IndexKey(expression=expression(tokens, columns), descending=descending, collation=collation)


def parse_view(sql: str, names: Names) -> View:
    """Read a CREATE VIEW; `names` are those of the tables and columns it uses."""
    name, reader = created_name(tokenize(sql), "VIEW")
    options: Options = ()
    if reader.token.text == "(":
        columns = ", ".join(quote(Reader(part).name()) for part in split_commas(reader.group()))
        options = (("columns", columns),)
    reader.must("AS")
    return View(name=name.name, definition=statement(reader.rest(), names), options=options, spelling=sql)


class Firing(NamedTuple):
    """When a trigger runs: `event` is INSERT, UPDATE or DELETE on `table`."""

    event: str
    table: str


def parse_trigger(sql: str, names: Names) -> tuple[Trigger, Firing]:
    """Read a CREATE TRIGGER; `names` are those of the tables and columns it uses."""
    tokens = tokenize(sql)
    name, reader = created_name(tokens, "TRIGGER")
    body = reader.at
    for words in (("BEFORE",), ("AFTER",), ("INSTEAD", "OF")):
        reader.take(*words)
    event = reader.token.word
    while not reader.take("ON"):
        reader.name() if reader.token.is_name else reader.must(",")
    if reader.following.text == ".":
        reader.at += 2
    table = reader.name()
    known = {**names, table.lower(): table}
    definition = f"CREATE TRIGGER {quote(name.name)} {statement(tokens[body:], known)}"
    return Trigger(parent=table, name=name.name, definition=definition, spelling=sql), Firing(event, table)


def parse_virtual(sql: str) -> VirtualTable:
    """Read a CREATE VIRTUAL TABLE; its definition is `USING module(arguments)`."""
    name, reader = created_name(tokenize(sql), "TABLE")
    reader.must("USING")
    module = quote(reader.name())
    return VirtualTable(name=name.name, definition=f"USING {module}{verbatim(reader.rest())}", spelling=sql)
