"""Tokens that move with every DDL, and with every transaction that writes.

A catalog row carries the transaction that wrote it (xmin), and every creation, alteration or removal writes, replaces or
removes rows; VACUUM FREEZE leaves xmin readable. Rows are counted per transaction, so a fingerprint costs one pass over each
catalog. Whether any transaction wrote anything at all, the server knows without looking.
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
    "pg_seclabel",
    "pg_db_role_setting",
]
_SINCE_15 = ("pg_publication_namespace",)

_ONE = """SELECT '{catalog}', pg_catalog.sum(pg_catalog.hashtextextended(xmin::text, 0)::numeric * n)::text
FROM (SELECT xmin, pg_catalog.count(*) AS n FROM pg_catalog.{catalog} GROUP BY xmin) AS g"""

#: Not everybody may read the catalog of user mappings, but everybody the view of those that are his.
_USER_MAPPINGS = """SELECT 'pg_user_mapping', pg_catalog.sum(pg_catalog.hashtextextended(m::text, 0)::numeric)::text
FROM pg_catalog.pg_user_mappings AS m"""

#: What belongs to the whole cluster and is named in catalogs all the same; not everybody may read these rows' xmin.
_SHARED = """SELECT 'names', pg_catalog.sum(pg_catalog.hashtextextended(names, 0)::numeric)::text FROM (
SELECT 'role' || oid::text || ' ' || rolname FROM pg_catalog.pg_roles
UNION ALL SELECT 'tablespace' || oid::text || ' ' || spcname FROM pg_catalog.pg_tablespace
UNION ALL SELECT 'subscription' || oid::text || ' ' || subdbid::text || ' ' || subname FROM pg_catalog.pg_subscription
) AS x(names)"""


def fingerprint(conn: Connection) -> str:
    """Return the token; one query.

    It also moves without DDL now and then: first ANALYZE, REINDEX, TRUNCATE, VACUUM FULL, REFRESH, a temporary table.
    """
    catalogs = (*_CATALOGS, *_SINCE_15) if conn.server.version >= (15,) else _CATALOGS
    parts = [*(_ONE.format(catalog=catalog) for catalog in catalogs), _USER_MAPPINGS, _SHARED]
    sums = conn.query("\nUNION ALL\n".join(parts))
    return hashlib.sha256(repr(sorted(sums)).encode()).hexdigest()


_LAST_WRITE = """
SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::text,
       pg_catalog.pg_is_in_recovery()"""


def last_write(conn: Connection) -> str | None:
    """Return which transaction was the last of the whole cluster, None while any is under way.

    Every change of a catalog belongs to a transaction with a number, and numbers are not given twice (manual, "Transactions and
    Identifiers"). The start of the server tells apart a cluster that went back to a backup.
    """
    [(snapshot, started, is_standby)] = conn.query(_LAST_WRITE)
    oldest, following, under_way = snapshot.split(":")
    if is_standby or under_way or oldest != following:
        return None
    return f"{started} {following}"
