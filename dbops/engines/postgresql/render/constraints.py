"""Constraints: keys, foreign keys, checks and exclusions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dbops.catalog.model import Check, Constraint, Exclusion, ForeignKey, Index, PrimaryKey, Unique
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.clustering import clustering
from dbops.engines.postgresql.render.names import columns, literal, named, parent_of, quote
from dbops.engines.postgresql.render.scene import NO_TIMEOUT_S, Scene, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

#: Options of a constraint's index that are no storage parameter.
_INDEX_MARKS = ("tablespace", "clustered", "partition_of", "enforced", "period", "index_comment")


def definition(item: Constraint) -> str:
    """Return the constraint without its name, as ADD CONSTRAINT wants it."""
    match item:
        case PrimaryKey():
            body = f"PRIMARY KEY ({_key(item)}){_include(item.include)}{_index_options(item)}"
        case Unique():
            nulls = " NULLS NOT DISTINCT" if item.nulls_not_distinct else ""
            body = f"UNIQUE{nulls} ({_key(item)}){_include(item.include)}{_index_options(item)}"
        case ForeignKey():
            body = _foreign_key(item)
        case Check():
            body = f"CHECK ({item.expression})" + (" NO INHERIT" if item.no_inherit else "")
        case Exclusion():
            return item.definition + _exclusion_tablespace(item)
        case _:
            raise TypeError(f"no constraint of PostgreSQL: {item.kind}")
    if dict(item.options).get("enforced") == "false":
        return body + _timing(item) + " NOT ENFORCED"
    return body + _timing(item) + ("" if is_valid(item) else " NOT VALID")


def _key(item: PrimaryKey | Unique) -> str:
    return columns(item.columns) + (" WITHOUT OVERLAPS" if _has_period(item) else "")


def _has_period(item: Constraint) -> bool:
    """Tell whether the last column is a period (PostgreSQL 18)."""
    return dict(item.options).get("period") == "true"


def _include(names: tuple[str, ...]) -> str:
    return f" INCLUDE ({columns(names)})" if names else ""


def _index_options(item: Constraint) -> str:
    options = dict(item.options)
    parameters = [f"{name}={value}" for name, value in options.items() if name not in _INDEX_MARKS]
    found = f" WITH ({', '.join(parameters)})" if parameters else ""
    return found + (f" USING INDEX TABLESPACE {quote(options['tablespace'])}" if "tablespace" in options else "")


def _exclusion_tablespace(item: Exclusion) -> str:
    """The server's text of an exclusion has everything but where it is stored."""
    tablespace = dict(item.options).get("tablespace")
    return f" USING INDEX TABLESPACE {quote(tablespace)}" if tablespace and " TABLESPACE " not in item.definition else ""


def _foreign_key(item: ForeignKey) -> str:
    own, theirs = columns(item.columns), columns(item.referenced_columns)
    if _has_period(item):
        own, theirs = (f"{columns(names[:-1])}, PERIOD {quote(names[-1])}" for names in (item.columns, item.referenced_columns))
    parts = [f"FOREIGN KEY ({own}) REFERENCES {named(item.references)}" + (f"({theirs})" if theirs else "")]
    if item.match != "SIMPLE":
        parts.append(f"MATCH {item.match}")
    if item.on_update != "NO ACTION":
        parts.append(f"ON UPDATE {item.on_update}")
    if item.on_delete != "NO ACTION":
        parts.append(f"ON DELETE {item.on_delete}" + (f" ({columns(item.set_columns)})" if item.set_columns else ""))
    return " ".join(parts)


def _timing(item: Constraint) -> str:
    if not item.deferrable:
        return ""
    return " DEFERRABLE INITIALLY DEFERRED" if item.initially_deferred else " DEFERRABLE"


def is_valid(item: Constraint) -> bool:
    return item.is_valid if isinstance(item, Check | ForeignKey) else True


def inline(item: Constraint) -> str:
    """Return the constraint as a line of CREATE TABLE."""
    return f"CONSTRAINT {quote(item.name)} {definition(item)}"


def create(item: Constraint, scene: Scene, *, only: bool = False) -> Iterator[Statement]:
    """Yield ADD CONSTRAINT, in steps that do not block where the table is big; `only` leaves partitions out."""
    table = item.ref.table
    head = f"ALTER TABLE {'ONLY ' if only else ''}{parent_of(item.ref)}"
    if scene.is_online(table) and not only and (steps := list(_online(item, head, scene))):
        yield from steps
    else:
        sql = f"{head} ADD CONSTRAINT {quote(item.name)} {definition(item)}"
        yield statement(sql, *_threats(item, scene), lock_timeout_s=hazards.lock_timeout_s(scene, table))
    yield from marks(item, scene, without=None)


