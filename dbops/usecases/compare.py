"""diff A B: the changes that lead from one schema to another, and the SQL that would make them."""

from __future__ import annotations

from contextlib import suppress

from dbops.catalog.changes import CatalogChange, ChangeSet, diff
from dbops.catalog.declared import as_declared
from dbops.dataclass import dataclass
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import Act, RenderContext
from dbops.errors import NoScratchError, PlanError
from dbops.reconcile.change import Action
from dbops.resources.schema.describe import action, reason
from dbops.usecases.runtime import Workspace
from dbops.usecases.sides import bind, find_side


@dataclass(frozen=True, slots=True)
class Difference:
    """One change in words: `action` is create, update or delete."""

    address: str
    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`changes` lead from `before` to `after`; `acts` are the SQL that would make them, in order."""

    before: str
    after: str
    engine: Engine
    changes: tuple[CatalogChange, ...]
    acts: tuple[Act, ...]

    @property
    def differences(self) -> list[Difference]:
        """The changes in words; what comes or goes with its table is not named besides it."""
        whole = {change.ref for change in self.changes if action(change) != "update" and not change.ref.parent}
        return [
            Difference(str(change.ref), action(change), self._reason(change))
            for change in self.changes
            if not (change.ref.parent and change.ref.table in whole)
        ]

    def _reason(self, change: CatalogChange) -> str:
        match action(change):
            case "create":
                return f"only in {self.after}"
            case "delete":
                return f"only in {self.before}"
            case _:
                return reason(change)


def compare(a: str, b: str, workspace: Workspace | None, *, engine: str | None = None) -> Comparison:
    """Compare two sides, each of them anything that `sides.find_side` understands.

    `engine` is the dialect of sources when neither side has a database.

    Raises:
        PlanError: a side is not understood, nobody names an engine, or the two are of different engines.
    """
    from dbops.resources.schema.wording import in_words_of

    first, second = find_side(a, workspace), find_side(b, workspace)
    before, after = bind(first, second, engine), bind(second, first, engine)
    if before.engine.name != after.engine.name:
        raise PlanError(f"{before.engine.name} and {after.engine.name} cannot be compared", expected="two schemas of one engine")
    start = before.catalog
    with suppress(NoScratchError):  # with nobody to ask what means the same, other words are a difference
        start = in_words_of(after.catalog, start, before.engine, before.target, before.scratch)
    features = before.engine.features
    changes = diff(
        as_declared(start, after.catalog, by_grantee=features.grants_by_grantee),
        after.catalog,
        column_order=features.has_column_order,
        constraint_renames=features.renames_constraints,
    )
    change_set = ChangeSet(start, after.catalog, changes)
    acts = before.engine.render(change_set, RenderContext(before.server)) if changes else []
    return Comparison(before.title, after.title, before.engine, changes, tuple(acts))
