"""Who may do what: access control lists of all kinds of objects as sorted grants."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field

from dbops.catalog.model import Grant
from dbops.dataclass import dataclass
from dbops.engines.postgresql.inspect.reading import (
    CLASS,
    FDW,
    FIRST_USER_OID,
    LANGUAGE,
    NAMESPACE,
    PROC,
    PUBLIC_SCHEMA,
    SERVER,
    TYPE,
    Reading,
)

#: (catalog, class of privileges, expressions of oid, part, owner and list, where they stand).
_SOURCES = (
    (CLASS, "CASE relkind WHEN 'S' THEN 'S' ELSE 'r' END", "oid, 0, relowner", "relacl", "pg_class WHERE oid"),
    (
        CLASS,
        "'c'",
        "a.attrelid, a.attnum, c.relowner",
        "attacl",
        "pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE NOT a.attisdropped AND c.oid",
    ),
    (PROC, "'f'", "oid, 0, proowner", "proacl", "pg_proc WHERE oid"),
    (TYPE, "'T'", "oid, 0, typowner", "typacl", "pg_type WHERE oid"),
    (NAMESPACE, "'n'", "oid, 0, nspowner", "nspacl", f"pg_namespace WHERE oid = {PUBLIC_SCHEMA} OR oid"),
    (LANGUAGE, "'l'", "oid, 0, lanowner", "lanacl", "pg_language WHERE oid"),
    (FDW, "'F'", "oid, 0, fdwowner", "fdwacl", "pg_foreign_data_wrapper WHERE oid"),
    (SERVER, "'s'", "oid, 0, srvowner", "srvacl", "pg_foreign_server WHERE oid"),
)

_QUERY = """
SELECT g.catalog, g.class, g.oid, g.part, g.owner, x.grantee, x.privilege_type, x.is_grantable FROM (
{union}) AS g(catalog, class, oid, part, owner, acl) LEFT JOIN LATERAL aclexplode(g.acl) AS x ON true
WHERE g.acl IS NOT NULL"""

_OWNER_HAS = {
    "r": {"INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"},
    "S": {"USAGE", "SELECT", "UPDATE"},
    "f": {"EXECUTE"},
    "n": {"USAGE", "CREATE"},
}
_EVERYBODY_HAS = {
    "f": [Grant("public", "EXECUTE")],
    "T": [Grant("public", "USAGE")],
    "l": [Grant("public", "USAGE")],
}


@dataclass(slots=True)
class _List:
    """The access control lists of one object and its columns; `kind` is empty while only columns have one."""

    kind: str = ""
    granted: set[Grant] = field(default_factory=set)
    owner_has: set[str] = field(default_factory=set)


def read_grants(reading: Reading) -> None:
    """Fill `reading.grants` for every object whose grants are not the server's default."""
    union = "\nUNION ALL ".join(
        f"SELECT {catalog}, {kind}, {fields}, {acl} FROM {source} >= {FIRST_USER_OID}"
        for catalog, kind, fields, acl, source in _SOURCES
    )
    lists: defaultdict[tuple[int, int], _List] = defaultdict(_List)
    for catalog, kind, oid, part, owner, grantee, privilege, grantable in reading.conn.query(_QUERY.format(union=union)):
        found = lists[catalog, oid]
        if not part:
            found.kind = kind
        if grantee is None:  # an empty list: even the owner has nothing
            continue
        if grantee != owner:
            column = reading.columns.get(oid, {}).get(part, "") if part else ""
            found.granted.add(Grant(reading.roles.get(grantee, str(grantee)), privilege, grantable, column))
        elif not part:
            found.owner_has.add(privilege)
    for (catalog, oid), found in lists.items():
        grants = _unless_default(reading, found, catalog == NAMESPACE and oid == PUBLIC_SCHEMA)
        if grants is not None:
            reading.grants[catalog, oid] = grants


def _unless_default(reading: Reading, found: _List, is_public_schema: bool) -> tuple[Grant, ...] | None:
    """The grants without the owner's full set; None when they are what the server gives by itself."""
    granted = set(found.granted)
    full = _OWNER_HAS.get(found.kind, {"USAGE"}) | ({"MAINTAIN"} if found.kind == "r" and reading.major >= 17 else set())
    if found.kind and found.owner_has != full:
        granted |= {Grant("", privilege) for privilege in found.owner_has or {"NONE"}}
    default = _EVERYBODY_HAS.get(found.kind, [])
    if is_public_schema:
        default = [Grant("public", "USAGE")] + ([Grant("public", "CREATE")] if reading.major < 15 else [])
    return None if granted == set(default) else tuple(sorted(granted))
