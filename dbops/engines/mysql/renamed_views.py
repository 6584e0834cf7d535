"""Which views speak of what a plan renames: the server leaves their text alone, so it is valid under the old names only."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import RenameColumn, RenameObject
from dbops.catalog.model import View
from dbops.catalog.ref import Ref
from dbops.engines.mysql.connect import quoted


def views_over(renames: Sequence[RenameObject | RenameColumn], catalog: Catalog) -> frozenset[Ref]:
    """Return the views that the undo of the renames makes again, and those over them, before or after the renames.

    What else undoes changes of these views must not make them: it runs while the old names are not there yet.
    """
    old = {change.after: change.before for change in renames if isinstance(change, RenameObject)}
    names = {change.before if isinstance(change, RenameColumn) else change.before.name for change in renames}
    left = dict.fromkeys(catalog.all(View))
    found: list[Ref] = []
    while more := [view for view in left if any(quoted(name) in view.definition for name in names)]:
        for view in more:
            del left[view]
            found.append(view.ref)
            names.add(old.get(view.ref, view.ref).name)
    return frozenset(found)
