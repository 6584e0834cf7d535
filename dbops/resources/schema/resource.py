"""The Schema kind as the loop sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dbops.errors import ApplyError
from dbops.reconcile.resource import Check
from dbops.resources.schema.desired import desired_schemas
from dbops.resources.schema.verdict import InOrder, circumstances, keep, recall

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dbops.manifests.environment import Environment, Manifest
    from dbops.reconcile.change import Change
    from dbops.reconcile.plan import Entry, Rehearsal
    from dbops.reconcile.resource import Report, Targets
    from dbops.reconcile.step import Call
    from dbops.resources.schema.cache import CatalogCache
    from dbops.resources.schema.model import DesiredSchema
    from dbops.resources.schema.observed import ObservedSchema


class SchemaResource:
    """Fills `reconcile.resource.Resource` for the kind Schema; `clock` gives the time in UTC.

    A plan without changes ends at a finding of an earlier one: all that reads and compares catalogs is imported where it is used.
    """

    kind = "schema"
    rank = 20

    def __init__(self, cache: CatalogCache, clock: Callable[[], datetime]) -> None:
        self._cache, self._clock = cache, clock

    def desired(self, manifest: Manifest, environment: Environment) -> Sequence[DesiredSchema]:
        return desired_schemas(manifest, environment)

    def check(self, desired: DesiredSchema, targets: Targets) -> Check:
        from dbops.resources.schema.checking import check

        return check(desired, targets)

    def observe(self, desired: DesiredSchema, targets: Targets) -> ObservedSchema | InOrder:
        engine, reader = targets.engine(desired.connection), targets.reader(desired.connection)
        around = None if reader is None else circumstances(desired, reader)
        fingerprint = ""
        if reader is not None and around is not None:
            known, fingerprint = recall(around, desired.connection, engine, reader, self._cache)
            if known is not None:
                return known
        observed = self.read_anew(desired, targets)
        is_in_order = not observed.renames and not self.diff(desired, observed)
        if is_in_order and reader is not None and around is not None and engine.fingerprint(reader) == fingerprint:
            keep(around, fingerprint, InOrder(observed.fingerprints, observed.observations), self._cache)
        return observed

    def read_anew(self, desired: DesiredSchema, targets: Targets) -> ObservedSchema:
        """Observe without relying on earlier findings."""
        from dbops.resources.schema.observing import observe

        return observe(desired, targets, self._cache, self._clock().date())

    def diff(self, desired: DesiredSchema, observed: ObservedSchema | InOrder) -> Sequence[Change]:
        if isinstance(observed, InOrder):
            return ()
        from dbops.resources.schema.diff import schema_changes
        from dbops.resources.schema.observing import row_changes

        structure = schema_changes(desired, observed, self._clock().date())
        return [*structure, *row_changes(desired, observed)]

    def steps(
        self,
        changes: Sequence[Change],
        desired: DesiredSchema,
        observed: ObservedSchema | InOrder,
        targets: Targets,
        *,
        archives: bool = True,
    ) -> Sequence[Entry]:
        """Render the changes as the protocol says; without `archives`, rows that go are not copied before they do."""
        if isinstance(observed, InOrder):
            return ()
        from dbops.resources.schema import steps
        from dbops.resources.schema.observed import DataChange, SchemaChange

        engine = targets.engine(desired.connection)
        structure = [change for change in changes if isinstance(change, SchemaChange)]
        data = [change for change in changes if isinstance(change, DataChange)]
        return steps.entries(structure, data, desired, observed, engine, self._clock(), archives=archives)

    def rehearse(
        self, entries: Sequence[Entry], desired: DesiredSchema, observed: ObservedSchema | InOrder, targets: Targets
    ) -> Rehearsal | None:
        if isinstance(observed, InOrder):
            return None
        from dbops.resources.schema import rehearsal
        from dbops.resources.schema.observed import DataChange

        engine, target = targets.engine(desired.connection), targets.target(desired.connection)
        structure = [entry for entry in entries if not isinstance(entry.change, DataChange)]
        return rehearsal.rehearse(structure, desired, observed, engine, target, self._clock().date()) if structure else None

    def call(self, call: Call, desired: DesiredSchema, connection: str, targets: Targets, report: Report) -> int:
        raise ApplyError(f"a schema plans no call {call.name!r}")

    def taking_back(
        self, desired: DesiredSchema, targets: Targets, undo_id: str, addresses: Collection[str]
    ) -> AbstractContextManager[None]:
        from dbops.resources.schema.taking_back import taking_back

        return taking_back(desired, targets, undo_id, addresses)

    def settle(self, desired: DesiredSchema, targets: Targets, apply_id: str) -> Sequence[Change]:
        """Observe anew; what still differs is returned, what is as desired is remembered as applied."""
        from dbops.resources.schema.observing import settle

        return settle(desired, targets, self._cache, self._clock().date(), apply_id)
