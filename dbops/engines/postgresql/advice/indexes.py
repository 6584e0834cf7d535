"""Rules about indexes."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.advice import Rule
from dbops.engines.postgresql.advice.words import COUNTED_SINCE, FREE, OWN, named

_DROP = f"format('DROP INDEX CONCURRENTLY %s;', {named('i.indexrelid')})"

#: A second index with the same columns, order, operators, expressions and condition.
_TWINS = """
  i.indrelid = o.indrelid AND i.indexrelid <> o.indexrelid AND i.indkey = o.indkey AND i.indclass = o.indclass
  AND i.indoption = o.indoption AND i.indcollation = o.indcollation AND i.indnkeyatts = o.indnkeyatts AND ic.relam = oc.relam
  AND coalesce(pg_catalog.pg_get_expr(i.indexprs, i.indrelid), '') = coalesce(pg_catalog.pg_get_expr(o.indexprs, o.indrelid), '')
  AND coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), '') = coalesce(pg_catalog.pg_get_expr(o.indpred, o.indrelid), '')"""

#: An index that nothing else needs: no constraint, no replica identity, no parent of a partition.
_SPARE = """i.indisvalid AND NOT i.indisreplident AND NOT i.indisclustered
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS k WHERE k.conindid = i.indexrelid)
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = i.indexrelid)"""

_FROM = f"""
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = ic.relnamespace AND {OWN}"""

RULES: Sequence[Rule] = (
    Rule(
        "PG-IDX-001",
        "warning",
        "object",
        "a foreign key whose columns no index begins with",
        f"""
SELECT {named("c.conrelid")}, format('%s (%s)', c.conname, k.names),
       CASE WHEN t.relkind = 'p' THEN format('CREATE INDEX ON %s (%s);', {named("c.conrelid")}, k.names)
            ELSE format('CREATE INDEX CONCURRENTLY ON %s (%s);', {named("c.conrelid")}, k.names) END
FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_class AS t ON t.oid = c.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace AND {OWN}
CROSS JOIN LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.place) AS names
  FROM unnest(c.conkey) WITH ORDINALITY AS u (number, place)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = u.number) AS k
WHERE c.contype = 'f' AND c.conparentid = 0 AND NOT EXISTS (
  SELECT 1 FROM pg_catalog.pg_index AS i
  WHERE i.indrelid = c.conrelid AND i.indisvalid AND i.indnkeyatts >= cardinality(c.conkey)
    AND (i.indpred IS NULL OR pg_catalog.pg_get_expr(i.indpred, i.indrelid) = format('(%s IS NOT NULL)', k.names))
    AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)
ORDER BY 1, 2""",
        "an index on them: without it every delete or change of a referenced row reads the whole table",
        is_safe=True,
    ),
    Rule(
        "PG-IDX-002",
        "warning",
        "object",
        "an index that is there twice",
        f"""
SELECT {named("i.indexrelid")}, format('the same as %s, %s', {named("o.indexrelid")},
         pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(i.indexrelid))), {_DROP}
{_FROM} JOIN pg_catalog.pg_index AS o ON o.indrelid = i.indrelid JOIN pg_catalog.pg_class AS oc ON oc.oid = o.indexrelid
WHERE {_TWINS} AND {_SPARE} AND (NOT i.indisunique OR o.indisunique) AND o.indisvalid
  AND (i.indexrelid > o.indexrelid OR o.indisunique AND NOT i.indisunique
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS k WHERE k.conindid = o.indexrelid))
ORDER BY 1, 2""",
        "drop one of them: each is written with every row",
    ),
    Rule(
        "PG-IDX-003",
        "info",
        "object",
        "an index that another one begins with",
        f"""
