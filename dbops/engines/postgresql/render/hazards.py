"""What statements do to tables in use: locks, scans and rewrites (manual, "Explicit Locking" and ALTER TABLE, notes).

Every function answers nothing for a table that is new or empty: whoever waits for it waits for no work.
"""

from __future__ import annotations

from dbops.catalog.model import CatalogObject
from dbops.catalog.ref import Ref
from dbops.engines.base.render import about
from dbops.engines.postgresql.render.scene import LOCK_TIMEOUT_S, Scene, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

Hazards = tuple[Hazard, ...]


def brief(scene: Scene, table: Ref, lock: str = "ACCESS EXCLUSIVE") -> Hazards:
    """A strong lock held for an instant."""
    if not scene.rows(table):
        return ()
    return (Hazard("LOCK_QUEUE", f"{lock} on {table.qualified} for an instant; sessions queue behind it while it waits"),)


def rewrites(scene: Scene, table: Ref) -> Hazards:
    """The table and its indexes are written anew under ACCESS EXCLUSIVE."""
    if not scene.rows(table):
        return ()
    size = estimate(scene, table)
    return (
        Hazard("REWRITES_TABLE", f"{table.qualified} is written again with its indexes: {size}"),
        Hazard("BLOCKS_READS", f"ACCESS EXCLUSIVE on {table.qualified} while {size} are written"),
        Hazard("DISK_SPACE", f"{_room(scene, table)} needed until the old copy of {table.qualified} goes"),
    )


def scans(scene: Scene, table: Ref, lock: str) -> Hazards:
    """Every row is read while `lock` is held."""
    if not scene.rows(table):
        return ()
    size = estimate(scene, table)
    found = [Hazard("SCANS_TABLE", f"every row of {table.qualified} is read: {size}")]
    if lock == "ACCESS EXCLUSIVE":
        found.append(Hazard("BLOCKS_READS", f"{lock} on {table.qualified} while {size} are read"))
    elif lock in ("SHARE", "SHARE ROW EXCLUSIVE"):
        found.append(Hazard("BLOCKS_WRITES", f"{lock} on {table.qualified} while {size} are read"))
    return tuple(found)


def builds_index(scene: Scene, table: Ref, *, concurrently: bool = False, lock: str = "SHARE") -> Hazards:
    """An index is built over the rows of a table."""
    if not scene.rows(table):
        return ()
    size = estimate(scene, table)
    found = [Hazard("INDEX_BUILD", f"an index is built over {size} of {table.qualified}")]
    if lock == "ACCESS EXCLUSIVE":
        found.append(Hazard("BLOCKS_READS", f"{lock} on {table.qualified} while the index is built"))
    elif not concurrently:
        found.append(Hazard("BLOCKS_WRITES", f"{lock} on {_whole(scene, table)} while the index is built"))
    return tuple(found)


def _whole(scene: Scene, table: Ref) -> str:
    """Name a table with those that are locked along with it."""
    return f"{table.qualified} and its partitions" if scene.heirs.get(table) else table.qualified


def blocks_writes(scene: Scene, table: Ref, lock: str) -> Hazards:
    """Writers wait for an instant."""
    if not scene.rows(table):
        return ()
    return (Hazard("LOCK_QUEUE", f"{lock} on {table.qualified} for an instant; writers queue behind it while it waits"),)


def may_fail(scene: Scene, table: Ref, why: str) -> Hazards:
    """Rows already there may not fit."""
    return (Hazard("MAY_FAIL_ON_DATA", f"{table.qualified}: {why}"),) if scene.rows(table) else ()


def authz(what: str) -> Hazard:
    return Hazard("AUTHZ_CHANGE", what)


def deletes_data(what: str) -> Hazard:
    return Hazard("DELETES_DATA", what)


def deletes_object(item: CatalogObject) -> Hazard:
    return Hazard("DELETES_OBJECT", f"{item.ref.kind.replace('_', ' ')} {item.ref.qualified} is dropped")


def not_transactional(what: str) -> Hazard:
    return Hazard("NOT_TRANSACTIONAL", what)


def exclusively(scene: Scene, table: Ref, sql: str, *found: Hazard) -> Statement:
    """Return a statement that takes ACCESS EXCLUSIVE on `table` for an instant, and gives way when it has to wait for it."""
    return statement(sql, *found, *brief(scene, table), lock_timeout_s=lock_timeout_s(scene, table))


def lock_timeout_s(scene: Scene, table: Ref) -> float | None:
    """Return how long to wait for ACCESS EXCLUSIVE; None for a table nobody queues for."""
    return LOCK_TIMEOUT_S if scene.rows(table) else None


def estimate(scene: Scene, table: Ref) -> str:
    """Return `about 12,000 rows, 3.4 MiB`."""
    size = scene.size_bytes(table)
    rows = about(scene.rows(table))
    return f"{rows}, {size_text(size)}" if size else rows


def _room(scene: Scene, table: Ref) -> str:
    size = scene.size_bytes(table)
    return f"about {size_text(size)} are" if size else "as much as the table takes is"


def size_text(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
