"""Reference rows into changes and steps: neighbours in the order of rows that do the same to one table are one step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import groupby

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import ForeignKey, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.engine import Engine
from dbops.reconcile.plan import Entry
from dbops.reconcile.step import Step
from dbops.resources.schema.data import ReferenceRows, overriding_clause, qualified
from dbops.resources.schema.data_file import Row
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.observed import DataChange, ObservedSchema
from dbops.resources.schema.row_order import RowChange, Verb, ordered_rows
from dbops.sql.hazard import Hazard
from dbops.sql.rows import delete_row, insert_row, update_row
from dbops.sql.statement import Statement


def data_changes(schema: DesiredSchema, tables: Sequence[ReferenceRows], remembered: Mapping[Ref, str]) -> list[DataChange]:
    """Return one change per table whose rows differ; `remembered` are the digests of the rows last applied."""
    return [
        DataChange(
            address=f"{schema.address}/{rows.table}/data",
            action="update",
            cause="drift" if remembered.get(rows.table) == rows.digest else "desired",
            reason=_reason(rows),
            at=rows.at,
            rows=rows,
        )
        for rows in tables
        if rows.wanted != rows.live
    ]


def _reason(rows: ReferenceRows) -> str:
    counts = ((len(rows.missing), "insert"), (len(rows.changed), "update"), (len(rows.surplus), "delete"))
    return "rows: " + ", ".join(f"{count} to {verb}" for count, verb in counts if count)


def data_entries(
    changes: Sequence[DataChange],
    schema: DesiredSchema,
    observed: ObservedSchema,
    engine: Engine,
    order: int,
    *,
    commits_before: bool = False,
) -> list[Entry]:
    """Return the changes with their steps, numbered from `order`; `commits_before`: changes of tables stand by then."""
    catalog = observed.desired
    parents_first = _parents_first([change.rows.table for change in changes], catalog)
    by_table = {change.rows.table: change for change in changes}
    steps: dict[Ref, list[Step]] = {ref: [] for ref in parents_first}
    moves = ordered_rows(
        [by_table[ref].rows for ref in parents_first],
        catalog,
        deletes_self_references=engine.features.deletes_self_references,
    )
    for (ref, verb), group in groupby(moves, key=lambda move: (move.rows.table, move.verb)):
        table = catalog.objects[ref]
        assert isinstance(table, Table)
        step = _step(verb, list(group), table, observed.followers.get(ref, ()), schema, engine)
        step, commits_before = _told(step) if commits_before else step, False
        steps[ref].append(replace(step, order=order))
        order += 1
    return [Entry(by_table[ref], tuple(steps[ref])) for ref in parents_first]


def _told(step: Step) -> Step:
    assert isinstance(step.do, tuple)
    first, *others = step.do
    hazard = Hazard("IMPLICIT_COMMIT", "the changes of tables before are committed by then; these rows do not take them back")
    return replace(step, do=(replace(first, hazards=(*first.hazards, hazard)), *others))


def _parents_first(tables: Sequence[Ref], catalog: Catalog) -> list[Ref]:
    """Order tables so that a referenced one stands before those that refer to it; of a circle, as they are given."""
    needs: dict[Ref, set[Ref]] = {ref: set() for ref in tables}
    for key in catalog.all(ForeignKey):
        child = key.ref.table
        if child in needs and key.references in needs and key.references != child:
            needs[child].add(key.references)
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError:
        return list(tables)


def _step(
    verb: Verb, moves: Sequence[RowChange], table: Table, followers: Sequence[str], schema: DesiredSchema, engine: Engine
) -> Step:
    """Return one step for neighbouring changes of one table and one verb; undo goes the way back."""
    forth = [_sql(move, move.before, move.after, table, engine) for move in moves]
    do = [Statement(sql) for sql in forth if sql is not None]
    coming = moves[0].rows.coming
    back = [_sql(move, move.after, move.before, table, engine, without=coming) for move in reversed(moves)]
    undo = [Statement(sql) for sql in back if sql is not None]
    name = table.ref.qualified
    if verb == "delete":
        hazard = Hazard("DELETES_DATA", f"deletes {_count(moves)} of {name} that {_file(moves[0].rows)} does not have")
        do = [replace(statement, hazards=(hazard,)) for statement in do]
    if verb != "insert" and followers:
        lost = (Hazard("IRREVERSIBLE", f"{said}; undo does not bring that back") for said in followers)
        do[0] = replace(do[0], hazards=(*do[0].hazards, *lost))
    title = f"{verb} {_count(moves)} {_PREPOSITIONS[verb]} {name}"
    return Step(on=schema.connection, title=title, do=tuple(do), undo=tuple(undo), allowed=schema.allow)


_PREPOSITIONS: Mapping[Verb, str] = {"delete": "from", "update": "of", "insert": "into"}


def _sql(
    move: RowChange, before: Row | None, after: Row | None, table: Table, engine: Engine, without: Collection[str] = ()
) -> str | None:
    """Return the statement that makes `after` out of `before`, None where there is nothing to do; None is no row.

    Columns to be `without` go when their table is taken back, which says nothing of their values.
    """
    rows, name, dialect = move.rows, qualified(table.ref, engine), engine.dialect
    if after is None:
        assert before is not None
        return delete_row(name, rows.key_of(before), dialect)
    new = {column: value for column, value in rows.named(after).items() if column not in without}
    if before is None:
        return insert_row(name, new, dialect, overriding_clause(table))
    old = rows.named(before)
    changed = {column: value for column, value in new.items() if old[column] != value}
    return update_row(name, rows.key_of(after), changed, dialect) if changed else None


def _count(rows: Sequence[object]) -> str:
    return "1 row" if len(rows) == 1 else f"{len(rows)} rows"


def _file(rows: ReferenceRows) -> str:
    return rows.file.rsplit("/", 1)[-1]
