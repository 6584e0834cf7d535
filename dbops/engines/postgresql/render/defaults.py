"""Defaults that cannot be set when their table or column is made or changed, because of the functions that they call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dbops.catalog.changes import AlterColumn, CatalogChange, CreateObject, DropObject, column_ref
from dbops.catalog.model import Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.graph import OF_DEFAULTS, Graph
from dbops.engines.postgresql.render.parts import ColumnDefault
from dbops.engines.postgresql.render.renewal import made_again


def cyclic_defaults_apart(found: list[CatalogChange], before: Graph, after: Graph) -> list[CatalogChange]:
    """A default that calls a function which needs the table itself comes after both, and goes before both."""
    result: list[CatalogChange] = []
    for change in found:
        if isinstance(change, CreateObject) and isinstance(change.item, Table):
            result.extend(_apart(change.item, after, CreateObject))
        elif isinstance(change, DropObject) and isinstance(change.item, Table):
            result += _drops_apart(change, before)
        else:
            result.append(change)
    return result


def defaults_apart(found: list[CatalogChange], before: Graph, after: Graph) -> Iterator[CatalogChange]:
    """A default goes before its column changes, and comes after, where a function of one calls what concerns the other.

    What the old one's function calls, and the new one too, cannot be made again while that is there, nor can that go while the
    column has the old default. An old one's function that is made again, and which the new one's function calls, cannot either.
    """
    again = made_again(found, before)
    for change in found:
        ref = Ref("default", *change.ref[1:]) if isinstance(change, AlterColumn) else change.ref
        sides = [(graph, graph.objects.get(ref), graph.needs.get(ref, frozenset())) for graph in (before, after)]
        (_, old, given_up), (_, new, taken) = sides
        if not (isinstance(change, AlterColumn) and isinstance(old, ColumnDefault) and isinstance(new, ColumnDefault)):
            continue
        functions = [need for need in given_up - taken if need.kind in OF_DEFAULTS]
        others = [need for need in taken if need.kind in OF_DEFAULTS]
        if any(
            _reaches(function, other, before) or (function in again and _reaches(other, function, after))
            for function in functions
            for other in others
        ):
            yield from (DropObject(old), CreateObject(new))
            for graph, _, needs in sides:
                called = [need for need in needs if need.kind in OF_DEFAULTS]
                graph.unlink(change.ref, *called)
                graph.unlink(change.table, *called)


def _drops_apart(change: DropObject, before: Graph) -> list[CatalogChange]:
    table = before.objects.get(change.ref)
    cyclic = _cyclic_defaults(table, before) if isinstance(table, Table) else []
    if not cyclic or not isinstance(table, Table):
        return [change]
    plain = _without_defaults(table, cyclic)
    before.objects[plain.ref] = plain
    _forget(plain, cyclic, before)
    return [*(DropObject(default) for default in cyclic), DropObject(plain)]


def _apart(table: Table, graph: Graph, make: type[CreateObject]) -> list[CatalogChange]:
    cyclic = _cyclic_defaults(table, graph)
    if not cyclic:
        return [make(table)]
    _forget(table, cyclic, graph)
    return [make(_without_defaults(table, cyclic)), *(make(default) for default in cyclic)]


def _without_defaults(table: Table, defaults: list[ColumnDefault]) -> Table:
    names = {default.name for default in defaults}
    return replace(table, columns=tuple(replace(c, default=None) if c.name in names else c for c in table.columns))


def _cyclic_defaults(table: Table, graph: Graph) -> list[ColumnDefault]:
    names = [column.name for column in table.columns if column.default is not None]
    defaults = (graph.objects.get(Ref("default", table.schema, name, table.name)) for name in names)
    return [default for default in defaults if isinstance(default, ColumnDefault) and _reaches(default.ref, table.ref, graph)]


def _reaches(start: Ref, goal: Ref, graph: Graph) -> bool:
    seen: set[Ref] = set()
    waiting = [need for need in graph.needs.get(start, ()) if need.kind in OF_DEFAULTS]
    while waiting:
        ref = waiting.pop()
        if ref == goal or ref.table == goal:
            return True
        if ref not in seen:
            seen.add(ref)
            waiting.extend(graph.needs.get(ref, ()))
    return False


def _forget(table: Table, defaults: list[ColumnDefault], graph: Graph) -> None:
    """The table no longer needs what only its cyclic defaults need."""
    for default in defaults:
        needs = graph.needs.get(default.ref, frozenset())
        graph.unlink(table.ref, *needs)
        graph.unlink(column_ref(table.ref, default.name), *needs)
