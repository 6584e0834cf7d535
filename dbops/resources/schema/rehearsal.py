"""The steps run on a scratch copy of the live schema: what comes out must be the desired schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from time import monotonic

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import CatalogChange, diff
from dbops.catalog.declared import as_declared
from dbops.catalog.ref import Ref
from dbops.catalog.scope import Scope
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError, Mark, QueryError, RehearsalError
from dbops.reconcile.plan import Entry, Rehearsal
from dbops.reconcile.step import Call, Step
from dbops.resources.schema.copying import build_copy, make_real, run
from dbops.resources.schema.describe import reason
from dbops.resources.schema.leniency import left_alone, target_catalog
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.observed import ObservedSchema, SchemaChange
from dbops.resources.schema.renames import under_former_names
from dbops.resources.schema.wording import in_words_of
from dbops.sql.splitter import SourceStatement
from dbops.sql.statement import Statement


def rehearse(
    entries: Sequence[Entry], schema: DesiredSchema, observed: ObservedSchema, engine: Engine, target: Target, today: date
) -> Rehearsal | None:
    """Run the steps on a copy of what they touch, depend on and are depended on by, and compare.

    Objects that the plan leaves out (a plan for some addresses only) are not compared. None when the live database holds
    objects that are not managed yet and without which it cannot be copied.

    Raises:
        RehearsalError: a step fails on the copy, or the outcome is not the desired schema.
    """
    started = monotonic()
    by_grantee = engine.features.grants_by_grantee
    declared = observed.desired if by_grantee else under_former_names(observed.desired, observed.live or EMPTY, observed.renames)
    live = as_declared(observed.live or EMPTY, declared, by_grantee=by_grantee)
    wanted = target_catalog(observed.renamed, observed.desired, observed.applied, schema, today)
    stages = [(live, wanted)]
    if observed.live is not None and not observed.renames:
        from dbops.catalog.closure import narrowed

        stages.insert(0, narrowed(_changes(entries), live, wanted))
    for stage in stages:
        try:
            is_run = _rehearse_on(*stage, entries, schema, observed, engine, target, today)
            return Rehearsal(True, monotonic() - started, (schema.connection,)) if is_run else None
        except RehearsalError:
            if stage is stages[-1]:
                raise  # what bodies of routines mention is recorded by nobody: only the whole can tell
    return None


def _rehearse_on(
    live: Catalog,
    wanted: Catalog,
    entries: Sequence[Entry],
    schema: DesiredSchema,
    observed: ObservedSchema,
    engine: Engine,
    target: Target,
    today: date,
) -> bool:
    """Run the steps on a copy of `live` and compare with `wanted`; return False when there can be no copy."""
    steps = sorted((step for entry in entries for step in entry.steps), key=lambda step: step.order)
    outcome = None if live.objects else _in_portions(steps, engine, target, schema.scope)
    if outcome is None:
        with engine.scratch(target) as conn:
            try:
                stood_for = build_copy(live, engine, conn)
            except QueryError as error:
                if live.unmanaged:
                    return False
                raise RehearsalError(
                    f"the live schema cannot be copied for a rehearsal: {error.message}", error.context, fix=_HINT
                ) from error
            _run_steps(steps, engine, conn, {id(step): entry.change.at for entry in entries for step in entry.steps})
            broken = make_real(stood_for, live, engine, conn)
            outcome = engine.inspect(conn, schema.scope)
            outcome = replace(outcome, objects={**outcome.objects, **{ref: live.objects[ref] for ref in broken}})
    outcome = in_words_of(wanted, outcome, engine, target)
    if differences := _differences(outcome, wanted, entries, schema, observed, today, engine):
        remaining = "\n".join(f"  {change.ref}: {reason(change)}" for change in differences)
        if all(_is_left_alone(change.ref, schema, observed) for change in differences):
            raise RehearsalError(
                f"what the policy of {schema.address} leaves alone does not stay as it is:\n{remaining}",
                at=schema.at,
                expected="changes that nothing outside of the source depends on",
                fix="say in the source what it is to be, or drop it by hand",
            )
        raise RehearsalError(
            f"the steps do not lead to the desired schema; on a scratch copy there remain:\n{remaining}", fix=_HINT
        )
    return True


def _in_portions(steps: Sequence[Step], engine: Engine, target: Target, scope: Scope) -> Catalog | None:
    """Return what steps make of nothing where one scratch need not hold it all; None where one must."""
    statements = [statement for step in steps if not isinstance(step.do, Call) for statement in step.do]
    if not 0 < engine.features.portion < len(statements) or any(statement.parameters for statement in statements):
        return None
    from dbops.resources.schema.loading import in_portions
    from dbops.resources.schema.partial import Source

    def made(portion: Sequence[SourceStatement]) -> Catalog:
        with engine.scratch(target) as conn:
            run((Statement(statement.text) for statement in portion), engine, conn)
            return engine.inspect(conn, scope)

    try:
        return in_portions(Source([SourceStatement(one.sql, Mark("")) for one in statements], engine.features), engine, made)
    except QueryError:  # it needs what stands in another portion, or else the whole will tell which step is wrong
        return None


_HINT = "this is a fault of dbops, please report it; --no-rehearse plans without the rehearsal"


def _fix_of_body(setting: str) -> str:
    as_it_is = f"; or, where it is meant so, write SET {setting} = off before it in its file" if setting else ""
    return f"mend its body in the source: it names what is not there{as_it_is}"


def _run_steps(steps: Sequence[Step], engine: Engine, conn: Connection, places: Mapping[int, Mark | None]) -> None:
    """`places` are those of the changes that steps carry out, by the steps' ids.

    Bodies of routines are taken from a source also where they name what it has not, as databases have such.
    """
    for step in steps:
        if isinstance(step.do, Call):
            continue
        try:
            run(step.do, engine, conn)
        except DbopsError as error:
            told = f"; {detail}" if (detail := error.context.get("detail")) else ""  # no rows are there that it could quote
            is_body = step.title.startswith(("create routine", "alter routine"))
            raise RehearsalError(
                f"{step.title}: fails on a scratch copy: {error.message}{told}",
                error.context,
                at=places.get(id(step)) if is_body else None,
                fix=error.fix or (_fix_of_body(engine.features.body_checks) if is_body else _HINT),
            ) from error


def _changes(entries: Sequence[Entry]) -> list[CatalogChange]:
    """Return what entries are about; what is made again around a change depends on it, and is found that way."""
    return [entry.change.change for entry in entries if isinstance(entry.change, SchemaChange)]


def _untouched(
    entries: Sequence[Entry], schema: DesiredSchema, observed: ObservedSchema, today: date, engine: Engine
) -> set[Ref]:
    """Return the refs that differ and that this plan leaves alone."""
    from dbops.resources.schema.diff import schema_changes

    planned = {entry.change.address for entry in entries}
    changes = schema_changes(schema, observed, today)
    left = {change.change.ref for change in changes if change.address not in planned}
    tables = {change.change.ref for change in changes if change.address in planned}
    return {ref for ref in left if ref.table not in tables}


def _differences(
    outcome: Catalog,
    wanted: Catalog,
    entries: Sequence[Entry],
    schema: DesiredSchema,
    observed: ObservedSchema,
    today: date,
    engine: Engine,
) -> list[CatalogChange]:
    outcome = as_declared(outcome, wanted, by_grantee=engine.features.grants_by_grantee)
    found = diff(outcome, wanted, column_order=engine.features.has_column_order)
    untouched = _untouched(entries, schema, observed, today, engine) if found else set()
    return [change for change in found if change.ref not in untouched]


def _is_left_alone(ref: Ref, schema: DesiredSchema, observed: ObservedSchema) -> bool:
    """Tell whether an object, or the table it belongs to, is one that the policy lets live though no source names it."""
    if schema.unmanaged.drops_all or observed.live is None:
        return False
    alone = left_alone(observed.live, observed.desired, observed.applied, schema.unmanaged)
    return any(alone.get(part, "drop") != "drop" for part in (ref, ref.table))
