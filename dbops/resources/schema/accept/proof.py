"""The engine's own reading of an edited source: accepted differences must be gone, and nothing else may have moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from dbops.catalog.changes import diff
from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError
from dbops.resources.schema.accept.goal import Goal
from dbops.resources.schema.canonical import CatalogCache, canonical
from dbops.resources.schema.describe import reason
from dbops.resources.schema.diff import catalog_changes
from dbops.resources.schema.model import DesiredSchema, ObservedSchema
from dbops.sql.splitter import SourceStatement


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges edited sources of one schema; each judgement loads a scratch database."""

    desired: DesiredSchema
    observed: ObservedSchema
    goal: Goal
    engine: Engine
    target: Target
    cache: CatalogCache
    today: date

    def objections(self, statements: Sequence[SourceStatement]) -> list[str]:
        """Return what is wrong with an edited source, nothing when it means its goal."""
        observed, order = self.observed, self.observed.has_column_order
        options = observed.live.options if observed.live else ()
        try:
            found = canonical(statements, self.engine, self.target, observed.server, options, self.desired.scope, self.cache)
        except DbopsError as error:
            return error.explain().splitlines()
        left = catalog_changes(self.desired, replace(observed, desired=found.catalog), self.today, order)
        moved = diff(self.goal.before, found.catalog, column_order=order)
        accepted = self.goal.accepted
        return [f"{change.ref} would still differ: {reason(change)}" for change in left if change.ref in accepted] + [
            f"{change.ref} would change too: {reason(change)}" for change in moved if change.ref not in accepted
        ]
