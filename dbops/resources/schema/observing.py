"""What a Schema manifest finds: the live catalog, the canonical one of its source, what was last applied, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from dbops.catalog import codec
from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import CatalogChange, ChangeSet, RenameColumn, RenameObject
from dbops.catalog.declared import as_declared
from dbops.catalog.model import UNREADABLE_GRANTS
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.errors import PlanError
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.resource import Targets
from dbops.resources.schema.cache import CatalogCache
from dbops.resources.schema.canonical import canonical
from dbops.resources.schema.copying import build_copy, run
from dbops.resources.schema.data import ReferenceRows, reference_rows
from dbops.resources.schema.diff import catalog_changes, to_schema_change
from dbops.resources.schema.last_applied import last_applied, rows_key
from dbops.resources.schema.leniency import left_alone
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.observed import DataChange, ObservedSchema
from dbops.resources.schema.remarks import noted_renames
from dbops.resources.schema.renames import as_it_stands, renamed_parts, respelled, sizes_after, wanted_renames
from dbops.resources.schema.sources import places, read_source, rows_passed_over, unchecked_routines
from dbops.resources.schema.wording import in_words_of
from dbops.sql.splitter import SourceStatement


def observe(desired: DesiredSchema, targets: Targets, cache: CatalogCache, today: date) -> ObservedSchema:
    """Return the live database, the source and what was last applied side by side, without relying on earlier findings."""
    engine, target = targets.engine(desired.connection), targets.target(desired.connection)
    reader = targets.reader(desired.connection)
    live = None if reader is None else engine.inspect(reader, desired.scope)
    statements = read_source(desired.source, engine, target)
    options = live.options if live else ()
    found = canonical(statements, engine, target, reader.server if reader else None, options, desired.scope, cache)
    wanted, start = found.catalog, live if live is not None else found.blank or EMPTY
    _insist_on_grants(desired, start, wanted)
    applied = last_applied(desired, targets.memory(desired.connection)) if reader else None
    asked = (*desired.renames, *noted_renames(statements, engine.dialect))
    renames = wanted_renames(asked, start, wanted, engine.features)
    if engine.features.respelled:
        renames = (*renames, *respelled(engine.features.respelled, start, wanted, renames))
    renamed = _renamed(live, renames, wanted, engine, target, desired) if live and renames else start
    if live and engine.features.renames_parts and (parts := renamed_parts(as_declared(renamed, wanted), wanted)):
        renames, renamed = (*renames, *parts), _renamed(renamed, parts, wanted, engine, target, desired)
    rows = reference_rows(desired.data, wanted, live, renames, reader, engine, target, cache)
    marks = [codec.digest(live) if live else "missing", codec.digest(wanted)]
    marks += [mark for item in rows for mark in (item.live_digest, item.digest)]
    observed = ObservedSchema(
        connection=desired.connection,
        live=live,
        renamed=in_words_of(wanted, renamed, engine, target) if live and live != wanted else renamed,
        desired=wanted,
        applied=applied,
        renames=renames,
        server=found.server,
        sizes=sizes_after(engine.sizes(reader), renames) if reader and live != wanted else {},
        places=places(statements, engine.dialect),
        unchecked=unchecked_routines(statements, engine.features.body_checks),
        fingerprints={desired.connection: " ".join(marks)},
        has_column_order=engine.features.has_column_order,
        renames_constraints=engine.features.renames_constraints,
        grants_by_grantee=engine.features.grants_by_grantee,
        observations=(*_observations(desired, renamed, wanted, applied), *_passed_over(desired, statements)),
        rows=rows,
        applied_rows=_applied_rows(desired, rows, targets) if reader else {},
    )
    changes = catalog_changes(desired, observed, today)
    observed = replace(observed, changes=changes)
    return _asked(desired, observed, changes, reader, engine) if observed.rows or (reader and live) else observed


def _asked(
    desired: DesiredSchema,
    observed: ObservedSchema,
    changes: Sequence[CatalogChange],
    reader: Connection | None,
    engine: Engine,
) -> ObservedSchema:
    """Ask the live rows, and the server, about the changes, and add what they say."""
    from dbops.resources.schema.evidence import evidence
    from dbops.resources.schema.rows_to_be import GivenRows

    given = GivenRows({rows.table: rows for rows in observed.rows}, observed.desired)
    found = evidence(desired.address, changes, observed.renamed, observed.renames, given, reader, engine)
    answers = [*observed.observations, *found.observations]
    if reader and (shortage := engine.lock_shortage(reader, changes)) is not None:
        answers.append(Observation(desired.address, "LOCK_TABLE_FULL", shortage, "warning"))
    return replace(observed, observations=tuple(answers), followers=found.followers)


def settle(desired: DesiredSchema, targets: Targets, cache: CatalogCache, today: date, apply_id: str) -> Sequence[Change]:
    """Observe anew; what still differs is returned, what is as desired is remembered as applied."""
    observed = observe(desired, targets, cache, today)
    left = (*observed.renames, *catalog_changes(desired, observed, today))
    if not left and (observed.applied is None or codec.digest(observed.applied) != codec.digest(observed.desired)):
        targets.memory(desired.connection).remember(desired.address, codec.to_json(observed.desired), apply_id)
    surplus = row_changes(desired, observed)
    for rows in observed.rows:
        if rows.wanted == rows.live and observed.applied_rows.get(rows.table) != rows.digest:
            targets.memory(desired.connection).remember(rows_key(desired, rows.table), rows.digest, apply_id)
    return [*(to_schema_change(change, desired, observed) for change in left), *surplus]


def row_changes(desired: DesiredSchema, observed: ObservedSchema) -> Sequence[DataChange]:
    """Return what differs in reference rows; what finds it is imported only where there are such rows."""
    if not observed.rows:
        return ()
    from dbops.resources.schema.data_steps import data_changes

    return data_changes(desired, observed.rows, observed.applied_rows)


def _applied_rows(schema: DesiredSchema, found: Sequence[ReferenceRows], targets: Targets) -> Mapping[Ref, str]:
    """Return the digests of the rows that were last applied."""
    memory = targets.memory(schema.connection)
    return {rows.table: digest for rows in found if (digest := memory.recall(rows_key(schema, rows.table))) is not None}


def _renamed(
    live: Catalog,
    renames: tuple[RenameObject | RenameColumn, ...],
    wanted: Catalog,
    engine: Engine,
    target: Target,
    schema: DesiredSchema,
) -> Catalog:
    """Let the engine rename on a scratch copy: it knows which views, checks and defaults follow a new name."""
    with engine.scratch(target) as conn:
        stood_for = build_copy(as_declared(live, wanted), engine, conn)
        acts = engine.render(ChangeSet(live, live, renames), RenderContext(conn.server, online=False))
        run((statement for act in acts for statement in act.do), engine, conn)
        found = engine.inspect(conn, schema.scope)
    followed = () if engine.features.grants_by_grantee else renames
    kept = {ref: live.objects[ref] for ref in stood_for if ref in found.objects}
    objects = {ref: as_it_stands(item, live, renames, followed) for ref, item in found.objects.items()} | kept
    return replace(found, objects=objects, unmanaged=live.unmanaged)


def _insist_on_grants(schema: DesiredSchema, live: Catalog, wanted: Catalog) -> None:
    """Refuse to compare grants that cannot be read.

    Raises:
        PlanError: the source names some.
    """
    for item in live.unmanaged:
        if item.kind == UNREADABLE_GRANTS and any(one.grants for one in wanted):
            raise PlanError(f"the source of {schema.address} names grants, and {item.reason}", at=schema.at)


def _passed_over(schema: DesiredSchema, statements: Sequence[SourceStatement]) -> Iterator[Observation]:
    if found := rows_passed_over(statements):
        yield Observation(schema.address, "ROWS_IN_SOURCE", found)


def _observations(schema: DesiredSchema, live: Catalog, wanted: Catalog, applied: Catalog | None) -> tuple[Observation, ...]:
    found = [
        Observation(
            f"{schema.address}/{item.kind}/{item.name}", "NOT_MANAGED", f"{item.kind} {item.name} is not managed: {item.reason}"
        )
        for item in live.unmanaged
        if item.kind != UNREADABLE_GRANTS
    ]
    if not schema.unmanaged.drops_all:
        found += [
            Observation(
                f"{schema.address}/{ref}", "NOT_IN_SOURCE", f"{ref.kind} {ref.qualified} is not in the source and left alone"
            )
            for ref, word in left_alone(live, wanted, applied, schema.unmanaged).items()
            if word == "report" and (not ref.parent or ref.table not in live.objects or ref.table in wanted.objects)
        ]
    return tuple(found)