def _threats(item: Constraint, scene: Scene) -> list[Hazard]:
    table, name = item.ref.table, item.name
    found: list[Hazard] = []
    if isinstance(item, ForeignKey):
        if scene.rows(table) and not _is_supported(item, scene):
            text = f"{item.name}: no index of {table.qualified} begins with {', '.join(item.columns)}; referenced rows go slowly"
            found.append(Hazard("FOREIGN_KEY_SUPPORT_MISSING", text))
        if item.is_valid:
            found += hazards.may_fail(scene, table, f"rows may reference what {item.references.qualified} does not hold ({name})")
            found += hazards.scans(scene, table, "SHARE ROW EXCLUSIVE")
        else:
            found += hazards.blocks_writes(scene, table, "SHARE ROW EXCLUSIVE")
        found += hazards.blocks_writes(scene, item.references, "SHARE ROW EXCLUSIVE")
    elif isinstance(item, Check):
        if item.is_valid:
            found += hazards.may_fail(scene, table, f"rows may violate {name}")
            found += hazards.scans(scene, table, "ACCESS EXCLUSIVE")
        else:
            found += hazards.brief(scene, table)
    else:
        found += hazards.may_fail(scene, table, f"rows may violate {name}")
        found += hazards.builds_index(scene, table, lock="ACCESS EXCLUSIVE")
        if found and not isinstance(item, Exclusion):
            found.append(Hazard("CONSTRAINT_SWAP", f"{name} is added by building its index under the lock"))
    return found


def _is_supported(item: ForeignKey, scene: Scene) -> bool:
    """Tell whether an index of the referencing table begins with the columns of the key."""
    wanted = set(item.columns)
    for other in scene.new.children(item.ref.table):
        names = other.columns if isinstance(other, PrimaryKey | Unique) else ()
        if isinstance(other, Index) and other.predicate is None:
            names = tuple(key.column or "" for key in other.keys)
        if wanted and set(names[: len(wanted)]) == wanted:
            return True
    return False


def _online(item: Constraint, head: str, scene: Scene) -> Iterator[Statement]:
    """Yield statements that each hold strong locks for an instant only; nothing where there is no such way."""
    table = item.ref.table
    wait = hazards.lock_timeout_s(scene, table)
    alone = hazards.not_transactional("committed step by step, so that no strong lock is held while rows are read")
    if isinstance(item, ForeignKey | Check) and item.is_valid:
        waiting = replace(item, is_valid=False)
        yield statement(
            f"{head} ADD CONSTRAINT {quote(item.name)} {definition(waiting)}",
            alone,
            *_threats(waiting, scene),
            transactional=False,
            lock_timeout_s=wait,
        )
        yield _validate(item, head, scene, transactional=False)
    elif isinstance(item, PrimaryKey | Unique) and not scene.heirs.get(table):
        yield from _key_online(item, head, scene)


def _key_online(item: PrimaryKey | Unique, head: str, scene: Scene) -> Iterator[Statement]:
    """Build the index first, without blocking writers, then hang the constraint on it (ALTER TABLE, ADD USING INDEX)."""
    table = item.ref.table
    options = dict(item.options)
    nulls = " NULLS NOT DISTINCT" if isinstance(item, Unique) and item.nulls_not_distinct else ""
    parameters = [f"{name}={value}" for name, value in options.items() if name not in _INDEX_MARKS]
    tail = f" WITH ({', '.join(parameters)})" if parameters else ""
    tail += f" TABLESPACE {quote(options['tablespace'])}" if "tablespace" in options else ""
    kind = "PRIMARY KEY" if isinstance(item, PrimaryKey) else "UNIQUE"
    index = named(Ref("index", item.schema, item.name))
    alone = hazards.not_transactional(f"index {item.name} is built concurrently, outside a transaction")
    yield statement(f"DROP INDEX CONCURRENTLY IF EXISTS {index}", transactional=False, lock_timeout_s=NO_TIMEOUT_S)
    yield statement(
        f"CREATE UNIQUE INDEX CONCURRENTLY {quote(item.name)} ON {parent_of(item.ref)}"
        f" ({columns(item.columns)}){_include(item.include)}{nulls}{tail}",
        alone,
        *hazards.may_fail(scene, table, f"rows may violate {item.name}"),
        *hazards.builds_index(scene, table, concurrently=True),
        transactional=False,
        lock_timeout_s=NO_TIMEOUT_S,
    )
    yield statement(
        f"{head} ADD CONSTRAINT {quote(item.name)} {kind} USING INDEX {quote(item.name)}{_timing(item)}",
        *hazards.brief(scene, table),
        transactional=False,
        lock_timeout_s=hazards.lock_timeout_s(scene, table),
    )


