"""The engine's own reading of an edited source: accepted differences must be gone, and nothing else may have moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from dbops.catalog.changes import diff
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError
from dbops.resources.schema.accept.goal import Goal
from dbops.resources.schema.cache import CatalogCache
from dbops.resources.schema.canonical import canonical
from dbops.resources.schema.describe import reason
from dbops.resources.schema.diff import catalog_changes
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.observed import ObservedSchema
from dbops.sql.splitter import SourceStatement

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Objection:
    """`ref` is None where the source does not even load."""

    text: str
    ref: Ref | None = None


def objections_of(error: DbopsError) -> list[Objection]:
    """Return an error as objections."""
    return [Objection(line) for line in error.explain().splitlines()]


def in_words(objections: Sequence[Objection]) -> str:
    """Return the first objections on one line."""
    told = [one.text for one in objections[:_SHOWN]]
    return "; ".join([*told, *(["..."] if len(objections) > _SHOWN else [])])


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

    def objections(self, statements: Sequence[SourceStatement]) -> list[Objection]:
        """Return what is wrong with an edited source, nothing when it means its goal."""
        observed, order = self.observed, self.observed.has_column_order
        options = observed.live.options if observed.live else ()
        try:
            found = canonical(statements, self.engine, self.target, observed.server, options, self.desired.scope, self.cache)
        except DbopsError as error:
            return objections_of(error)
        left = catalog_changes(self.desired, replace(observed, desired=found.catalog, changes=None), self.today)
        moved = diff(self.goal.before, found.catalog, column_order=order)
        accepted = self.goal.accepted
        still = [change for change in left if change.ref in accepted]
        too = [change for change in moved if change.ref not in accepted]
        return [Objection(f"{change.ref} would still differ: {reason(change)}", change.ref) for change in still] + [
            Objection(f"{change.ref} would change too: {reason(change)}", change.ref) for change in too
        ]
