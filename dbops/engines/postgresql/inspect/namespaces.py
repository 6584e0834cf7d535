"""Schemas and extensions."""

from __future__ import annotations

from dbops.catalog.model import Extension, Schema, Unmanaged
from dbops.engines.postgresql.inspect.reading import EXTENSION, NAMESPACE, PUBLIC_SCHEMA, Reading

_VERSIONS = "SELECT name, default_version FROM pg_available_extensions WHERE installed_version IS NOT NULL"
_STANDARD_COMMENT = "standard public schema"


def read_schemas(reading: Reading) -> None:
    """Add the user's schemas; `public` too, without the owner, grants and comment it is delivered with.

    Those that an extension's script made come with it, though the user may keep objects there.
    """
    for oid, name in reading.schemas.items():
        if reading.is_member(NAMESPACE, oid):
            continue
        comment, owner = reading.comment(NAMESPACE, oid), reading.owner(reading.schema_owner[oid])
        if oid == PUBLIC_SCHEMA:
            comment = None if comment == _STANDARD_COMMENT else comment
            is_delivered = reading.schema_owner[oid] in (_BOOTSTRAP_SUPERUSER, _DATABASE_OWNER)
            owner = None if is_delivered else owner
        reading.add(NAMESPACE, oid, Schema(name=name, comment=comment, owner=owner, grants=reading.grants.get((NAMESPACE, oid))))


_BOOTSTRAP_SUPERUSER = 10
_DATABASE_OWNER = 6171
"""The role pg_database_owner, owner of `public` from PostgreSQL 15 on."""


def read_extensions(reading: Reading) -> None:
    """Add extensions; in a scratch database a version that is the server's default counts as not named."""
    usual: dict[str, str] = dict(reading.conn.query(_VERSIONS)) if reading.declared else {}
    names: set[str] = set()
    for oid, namespace, name, version, owner, is_relocatable in reading.extensions:
        names.add(name)
        if name == "plpgsql":
            reading.excluded.add((EXTENSION, oid))
            continue
        item = Extension(
            schema=reading.schemas.get(namespace, "pg_catalog"),
            name=name,
            comment=reading.comment(EXTENSION, oid),
            owner=reading.owner(owner),
            version=None if reading.declared and usual.get(name) == version else version,
            is_relocatable=is_relocatable,
        )
        reading.add(EXTENSION, oid, item)
    if "plpgsql" not in names:
        reason = "delivered with every database, but dropped from this one: functions in plpgsql cannot be made"
        reading.unmanaged.add(Unmanaged("extension", "plpgsql", reason))
