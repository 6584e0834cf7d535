"""The Schema kind as the loop sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime

from dbops.catalog import codec
from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import CatalogChange, ChangeSet, RenameColumn, RenameObject
from dbops.catalog.declared import as_declared
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.errors import ApplyError, NoScratchError
from dbops.manifests.environment import Environment, Manifest
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.plan import Entry, Rehearsal
from dbops.reconcile.resource import Check, Targets
from dbops.reconcile.step import Call
from dbops.resources.schema.canonical import CatalogCache, canonical
from dbops.resources.schema.copying import build, run
from dbops.resources.schema.data import ReferenceRows, check_files, reference_rows
from dbops.resources.schema.desired import desired_schemas
from dbops.resources.schema.diff import catalog_changes, schema_changes, to_schema_change
from dbops.resources.schema.last_applied import last_applied, rows_key
from dbops.resources.schema.leniency import left_alone
from dbops.resources.schema.model import DataChange, DesiredSchema, ObservedSchema, SchemaChange
from dbops.resources.schema.remarks import noted_renames
from dbops.resources.schema.renames import sizes_after, wanted_renames
from dbops.resources.schema.sources import places, read_source
from dbops.resources.schema.verdict import Verdict, keep, recall, verdict_key
from dbops.resources.schema.wording import in_words_of


class SchemaResource:
    """Fills `reconcile.resource.Resource` for the kind Schema; `clock` gives the time in UTC."""

    kind = "schema"
    rank = 20

    def __init__(self, cache: CatalogCache, clock: Callable[[], datetime]) -> None:
        self._cache, self._clock = cache, clock

    def desired(self, manifest: Manifest, environment: Environment) -> Sequence[DesiredSchema]:
        return desired_schemas(manifest, environment)

    def check(self, desired: DesiredSchema, targets: Targets) -> Check:
        engine, target = targets.engine(desired.connection), targets.target(desired.connection)
        statements = read_source(desired.source, engine, target)
        tuple(noted_renames(statements, engine.dialect))  # a remark that says nothing is an error
        wanted, untried = None, None
        try:
            with engine.offline(target) as conn:
                engine.load(conn, statements)
                wanted = engine.inspect(conn, declared=True) if desired.data else None
        except NoScratchError as error:
            untried = error.message
        check_files(desired.data, wanted, engine)
        return Check(len(statements), untried)

    def observe(self, desired: DesiredSchema, targets: Targets) -> ObservedSchema:
        engine, reader = targets.engine(desired.connection), targets.reader(desired.connection)
        key = None if reader is None else verdict_key(desired, engine, reader)
        if reader is not None and key is not None and (known := recall(key, self._cache)) is not None:
            return _in_order(desired, reader, known, engine)
        observed = self._read(desired, targets)
        if key is not None and not observed.renames and not self.diff(desired, observed):
            keep(key, Verdict(observed.fingerprints[desired.connection], observed.observations), self._cache)
        return observed

    def _read(self, desired: DesiredSchema, targets: Targets) -> ObservedSchema:
        """Observe without relying on earlier findings."""
        engine, target = targets.engine(desired.connection), targets.target(desired.connection)
        reader = targets.reader(desired.connection)
        live = None if reader is None else engine.inspect(reader, desired.scope)
        statements = read_source(desired.source, engine, target)
        options = live.options if live else ()
        found = canonical(statements, engine, target, reader.server if reader else None, options, desired.scope, self._cache)
        wanted, start = found.catalog, live if live is not None else found.blank or EMPTY
        applied = last_applied(desired, targets.memory(desired.connection)) if reader else None
        asked = (*desired.renames, *noted_renames(statements, engine.dialect))
        renames = wanted_renames(asked, start, wanted, engine.features.default_schema)
        renamed = _renamed(live, renames, wanted, engine, target, desired) if live and renames else start
        rows = reference_rows(desired.data, wanted, live, renames, reader, engine, target, self._cache)
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
            fingerprints={desired.connection: " ".join(marks)},
            has_column_order=engine.features.has_column_order,
            renames_constraints=engine.features.renames_constraints,
            observations=_observations(desired, start, wanted, applied),
            rows=rows,
            applied_rows=_applied_rows(desired, rows, targets) if reader else {},
        )
        changes = catalog_changes(desired, observed, self._clock().date())
        observed = replace(observed, changes=changes)
        return self._asked(desired, observed, changes, reader, engine) if reader and live else observed

    def _asked(
        self,
        desired: DesiredSchema,
        observed: ObservedSchema,
        changes: Sequence[CatalogChange],
        reader: Connection,
        engine: Engine,
    ) -> ObservedSchema:
        """Ask the live rows about the changes, and add what they say."""
        from dbops.resources.schema.evidence import evidence

        answers = evidence(desired.address, changes, observed.renames, observed.live or EMPTY, reader, engine)
        return replace(observed, observations=(*observed.observations, *answers)) if answers else observed

    def diff(self, desired: DesiredSchema, observed: ObservedSchema) -> Sequence[Change]:
        structure = schema_changes(desired, observed, self._clock().date())
        return [*structure, *_row_changes(desired, observed)]

    def steps(
        self, changes: Sequence[Change], desired: DesiredSchema, observed: ObservedSchema, targets: Targets
    ) -> Sequence[Entry]:
        from dbops.resources.schema import steps
        from dbops.resources.schema.data_steps import data_entries

        engine = targets.engine(desired.connection)
        structure = [change for change in changes if isinstance(change, SchemaChange)]
        data = [change for change in changes if isinstance(change, DataChange)]
        found = steps.entries(structure, desired, observed, engine, self._clock())
        last = max((step.order for entry in found for step in entry.steps), default=-1)
        commits_before = bool(found) and not engine.features.has_transactional_ddl
        return [*found, *data_entries(data, desired, observed.desired, engine, last + 1, commits_before=commits_before)]

    def rehearse(
        self, entries: Sequence[Entry], desired: DesiredSchema, observed: ObservedSchema, targets: Targets
    ) -> Rehearsal | None:
        engine, target = targets.engine(desired.connection), targets.target(desired.connection)
        structure = [entry for entry in entries if not isinstance(entry.change, DataChange)]
        if not structure:
            return None
        from dbops.resources.schema import rehearsal

        return rehearsal.rehearse(structure, desired, observed, engine, target, self._clock().date())

    def call(self, call: Call, desired: DesiredSchema, connection: str, targets: Targets, told: Callable[[str], None]) -> int:
        raise ApplyError(f"a schema plans no call {call.name!r}")

    def taking_back(
        self, desired: DesiredSchema, targets: Targets, undo_id: str, addresses: Collection[str]
    ) -> AbstractContextManager[None]:
        from dbops.resources.schema.taking_back import taking_back

        return taking_back(desired, targets, undo_id, addresses)

    def settle(self, desired: DesiredSchema, targets: Targets, apply_id: str) -> Sequence[Change]:
        """Observe anew; what still differs is returned, what is as desired is remembered as applied."""
        observed = self._read(desired, targets)
        today = self._clock().date()
        left = (*observed.renames, *catalog_changes(desired, observed, today))
        if not left and (observed.applied is None or codec.digest(observed.applied) != codec.digest(observed.desired)):
            targets.memory(desired.connection).remember(desired.address, codec.to_json(observed.desired), apply_id)
        surplus = _row_changes(desired, observed)
        for rows in observed.rows:
            if rows.wanted == rows.live and observed.applied_rows.get(rows.table) != rows.digest:
                targets.memory(desired.connection).remember(rows_key(desired, rows.table), rows.digest, apply_id)
        return [*(to_schema_change(change, desired, observed) for change in left), *surplus]


def _row_changes(desired: DesiredSchema, observed: ObservedSchema) -> Sequence[DataChange]:
    """Return what differs in reference rows; what finds it is imported only where there are such rows."""
    if not observed.rows:
        return ()
    from dbops.resources.schema.data_steps import data_changes

    return data_changes(desired, observed.rows, observed.applied_rows)


def _applied_rows(schema: DesiredSchema, found: Sequence[ReferenceRows], targets: Targets) -> Mapping[Ref, str]:
    """Return the digests of the rows that were last applied."""
    memory = targets.memory(schema.connection)
    return {rows.table: digest for rows in found if (digest := memory.recall(rows_key(schema, rows.table))) is not None}


def _in_order(schema: DesiredSchema, reader: Connection, known: Verdict, engine: Engine) -> ObservedSchema:
    """Return the observation of a database that is known to be what its source says."""
    return ObservedSchema(
        connection=schema.connection,
        live=EMPTY,
        renamed=EMPTY,
        desired=EMPTY,
        applied=None,
        renames=(),
        server=reader.server,
        sizes={},
        places={},
        fingerprints={schema.connection: known.digest},
        has_column_order=engine.features.has_column_order,
        renames_constraints=engine.features.renames_constraints,
        observations=known.observations,
    )


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
        build(as_declared(live, wanted), engine, conn)
        acts = engine.render(ChangeSet(live, live, renames), RenderContext(conn.server, online=False))
        run((statement for act in acts for statement in act.do), engine, conn)
        return replace(engine.inspect(conn, schema.scope), unmanaged=live.unmanaged)


def _observations(schema: DesiredSchema, live: Catalog, wanted: Catalog, applied: Catalog | None) -> tuple[Observation, ...]:
    found = [
        Observation(
            f"{schema.address}/{item.kind}/{item.name}", "NOT_MANAGED", f"{item.kind} {item.name} is not managed: {item.reason}"
        )
        for item in live.unmanaged
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
