"""How far sequences and identities have counted: what takes the place of one goes on from there.

The greatest number in a column is not enough: rows may be gone whose numbers are known elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dbops.catalog.model import Column, Sequence, SequenceOptions, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.made_names import made_name
from dbops.engines.postgresql.render.names import aside, literal, named, quote
from dbops.engines.postgresql.render.scene import Survey
from dbops.sql.statement import Statement

#: The types that hold what a sequence gives.
_INTEGERS = ("smallint", "integer", "bigint")


def counts(column: Column) -> bool:
    """Tell whether a column holds what a sequence gives."""
    return column.type in _INTEGERS


def bounds(numbers: SequenceOptions) -> tuple[int, int]:
    """Return least and greatest number (CREATE SEQUENCE, notes on MINVALUE and MAXVALUE)."""
    top = 2 ** {"smallint": 15, "integer": 31}.get(numbers.data_type, 63) - 1
    low, high = (1, top) if numbers.increment > 0 else (-top - 1, -1)
    return (low if numbers.minimum is None else numbers.minimum, high if numbers.maximum is None else numbers.maximum)


def of_identity(table: Ref, column: Column) -> Ref:
    """Return the sequence behind an identity."""
    name = dict(column.options).get("identity_sequence") or made_name(table.name, column.name, "seq")
    return Ref("sequence", table.schema, name)


def of_column(table: Table, column: Column, survey: Survey) -> Ref | None:
    """Return the sequence that numbers a column: of its identity, or one that it owns and that its default asks."""
    if column.identity:
        return of_identity(table.ref, column)
    owned = (item.ref for item in survey.owned_by(table.ref) if item.owned_by and item.owned_by.name == column.name)
    return next(owned, None) if column.default and "nextval(" in column.default else None


def aside_ref(sequence: Ref) -> Ref:
    """Return what a sequence is called while its successor bears its name."""
    return Ref("sequence", sequence.schema, aside(sequence.name))


def give_up_name(sequence: Ref) -> Statement:
    """Return what makes way for a successor."""
    return Statement(f"ALTER SEQUENCE {named(sequence)} RENAME TO {quote(aside(sequence.name))}")


def keep(sequence: Ref, owner: str, column: Column) -> Iterator[Statement]:
    """Yield what keeps a sequence's place aside when it goes, as long as the column of `owner`, a table by its SQL name."""
    stand_in = named(aside_ref(sequence))
    yield Statement(f"CREATE SEQUENCE {stand_in} MINVALUE {-(2**63)} OWNED BY {owner}.{quote(column.name)}")
    yield Statement(f"SELECT pg_catalog.setval({literal(stand_in)}, last_value, is_called) FROM {named(sequence)}")


def go_on(target: str, numbers: SequenceOptions, column: str, source: str, before: Iterable[Ref] = ()) -> Statement:
    """Return the statement that lets a sequence go on after the last number in use, and what was given by those `before` it.

    `target` is the sequence as an expression, `source` the FROM item with the column.
    """
    greatest, most = ("max", "greatest") if numbers.increment > 0 else ("min", "least")
    last = f"{greatest}({quote(column)})"
    if given := [f"(SELECT last_value FROM {named(sequence)} WHERE is_called)" for sequence in before]:
        last = f"{most}({', '.join((last, *given))})"
    low, high = bounds(numbers)
    return Statement(
        f"SELECT pg_catalog.setval({target}, last)\n"
        f"FROM (SELECT {last} AS last FROM {source}) AS used WHERE last BETWEEN {low} AND {high}"
    )


def go_on_identity(table: Ref, column: Column, before: Iterable[Ref] = ()) -> Statement:
    """Return the statement that makes an identity go on after the last number in use."""
    options = (column.identity.sequence if column.identity else None) or SequenceOptions()
    target = f"pg_catalog.pg_get_serial_sequence({literal(named(table))}, {literal(column.name)})"
    return go_on(target, options, column.name, named(table), before)


def go_on_sequence(item: Sequence, column: Ref, source: str | None = None, before: Iterable[Ref] = ()) -> Statement:
    """Let a sequence go on after the greatest number that its column holds, or `source`, a FROM item with such a column."""
    table = named(Ref("table", column.schema, column.parent))
    return go_on(literal(named(item.ref)), item.numbers, column.name, source or table, before)
