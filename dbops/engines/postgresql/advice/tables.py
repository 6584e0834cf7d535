"""Rules about tables, their rows, and what hangs on them."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.advice import Rule
from dbops.engines.postgresql.advice.words import COUNTED_SINCE, FREE, OWN, named

_NAME = named("t.oid")
_FROM = f"""
FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace AND {OWN}"""
_COUNTED = f"""
FROM pg_catalog.pg_stat_all_tables AS s JOIN pg_catalog.pg_class AS t ON t.oid = s.relid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace AND {OWN}"""
_VACUUM = f"format('VACUUM (ANALYZE) %s;', {_NAME})"

#: The last number that a sequence can give to the column which owns it.
_MOST = """least(s.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
           ELSE s.seqmax END)"""

RULES: Sequence[Rule] = (
    Rule(
        "PG-TBL-001",
        "warning",
        "object",
        "a table without a primary key",
        f"""
SELECT {_NAME}, CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_index AS i
         WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL)
         THEN 'it has a unique index' ELSE 'nothing tells its rows apart' END, NULL
{_FROM}
WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND {FREE.format("t.oid")}
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_index AS i WHERE i.indrelid = t.oid AND i.indisprimary)
ORDER BY 1""",
        "a primary key: logical replication and undo want one",
    ),
    Rule(
        "PG-TBL-002",
        "warning",
        "object",
        "a large table that is mostly read from end to end",
        f"""
SELECT {_NAME},
       format('%s full reads, %s through an index, about %s rows', s.seq_scan, coalesce(s.idx_scan, 0), s.n_live_tup), NULL
{_COUNTED}
WHERE s.n_live_tup >= :min_rows AND s.seq_scan >= :min_reads
  AND coalesce(s.idx_scan, 0)::float8 / (s.seq_scan + coalesce(s.idx_scan, 0)) < :min_share
ORDER BY s.seq_tup_read DESC, 1""",
        "find the statements that read it; an index for what they look for",
        thresholds={"min_rows": 10_000, "min_reads": 50, "min_share": 0.95},
    ),
    Rule(
        "PG-TBL-003",
        "warning",
        "object",
        "many dead rows",
        f"""
SELECT {_NAME}, format('%s dead beside %s, vacuumed %s', s.n_dead_tup, s.n_live_tup,
         coalesce(greatest(s.last_vacuum, s.last_autovacuum)::text, 'never')), {_VACUUM}
{_COUNTED}
WHERE s.n_dead_tup >= :min_dead AND s.n_dead_tup::float8 / nullif(s.n_live_tup + s.n_dead_tup, 0) >= :ratio
ORDER BY s.n_dead_tup DESC, 1""",
        "vacuum, and a smaller autovacuum_vacuum_scale_factor for the table",
        thresholds={"min_dead": 10_000, "ratio": 0.1},
        is_safe=True,
    ),
    Rule(
        "PG-TBL-004",
        "info",
        "object",
        "statistics that are missing or old",
        f"""
SELECT {_NAME}, format('%s changes since, analyzed %s', s.n_mod_since_analyze,
         coalesce(greatest(s.last_analyze, s.last_autoanalyze)::text, 'never')), format('ANALYZE %s;', {_NAME})
{_COUNTED}
WHERE s.n_live_tup >= :min_rows AND (greatest(s.last_analyze, s.last_autoanalyze) IS NULL
  OR s.n_mod_since_analyze > :ratio * s.n_live_tup)
ORDER BY s.n_mod_since_analyze DESC, 1""",
        "ANALYZE: the planner guesses by them",
        thresholds={"min_rows": 10_000, "ratio": 0.1},
        is_safe=True,
    ),
    Rule(
        "PG-TBL-005",
        "warning",
        "object",
        "a table that autovacuum leaves alone",
        f"""
SELECT {_NAME}, array_to_string(t.reloptions, ', '), format('ALTER TABLE %s RESET (autovacuum_enabled);', {_NAME})
{_FROM}
WHERE t.relkind IN ('r', 'm', 'p') AND EXISTS (SELECT 1 FROM pg_catalog.pg_options_to_table(t.reloptions) AS o
  WHERE o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean)
ORDER BY 1""",
        "let it be vacuumed again: dead rows pile up, and transaction ids run out",
        is_safe=True,
    ),
    Rule(
        "PG-TBL-006",
        "error",
        "server",
        "transaction ids run out",
        """
