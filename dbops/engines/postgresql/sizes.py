"""How large tables are, by the server's own statistics."""

from __future__ import annotations

from collections import defaultdict

from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection, TableSize

#: reltuples is -1 (0 before PostgreSQL 14) until the first VACUUM or ANALYZE: then the counter of live rows speaks.
_QUERY = """
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text,
       CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint ELSE greatest(pg_catalog.pg_stat_get_live_tuples(c.oid), 0) END,
       (c.relpages::bigint + coalesce(t.relpages, 0)) * pg_catalog.current_setting('block_size')::bigint,
       CASE WHEN c.relispartition THEN (SELECT i.inhparent FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid) END
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"""

_KINDS = {"r": "table", "p": "table", "m": "materialized_view"}


def sizes(conn: Connection) -> dict[Ref, TableSize]:
    """Return estimates of all tables and materialized views; a partitioned table has what its partitions have."""
    refs: dict[int, Ref] = {}
    rows: defaultdict[int, int] = defaultdict(int)
    size_bytes: defaultdict[int, int] = defaultdict(int)
    parents: dict[int, int] = {}
    own: list[tuple[int, int, int]] = []
    for oid, schema, name, kind, count, size, parent in conn.query(_QUERY):
        refs[oid] = Ref(_KINDS[kind], schema, name)
        if parent:
            parents[oid] = parent
        if kind != "p":
            own.append((oid, count, size))
    for oid, count, size in own:
        at: int | None = oid
        while at is not None:
            rows[at] += count
            size_bytes[at] += size
            at = parents.get(at)
    return {ref: TableSize(rows[oid], size_bytes[oid]) for oid, ref in refs.items()}
