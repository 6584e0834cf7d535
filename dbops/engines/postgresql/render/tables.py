"""Tables and foreign tables as wholes: creation, partitions and heirs, storage, row security."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dbops.catalog.model import CatalogObject, Column, Constraint, ForeignTable, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import columns as column_sql
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.constraints import inline, marks
from dbops.engines.postgresql.render.names import named, quote
from dbops.engines.postgresql.render.options import assignments, changes_of, fdw_changes, fdw_clause, in_order
from dbops.engines.postgresql.render.scene import Scene, parents_of, statement, table_in
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_NOT_PARAMETERS = frozenset({"tablespace"})


def create(item: Table | ForeignTable, constraints: Sequence[Constraint], scene: Scene) -> Iterator[Statement]:
    """Yield CREATE TABLE with the constraints that can stand in it, and what it has no words for."""
    inherited = _inherited_columns(item, scene)
    local = [column for column in item.columns if column.name not in inherited or "inherited" not in dict(column.options)]
    if item.partition_of:
        local = []
    if isinstance(item, Table) and item.of_type:
        lines = [text for column in local if (text := column_sql.options(column))]
    else:
        lines = [column_sql.definition(column) for column in local]
    sql = _head(item, lines + [inline(constraint) for constraint in constraints]) + _tail(item)
    yield hazards.exclusively(scene, item.partition_of.parent, sql) if item.partition_of else Statement(sql)
    for column in item.columns:
        if column in local:
            yield from column_sql.extras(item.ref, column, scene)
        else:
            yield from _as_declared(item, inherited.get(column.name), column, scene)
    for constraint in constraints:
        yield from marks(constraint, scene, without=None)
    if isinstance(item, Table):
        yield from _security(Table(name=item.name, columns=()), item, scene)
        yield from _replica_identity(None, item, scene)


def _inherited_columns(item: Table | ForeignTable, scene: Scene) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for parent in parents_of(item):
        table = scene.table(parent)
        found |= {column.name: column for column in table.columns} if table else {}
    return found


def _as_declared(item: Table | ForeignTable, given: Column | None, column: Column, scene: Scene) -> Iterator[Statement]:
    """Yield what turns the column that a parent hands down into the one that is wanted."""
    if given is None:
        yield from column_sql.extras(item.ref, column, scene)
        return
    kept = tuple((name, value) for name, value in given.options if name in ("storage", "compression"))
    handed_down = replace(given, comment=None, identity=given.identity if scene.version >= 17 else None, options=kept)
    yield from column_sql.alter(item.ref, handed_down, column, scene.where_it_is_new())


def _head(item: Table | ForeignTable, lines: list[str]) -> str:
    foreign = isinstance(item, ForeignTable)
    unlogged = "UNLOGGED " if isinstance(item, Table) and item.persistence == "unlogged" else ""
    sql = f"CREATE {unlogged}{'FOREIGN ' if foreign else ''}TABLE {named(item.ref)}"
    body = " (\n    " + ",\n    ".join(lines) + "\n)" if lines else ""
    if item.partition_of:
        return f"{sql} PARTITION OF {named(item.partition_of.parent)}{body}\n{item.partition_of.bound}"
    if isinstance(item, Table) and item.of_type:
        return f"{sql} OF {item.of_type}{body}"
    return sql + (body or " (\n)")


def _tail(item: Table | ForeignTable) -> str:
    parts: list[str] = []
    if item.inherits:
        parts.append("INHERITS (" + ", ".join(named(parent) for parent in item.inherits) + ")")
    if isinstance(item, ForeignTable):
        parts.append(f"SERVER {quote(item.server)}")
        if clause := fdw_clause(item.options):
            parts.append(clause)
        return "".join(f"\n{part}" for part in parts)
    if item.partition_by:
        parts.append(f"PARTITION BY {item.partition_by.strategy.upper()} {_key(item.partition_by.expression)}")
    if item.access_method:
        parts.append(f"USING {quote(item.access_method)}")
    if parameters := assignments(in_order(item), _NOT_PARAMETERS):
        parts.append(f"WITH ({parameters})")
    if tablespace := dict(item.options).get("tablespace"):
        parts.append(f"TABLESPACE {quote(tablespace)}")
    return "".join(f"\n{part}" for part in parts)


def _key(expression: str) -> str:
    return expression if expression.startswith("(") else f"({expression})"


def _security(before: Table, after: Table, scene: Scene) -> Iterator[Statement]:
    head = f"ALTER TABLE {named(after.ref)}"
    found = [hazards.authz(f"row security of {after.ref.qualified} changes")] if before.columns else []
    if before.row_security != after.row_security:
        sql = f"{head} {'ENABLE' if after.row_security else 'DISABLE'} ROW LEVEL SECURITY"
        yield hazards.exclusively(scene, after.ref, sql, *found)
    if before.force_row_security != after.force_row_security:
        sql = f"{head} {'' if after.force_row_security else 'NO '}FORCE ROW LEVEL SECURITY"
        yield hazards.exclusively(scene, after.ref, sql, *found)


def _replica_identity(before: str | None, item: Table, scene: Scene) -> Iterator[Statement]:
    if before == item.replica_identity or (item.replica_identity or "").startswith("index "):
        return  # an index becomes the identity by itself, when it is there
    sql = f"ALTER TABLE {named(item.ref)} REPLICA IDENTITY {(item.replica_identity or 'default').upper()}"
    yield hazards.exclusively(scene, item.ref, sql)


def drop(item: Table | ForeignTable, scene: Scene) -> Iterator[Statement]:
    kind, loss = "TABLE", hazards.deletes_data(f"table {item.ref.qualified} and its rows are dropped")
    if isinstance(item, ForeignTable):
        kind = "FOREIGN TABLE"
        loss = Hazard("DELETES_OBJECT", f"foreign table {item.ref.qualified} is dropped; its rows stay on their server")
    if item.partition_of and _is_referred_to(item, scene):
        parent = item.partition_of.parent
        yield hazards.exclusively(scene, parent, f"ALTER TABLE {named(parent)} DETACH PARTITION {named(item.ref)}")
    found = (loss, *hazards.brief(scene, item.ref))
    yield statement(f"DROP {kind} {named(item.ref)}", *found, lock_timeout_s=hazards.lock_timeout_s(scene, item.ref))


def _is_referred_to(item: Table | ForeignTable | None, scene: Scene) -> bool:
    """Tell whether foreign keys that stay reach into a partition: DROP TABLE is refused, but after DETACH PARTITION."""
    above = item.partition_of.parent if item and item.partition_of else None
    if above is None:
        return False
    stays = any(key in scene.after.objects for key in scene.old.keys_to.get(above, ()))
    return stays or _is_referred_to(table_in(scene.before, above), scene)


def is_in_place(before: Table | ForeignTable, after: Table | ForeignTable) -> bool:
    """Tell whether ALTER TABLE reaches `after`, and `before` again: the partition key, a type's order and the server stay."""
    if isinstance(before, ForeignTable):
        return isinstance(after, ForeignTable) and before.server == after.server
    if not isinstance(after, Table) or before.partition_by != after.partition_by:
        return False
    in_order = not _is_out_of_order(before, after) and not _is_out_of_order(after, before)
    return in_order and not any(_key_changes(before, after))