SELECT datname, format('%s transactions and %s multixacts old', age(datfrozenxid), mxid_age(datminmxid)), NULL
FROM pg_catalog.pg_database WHERE greatest(age(datfrozenxid), mxid_age(datminmxid)) > :max_age ORDER BY 1""",
        "VACUUM (FREEZE) the oldest tables, and end what holds vacuum back (PG-TXN-004)",
        thresholds={"max_age": 500_000_000},
    ),
    Rule(
        "PG-TBL-007",
        "warning",
        "object",
        "updates that rarely stay on their page",
        f"""
SELECT {_NAME}, format('%s of %s updates were HOT', s.n_tup_hot_upd, s.n_tup_upd),
       format('ALTER TABLE %s SET (fillfactor = 85);', {_NAME})
{_COUNTED}
WHERE s.n_tup_upd >= :min_updates AND s.n_tup_hot_upd::float8 / s.n_tup_upd < :ratio
ORDER BY s.n_tup_upd DESC, 1""",
        "room on each page (fillfactor), or fewer indexes on columns that change",
        thresholds={"min_updates": 10_000, "ratio": 0.5},
    ),
    Rule(
        "PG-TBL-008",
        "warning",
        "object",
        "a table with much room that nothing uses, by estimate",
        f"""
WITH width AS (
  SELECT t.oid, t.reltuples, t.relpages, pg_catalog.current_setting('block_size')::int AS page,
         coalesce((SELECT o.option_value::int FROM pg_catalog.pg_options_to_table(t.reloptions) AS o
                   WHERE o.option_name = 'fillfactor'), 100) AS fill,
         28 + sum((1 - coalesce(s.null_frac, 0)) * coalesce(s.avg_width, 1024))
            + CASE WHEN max(s.null_frac) > 0 THEN (count(*) + 7) / 8 ELSE 0 END AS bytes
  {_FROM.strip()} JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_stats AS s
    ON s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = a.attname AND NOT s.inherited
  WHERE t.relkind IN ('r', 'm') AND t.reltuples > 0 AND t.relpages >= :min_pages GROUP BY t.oid),
needed AS (SELECT *, ceil(reltuples / greatest(1, floor((page - 24) * fill / 100.0 / (ceil(bytes / 8) * 8)))) AS pages FROM width)
SELECT {named("needed.oid")}, format('about %s%% of %s', round(100 * (relpages - pages) / relpages),
         pg_catalog.pg_size_pretty(relpages::bigint * page)), NULL
FROM needed WHERE 100 * (relpages - pages) / relpages > :percent ORDER BY relpages - pages DESC, 1""",
        "measure it with pgstattuple_approx; pg_repack, or VACUUM FULL, which locks the table",
        requires=("statistics",),
        thresholds={"min_pages": 1000, "percent": 50},
    ),
    Rule(
        "PG-TBL-009",
        "info",
        "object",
        "a table that nobody reads",
        f"""
SELECT {_NAME}, format('about %s rows, not read since %s', s.n_live_tup, ({COUNTED_SINCE})::date), NULL
{_COUNTED}
WHERE s.seq_tup_read = 0 AND coalesce(s.idx_scan, 0) = 0 AND s.n_live_tup > 0
  AND {COUNTED_SINCE} <= pg_catalog.now() - :min_days * interval '1 day'
ORDER BY 1""",
        "perhaps nobody needs it; replicas count for themselves",
        thresholds={"min_days": 7},
    ),
    Rule(
        "PG-TBL-010",
        "warning",
        "object",
        "an unlogged table",
        f"""
SELECT {_NAME}, 'empty after a crash, and on every standby', format('ALTER TABLE %s SET LOGGED;', {_NAME})
{_FROM} WHERE t.relpersistence = 'u' AND t.relkind IN ('r', 'p') ORDER BY 1""",
        "log it, unless its rows can be made again",
    ),
    Rule(
        "PG-SEQ-001",
        "error",
        "object",
        "a sequence near its end, or near the end of its column",
        f"""
SELECT name, format('%s%% of %s are used%s', round(100 * used::numeric, 1), most, coalesce(', column ' || owner, '')), NULL FROM (
  SELECT {named("s.seqrelid")} AS name, {named("d.refobjid")} || '.' || quote_ident(a.attname) AS owner,
         {_MOST} AS most, pg_catalog.pg_sequence_last_value(s.seqrelid)::float8 / {_MOST} AS used
  FROM pg_catalog.pg_sequence AS s JOIN pg_catalog.pg_class AS t ON t.oid = s.seqrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace AND {OWN}
  LEFT JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.seqrelid
    AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE NOT s.seqcycle AND s.seqincrement > 0) AS q
