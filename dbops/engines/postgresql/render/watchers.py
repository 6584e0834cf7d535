"""Event triggers that change: the rest of a plan runs neither under what they were nor under what they are to be.

One that stays as it is goes on watching, and may log or refuse what a plan does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dbops.catalog.changes import AlterObject, CatalogChange, CreateObject, DropObject
from dbops.catalog.model import Defined, Routine
from dbops.engines.postgresql.render.graph import Graph


def watchers_apart(found: Sequence[CatalogChange], before: Graph) -> Iterator[CatalogChange]:
    """Let event triggers go first and come last that change, or whose function does with something that it mentions."""
    touched = {change.ref.parent or change.ref.name for change in found}
    called = {change.ref for change in found if isinstance(change, AlterObject) and _mentions(change, touched)}
    named = {change.ref for change in found}
    for change in found:
        match change:
            case AlterObject(Defined(what="event_trigger") as old, Defined() as new) if _acts_otherwise(old, new):
                yield from (DropObject(old), CreateObject(new))
            case _:
                yield change
    for ref, item in before.objects.items() if called else ():
        is_watching = isinstance(item, Defined) and item.what == "event_trigger" and ref not in named
        if is_watching and before.needs.get(ref, frozenset()) & called:
            yield from (DropObject(item), CreateObject(item))


def _acts_otherwise(old: Defined, new: Defined) -> bool:
    return (old.definition, old.options) != (new.definition, new.options)


def _mentions(change: AlterObject, names: set[str]) -> bool:
    """Tell whether the text of a function for event triggers, old or new, has one of the names in it."""
    texts = [item.definition for item in (change.before, change.after) if isinstance(item, Routine)]
    words = {word for text in texts if "RETURNS event_trigger" in text for word in re.findall(r"\w+", text)}
    return not words.isdisjoint(names)
