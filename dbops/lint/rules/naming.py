"""Style rules about names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dbops.lint.facts import AlterTable, Create, CreateIndex, CreateTable, Rename
from dbops.lint.rule import ENGINES, MY, PG, Hit, statement_rule
from dbops.lint.statements import Read
from dbops.lint.world import World
from dbops.sql.keywords import words
from dbops.sql.tokens import tokens


class _Named(NamedTuple):
    kind: str
    name: str
    at: int


def _names(read: Read) -> Iterator[_Named]:
    """Yield the names that a statement gives."""
    match read.fact:
        case CreateTable(table, columns, constraints):
            yield _Named("table", table.name, table.at)
            yield from (_Named("column", column.name, column.at) for column in columns)
            for constraint in constraints:
                kind = "index" if constraint.kind in ("index", "fulltext", "spatial") else "constraint"
                yield _Named(kind, constraint.name, constraint.at)
        case CreateIndex(name) if name is not None:
            yield _Named("index", name.name, name.at)
        case Create(kind, name):
            yield _Named(kind, name.name, name.at)
        case Rename(kind, _, new, at):
            yield _Named(kind, new, at)
        case AlterTable(_, actions):
            for action in actions:
                if action.kind == "add_column" and action.column:
                    yield _Named("column", action.column.name, action.column.at)
                elif action.kind in ("add_constraint", "add_index") and action.constraint:
                    yield _Named(
                        "index" if action.kind == "add_index" else "constraint", action.constraint.name, action.constraint.at
                    )
                elif action.kind in ("rename_column", "rename_table", "rename_index", "rename_constraint"):
                    yield _Named(action.kind.removeprefix("rename_"), action.to, action.at)
        case _:
            pass


@statement_rule(
    "NAME_TOO_LONG",
    (*PG, *MY),
    "a name longer than the engine keeps",
    why=(
        "PostgreSQL cuts names at 63 bytes without an error, so two of them may become one; MySQL refuses more than "
        "64 characters."
    ),
    advice="A shorter name.",
    severity="error",
)
def name_too_long(read: Read, world: World) -> Iterator[Hit]:
    for kind, name, at in _names(read):
        is_postgresql = world.dialect.name == "postgresql"
        length, most = (len(name.encode()), 63) if is_postgresql else (len(name), 64)
        if length > most:
            yield Hit(at, f"{kind} {name} has {length} {'bytes' if is_postgresql else 'characters'}; {most} are kept")


# Words that SQLite takes for names where no keyword fits (parse.y, %fallback ID): they need no quotes.
_LENIENT_SQLITE = words("""
    abort action after always analyze asc attach before begin by cascade cast conflict current current_date current_time
    current_timestamp database deferred desc detach do each end except exclude exclusive explain fail first following for
    generated groups if ignore immediate initially instead intersect key last like glob match materialized no nulls of
    offset others over partition plan pragma preceding query raise range recursive regexp reindex release rename replace
    restrict rollback row rows savepoint temp temporary ties trigger unbounded union vacuum view virtual window with
    without filter cross full inner left natural outer right rowid
""")

# PostgreSQL manual, appendix C: words that cannot be functions or types, but may stand bare as names of tables and columns.
_LENIENT_POSTGRESQL = words("""
    between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping inout int integer
    interval json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table
    json_value least merge_action national nchar none normalize nullif numeric out overlay position precision real row setof
    smallint substring time timestamp treat trim values varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest
    xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
""")
_LENIENT = {"sqlite": _LENIENT_SQLITE, "postgresql": _LENIENT_POSTGRESQL}


@statement_rule(
    "RESERVED_WORD",
    ENGINES,
    "a table or column named like a reserved word",
    why="It must be quoted in every query that anybody ever writes, and error messages about a forgotten quote point elsewhere.",
    advice="Another name: orders for order, position for rank, sort_key for key.",
)
def reserved_word(read: Read, world: World) -> Iterator[Hit]:
    for kind, name, at in _names(read):
        word = name.lower()
        if kind not in ("table", "column", "view") or word not in world.dialect.reserved:
            continue
        if word in _LENIENT.get(world.dialect.name, ()):
            continue
        if _is_quoted(read.source.text, at, name, world):
            yield Hit(at, f"{kind} {name} must be quoted wherever it is used")


def _is_quoted(text: str, at: int, name: str, world: World) -> bool:
    """Return whether the name is in quotes where it is given: a word that stands bare needs none."""
    for token in tokens(text, world.dialect, at):
        if token.kind == "name" and token.text[1:-1] == name:
            return True
        if token.text in ("(", ","):
            return False
    return False


@statement_rule(
    "NAMING",
    ENGINES,
    "a name that does not follow the settings",
    why="Names of one pattern can be guessed; the settings hold a regular expression for each kind.",
    advice="Rename it, or widen the pattern of its kind under naming.",
)
def follows_naming(read: Read, world: World) -> Iterator[Hit]:
    patterns = world.settings.naming
    for kind, name, at in _names(read) if patterns else ():
        pattern = patterns.get(kind)
        if pattern is not None and name and not pattern.fullmatch(name):
            yield Hit(at, f"{kind} {name} does not match {pattern.pattern}")