WHERE used > :ratio ORDER BY used DESC, 1""",
        "a wider type for the column and for what refers to it, before inserts fail",
        requires=("sequences",),
        thresholds={"ratio": 0.75},
    ),
    Rule(
        "PG-SEQ-002",
        "info",
        "object",
        "a counted primary key of 32 bits or less",
        f"""
SELECT {_NAME}, format('%s %s', a.attname, pg_catalog.format_type(a.atttypid, NULL)), NULL
{_FROM} JOIN pg_catalog.pg_index AS i ON i.indrelid = t.oid AND i.indisprimary AND i.indnatts = 1
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
LEFT JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = t.oid AND f.adnum = a.attnum
WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND a.atttypid IN ('int4'::regtype, 'int2'::regtype)
  AND (a.attidentity <> '' OR pg_catalog.pg_get_expr(f.adbin, f.adrelid) LIKE 'nextval(%')
ORDER BY 1""",
        "bigint for new tables: to widen a column later rewrites it",
    ),
    Rule(
        "PG-FK-001",
        "warning",
        "object",
        "a foreign key between columns of different types",
        f"""
SELECT {_NAME},
       format('%s: %s %s refers to %s %s', c.conname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), b.attname,
         pg_catalog.format_type(b.atttypid, b.atttypmod)), NULL
{_FROM} JOIN pg_catalog.pg_constraint AS c ON c.conrelid = t.oid AND c.contype = 'f' AND c.conparentid = 0
CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k (here, there)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.here
JOIN pg_catalog.pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = k.there
WHERE a.atttypid <> b.atttypid ORDER BY 1, 2""",
        "one type for both: some values have no counterpart, and joins cast",
    ),
    Rule(
        "PG-CON-001",
        "warning",
        "object",
        "a constraint that was never validated",
        f"""
SELECT {_NAME}, c.conname, format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', {_NAME}, c.conname)
{_FROM} JOIN pg_catalog.pg_constraint AS c ON c.conrelid = t.oid WHERE NOT c.convalidated ORDER BY 1, 2""",
        "validate it: old rows may break it",
        is_safe=True,
    ),
    Rule(
        "PG-TRG-001",
        "info",
        "object",
        "a trigger that is switched off",
        f"""
SELECT {_NAME}, g.tgname, format('ALTER TABLE %s ENABLE TRIGGER %I;', {_NAME}, g.tgname)
{_FROM} JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = t.oid WHERE g.tgenabled = 'D' AND NOT g.tgisinternal ORDER BY 1, 2""",
        "switch it on, or drop it",
    ),
    Rule(
        "PG-VIEW-001",
        "info",
        "object",
        "views on views on views",
        f"""
WITH RECURSIVE edges AS (
  SELECT DISTINCT r.ev_class AS view, d.refobjid AS source FROM pg_catalog.pg_depend AS d
  JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
  JOIN pg_catalog.pg_class AS v ON v.oid = d.refobjid AND v.relkind IN ('v', 'm')
  WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.ev_class),
paths AS (SELECT view, source, 2 AS depth FROM edges
  UNION SELECT p.view, e.source, p.depth + 1 FROM paths AS p JOIN edges AS e ON e.view = p.source WHERE p.depth < 20)
SELECT {_NAME}, format('%s deep', max(p.depth)), NULL
{_FROM} JOIN paths AS p ON p.view = t.oid WHERE {FREE.format("t.oid")}
GROUP BY t.oid HAVING max(p.depth) > :max_depth ORDER BY 1""",
        "fewer steps, or a materialized view between",
        thresholds={"max_depth": 3},
    ),
    Rule(
        "PG-COL-001",
        "info",
        "object",
        "a type that nobody recommends",
        f"""
SELECT {_NAME}, format('%s %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), NULL
{_FROM} JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND {FREE.format("t.oid")}
  AND a.atttypid IN ('json'::regtype, 'bpchar'::regtype, 'money'::regtype, 'timestamp'::regtype, 'timetz'::regtype)
ORDER BY 1, 2""",
        "jsonb, text, numeric, timestamptz",
    ),
)
