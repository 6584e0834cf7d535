"""Which views and triggers know a column by the name under which a view, a subquery or a WITH clause hands it on.

ALTER TABLE RENAME COLUMN writes the new name wherever the column itself is named. What was handed on has the new name, too, then,
and who asks for it by the old one does not compile any more: SQLite refuses the rename ("error in view v after rename"). So it
is with a join by USING.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import RenameColumn, RenameObject, column_ref
from dbops.catalog.model import Trigger, View
from dbops.catalog.ref import Ref
from dbops.engines.sqlite.tokens import tokenize


def broken_by(renames: Sequence[RenameObject | RenameColumn], before: Catalog) -> set[Ref]:
    """Return the views and triggers that a rename of these columns would break, and what stands on them.

    What uses a view by the name that it gives up does not compile from then on, and no table or column is renamed beside it.
    """
    old_names = {change.after: change.before for change in renames if isinstance(change, RenameObject)}
    code = [item for item in before if isinstance(item, View | Trigger)]
    found: set[Ref] = set()
    for change in renames:
        if isinstance(change, RenameColumn):
            found |= _broken(code, column_ref(old_names.get(change.table, change.table), change.before), before)
    views = {change.before for change in renames if isinstance(change, RenameObject) and change.before.kind == "view"}
    if len(views) < len(renames):
        found |= _with_users(code, set(views), before) - views
    return _with_users(code, found, before)


def _broken(code: Iterable[View | Trigger], column: Ref, before: Catalog) -> set[Ref]:
    broken: set[Ref] = set()
    sources = {column}
    while True:
        handing = {
            column_ref(item.ref, column.name) for item in code if isinstance(item, View) and _needs(item, before) & sources
        }
        for item in code:
            needs = _needs(item, before)
            is_through_view = bool(needs & (sources - {column})) or (_is_of_view(item, handing) and _names(item, column.name))
            is_within = bool(needs & sources) and _hands_on_within(item)
            if is_through_view or is_within or (column.table in needs and _joins_by(item, column.name)):
                broken.add(item.ref)
        if handing <= sources:
            return broken
        sources |= handing


def _needs(item: View | Trigger, before: Catalog) -> frozenset[Ref]:
    return before.dependencies.get(item.ref, frozenset())


def _is_of_view(item: View | Trigger, handing: set[Ref]) -> bool:
    return isinstance(item, Trigger) and any(item.parent.lower() == ref.parent.lower() for ref in handing)


def _names(item: View | Trigger, name: str) -> bool:
    return any(token.is_name and token.name.lower() == name.lower() for token in tokenize(item.definition))


def _hands_on_within(item: View | Trigger) -> bool:
    """Tell whether it selects from a query of its own."""
    words = ["", *(token.word or token.text for token in tokenize(item.definition))]
    within = zip(words, words[1:], words[2:], strict=False)
    return "WITH" in words or any(b == "(" and c in ("SELECT", "VALUES") and a in ("FROM", "JOIN", ",") for a, b, c in within)


def _joins_by(item: View | Trigger, name: str) -> bool:
    """Tell whether it joins tables by columns of this name, of which one alone is renamed; SQLite tells of no such use."""
    return "USING" in {token.word for token in tokenize(item.definition)} and _names(item, name)


def _with_users(code: Sequence[View | Trigger], found: set[Ref], before: Catalog) -> set[Ref]:
    while True:
        views = {ref for ref in found if ref.kind == "view"}
        names = {ref.name.lower() for ref in views}
        more = {
            item.ref
            for item in code
            if (isinstance(item, Trigger) and item.parent.lower() in names)
            or any(need in views or (need.kind == "column" and need.parent.lower() in names) for need in _needs(item, before))
        }
        if more <= found:
            return found
        found |= more
