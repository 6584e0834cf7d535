"""A token that moves with every DDL: which transactions wrote the rows of the catalogs that hold user objects.

A catalog row carries the transaction that wrote it (xmin), and every creation, alteration or removal writes, replaces or
removes rows; VACUUM FREEZE leaves xmin readable. Rows are counted per transaction, so the cost is one pass over each catalog.
"""

from __future__ import annotations

import hashlib

from dbops.engines.base.connect import Connection

_CATALOGS = [
    "pg_namespace",
    "pg_class",
    "pg_attribute",
    "pg_attrdef",
    "pg_constraint",
    "pg_index",
    "pg_inherits",
    "pg_type",
    "pg_enum",
    "pg_range",
    "pg_proc",
    "pg_aggregate",
    "pg_trigger",
    "pg_rewrite",
    "pg_policy",
    "pg_description",
    "pg_sequence",
    "pg_depend",
    "pg_extension",
    "pg_operator",
    "pg_opclass",
    "pg_opfamily",
    "pg_amop",
    "pg_amproc",
    "pg_am",
    "pg_cast",
    "pg_collation",
    "pg_conversion",
    "pg_language",
    "pg_transform",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_statistic_ext",
    "pg_publication",
    "pg_publication_rel",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_event_trigger",
    "pg_default_acl",
    "pg_partitioned_table",
]
_SINCE_15 = ("pg_publication_namespace",)

_ONE = """SELECT '{catalog}', pg_catalog.sum(pg_catalog.hashtextextended(xmin::text, 0)::numeric * n)::text
FROM (SELECT xmin, pg_catalog.count(*) AS n FROM pg_catalog.{catalog} GROUP BY xmin) AS g"""

#: Not everybody may read the catalog of user mappings, but everybody the view of those that are his.
_USER_MAPPINGS = """SELECT 'pg_user_mapping', pg_catalog.sum(pg_catalog.hashtextextended(m::text, 0)::numeric)::text
FROM pg_catalog.pg_user_mappings AS m"""


def fingerprint(conn: Connection) -> str:
    """Return the token; one query.

    It also moves without DDL now and then: first ANALYZE, REINDEX, TRUNCATE, VACUUM FULL, REFRESH, a temporary table.
    """
    catalogs = (*_CATALOGS, *_SINCE_15) if conn.server.version >= (15,) else _CATALOGS
    parts = [*(_ONE.format(catalog=catalog) for catalog in catalogs), _USER_MAPPINGS]
    sums = conn.query("\nUNION ALL\n".join(parts))
    return hashlib.sha256(repr(sorted(sums)).encode()).hexdigest()
