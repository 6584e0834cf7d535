"""Migrations as JSON files: `{id, name, sql, rollback_sql, dependencies, description, created_at}`."""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import partial
from typing import Any

from dbops.errors import Mark, MigrationError
from dbops.resources.migrations.model import Migration, Script

REQUIRED = ("id", "name", "sql")
KNOWN = frozenset(
    (*REQUIRED, "rollback_sql", "dependencies", "description", "created_at", "applied_at", "status", "checksum", "transaction")
)


def migration_of(text: str, shown: str) -> Migration:
    """Return the migration that a JSON file says.

    Raises:
        MigrationError: it is no JSON, lacks a field, or has one of another type; names the file.
    """
    at = Mark(shown)
    try:
        data = json.loads(text, object_pairs_hook=partial(_once, at=at))
    except RecursionError as error:
        raise MigrationError("this is no migration: too many brackets inside each other", at=at) from error
    except ValueError as error:
        line, column = getattr(error, "lineno", 0), getattr(error, "colno", 0)
        raise MigrationError(f"this is no JSON: {getattr(error, 'msg', error)}", at=Mark(shown, line, column)) from error
    if not isinstance(data, dict):
        raise MigrationError("a migration is a JSON object", at=at, expected=f"an object with {', '.join(REQUIRED)}")
    for name in REQUIRED:
        if not data.get(name):
            raise MigrationError(f"the migration has no {name}", at=at, expected=f"text in {', '.join(REQUIRED)}")
        _text(data, name, at)
    if not data["id"].isprintable() or data["id"] != data["id"].strip():
        raise MigrationError(f"the id {data['id']!r} begins or ends with a blank, or holds what nobody sees", at=at)
    if unknown := sorted(data.keys() - KNOWN):
        near = get_close_matches(unknown[0], KNOWN, 1)
        fix = f"did you mean '{near[0]}'?" if near else None
        raise MigrationError(f"unknown field '{unknown[0]}'", at=at, expected=f"some of {', '.join(sorted(KNOWN))}", fix=fix)
    back = _text(data, "rollback_sql", at)
    transactional = data.get("transaction", True)
    if not isinstance(transactional, bool):
        raise MigrationError("transaction is neither true nor false", at=at, expected="true, or false: each statement by itself")
    return Migration(
        version=data["id"],
        name=data["name"] if data["name"] != data["id"] else "",
        at=at,
        up=Script(data["sql"], at, transactional),
        down=None if back is None else Script(back, at, transactional),
        depends=_names(data, at),
        description=_text(data, "description", at) or "",
    )


def _once(pairs: list[tuple[str, Any]], at: Mark) -> dict[str, Any]:
    """Return an object of JSON; a name that stands twice in it is refused, where Python would take the last one."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise MigrationError(f"'{name}' stands twice in one object", at=at, expected="every name once")
        found[name] = value
    return found


def _text(data: dict[str, Any], name: str, at: Mark) -> str | None:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise MigrationError(f"{name} is no text", at=at, expected="text or null")
    return value


def _names(data: dict[str, Any], at: Mark) -> tuple[str, ...]:
    value = data.get("dependencies") or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MigrationError("dependencies is no list of ids", at=at, expected='["0001_init"]')
    return tuple(value)
