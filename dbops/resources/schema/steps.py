"""Changes into acts of the engine, acts into steps, steps under the changes they carry out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, compress

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import ChangeSet
from dbops.catalog.model import ForeignKey
from dbops.catalog.ref import Ref
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import Act, RenderContext
from dbops.reconcile.change import Action, Change
from dbops.reconcile.plan import Entry
from dbops.reconcile.step import Step
from dbops.resources.schema.diff import is_part_of_another, place, whole_tables
from dbops.resources.schema.leniency import target_catalog
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.observed import DataChange, ObservedSchema, SchemaChange
from dbops.resources.schema.renames import ambiguous
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement


def entries(
    changes: Sequence[SchemaChange],
    rows: Sequence[DataChange],
    schema: DesiredSchema,
    observed: ObservedSchema,
    engine: Engine,
    now: datetime,
    *,
    archives: bool = True,
) -> list[Entry]:
    """Return the changes with their steps, and entries for objects made again because of what they depend on.

    Reference rows come last, but before new foreign keys that lead from or to them: what these ask holds in the end.
    """
    acts = render(changes, schema, observed, engine, now, archives=archives)
    filled = {change.rows.table for change in rows}
    behind = [_concerns(act, filled, observed.desired) for act in acts]
    first = behind.count(False)
    of_rows = _of_rows(rows, schema, observed, engine, first) if rows else []
    acts = [*(act for act, is_behind in zip(acts, behind, strict=True) if not is_behind), *compress(acts, behind)]
    last = first + sum(len(entry.steps) for entry in of_rows)
    orders = chain(range(first), range(last, last + len(acts) - first))
    steps = [_step(act, order, schema, observed) for order, act in zip(orders, acts, strict=True)]
    return [*_under_changes(changes, acts, steps, schema, observed), *of_rows]


def _concerns(act: Act, tables: Collection[Ref], desired: Catalog) -> bool:
    """Tell whether an act makes nothing but foreign keys, one of which leads from or to these tables.

    One that drops a key comes where it stands: what follows may be in its way.
    """
    keys = [desired.objects.get(ref) for ref in act.covers or (act.ref,)]
    return (
        not act.drops
        and all(isinstance(key, ForeignKey) for key in keys)
        and any(isinstance(key, ForeignKey) and {key.references, key.ref.table} & {*tables} for key in keys)
    )


def _of_rows(
    changes: Sequence[DataChange], schema: DesiredSchema, observed: ObservedSchema, engine: Engine, order: int
) -> list[Entry]:
    from dbops.resources.schema.data_steps import data_entries

    commits_before = order > 0 and not engine.features.has_transactional_ddl
    return data_entries(changes, schema, observed, engine, order, commits_before=commits_before)


def _under_changes(
    changes: Sequence[SchemaChange], acts: Sequence[Act], steps: Sequence[Step], schema: DesiredSchema, observed: ObservedSchema
) -> list[Entry]:
    known = {change.change.ref: change for change in changes}
    by_ref: dict[Ref, list[tuple[Act, Step]]] = {}
    for act, step in zip(acts, steps, strict=True):
        by_ref.setdefault(_subject(act, known), []).append((act, step))
    tables = whole_tables(list(changes))
    result = [
        Entry(_with_action(change, by_ref.get(ref, [])), tuple(step for _, step in by_ref.get(ref, ())))
        for ref, change in known.items()
        if ref in by_ref or not is_part_of_another(change.change, tables)
    ]
    result += [
        Entry(_collateral(ref, pairs, changes, schema, observed), tuple(step for _, step in pairs))
        for ref, pairs in by_ref.items()
        if ref not in known
    ]
    return result


def _subject(act: Act, known: Collection[Ref]) -> Ref:
    """Return the change that an act stands under: its own, or else the first that it carries out."""
    return next((ref for ref in (act.ref, *act.covers) if ref in known), act.ref)


def render(
    changes: Sequence[SchemaChange],
    schema: DesiredSchema,
    observed: ObservedSchema,
    engine: Engine,
    now: datetime,
    *,
    archives: bool = True,
) -> list[Act]:
    """Return the acts of all changes: renames on the live catalog, then the rest on the renamed one.

    `now` names the archives of rows that go.
    """
    archive = now.strftime("%y%m%d%H%M%S%f") if archives else None
    context = RenderContext(observed.server, observed.sizes, schema.online, archive=archive, unchecked=observed.unchecked)
    renames = tuple(rename for rename in observed.renames if any(change.change == rename for change in changes))
    others = tuple(change.change for change in changes if change.change not in renames)
    acts: list[Act] = []
    if renames and observed.live is not None:
        acts += engine.render(ChangeSet(observed.live, observed.renamed, renames), context)
    if others:
        target = target_catalog(observed.renamed, observed.desired, observed.applied, schema, now.date())
        from dbops.catalog.closure import narrowed

        before, after = narrowed(others, observed.renamed, target)
        acts += engine.render(ChangeSet(before, after, others), replace(context, renames=renames))
    return _with_hazards(_undone_together(acts), ambiguous(others))


def _undone_together(acts: Sequence[Act]) -> list[Act]:
    """Give what only the way back needs statements for to a neighbour: a step that runs nothing has nothing to take back."""
    result: list[Act] = []
    waiting: tuple[Statement, ...] = ()
    for act in acts:
        if not act.do and act.undo:
            place = next((place for place in reversed(range(len(result))) if result[place].do), None)
            if place is None:
                waiting = (*act.undo, *waiting)
            elif (back := result[place].undo) is not None:
                result[place] = replace(result[place], undo=(*act.undo, *back))
            act = replace(act, undo=())
        elif act.do and act.undo is not None:
            act, waiting = replace(act, undo=(*act.undo, *waiting)), ()
        result.append(act)
    return result


def _with_hazards(acts: Sequence[Act], extra: dict[Ref, Hazard]) -> list[Act]:
    """Put each extra hazard on the first statement of the act that drops its object."""
    result = []
    for act in acts:
        hazards = [hazard for ref, hazard in extra.items() if ref == act.ref or ref in act.covers]
        if hazards and act.do:
            first = replace(act.do[0], hazards=(*act.do[0].hazards, *hazards))
            act = replace(act, do=(first, *act.do[1:]))
            for ref in (act.ref, *act.covers):
                extra.pop(ref, None)
        result.append(act)
    return result


def _step(act: Act, order: int, schema: DesiredSchema, observed: ObservedSchema) -> Step:
    size = observed.sizes.get(act.ref.table)
    return Step(
        on=schema.connection,
        title=act.title,
        do=act.do,
        undo=act.undo,
        order=order,
        allowed=schema.allow,
        estimate={"rows": size.rows, "bytes": size.size_bytes} if size and size.rows else None,
    )


def _with_action(change: SchemaChange, pairs: Iterable[tuple[Act, Step]]) -> SchemaChange:
    acts = [act for act, _ in pairs]
    if change.action == "update" and any(act.drops for act in acts) and any(act.creates for act in acts):
        return replace(change, action="replace")
    return change


def _collateral(
    ref: Ref, pairs: Sequence[tuple[Act, Step]], changes: Sequence[SchemaChange], schema: DesiredSchema, observed: ObservedSchema
) -> Change:
    """Return what stands for an object that nobody changed; it is made again because the database moved when all changes are."""
    acts = [act for act, _ in pairs]
    action: Action = "replace" if any(act.drops for act in acts) and any(act.creates for act in acts) else "update"
    return Change(
        address=f"{schema.address}/{ref}",
        action=action,
        cause="drift" if all(change.cause == "drift" for change in changes) else "desired",
        reason="made again around a change of something it depends on",
        at=place(ref, observed.places) or schema.at,
    )
