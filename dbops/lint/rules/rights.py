"""Rules about who may do what, extensions, what replicas see, and functions that promise too much."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbops.lint.facts import Alter, AlterTable, Create, Drop, Grant, Name
from dbops.lint.rule import MY, PG, Hit, hazard, statement_rule
from dbops.lint.statements import Read
from dbops.lint.world import World

_ACCOUNTS = ("role", "user", "group", "user mapping", "policy", "default privileges")


@hazard(
    "AUTHZ_CHANGE",
    (*PG, *MY),
    why="A right that is given too widely is noticed late, one that is taken away at once.",
    advice="Have somebody who knows the roles look at it, and keep rights in files of their own.",
)
def authz_change(read: Read, world: World) -> Iterator[Hit]:
    if world.is_schema:
        return
    match read.fact:
        case Grant(verb, what):
            if not _about_new(what, world):
                yield Hit(0, f"{verb} {what}: who may do what changes")
        case AlterTable(table, actions) if not world.is_new(table):
            for action in actions:
                if action.kind in ("owner", "row_security"):
                    yield Hit(action.at, f"{' '.join(action.words[:4]).lower()} on {table}: who may do what changes")
        case Create("policy", name, Name() as table) if not world.is_new(table):
            yield Hit(name.at, f"policy {name} decides who sees which rows of {table}")
        case Create(kind, name) if kind in ("role", "user", "group", "user mapping"):
            yield Hit(0, f"{kind} {name} is created".replace("  ", " "))
        case Alter(kind, name, words) if kind in _ACCOUNTS or words[:2] == ("OWNER", "TO") or "SECURITY" in words[:3]:
            if not world.is_new(name, kind):
                yield Hit(0, f"{kind} {name}: {' '.join(words[:3]).lower()}")
        case Drop(kind, names) if kind in ("role", "user", "group", "user mapping", "policy"):
            yield Hit(0, f"{kind} {', '.join(map(str, names))} is dropped")
        case Create("function" | "procedure", name) if "SECURITY DEFINER" in " ".join(read.fact.words):
            if read.fact.is_guarded:
                yield Hit(name.at, f"{read.fact.kind} {name} runs with the rights of its owner")
        case _:
            pass


_ON = re.compile(r"\bON (?:TABLE |SEQUENCE |FUNCTION |PROCEDURE |TYPE |SCHEMA )?(.+?) (?:TO|FROM|\()", re.IGNORECASE)


def _about_new(what: str, world: World) -> bool:
    """Return whether a grant is about an object of this unit."""
    found = _ON.search(f"{what} TO")
    if not found:
        return False
    parts = [part.strip('"`') for part in found[1].replace(" ", "").split(".")]
    name = Name(parts[-2] if len(parts) > 1 else "", parts[-1])
    return any(
        world.is_new(name, kind)
        for kind in ("table", "view", "sequence", "function", "procedure", "type", "schema", "materialized view")
    )


@hazard(
    "EXTENSION_CHANGE",
    PG,
    why="An extension brings code of its own, needs rights the deployment may lack, and a package on every server and replica.",
    advice="Name its version, see that all servers have the package, and change it in a file of its own.",
)
def extension_change(read: Read, world: World) -> Iterator[Hit]:
    if world.is_schema:
        return
    match read.fact:
        case Create("extension", name) if name.name != "plpgsql":  # every database has it, and every dump creates it
            yield Hit(name.at, f"extension {name} is installed")
        case Alter("extension", name, words):
            yield Hit(name.at, f"extension {name}: {' '.join(words[:3]).lower()}")
        case Drop("extension", names):
            yield Hit(names[0].at, f"extension {', '.join(map(str, names))} is removed with all its objects")
        case _:
            pass


@hazard(
    "REPLICATION_IMPACT",
    PG,
    why="Subscribers get other rows, or cannot find the row that an update is about.",
    advice="Change both ends in order: additions at the subscriber first, removals at the publisher first.",
)
def replication_impact(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case AlterTable(table, actions) if not world.is_new(table):
            yield from (
                Hit(action.at, f"{table}: {' '.join(action.words[:3]).lower()}")
                for action in actions
                if action.kind == "replica_identity"
            )
        case Alter("publication" | "subscription", name, words) if words[:2] != ("OWNER", "TO"):
            yield Hit(name.at, f"{read.fact.kind} {name}: {' '.join(words[:3]).lower()}")
        case Drop("publication" | "subscription", names):
            yield Hit(names[0].at, f"{read.fact.kind} {', '.join(map(str, names))} is dropped")
        case _:
            pass


_UNSTABLE = re.compile(
    r"\b(random|clock_timestamp|timeofday|gen_random_uuid|nextval|now|current_timestamp|localtimestamp)\b\s*\(?|\bFROM\s+(?!unnest|generate_)[\w\".]+|\b(INSERT|UPDATE|DELETE)\s+",
    re.IGNORECASE,
)


@hazard(
    "FUNCTION_VOLATILITY",
    PG,
    why=(
        "Indexes, generated columns and plans keep what an IMMUTABLE function once said; when it says something else,"
        " they are wrong."
    ),
    advice="Declare it STABLE when it reads tables or the clock, VOLATILE when it writes or draws random numbers.",
)
def function_volatility(read: Read, world: World) -> Iterator[Hit]:
    if isinstance(read.fact, Create) and read.fact.kind == "function" and "IMMUTABLE" in read.fact.words:
        found = _UNSTABLE.search(re.sub(r"'[^']*'|--[^\n]*", "", read.fact.body))
        if found:
            yield Hit(
                read.fact.name.at,
                f"function {read.fact.name} is IMMUTABLE, and its body has {' '.join(found[0].split()).rstrip('( ')}",
            )


@statement_rule(
    "SECURITY_DEFINER_SEARCH_PATH",
    PG,
    "a SECURITY DEFINER function trusts its caller's search_path",
    why=(
        "Whoever can create objects in a schema of the search path can put a table or operator before the one that is"
        " meant, and have it used with the owner's rights."
    ),
    advice="Add SET search_path = pg_catalog, pg_temp (with the schemas the body needs), or qualify every name.",
    severity="error",
)
def security_definer_search_path(read: Read, world: World) -> Iterator[Hit]:
    if isinstance(read.fact, Create) and read.fact.kind in ("function", "procedure"):
        words = " ".join(read.fact.words)
        if "SECURITY DEFINER" in words and "SET SEARCH_PATH" not in words and not _set_later(read, world):
            yield Hit(
                read.fact.name.at,
                f"{read.fact.kind} {read.fact.name} runs with its owner's rights under the caller's search_path",
            )


def _set_later(read: Read, world: World) -> bool:
    assert isinstance(read.fact, Create)
    name = world.key(read.fact.name)
    later = (other.fact for other in world.script[read.number + 1 :])
    return any(isinstance(fact, Alter) and world.key(fact.name) == name and "SEARCH_PATH" in fact.words for fact in later)
