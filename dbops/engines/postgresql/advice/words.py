"""SQL that several rules share."""

from __future__ import annotations

#: Schemas of people: `n` is pg_namespace.
OWN = "n.nspname NOT IN ('information_schema', 'dbops') AND n.nspname !~ '^pg_'"

#: An object `{0}` of pg_class that no extension brought.
FREE = """NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS e WHERE e.classid = 'pg_catalog.pg_class'::regclass
  AND e.objid = {0} AND e.deptype = 'e')"""

#: Since when the counters of this database count.
COUNTED_SINCE = """coalesce((SELECT stats_reset FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()),
  pg_catalog.pg_postmaster_start_time())"""


def named(oid: str) -> str:
    """Return the SQL of the full name of a relation."""
    return f"(SELECT format('%I.%I', ns.nspname, cl.relname) FROM pg_catalog.pg_class AS cl \
JOIN pg_catalog.pg_namespace AS ns ON ns.oid = cl.relnamespace WHERE cl.oid = {oid})"
