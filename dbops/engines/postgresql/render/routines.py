"""Functions, procedures, aggregates, and what calls them: triggers and rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from dbops.catalog.model import Policy, Routine, Rule, Trigger
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.names import designation, parent_of, quote
from dbops.engines.postgresql.render.scene import Scene, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_ENABLE = {"origin": "ENABLE", "disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def create(item: Routine) -> Iterator[Statement]:
    """Yield the definition; the server's text of a function says OR REPLACE."""
    yield Statement(item.definition)


def drop(item: Routine) -> Iterator[Statement]:
    yield statement(f"DROP {designation(item)}", hazards.deletes_object(item))


def is_in_place(before: Routine, after: Routine) -> bool:
    """Tell whether CREATE OR REPLACE keeps the routine: same kind, arguments and result (aggregates know no OR REPLACE)."""
    if before.flavour != after.flavour or before.signature != after.signature:
        return False
    return after.flavour != "aggregate" or before.definition == after.definition


def alter(before: Routine, after: Routine) -> Iterator[Statement]:
    if before.definition == after.definition:
        return
    found = []
    if _is_definer(before) != _is_definer(after):
        found.append(hazards.authz(f"{after.ref.qualified} changes between SECURITY DEFINER and INVOKER"))
    yield statement(after.definition, *found)


def _is_definer(item: Routine) -> bool:
    return " SECURITY DEFINER" in item.definition.split(" AS ", 1)[0]


# --- triggers and rules ---------------------------------------------------------------------------------------------------


def create_trigger(item: Trigger, scene: Scene) -> Iterator[Statement]:
    yield statement(item.definition, *hazards.blocks_writes(scene, item.ref.table, "SHARE ROW EXCLUSIVE"))
    yield from _enabled("TRIGGER", item, "origin")


def alter_trigger(before: Trigger, after: Trigger, scene: Scene) -> Iterator[Statement]:
    if before.definition != after.definition:
        replacing = after.definition.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1)
        yield statement(replacing, *hazards.blocks_writes(scene, after.ref.table, "SHARE ROW EXCLUSIVE"))
        yield from _enabled("TRIGGER", after, "origin")  # replacing a trigger forgets its state, unlike that of a rule
    else:
        yield from _enabled("TRIGGER", after, before.enabled)


def is_in_place_trigger(before: Trigger, after: Trigger, version: int) -> bool:
    """CREATE OR REPLACE TRIGGER came with PostgreSQL 14 and is not for constraint triggers."""
    if before.definition == after.definition:
        return True
    plain = all(item.definition.startswith("CREATE TRIGGER") for item in (before, after))
    return plain and version >= 14


def is_handed_down(item: Trigger | Rule) -> bool:
    """Tell whether partitions have a trigger of their table, under its name (manual, CREATE TRIGGER)."""
    return isinstance(item, Trigger) and " FOR EACH ROW " in item.definition and item.enabled != "disabled"


def asleep(item: Trigger | Rule) -> Statement:
    """Return what disables a trigger or rule for a while."""
    what = "TRIGGER" if isinstance(item, Trigger) else "RULE"
    return Statement(f"ALTER TABLE {parent_of(item.ref)} DISABLE {what} {quote(item.name)}")


def awake(item: Trigger | Rule) -> Iterator[Statement]:
    """Yield what puts a trigger or rule that was disabled for a while into its own state."""
    yield from _enabled("TRIGGER" if isinstance(item, Trigger) else "RULE", item, "disabled")


def _enabled(what: str, item: Trigger | Rule, state: str) -> Iterator[Statement]:
    if item.enabled != state:
        yield Statement(f"ALTER TABLE {parent_of(item.ref)} {_ENABLE[item.enabled]} {what} {quote(item.name)}")


def drop_attached(item: Trigger | Rule | Policy, scene: Scene) -> Iterator[Statement]:
    """Yield the DROP of what hangs on a table."""
    found = [hazards.deletes_object(item)]
    if isinstance(item, Policy):
        found.append(hazards.authz(f"policy {item.name} on {item.schema}.{item.parent} goes"))
    yield hazards.exclusively(scene, item.ref.table, f"DROP {designation(item)}", *found)


def create_rule(item: Rule, scene: Scene) -> Iterator[Statement]:
    yield hazards.exclusively(scene, item.ref.table, item.definition)
    yield from _enabled("RULE", item, "origin")


def alter_rule(before: Rule, after: Rule, scene: Scene) -> Iterator[Statement]:
    if before.definition != after.definition:
        sql = re.sub(r"^CREATE RULE", "CREATE OR REPLACE RULE", after.definition)
        yield hazards.exclusively(scene, after.ref.table, sql)
    yield from _enabled("RULE", after, before.enabled)  # replacing keeps the state


# --- row security ---------------------------------------------------------------------------------------------------------


def create_policy(item: Policy, scene: Scene) -> Iterator[Statement]:
    sql = f"CREATE POLICY {quote(item.name)} ON {parent_of(item.ref)}"
    sql += "" if item.permissive else " AS RESTRICTIVE"
    sql += "" if item.command == "all" else f" FOR {item.command.upper()}"
    roles = _roles(item)
    sql += "" if roles == "PUBLIC" else f" TO {roles}"
    yield hazards.exclusively(scene, item.ref.table, sql + _expressions(item), *_authz(item, scene))


def _roles(item: Policy) -> str:
    return ", ".join("PUBLIC" if role == "public" else quote(role) for role in item.roles) or "PUBLIC"


def _expressions(item: Policy) -> str:
    using = f"\nUSING ({item.using})" if item.using is not None else ""
    return using + (f"\nWITH CHECK ({item.check})" if item.check is not None else "")


def _authz(item: Policy, scene: Scene) -> tuple[Hazard, ...]:
    if item.ref.table not in scene.before.objects:
        return ()
    return (hazards.authz(f"policy {item.name} on {item.schema}.{item.parent} changes"),)


def is_in_place_policy(before: Policy, after: Policy) -> bool:
    """ALTER POLICY changes roles and expressions, and cannot take an expression away."""
    taken = (before.using is not None and after.using is None) or (before.check is not None and after.check is None)
    alike = replace(before, roles=after.roles, using=after.using, check=after.check, comment=after.comment)
    return alike == after and not taken


def alter_policy(before: Policy, after: Policy, scene: Scene) -> Iterator[Statement]:
    sql = f"ALTER POLICY {quote(after.name)} ON {parent_of(after.ref)}"
    if before.roles != after.roles:
        sql += f" TO {_roles(after)}"
    using = after.using if after.using != before.using else None
    check = after.check if after.check != before.check else None
    if (before.roles, before.using, before.check) != (after.roles, after.using, after.check):
        changed = replace(after, using=using, check=check)
        yield hazards.exclusively(scene, after.ref.table, sql + _expressions(changed), *_authz(after, scene))
