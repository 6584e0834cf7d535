"""Rules about tables, columns, indexes and what refers to accounts; all of the database that the session is in."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.advice import Rule


def _own(alias: str = "") -> str:
    """Return the SQL that keeps tables of this database that are not dbops's own."""
    return f"{alias}table_schema = DATABASE() AND {alias}table_name NOT LIKE 'dbops\\_%'"


def _q(name: str) -> str:
    """Return the SQL that quotes a name."""
    return f"CONCAT('`', REPLACE({name}, '`', '``'), '`')"


#: The columns of each index in order, with the length of prefixes; indexes of expressions have no column names.
_INDEXES = f"""
SELECT table_name, index_name, MAX(non_unique) AS non_unique, MAX(index_type) AS kind, COUNT(*) AS parts,
       GROUP_CONCAT(CONCAT(column_name, COALESCE(CONCAT('(', sub_part, ')'), ''), IF(collation = 'D', ' DESC', ''))
         ORDER BY seq_in_index SEPARATOR ', ') AS cols
FROM information_schema.statistics WHERE {_own()} GROUP BY table_name, index_name HAVING COUNT(column_name) = COUNT(*)"""

#: The most that an AUTO_INCREMENT column holds.
_MOST = """CASE WHEN c.column_type LIKE '%unsigned%' THEN 2.0 ELSE 1.0 END * CASE c.data_type WHEN 'tinyint' THEN 127
  WHEN 'smallint' THEN 32767 WHEN 'mediumint' THEN 8388607 WHEN 'int' THEN 2147483647 ELSE 9223372036854775807 END"""

_DEFINED = """
SELECT CONCAT('view ', table_name) AS what, definer FROM information_schema.views WHERE table_schema = DATABASE()
UNION ALL SELECT CONCAT(LOWER(routine_type), ' ', routine_name), definer FROM information_schema.routines
  WHERE routine_schema = DATABASE()
UNION ALL SELECT CONCAT('trigger ', trigger_name), definer FROM information_schema.triggers WHERE trigger_schema = DATABASE()
UNION ALL SELECT CONCAT('event ', event_name), definer FROM information_schema.events WHERE event_schema = DATABASE()"""

