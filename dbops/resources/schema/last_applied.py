"""What was last applied of a schema, as its database remembers it: the canonical catalog, and the digests of reference rows."""

from __future__ import annotations

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.catalog.ref import Ref
from dbops.reconcile.resource import Memory
from dbops.resources.schema.model import DesiredSchema


def last_applied(schema: DesiredSchema, memory: Memory) -> Catalog | None:
    """Return the catalog that was last applied; one of an older format is as good as none."""
    text = memory.recall(schema.address)
    try:
        return None if text is None else codec.from_json(text)
    except (ValueError, KeyError, TypeError):
        return None


def rows_key(schema: DesiredSchema, table: Ref) -> str:
    """Return the key of the digest of a table's rows, which is the address of their changes, too."""
    return f"{schema.address}/{table}/data"
