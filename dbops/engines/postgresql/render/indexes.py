"""Indexes that no constraint owns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dbops.catalog.model import Index, IndexKey, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.clustering import clustering
from dbops.engines.postgresql.render.names import columns, named, parent_of, quote
from dbops.engines.postgresql.render.options import assignments, changes_of, in_order
from dbops.engines.postgresql.render.scene import NO_TIMEOUT_S, Scene, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

#: Options that are no storage parameter: `clustered`, `tablespace`, and statistics targets of expressions.
_MARKS = ("clustered", "tablespace")


def definition(item: Index, *, concurrently: bool = False, only: bool = False) -> str:
    """Return the whole CREATE INDEX."""
    parts = ["CREATE UNIQUE INDEX" if item.unique else "CREATE INDEX"]
    if concurrently:
        parts.append("CONCURRENTLY")
    parts.append(f"{quote(item.name)} ON {'ONLY ' if only else ''}{parent_of(item.ref)}")
    if item.method != "btree":
        parts.append(f"USING {quote(item.method)}")
    parts.append("(" + ", ".join(_key(key) for key in item.keys) + ")")
    if item.include:
        parts.append(f"INCLUDE ({columns(item.include)})")
    if item.nulls_not_distinct:
        parts.append("NULLS NOT DISTINCT")
    options = dict(item.options)
    if parameters := assignments(in_order(item), _MARKS):
        parts.append(f"WITH ({parameters})")
    if "tablespace" in options:
        parts.append(f"TABLESPACE {quote(options['tablespace'])}")
    if item.predicate:
        parts.append(f"WHERE {item.predicate}")
    return " ".join(parts)


def _key(key: IndexKey) -> str:
    text = quote(key.column) if key.column is not None else f"({key.expression})"
    if key.collation:
        text += f" COLLATE {key.collation}"
    if key.operator_class:
        text += f" {key.operator_class}"
    if key.descending:
        text += " DESC"
    if key.nulls_first is not None:
        text += " NULLS FIRST" if key.nulls_first else " NULLS LAST"
    return text


def create(item: Index, scene: Scene, *, only: bool = False) -> Iterator[Statement]:
    """Yield CREATE INDEX, concurrently where the table is big; partitioned tables cannot (CREATE INDEX, notes)."""
    table = item.ref.table
    only = only or _is_unfinished(item, scene)
    found: list[Hazard] = []
    if item.unique:
        found += hazards.may_fail(scene, table, f"rows may be alike in what {item.name} wants unique")
    if scene.is_online(table) and not scene.heirs.get(table):
        found += hazards.builds_index(scene, table, concurrently=True)
        found.append(hazards.not_transactional(f"index {item.name} is built concurrently, outside a transaction"))
        leftover = f"DROP INDEX CONCURRENTLY IF EXISTS {named(_free(item))}"
        yield statement(leftover, transactional=False, lock_timeout_s=NO_TIMEOUT_S)
        yield statement(definition(item, concurrently=True), *found, transactional=False, lock_timeout_s=NO_TIMEOUT_S)
    else:
        if not only:
            found += hazards.builds_index(scene, table)
        yield statement(definition(item, only=only), *found, lock_timeout_s=hazards.lock_timeout_s(scene, table))
    if item.partition_of and _is_awaited(item, scene):
        yield attach(item)
    yield from marks(item, scene, without=None)


def _is_unfinished(item: Index, scene: Scene) -> bool:
    """Tell whether a source makes the index of a divided table alone, for which partitions are to be given theirs by and by."""
    table = scene.table(item.ref.table)
    return not item.is_valid and isinstance(table, Table) and table.partition_by is not None


def _is_awaited(item: Index, scene: Scene) -> bool:
    """Tell whether parent's index and partition are both there; otherwise whichever comes later adopts this index by itself."""
    table = scene.before.objects.get(item.ref.table)
    is_partition = isinstance(table, Table) and table.partition_of is not None
    return is_partition and item.partition_of in scene.before.objects and item.partition_of not in scene.renewed


def _free(item: Index) -> Ref:
    return Ref("index", item.schema, item.name)


def attach(item: Index) -> Statement:
    """Return the statement that makes a partition's index part of the parent's."""
    assert item.partition_of is not None
    return Statement(f"ALTER INDEX {named(_free_ref(item.partition_of))} ATTACH PARTITION {named(_free(item))}")


def _free_ref(ref: Ref) -> Ref:
    return Ref("index", ref.schema, ref.name)


def marks(item: Index, scene: Scene, *, without: Index | None) -> Iterator[Statement]:
    """Yield clustering and the statistics targets of expressions."""
    old, new = (dict(without.options) if without else {}), dict(item.options)
    yield from clustering(item, without, scene)
    for name in sorted({*old, *new}):
        if name.startswith("statistics") and old.get(name) != new.get(name):
            number = name.removeprefix("statistics").strip(":.")
            yield Statement(f"ALTER INDEX {named(_free(item))} ALTER COLUMN {number} SET STATISTICS {new.get(name, '-1')}")


def drop(item: Index, scene: Scene) -> Iterator[Statement]:
    table = item.ref.table
    found = [hazards.deletes_object(item)]
    if not item.is_valid:
        found.append(Hazard("INVALID_INDEX", f"{item.name} on {table.qualified} is what a failed concurrent build left behind"))
    elif scene.rows(table):
        found.append(Hazard("INDEX_DROPPED", f"queries on {table.qualified} that used {item.name} may slow down"))
    if scene.is_online(table) and not scene.heirs.get(table) and item.partition_of is None:
        sql = f"DROP INDEX CONCURRENTLY {named(_free(item))}"
        yield statement(sql, *found, transactional=False, lock_timeout_s=NO_TIMEOUT_S)
        return
    found += hazards.brief(scene, table)
    maybe = "IF EXISTS " if item.partition_of else ""  # the index that adopted it may have taken it along
    yield statement(f"DROP INDEX {maybe}{named(_free(item))}", *found, lock_timeout_s=hazards.lock_timeout_s(scene, table))


def is_in_place(before: Index, after: Index) -> bool:
    """Tell whether ALTER INDEX reaches `after`: parameters, tablespace, marks, attaching to a parent's index."""
    attached = before.partition_of is None and after.partition_of is not None
    alike = replace(before, options=after.options, comment=after.comment)
    return (replace(alike, partition_of=after.partition_of) if attached else alike) == after


def alter(before: Index, after: Index, scene: Scene) -> Iterator[Statement]:
    old, new = (dict(item.options) for item in (before, after))
    head = f"ALTER INDEX {named(_free(after))}"
    for change in changes_of(before, after, _MARKS):
        yield Statement(f"{head} {change}")
    if old.get("tablespace") != new.get("tablespace"):
        found = hazards.builds_index(scene, after.ref.table, lock="ACCESS EXCLUSIVE")
        yield statement(f"{head} SET TABLESPACE {quote(new.get('tablespace', 'pg_default'))}", *found)
    if before.partition_of is None and after.partition_of is not None and _is_awaited(after, scene):
        yield attach(after)
    yield from marks(after, scene, without=before)
