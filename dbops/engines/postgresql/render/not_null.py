"""NOT NULL as a constraint: from PostgreSQL 18 on it has a name, may be NOT VALID, and may stay with its table (NO INHERIT)."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.catalog.model import Column
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.postgresql.inspect.made_names import made_name
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.names import literal, named, quote
from dbops.engines.postgresql.render.scene import Scene, statement
from dbops.sql.statement import Statement

NAMED_SINCE = 18


@dataclass(frozen=True, slots=True)
class _Constraint:
    name: str
    is_inherited: bool = True
    is_valid: bool = True

    @classmethod
    def of(cls, table: Ref, column: Column) -> _Constraint:
        options = dict(column.options)
        name = options.get("not_null_name") or made_name(table.name, column.name, "not_null")
        return cls(name, "not_null_no_inherit" not in options, "not_null_not_valid" not in options)

    @classmethod
    def usual(cls, table: Ref, column: Column) -> _Constraint:
        """What SET NOT NULL makes."""
        return cls(made_name(table.name, column.name, "not_null"))


def is_unchecked(column: Column) -> bool:
    """Tell whether rows already stored may hold NULL all the same; such a constraint is added by a statement of its own."""
    return not column.nullable and "not_null_not_valid" in dict(column.options)


def add_unchecked(table: Ref, column: Column) -> str:
    """Return the action that makes such a constraint."""
    wanted = _Constraint.of(table, column)
    tail = "" if wanted.is_inherited else " NO INHERIT"
    return f"ADD CONSTRAINT {quote(wanted.name)} NOT NULL {quote(column.name)}{tail} NOT VALID"


def settle(table: Ref, before: Column, after: Column, scene: Scene) -> Iterator[Statement]:
    """Yield what gives the constraint of a column that may not be NULL its name and its marks."""
    if scene.version < NAMED_SINCE or after.nullable or (before.nullable and is_unchecked(after)):
        return
    old = _Constraint.usual(table, before) if before.nullable else _Constraint.of(table, before)
    new = _Constraint.of(table, after)
    head = f"ALTER TABLE {named(table)}"
    if old.is_valid and not new.is_valid:
        yield hazards.exclusively(scene, table, f"{head} DROP CONSTRAINT {quote(old.name)}")
        yield hazards.exclusively(scene, table, f"{head} {add_unchecked(table, after)}")
        return
    if old.name != new.name:
        yield hazards.exclusively(scene, table, f"{head} RENAME CONSTRAINT {quote(old.name)} TO {quote(new.name)}")
    if old.is_inherited != new.is_inherited:
        word = "INHERIT" if new.is_inherited else "NO INHERIT"
        yield hazards.exclusively(scene, table, f"{head} ALTER CONSTRAINT {quote(new.name)} {word}")
    if new.is_valid and not old.is_valid:
        found = hazards.may_fail(scene, table, f"{after.name} may be NULL in rows already stored")
        yield statement(f"{head} VALIDATE CONSTRAINT {quote(new.name)}", *found)


def settle_alone(table: Ref, column: Column, scene: Scene) -> Iterator[Statement]:
    """Yield what gives the constraint that a parent handed down its usual name: it bore the parent's, or one from before."""
    if scene.version < NAMED_SINCE or column.nullable:
        return
    name, text = _Constraint.usual(table, column).name, literal(named(table))
    yield Statement(
        "DO $$\nDECLARE given name;\nBEGIN\n"
        "  SELECT conname INTO given FROM pg_catalog.pg_constraint JOIN pg_catalog.pg_attribute\n"
        f"    ON attrelid = conrelid AND attnum = conkey[1] AND attname = {literal(column.name)}\n"
        f"  WHERE conrelid = {text}::regclass AND contype = 'n' AND conislocal AND conname <> {literal(name)};\n"
        f"  IF FOUND THEN EXECUTE pg_catalog.format({literal(f'ALTER TABLE {named(table)} RENAME CONSTRAINT %I TO %I')}, given,\n"
        f"    {literal(name)}); END IF;\n"
        "END\n$$"
    )
