"""What the text of a function body mentions: PostgreSQL reads it when the function is made, and records nothing of it.

All of a body in SQL is looked up then; of one in PL/pgSQL only the types of its variables, in the sections that DECLARE begins
(PostgreSQL manual, 43.3 and check_function_bodies).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, CreateObject, DropObject
from dbops.catalog.model import Routine
from dbops.catalog.ref import Ref

#: Kinds whose names can stand for a type.
_TYPES = frozenset({"table", "view", "materialized_view", "foreign_table", "enum", "domain", "composite_type", "range_type"})
#: Kinds whose names can stand in a query.
_NAMED_IN_QUERIES = _TYPES | {"sequence", "routine"}
_DECLARED = re.compile(r"\bDECLARE\b(.*?)\bBEGIN\b", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r'"((?:[^"]|"")+)"|(\w+)')

Needs = dict[Ref, frozenset[Ref]]


def link_bodies(changes: Sequence[CatalogChange], needs: Needs) -> frozenset[Ref]:
    """Let functions come after what their bodies mention, and return those that cannot, being needed by it themselves."""
    return _link([change for change in changes if not isinstance(change, DropObject)], needs)


def link_bodies_that_go(changes: Sequence[CatalogChange], needs: Needs) -> None:
    """Let functions go before what their bodies mention, so that on the way back they come after it."""
    _link([change for change in changes if isinstance(change, DropObject)], needs)


def _link(changes: Sequence[CatalogChange], needs: Needs) -> frozenset[Ref]:
    functions = [item for change in changes if (item := _checked_routine(change)) is not None]
    if not functions:
        return frozenset()
    places = _places(changes)
    circular: set[Ref] = set()
    for item in functions:
        for ref in sorted(_mentioned(item, places)):
            if _reaches(ref, item.ref, needs):
                circular.add(item.ref)
            else:
                needs[item.ref] = needs.get(item.ref, frozenset()) | {ref}
    return frozenset(circular)


def _checked_routine(change: CatalogChange) -> Routine | None:
    item = change.after if isinstance(change, AlterObject) else None
    item = change.item if isinstance(change, CreateObject | DropObject) else item
    return item if isinstance(item, Routine) and item.language in ("sql", "plpgsql") and not _is_parsed(item) else None


def _is_parsed(item: Routine) -> bool:
    """Tell whether PostgreSQL keeps the body as a parse tree, and so knows itself what it needs."""
    return item.language == "sql" and "\nBEGIN ATOMIC\n" in item.definition


def _places(changes: Sequence[CatalogChange]) -> Mapping[str, list[Ref]]:
    """Return what comes, goes or changes, by its name as a query would write it; columns by the name of their table."""
    found: defaultdict[str, list[Ref]] = defaultdict(list)
    for change in changes:
        ref = change.ref
        if isinstance(change, AddColumn | AlterColumn):
            found[ref.parent].append(ref)
        elif isinstance(change, CreateObject | DropObject | AlterObject) and ref.kind in _NAMED_IN_QUERIES:
            found[ref.name.rpartition("(")[0] or ref.name].append(ref)
    return found


def _mentioned(item: Routine, places: Mapping[str, list[Ref]]) -> Iterator[Ref]:
    is_query = item.language == "sql"
    text = item.definition if is_query else " ".join(_DECLARED.findall(item.definition))
    words = {quoted.replace('""', '"') if quoted else word.lower() for quoted, word in _WORD.findall(text)}
    for word in words & places.keys():
        yield from (ref for ref in places[word] if ref != item.ref and (is_query or ref.table.kind in _TYPES))


def _reaches(start: Ref, goal: Ref, needs: Needs) -> bool:
    seen: set[Ref] = set()
    waiting = [start]
    while waiting:
        ref = waiting.pop()
        if ref == goal:
            return True
        if ref not in seen:
            seen.add(ref)
            waiting.extend(needs.get(ref, ()))
    return False
