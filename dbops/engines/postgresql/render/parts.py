"""Parts of tables that statements make and remove by themselves: defaults and memberships of partitions and heirs.

The catalog keeps them inside columns and tables. Where one of them has to come later or go earlier than its table, ordering
speaks of it as an object of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from dbops.catalog.model import CatalogObject, Column, Options
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.names import named, parent_of, quote
from dbops.engines.postgresql.render.scene import Scene, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDefault(CatalogObject):
    """The default of column `name` of its parent table."""

    kind: ClassVar[str] = "default"
    expression: str
    options: Options = ()

    @classmethod
    def of(cls, table: Ref, column: Column) -> ColumnDefault:
        return cls(schema=table.schema, parent=table.name, name=column.name, expression=column.default or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(CatalogObject):
    """That the parent of this part, a table, is a partition of `of` (with a bound) or inherits from it (without)."""

    kind: ClassVar[str] = "membership"
    of: Ref
    bound: str | None = None

    @classmethod
    def named_after(cls, table: Ref, of: Ref, bound: str | None) -> Membership:
        return cls(schema=table.schema, parent=table.name, name=of.qualified, of=of, bound=bound)


def create(item: ColumnDefault | Membership, scene: Scene) -> Iterator[Statement]:
    table = item.ref.table
    if isinstance(item, ColumnDefault):
        sql = f"ALTER TABLE ONLY {parent_of(item.ref)} ALTER COLUMN {quote(item.name)} SET DEFAULT {item.expression}"
        yield statement(sql, *hazards.brief(scene, table), lock_timeout_s=hazards.lock_timeout_s(scene, table))
    elif item.bound is not None:
        found = [
            *hazards.scans(scene, table, "ACCESS EXCLUSIVE"),
            *hazards.may_fail(scene, table, "rows may lie outside the bound"),
        ]
        yield statement(f"ALTER TABLE {named(item.of)} ATTACH PARTITION {named(table)} {item.bound}", *found)
    else:
        yield statement(f"ALTER TABLE {named(table)} INHERIT {named(item.of)}", *hazards.brief(scene, table))


def drop(item: ColumnDefault | Membership, scene: Scene) -> Iterator[Statement]:
    table = item.ref.table
    if isinstance(item, ColumnDefault):
        sql = f"ALTER TABLE ONLY {parent_of(item.ref)} ALTER COLUMN {quote(item.name)} DROP DEFAULT"
        yield statement(sql, *hazards.brief(scene, table), lock_timeout_s=hazards.lock_timeout_s(scene, table))
    elif item.bound is not None:
        yield from _detach(item, scene)
    else:
        yield statement(f"ALTER TABLE {named(table)} NO INHERIT {named(item.of)}", *hazards.brief(scene, table))


def _detach(item: Membership, scene: Scene) -> Iterator[Statement]:
    sql = f"ALTER TABLE {named(item.of)} DETACH PARTITION {named(item.ref.table)}"
    if scene.is_online(item.of) and scene.version >= 14 and not scene.has_default_partition(item.of):
        alone = hazards.not_transactional("a concurrent detach runs outside a transaction")
        yield statement(f"{sql} CONCURRENTLY", alone, transactional=False)
        return
    found = []
    if scene.rows(item.of):
        text = f"ACCESS EXCLUSIVE on {item.of.qualified} while {item.parent} is detached"
        found.append(Hazard("DETACH_BLOCKS", text))
    yield statement(sql, *found, lock_timeout_s=hazards.lock_timeout_s(scene, item.of))
