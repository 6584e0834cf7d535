"""Objects known by the statement that makes them: their text is built by the server, in one query for all kinds.

A definition is complete: where PostgreSQL needs several statements (mappings of a text search configuration, loose members
of an operator family), they follow each other, separated by `;` and a line end.
"""

from __future__ import annotations

from dbops.catalog.model import Defined, Options, Unmanaged
from dbops.engines.postgresql.inspect.defined_sql import SOURCES
from dbops.engines.postgresql.inspect.reading import FIRST_USER_OID, Reading

_QUERY = """
SELECT d.what, d.catalog, d.oid, d.namespace, d.name, d.owner, d.definition, d.options FROM (
{union}) AS d(what, catalog, oid, namespace, name, owner, definition, options)
WHERE d.oid >= {first}
ORDER BY d.what, d.name"""


_WITHOUT_DEFINITION = {
    "operator": "only named by another operator, never made",
    "user_mapping": "it holds a secret, which no plan may show, or is hidden from this account",
}


def read_defined(reading: Reading) -> None:
    """Add casts, operators, collations, publications and all other objects of `SOURCES`."""
    sql = _QUERY.format(union="\nUNION ALL\n".join(source(reading.major) for source in SOURCES), first=FIRST_USER_OID)
    for what, catalog, oid, namespace, name, owner, definition, options in reading.conn.query(sql):
        if (namespace and namespace not in reading.schemas) or reading.is_member(catalog, oid):
            reading.excluded.add((catalog, oid))
            continue
        if definition is None:
            reading.excluded.add((catalog, oid))
            where = f"{reading.schemas[namespace]}." if namespace else ""
            reading.unmanaged.add(Unmanaged(what, where + name, _WITHOUT_DEFINITION[what]))
            continue
        item = Defined(
            what=what,
            schema=reading.schemas.get(namespace, ""),
            name=name,
            comment=reading.comment(catalog, oid),
            owner=reading.owner(owner) if owner else None,
            grants=reading.grants.get((catalog, oid)),
            definition=definition,
            options=_options(options),
        )
        reading.add(catalog, oid, item)


def _options(flat: list[str] | None) -> Options:
    """Names and values come in turn; a value of None means the option is not set."""
    flat = flat or []
    return tuple(sorted((name, value) for name, value in zip(flat[::2], flat[1::2], strict=True) if value is not None))
