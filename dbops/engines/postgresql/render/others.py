"""Schemas, extensions, and every object known by the statement that makes it."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.catalog.model import Defined, Extension, Schema
from dbops.engines.postgresql.render import foreign, hazards, publications
from dbops.engines.postgresql.render.names import designation, literal, named, quote
from dbops.engines.postgresql.render.scene import Scene, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_ENABLE = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def create_schema(item: Schema) -> Iterator[Statement]:
    """Yield CREATE SCHEMA; `public` is in every new database already."""
    yield Statement(f"CREATE SCHEMA {'IF NOT EXISTS ' if item.name == 'public' else ''}{quote(item.name)}")


def drop_schema(item: Schema) -> Iterator[Statement]:
    yield statement(f"DROP SCHEMA {quote(item.name)}", hazards.deletes_object(item))


def create_extension(item: Extension) -> Iterator[Statement]:
    where = f" WITH SCHEMA {quote(item.schema)}" if item.schema and item.schema != "pg_catalog" else ""
    version = f" VERSION {literal(item.version)}" if item.version else ""
    found = Hazard("EXTENSION_CHANGE", f"extension {item.name} is installed")
    yield statement(f"CREATE EXTENSION {quote(item.name)}{where}{version}", found)


def drop_extension(item: Extension) -> Iterator[Statement]:
    found = Hazard("EXTENSION_CHANGE", f"extension {item.name} is removed with all its objects")
    yield statement(f"DROP EXTENSION {quote(item.name)}", found, hazards.deletes_object(item))


def is_in_place_extension(before: Extension, after: Extension) -> bool:
    return before.schema == after.schema or before.is_relocatable


def alter_extension(before: Extension, after: Extension) -> Iterator[Statement]:
    if before.version != after.version and after.version is not None:
        found = Hazard("EXTENSION_CHANGE", f"extension {after.name} goes from {before.version} to {after.version}")
        yield statement(f"ALTER EXTENSION {quote(after.name)} UPDATE TO {literal(after.version)}", found)
    if before.schema != after.schema:
        found = Hazard("EXTENSION_CHANGE", f"extension {after.name} moves to schema {after.schema}")
        yield statement(f"ALTER EXTENSION {quote(after.name)} SET SCHEMA {quote(after.schema)}", found)


# --- objects known by their statement ---------------------------------------------------------------------------------------


def create(item: Defined) -> Iterator[Statement]:
    """Yield the definition, which may be several statements, and what it has no words for."""
    found = [hazards.authz(f"default privileges of {item.name} change")] if item.what == "default_privileges" else []
    for sql in _parts(item.definition):
        yield statement(sql, *found)
    yield from _settings(item, None)


def _parts(text: str) -> list[str]:
    return [part for part in text.split(";\n") if part]


def _settings(item: Defined, before: Defined | None) -> Iterator[Statement]:
    old, new = dict(before.options if before else ()), dict(item.options)
    if old == new:
        return
    if item.what == "statistics":
        yield Statement(f"ALTER STATISTICS {named(item.ref)} SET STATISTICS {new.get('target', '-1')}")
    elif item.what == "event_trigger" and old.get("enabled") != new.get("enabled"):
        yield Statement(f"ALTER EVENT TRIGGER {quote(item.name)} {_ENABLE.get(new.get('enabled', ''), 'ENABLE')}")


def drop(item: Defined, scene: Scene) -> Iterator[Statement]:
    foreign.refuse_to_lose_secrets(item, scene)
    if item.what == "default_privileges":
        yield from _taken_back(item, hazards.deletes_object(item))
        return
    yield statement(f"DROP {designation(item)}", hazards.deletes_object(item))


def _taken_back(item: Defined, *found: Hazard) -> Iterator[Statement]:
    told = hazards.authz(f"default privileges of {item.name} are taken back")
    for sql in _parts(dict(item.options).get("revert", "")):
        yield statement(sql, told, *found)


def is_in_place(before: Defined, after: Defined) -> bool:
    """Tell whether ALTER reaches `after`."""
    if before.definition == after.definition or after.what == "default_privileges":
        return True
    if after.what == "publication":
        return publications.is_of_parts(before) and publications.is_of_parts(after)
    return after.what in foreign.KINDS and foreign.is_in_place(before, after)


def alter(before: Defined, after: Defined) -> Iterator[Statement]:
    if after.what == "default_privileges":
        yield from _taken_back(before)
        yield from create(after)
        return
    if before.definition != after.definition:
        if after.what == "publication":
            yield from publications.alter(before, after)
        else:
            yield from foreign.alter(before, after)
    yield from _settings(after, before)