def _key_changes(before: Table, after: Table) -> Iterator[str]:
    """Yield the columns of the partition key that would change, which ALTER TABLE refuses."""
    words = set(re.findall(r'"(?:[^"]|"")+"|\w+', after.partition_by.expression)) if after.partition_by else set()
    for new in after.columns if words else ():
        old = before.column(new.name)
        changes = old is not None and (old.type, old.collation, old.generated) != (new.type, new.collation, new.generated)
        if changes and quote(new.name) in words:
            yield new.name


def _is_out_of_order(before: Table, after: Table) -> bool:
    """A typed table has its columns in the order of its type; new ones come last."""
    if not after.of_type:
        return False
    had, wanted = ([column.name for column in table.columns] for table in (before, after))
    return [name for name in had if name in wanted] + [name for name in wanted if name not in had] != wanted


def alter(before: Table | ForeignTable, after: Table | ForeignTable, scene: Scene) -> Iterator[Statement]:
    """Yield ALTER TABLE for everything but columns and memberships, which are changes of their own."""
    if isinstance(before, ForeignTable) and isinstance(after, ForeignTable):
        if clause := fdw_changes(before.options, after.options):
            yield Statement(f"ALTER FOREIGN TABLE {named(after.ref)} {clause}")
        return
    assert isinstance(before, Table) and isinstance(after, Table)
    yield from _alter_storage(before, after, scene)
    yield from _security(before, after, scene)
    yield from _replica_identity(before.replica_identity, after, scene)


def is_written_again(before: CatalogObject, after: CatalogObject) -> bool:
    """Tell whether ALTER TABLE writes the rows again."""
    if not isinstance(before, Table) or not isinstance(after, Table):
        return False
    return (before.persistence, before.access_method) != (after.persistence, after.access_method)


def _alter_storage(before: Table, after: Table, scene: Scene) -> Iterator[Statement]:
    head, ref = f"ALTER TABLE {named(after.ref)}", after.ref
    rewrite = hazards.rewrites(scene, ref)
    if before.persistence != after.persistence:
        yield statement(f"{head} SET {'UNLOGGED' if after.persistence == 'unlogged' else 'LOGGED'}", *rewrite)
    if before.access_method != after.access_method:
        yield statement(f"{head} SET ACCESS METHOD {quote(after.access_method or 'heap')}", *rewrite)
    for change in changes_of(before, after, _NOT_PARAMETERS):
        yield Statement(f"{head} {change}")
    old, new = (dict(item.options).get("tablespace", "pg_default") for item in (before, after))
    if old != new:
        yield statement(f"{head} SET TABLESPACE {quote(new)}", *rewrite)


def rename(before: Ref, after: Ref, scene: Scene) -> Iterator[Statement]:
    """Yield RENAME TO and SET SCHEMA for a table."""
    yield from renamed("TABLE", before, after, hazards.brief(scene, before))


def renamed(word: str, before: Ref, after: Ref, lock: hazards.Hazards = ()) -> Iterator[Statement]:
    found = Hazard("RENAMES", f"programs that use {before.qualified} by this name break")
    if before.schema != after.schema:
        yield statement(f"ALTER {word} {named(before)} SET SCHEMA {quote(after.schema)}", found, *lock)
        before = Ref(before.kind, after.schema, before.name)
    if before.name != after.name:
        name = after.name.rpartition("(")[0] if after.kind == "routine" else after.name
        yield statement(f"ALTER {word} {named(before)} RENAME TO {quote(name)}", found, *lock)