SELECT {named("i.indexrelid")}, format('%s begins with it, %s', {named("o.indexrelid")},
         pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(i.indexrelid))), {_DROP}
{_FROM} JOIN pg_catalog.pg_index AS o ON o.indrelid = i.indrelid AND o.indexrelid <> i.indexrelid
JOIN pg_catalog.pg_class AS oc ON oc.oid = o.indexrelid JOIN pg_catalog.pg_am AS m ON m.oid = ic.relam AND m.amname = 'btree'
WHERE {_SPARE} AND o.indisvalid AND ic.relam = oc.relam AND NOT i.indisunique AND i.indpred IS NULL AND o.indpred IS NULL
  AND i.indnatts = i.indnkeyatts AND i.indnkeyatts < o.indnkeyatts AND NOT 0 = ANY (i.indkey::int2[])
  AND (o.indkey::int2[])[0:i.indnkeyatts - 1] = (i.indkey::int2[])[0:i.indnkeyatts - 1]
  AND (o.indclass::oid[])[0:i.indnkeyatts - 1] = (i.indclass::oid[])[0:i.indnkeyatts - 1]
  AND (o.indoption::int2[])[0:i.indnkeyatts - 1] = (i.indoption::int2[])[0:i.indnkeyatts - 1]
  AND (o.indcollation::oid[])[0:i.indnkeyatts - 1] = (i.indcollation::oid[])[0:i.indnkeyatts - 1]
ORDER BY 1, 2""",
        "the longer one serves what it serves; it is smaller, though, and quicker to read",
    ),
    Rule(
        "PG-IDX-004",
        "info",
        "object",
        "an index that was not used since the counters began",
        f"""
SELECT {named("i.indexrelid")}, format('%s scans since %s, %s', pg_catalog.pg_stat_get_numscans(i.indexrelid),
         ({COUNTED_SINCE})::date, pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(i.indexrelid))), {_DROP}
{_FROM}
WHERE {_SPARE} AND NOT i.indisunique AND NOT i.indisexclusion AND pg_catalog.pg_stat_get_numscans(i.indexrelid) <= :max_scans
  AND pg_catalog.pg_relation_size(i.indexrelid) >= :min_bytes
  AND {COUNTED_SINCE} <= pg_catalog.now() - :min_days * interval '1 day'
ORDER BY pg_catalog.pg_relation_size(i.indexrelid) DESC, 1""",
        "drop it, once the replicas have been asked too: each counts for itself",
        thresholds={"max_scans": 0, "min_bytes": 10 << 20, "min_days": 7},
    ),
    Rule(
        "PG-IDX-005",
        "error",
        "object",
        "an invalid index, as a failed CREATE INDEX CONCURRENTLY leaves it",
        f"""
SELECT {named("i.indexrelid")}, format('on %s', {named("i.indrelid")}),
       format('REINDEX INDEX CONCURRENTLY %s;', {named("i.indexrelid")})
{_FROM}
WHERE NOT i.indisvalid AND ic.relkind = 'i'
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid)
ORDER BY 1""",
        "build it again, or drop it: it is written and never read",
        is_safe=True,
    ),
    Rule(
        "PG-IDX-006",
        "info",
        "object",
        "an index on a column that is nearly always NULL",
        f"""
SELECT {named("i.indexrelid")}, format('%s%% of %s are NULL', round(100 * s.null_frac), a.attname), NULL
{_FROM} JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
JOIN pg_catalog.pg_stats AS s
  ON s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = a.attname AND NOT s.inherited
WHERE i.indnatts = 1 AND NOT i.indisunique AND i.indpred IS NULL AND i.indisvalid AND s.null_frac >= :null_frac
  AND t.reltuples >= :min_rows
ORDER BY 1""",
        "CREATE INDEX ... WHERE the column IS NOT NULL, in its place",
        requires=("statistics",),
        thresholds={"null_frac": 0.5, "min_rows": 100_000},
    ),
    Rule(
        "PG-IDX-007",
        "info",
        "object",
        "a table with many indexes",
        f"""
SELECT {named("t.oid")}, format('%s indexes, %s beside %s of rows', count(*), pg_catalog.pg_size_pretty(
         sum(pg_catalog.pg_relation_size(i.indexrelid))), pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(t.oid))), NULL
FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_index AS i ON i.indrelid = t.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace AND {OWN}
WHERE t.relkind IN ('r', 'm') AND {FREE.format("t.oid")}
GROUP BY t.oid
HAVING count(*) > :max_indexes OR (sum(pg_catalog.pg_relation_size(i.indexrelid)) > 2 * pg_catalog.pg_relation_size(t.oid)
  AND pg_catalog.pg_relation_size(t.oid) > :min_bytes)
ORDER BY 1""",
        "see which are unused or begin another: every one is written with every row",
        thresholds={"max_indexes": 10, "min_bytes": 10 << 20},
    ),
)
