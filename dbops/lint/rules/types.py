"""Style rules about column types and values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbops.lint.facts import AlterTable, Column, CreateTable, Name, Type
from dbops.lint.rule import ENGINES, LITE, MY, PG, Hit, statement_rule
from dbops.lint.statements import Read
from dbops.lint.types import canonical
from dbops.lint.world import World


def typed(read: Read) -> Iterator[tuple[Name, str, Type, Column | None]]:
    """Yield table, column, type and definition of each column that a statement gives a type."""
    match read.fact:
        case CreateTable(table, columns):
            yield from ((table, column.name, column.type, column) for column in columns if column.type)
        case AlterTable(table, actions):
            for action in actions:
                if action.type and action.kind in ("add_column", "modify_column", "alter_type"):
                    yield table, action.name, action.type, action.column
        case _:
            pass


@statement_rule(
    "PREFER_IDENTITY",
    PG,
    "a serial column where an identity column would do",
    why="serial leaves a sequence with rights and ownership of its own, and lets anybody write the column by accident.",
    advice="bigint GENERATED ALWAYS AS IDENTITY (or BY DEFAULT where rows bring their keys).",
)
def prefer_identity(read: Read, world: World) -> Iterator[Hit]:
    for table, name, kind, _ in typed(read):
        if kind.words.endswith("serial") or kind.words in ("serial2", "serial4", "serial8"):
            yield Hit(kind.at, f"{table}.{name} is {kind.words}")


@statement_rule(
    "PREFER_TEXT",
    PG,
    "char(n) or varchar(n) where text would do",
    why="text is as fast and as small; a length is a rule that costs a lock to change, and char(n) pads with blanks.",
    advice="text, with CHECK (length(column) <= n) where a limit is meant.",
)
def prefer_text(read: Read, world: World) -> Iterator[Hit]:
    for table, name, kind, _ in typed(read):
        if canonical(kind) == "char" or (canonical(kind) == "varchar" and kind.arguments):
            yield Hit(kind.at, f"{table}.{name} is {kind}")


@statement_rule(
    "PREFER_TIMESTAMPTZ",
    PG,
    "timestamp without time zone",
    why="It keeps the digits of a clock and not the moment: sessions in two time zones read two moments from it.",
    advice="timestamptz (timestamp with time zone).",
)
def prefer_timestamptz(read: Read, world: World) -> Iterator[Hit]:
    for table, name, kind, _ in typed(read):
        if canonical(kind) == "timestamp without time zone":
            yield Hit(kind.at, f"{table}.{name} is a timestamp without time zone")


@statement_rule(
    "PREFER_JSONB",
    PG,
    "json where jsonb would do",
    why="json is text that is parsed at each use, has no equality, and so breaks SELECT DISTINCT and GROUP BY; it has no index.",
    advice="jsonb, unless the order of keys or the blanks matter.",
)
def prefer_jsonb(read: Read, world: World) -> Iterator[Hit]:
    for table, name, kind, _ in typed(read):
        if kind.words == "json":
            yield Hit(kind.at, f"{table}.{name} is json")


_MONEY = re.compile(
    r"(?:^|_)(?:price|prices|amount|amounts|cost|costs|total|subtotal|balance|fee|fees|salary|wage|money|tax|taxes|discount|payment|"
    r"revenue|budget|credit|debit|refund|income|expense|unitprice|freight)(?:$|_)",
    re.IGNORECASE,
)
_FLOATS = frozenset(("real", "double precision", "float", "double"))


@statement_rule(
    "NO_FLOAT_FOR_MONEY",
    ENGINES,
    "an amount of money in a floating-point column",
    why="Binary fractions cannot hold 0.10: sums drift by cents.",
    advice="numeric(12, 2) or an integer of cents. SQLite has no decimal type: an integer of cents.",
)
def no_float_for_money(read: Read, world: World) -> Iterator[Hit]:
    for table, name, kind, _ in typed(read):
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
        if canonical(kind) in _FLOATS and _MONEY.search(snake):
            yield Hit(kind.at, f"{table}.{name} is {kind}")


@statement_rule(
    "FORBIDDEN_TYPES",
    ENGINES,
    "a type that the settings forbid",
    why="The team has agreed not to use it; the settings say which types that are.",
    advice="Use what the team uses in its place, or take the type out of forbiddenTypes.",
)
def forbidden_types(read: Read, world: World) -> Iterator[Hit]:
    forbidden = {text.lower() for text in world.settings.forbidden_types}
    if not forbidden:
        return
    for table, name, kind, _ in typed(read):
        if {kind.words, canonical(kind), str(kind).lower()} & forbidden:
            yield Hit(kind.at, f"{table}.{name} is {kind}")


@statement_rule(
    "DISPLAY_WIDTH",
    ("mysql",),
    "an integer with a display width",
    why="int(11) says nothing about the size: MySQL ignores the number, warns, and leaves it out of SHOW CREATE since 8.0.19.",
    advice="int, bigint, ... without a number; tinyint(1) stays as the sign of a boolean.",
)
def display_width(read: Read, world: World) -> Iterator[Hit]:
    wide = [
        (table, name, kind)
        for table, name, kind, _ in typed(read)
        if canonical(kind) in ("tinyint", "smallint", "mediumint", "integer", "bigint", "year")
        and kind.arguments
        and not kind.is_zerofill
        and not (kind.words == "tinyint" and kind.arguments == ("1",))
    ]
    if wide:
        table, name, kind = wide[0]
        more = f" and {len(wide) - 1} more of its columns" if len(wide) > 1 else ""
        yield Hit(kind.at, f"{table}.{name} is {kind}{more}")


_ZERO = re.compile(r"""['"]0000-00-00""")


@statement_rule(
    "ZERO_DATE",
    MY,
    "a date of zeros",
    why="'0000-00-00' is no date: strict mode refuses it, and every program must know it as a second kind of NULL.",
    advice="NULL, or a date that is meant.",
)
def zero_date(read: Read, world: World) -> Iterator[Hit]:
    found = _ZERO.search(read.source.text)
    if found:
        yield Hit(found.start(), "'0000-00-00' is no date")


@statement_rule(
    "ROWID_ALIAS",
    LITE,
    "an integer primary key that is no alias of the rowid",
    why="Only INTEGER PRIMARY KEY is the rowid itself; INT or BIGINT PRIMARY KEY keeps a second index and allows NULL.",
    advice="INTEGER PRIMARY KEY, spelled so.",
)
def rowid_alias(read: Read, world: World) -> Iterator[Hit]:
    if not isinstance(read.fact, CreateTable) or "without_rowid" in read.fact.options:
        return
    keys = [constraint.columns for constraint in read.fact.constraints if constraint.kind == "primary_key"]
    for column in read.fact.columns:
        is_key = column.is_primary or keys == [(column.name,)]
        if is_key and column.type and "int" in column.type.words and (column.type.words != "integer" or column.type.arguments):
            yield Hit(column.type.at, f"{read.fact.table}.{column.name} is {column.type}, so it is not the rowid")