RULES: Sequence[Rule] = (
    Rule(
        "MY-IDX-001",
        "warning",
        "object",
        "an index that another one begins with, or that is there twice",
        f"""
SELECT CONCAT(a.table_name, '.', a.index_name), MIN(CONCAT(b.index_name, ' (', b.cols, ') begins with it')),
       CONCAT('ALTER TABLE ', {_q("a.table_name")}, ' DROP INDEX ', {_q("a.index_name")}, ';')
FROM ({_INDEXES}) AS a JOIN ({_INDEXES}) AS b ON b.table_name = a.table_name AND b.index_name <> a.index_name AND b.kind = a.kind
WHERE a.kind = 'BTREE' AND a.index_name <> 'PRIMARY'
  AND ((a.non_unique = 1 AND LEFT(b.cols, CHAR_LENGTH(a.cols) + 1) = CONCAT(a.cols, ','))
    OR (a.cols = b.cols AND (a.non_unique > b.non_unique OR (a.non_unique = b.non_unique AND a.index_name > b.index_name)
      OR (a.non_unique = b.non_unique AND b.index_name = 'PRIMARY'))))
GROUP BY a.table_name, a.index_name ORDER BY 1""",
        "the other one serves what it serves",
        requires=("tables",),
    ),
    Rule(
        "MY-IDX-002",
        "info",
        "object",
        "an index that was not used since the server started",
        f"""
SELECT CONCAT(s.table_name, '.', s.index_name), 'no read through it',
       CONCAT('ALTER TABLE ', {_q("s.table_name")}, ' ALTER INDEX ', {_q("s.index_name")}, ' {{hide}};')
FROM information_schema.statistics AS s
JOIN performance_schema.table_io_waits_summary_by_index_usage AS u
  ON u.object_schema = s.table_schema AND u.object_name = s.table_name AND u.index_name = s.index_name
WHERE {_own("s.")} AND s.seq_in_index = 1 AND s.non_unique = 1 AND u.count_star = 0
  AND (SELECT CAST(variable_value AS DECIMAL(30)) FROM {{status}} WHERE variable_name = 'uptime') >= :min_uptime
  AND NOT EXISTS (SELECT 1 FROM information_schema.key_column_usage AS k WHERE k.table_schema = s.table_schema
    AND k.table_name = s.table_name AND k.column_name = s.column_name AND k.referenced_table_name IS NOT NULL)
ORDER BY 1""",
        "hide it, see whether anybody misses it, then drop it",
        requires=("tables", "performance_schema", "counters"),
        thresholds={"min_uptime": 604_800},
        is_safe=False,
    ),
    Rule(
        "MY-IDX-003",
        "info",
        "object",
        "an index that hardly tells rows apart",
        f"""
SELECT CONCAT(s.table_name, '.', s.index_name), CONCAT(s.cardinality, ' values in about ', t.table_rows, ' rows'), NULL
FROM information_schema.statistics AS s JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE {_own("s.")} AND s.seq_in_index = 1 AND s.non_unique = 1 AND s.index_type = 'BTREE' AND t.table_rows >= :min_rows
  AND s.cardinality / t.table_rows < :ratio
  AND NOT EXISTS (SELECT 1 FROM information_schema.statistics AS x WHERE x.table_schema = s.table_schema
    AND x.table_name = s.table_name AND x.index_name = s.index_name AND x.seq_in_index = 2)
ORDER BY 1""",
        "drop it, or let another column stand behind it",
        thresholds={"min_rows": 10_000, "ratio": 0.001},
        requires=("tables",),
    ),
    Rule(
        "MY-TBL-001",
        "warning",
        "object",
        "a table without a primary key",
        f"""
SELECT t.table_name, t.engine, NULL FROM information_schema.tables AS t
WHERE {_own("t.")} AND t.table_type = 'BASE TABLE' AND NOT EXISTS (SELECT 1 FROM information_schema.table_constraints AS c
  WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.constraint_type = 'PRIMARY KEY')
ORDER BY 1""",
        "a primary key: InnoDB makes a hidden one, and replicas search rows one by one",
        requires=("tables",),
    ),
    Rule(
        "MY-TBL-002",
        "warning",
        "object",
        "a table that is not InnoDB's",
        f"""
SELECT table_name, engine, CONCAT('ALTER TABLE ', {_q("table_name")}, ' ENGINE = InnoDB;') FROM information_schema.tables
WHERE {_own()} AND table_type = 'BASE TABLE' AND engine NOT IN ('InnoDB', 'SEQUENCE') ORDER BY 1""",
        "InnoDB: the others know no transactions, or lose rows in a crash",
        requires=("tables",),
    ),
    Rule(
        "MY-TBL-003",
        "info",
        "object",
        "a table with much room that nothing uses",
        f"""
SELECT table_name, CONCAT(ROUND(100 * data_free / (data_length + index_length + data_free)), '% of ',
         ROUND((data_length + index_length + data_free) / 1048576), ' MiB'), CONCAT('OPTIMIZE TABLE ', {_q("table_name")}, ';')
FROM information_schema.tables
WHERE {_own()} AND table_type = 'BASE TABLE' AND data_length + index_length >= :min_bytes
  AND data_free / (data_length + index_length + data_free) > :ratio ORDER BY data_free DESC, 1""",
        "write it anew, when it may take the time",
        thresholds={"min_bytes": 100 << 20, "ratio": 0.1},
        requires=("tables",),
    ),
    Rule(
        "MY-TBL-004",
        "warning",
        "object",
        "text that cannot hold every character",
        f"""
SELECT CONCAT(table_name, '.', column_name), CONCAT(character_set_name, ', ', collation_name), NULL
FROM information_schema.columns
WHERE {_own()} AND character_set_name NOT IN ('utf8mb4', 'utf16', 'utf16le', 'utf32') ORDER BY 1""",
        "utf8mb4",
        requires=("tables",),
    ),
    Rule(
        "MY-TBL-005",
        "info",
        "database",
        "text with several collations",
        f"""
SELECT table_schema, GROUP_CONCAT(DISTINCT collation_name ORDER BY collation_name SEPARATOR ', '), NULL
FROM information_schema.columns WHERE {_own()} AND collation_name IS NOT NULL AND collation_name NOT LIKE '%\\_bin'
GROUP BY table_schema HAVING COUNT(DISTINCT collation_name) > 1""",
        "one collation: joins between different ones use no index",
        requires=("tables",),
    ),
    Rule(
        "MY-SEQ-001",
        "error",
        "object",
        "numbers of AUTO_INCREMENT run out",
        f"""
SELECT CONCAT(t.table_name, '.', c.column_name),
       CONCAT(ROUND(100 * (t.auto_increment - 1) / ({_MOST}), 1), '% of ', c.column_type), NULL
FROM information_schema.tables AS t
JOIN information_schema.columns AS c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
WHERE {_own("t.")} AND c.extra LIKE '%auto_increment%' AND (t.auto_increment - 1) / ({_MOST}) > :ratio ORDER BY 1""",
        "a wider type for the column and for what refers to it, before inserts fail",
        thresholds={"ratio": 0.75},
        requires=("tables",),
    ),
    Rule(
        "MY-FK-001",
        "warning",
        "object",
        "a foreign key between columns of different types",
        f"""
SELECT CONCAT(k.table_name, '.', k.constraint_name), CONCAT(a.column_type, ' refers to ', b.column_type), NULL
FROM information_schema.key_column_usage AS k
JOIN information_schema.columns AS a
  ON a.table_schema = k.table_schema AND a.table_name = k.table_name AND a.column_name = k.column_name
JOIN information_schema.columns AS b ON b.table_schema = k.referenced_table_schema AND b.table_name = k.referenced_table_name
  AND b.column_name = k.referenced_column_name
WHERE {_own("k.")} AND k.referenced_table_name IS NOT NULL AND a.column_type <> b.column_type ORDER BY 1""",
        "one type for both",
        requires=("tables",),
    ),
    Rule(
        "MY-ROU-001",
        "error",
        "object",
        "something that runs as an account that is not there",
        f"""
SELECT what, definer, NULL FROM ({_DEFINED}) AS d
WHERE NOT EXISTS (SELECT 1 FROM mysql.user AS u WHERE CONCAT(u.user, '@', u.host) = d.definer) AND definer <> '' ORDER BY 1""",
        "make it again with a DEFINER that exists, or SQL SECURITY INVOKER",
        requires=("accounts", "tables", "programs"),
    ),
)
