"""Reference rows into changes and steps: deletions of children first, then insertions and updates of parents first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import ForeignKey, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.engine import Engine
from dbops.reconcile.plan import Entry
from dbops.reconcile.step import Step
from dbops.resources.schema.data import ReferenceRows, overriding_clause, qualified
from dbops.resources.schema.model import DataChange, DesiredSchema
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
    catalog: Catalog,
    engine: Engine,
    order: int,
    *,
    commits_before: bool = False,
) -> list[Entry]:
    """Return the changes with their steps, numbered from `order`; `commits_before`: changes of tables stand by then."""
    parents_first = _parents_first([change.rows.table for change in changes], catalog)
    by_table = {change.rows.table: change for change in changes}
    steps: dict[Ref, list[Step]] = {ref: [] for ref in parents_first}
    sequence = [(ref, _deletions) for ref in reversed(parents_first)] + [(ref, _arrivals) for ref in parents_first]
    for ref, make in sequence:
        table = catalog.objects[ref]
        assert isinstance(table, Table)
        for step in make(by_table[ref].rows, table, schema, engine):
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
    """Order tables so that a referenced one stands before those that refer to it; cycles keep the given order."""
    needs: dict[Ref, set[Ref]] = {ref: set() for ref in tables}
    for key in catalog.all(ForeignKey):
        child = key.ref.table
        if child in needs and key.references in needs and key.references != child:
            needs[child].add(key.references)
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError:
        return list(tables)


def _deletions(rows: ReferenceRows, table: Table, schema: DesiredSchema, engine: Engine) -> list[Step]:
    if not rows.surplus:
        return []
    name, dialect = qualified(table.ref, engine), engine.dialect
    hazard = Hazard("DELETES_DATA", f"deletes {_count(rows.surplus)} of {table.ref.qualified} that {_file(rows)} does not have")
    do = [Statement(delete_row(name, rows.key_of(row), dialect), hazards=(hazard,)) for row in rows.surplus]
    undo = [Statement(insert_row(name, rows.named(row), dialect, overriding_clause(table))) for row in reversed(rows.surplus)]
    return [_step(f"delete {_count(rows.surplus)} from {table.ref.qualified}", do, undo, schema)]


def _arrivals(rows: ReferenceRows, table: Table, schema: DesiredSchema, engine: Engine) -> list[Step]:
    name, dialect = qualified(table.ref, engine), engine.dialect
    steps = []
    if rows.changed:
        do, undo = [], []
        for old, new in rows.changed:
            before, after = rows.named(old), rows.named(new)
            differing = [column for column in rows.columns if before[column] != after[column]]
            do.append(Statement(update_row(name, rows.key_of(new), {column: after[column] for column in differing}, dialect)))
            undo.append(Statement(update_row(name, rows.key_of(new), {column: before[column] for column in differing}, dialect)))
        steps.append(_step(f"update {_count(rows.changed)} of {table.ref.qualified}", do, undo[::-1], schema))
    if rows.missing:
        do = [Statement(insert_row(name, rows.named(row), dialect, overriding_clause(table))) for row in rows.missing]
        undo = [Statement(delete_row(name, rows.key_of(row), dialect)) for row in reversed(rows.missing)]
        steps.append(_step(f"insert {_count(rows.missing)} into {table.ref.qualified}", do, undo, schema))
    return steps


def _step(title: str, do: Sequence[Statement], undo: Sequence[Statement], schema: DesiredSchema) -> Step:
    return Step(on=schema.connection, title=title, do=tuple(do), undo=tuple(undo), allowed=schema.allow)


def _count(rows: Sequence[object]) -> str:
    return "1 row" if len(rows) == 1 else f"{len(rows)} rows"


def _file(rows: ReferenceRows) -> str:
    return rows.file.rsplit("/", 1)[-1]