def _validate(item: Constraint, head: str, scene: Scene, *, transactional: bool = True) -> Statement:
    table = item.ref.table
    found = [
        *hazards.may_fail(scene, table, f"rows may violate {item.name}"),
        *hazards.scans(scene, table, "SHARE UPDATE EXCLUSIVE"),
    ]
    return statement(f"{head} VALIDATE CONSTRAINT {quote(item.name)}", *found, transactional=transactional)


def marks(item: Constraint, scene: Scene, *, without: Constraint | None) -> Iterator[Statement]:
    """Yield what makes the constraint's index the clustering one, and the index's own comment."""
    old, new = (dict(without.options) if without else {}), dict(item.options)
    yield from clustering(item, without, scene)
    if (text := new.get("index_comment")) != old.get("index_comment"):
        index = named(Ref("index", item.schema, item.name))
        yield Statement(f"COMMENT ON INDEX {index} IS {literal(text) if text is not None else 'NULL'}")


def drop(item: Constraint, scene: Scene) -> Iterator[Statement]:
    table = item.ref.table
    found = [hazards.deletes_object(item), *hazards.brief(scene, table)]
    if isinstance(item, ForeignKey) and item.references != table:
        found += hazards.brief(scene, item.references)
    if isinstance(item, PrimaryKey | Unique | Exclusion) and scene.rows(table):
        found.append(Hazard("INDEX_DROPPED", f"the index of {item.name} on {table.qualified} goes with it"))
    maybe = "IF EXISTS " if "partition_of" in dict(item.options) else ""  # the one that adopted it may have taken it along
    sql = f"ALTER TABLE {parent_of(item.ref)} DROP CONSTRAINT {maybe}{quote(item.name)}"
    yield statement(sql, *found, lock_timeout_s=hazards.lock_timeout_s(scene, table))


def is_in_place(before: Constraint, after: Constraint) -> bool:
    """Tell whether ALTER reaches `after`: validity, a foreign key's timing, parameters and marks of the index, comments."""
    if type(before) is not type(after):
        return False
    alike: Constraint = replace(before, options=after.options, comment=after.comment)
    old, new = dict(before.options), dict(after.options)
    if any(old.get(name) != new.get(name) for name in ("tablespace", "enforced", "period")):
        return False
    if isinstance(alike, ForeignKey) and isinstance(after, ForeignKey):
        alike = replace(alike, deferrable=after.deferrable, initially_deferred=after.initially_deferred)
    if isinstance(alike, ForeignKey | Check) and not alike.is_valid:
        alike = replace(alike, is_valid=is_valid(after))
    return alike == after


def alter(before: Constraint, after: Constraint, scene: Scene) -> Iterator[Statement]:
    head = f"ALTER TABLE {parent_of(after.ref)}"
    if (before.deferrable, before.initially_deferred) != (after.deferrable, after.initially_deferred):
        timing = _timing(after) or " NOT DEFERRABLE"
        if after.deferrable and not after.initially_deferred:
            timing += " INITIALLY IMMEDIATE"
        yield statement(f"{head} ALTER CONSTRAINT {quote(after.name)}{timing}", *hazards.brief(scene, after.ref.table))
    if is_valid(after) and not is_valid(before):
        yield _validate(after, head, scene)
    yield from _alter_parameters(before, after)
    yield from marks(after, scene, without=before)


def _alter_parameters(before: Constraint, after: Constraint) -> Iterator[Statement]:
    old, new = ({n: v for n, v in item.options if n not in _INDEX_MARKS} for item in (before, after))
    head = f"ALTER INDEX {named(Ref('index', after.schema, after.name))}"
    if changed := [f"{name}={value}" for name, value in new.items() if old.get(name) != value]:
        yield Statement(f"{head} SET ({', '.join(changed)})")
    if gone := [name for name in old if name not in new]:
        yield Statement(f"{head} RESET ({', '.join(gone)})")
