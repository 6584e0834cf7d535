"""Sequences and the numbers of identity columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbops.catalog.model import Sequence, SequenceOptions, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.names import named, quote
from dbops.engines.postgresql.render.numbers import bounds, counts, go_on_sequence
from dbops.engines.postgresql.render.scene import Scene, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement


def create(item: Sequence, *, is_owned_now: bool, scene: Scene, before: Iterable[Ref] = ()) -> Iterator[Statement]:
    """Yield CREATE SEQUENCE; `is_owned_now` says whether its column exists already, `before` what numbered that so far."""
    unlogged = "UNLOGGED " if item.persistence == "unlogged" else ""
    clauses = creation_clauses(item.numbers)
    yield Statement(" ".join([f"CREATE {unlogged}SEQUENCE {named(item.ref)}", *clauses]))
    if item.owned_by and is_owned_now:
        yield from join_new(item, scene)
        if _counts(item.owned_by, scene):
            yield go_on_sequence(item, item.owned_by, before=before)


def release(item: Sequence) -> Statement:
    """Return the statement that lets a sequence outlive its column."""
    return Statement(f"ALTER SEQUENCE {named(item.ref)} OWNED BY NONE")


def join_new(item: Sequence, scene: Scene) -> Iterator[Statement]:
    """Yield what gives a sequence that was just made, and is the connection's own, to a column of a table that is there."""
    yield from join(replace(item, owner=None), scene)


def join(item: Sequence, scene: Scene) -> Iterator[Statement]:
    """Yield what gives a sequence to a column of a table that is there: they must have one owner (ALTER SEQUENCE)."""
    table = scene.before.objects.get(item.owned_by.table) if item.owned_by else None
    if table is not None and not scene.is_way_back and (changed := scene.after.objects.get(table.ref)) and changed.owner:
        table = changed
    there = scene.before.objects.get(item.ref)
    owner = (there.owner if there else None) or item.owner or scene.context.server.user
    if table is not None and table.owner not in (None, owner):
        yield Statement(f"ALTER SEQUENCE {named(item.ref)} OWNER TO {quote(table.owner or '')}")
    yield own(item)


def own(item: Sequence) -> Statement:
    """Return the statement that gives a sequence to its column, or to nobody."""
    owner = "NONE" if item.owned_by is None else f"{_table(item.owned_by)}.{quote(item.owned_by.name)}"
    return Statement(f"ALTER SEQUENCE {named(item.ref)} OWNED BY {owner}")


def _table(column: Ref) -> str:
    return named(Ref("table", column.schema, column.parent))


def _counts(column: Ref, scene: Scene) -> bool:
    """Tell whether the column, as it stands, can hold numbers already."""
    table = scene.before.objects.get(column.table)
    found = table.column(column.name) if isinstance(table, Table) else None
    return found is not None and counts(found)


def drop(item: Sequence, *, is_gone_maybe: bool = False) -> Iterator[Statement]:
    """Yield DROP SEQUENCE; `is_gone_maybe` when the column that owned it may have taken it along."""
    found = Hazard("DELETES_OBJECT", f"sequence {item.ref.qualified} and the place it counted to are dropped")
    yield statement(f"DROP SEQUENCE {'IF EXISTS ' if is_gone_maybe else ''}{named(item.ref)}", found)


def alter(before: Sequence, after: Sequence, scene: Scene) -> Iterator[Statement]:
    name = named(after.ref)
    if before.persistence != after.persistence:
        yield Statement(f"ALTER SEQUENCE {name} SET {'UNLOGGED' if after.persistence == 'unlogged' else 'LOGGED'}")
    if clauses := numbers_clauses(after.numbers, before.numbers):
        risky = before.numbers.data_type != after.numbers.data_type or "RESTART" in clauses
        found = [Hazard("SEQUENCE_RISK", f"sequence {after.ref.qualified}: {', '.join(clauses)}")] if risky else []
        yield statement(" ".join([f"ALTER SEQUENCE {name}", *clauses]), *found)
    if before.owned_by != after.owned_by:
        yield from join(replace(after, owner=before.owner), scene)
        yield from _leave(before, after, scene)


def _leave(before: Sequence, after: Sequence, scene: Scene) -> Iterator[Statement]:
    """Yield what gives a sequence back to the owner it had, when it went to its table's only to belong to a column."""
    if not scene.is_way_back or before.owned_by is None or after.owned_by is not None:
        return
    had, table = scene.after.objects.get(after.ref), scene.after.objects.get(before.owned_by.table)
    if had is not None and had.owner is not None and table is not None and table.owner != had.owner:
        yield Statement(f"ALTER SEQUENCE {named(after.ref)} OWNER TO {quote(had.owner)}")


def creation_clauses(numbers: SequenceOptions) -> list[str]:
    """Return what CREATE SEQUENCE must say that is not the default."""
    clauses = numbers_clauses(numbers, SequenceOptions(start=numbers.start, increment=1))
    low, high = bounds(numbers)
    if numbers.increment < 0:
        clauses = [clause for clause in clauses if not clause.startswith(("NO ", "RESTART"))]
    if numbers.start != (low if numbers.increment > 0 else high):
        clauses.append(f"START WITH {numbers.start}")
    return clauses


def numbers_clauses(new: SequenceOptions, old: SequenceOptions) -> list[str]:
    """Return the clauses that turn `old` into `new`."""
    found: list[str] = []
    turned = (new.increment > 0) != (old.increment > 0)
    if new.data_type != old.data_type:
        found.append(f"AS {new.data_type}")
    if new.increment != old.increment:
        found.append(f"INCREMENT BY {new.increment}")
    usual = bounds(new) if turned and new.data_type != old.data_type else (None, None)  # NO ... would be the type's own then
    for name, value, was, own in (
        ("MINVALUE", new.minimum, old.minimum, usual[0]),
        ("MAXVALUE", new.maximum, old.maximum, usual[1]),
    ):
        if value != was or turned:
            value = value if value is not None else own
            found.append(f"{name} {value}" if value is not None else f"NO {name}")
    if new.start != old.start:
        found.append(f"START WITH {new.start}")
    if turned:
        found.append("RESTART")
    if new.cache != old.cache:
        found.append(f"CACHE {new.cache}")
    if new.cycle != old.cycle:
        found.append("CYCLE" if new.cycle else "NO CYCLE")
    return found
