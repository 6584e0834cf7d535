"""Names in the bodies of routines: what a database does not track, because it reads a body only when it runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dbops.catalog.changes import CatalogChange, DropColumn, DropObject, RenameColumn, RenameObject
from dbops.catalog.model import Event, Routine, Trigger
from dbops.catalog.ref import Ref

_WORD = re.compile(r"[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*")
_NAMED = ("table", "view", "materialized_view", "sequence", "routine", "foreign_table")

Body = Routine | Trigger | Event


class Bodies:
    """The words of many bodies, gathered once."""

    def __init__(self, items: Iterable[Body]) -> None:
        self._words = {item.ref: frozenset(word.lower() for word in _WORD.findall(item.definition)) for item in items}

    def naming(self, *names: str) -> list[Ref]:
        """Return the bodies in which all of these names stand."""
        wanted = {name.lower() for name in names}
        return [ref for ref, words in self._words.items() if wanted <= words]


def lost_names(change: CatalogChange) -> Iterator[tuple[Ref, tuple[str, ...]]]:
    """Yield what no longer goes by its name after a change, and the names a body that uses it holds."""
    match change:
        case DropObject(item) if item.kind in _NAMED:
            yield item.ref, (_own_name(item.ref),)
        case DropColumn(table, column):
            yield change.ref, (table.name, column.name)
        case RenameObject(before, _) if before.kind in _NAMED:
            yield before, (_own_name(before),)
        case RenameColumn(table, old, _):
            yield Ref("column", table.schema, old, table.name), (table.name, old)
        case _:
            pass


def _own_name(ref: Ref) -> str:
    """A routine's name without its arguments."""
    return ref.name.partition("(")[0]
