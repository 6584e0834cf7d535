"""What can be wrong with a SQLite file, as rules over its pragmas, which are tables too.

That is https://www.sqlite.org/pragma.html#pragfunc. What belongs to a session (foreign_keys, trusted_schema) is not judged: the
connection's manifest sets it for dbops, and every program for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

from dbops.engines.base.advice import Finding, Probe, Rule, Verdict, ask_each, index_rule
from dbops.engines.base.connect import Connection
from dbops.engines.sqlite import advice_files
from dbops.engines.sqlite.advice_queries import QUERIES
from dbops.engines.sqlite.advice_secrets import SECRETS, secrets
from dbops.engines.sqlite.advice_values import VALUES, contradicting
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.errors import QueryError

_TABLES = """(SELECT m.name, m.sql, l.wr AS without_rowid, l.strict FROM sqlite_schema AS m
  JOIN pragma_table_list AS l ON l.schema = 'main' AND l.name = m.name AND l.type = 'table'
  WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND m.name NOT LIKE 'dbops\\_%' ESCAPE '\\')"""

#: Each index with its key columns in order, as one text: number, order and collation of each; expressions have the number -2.
_INDEXES = f"""(SELECT t.name AS tbl, i.name, i."unique" AS is_unique, i.origin, i.partial,
    (SELECT group_concat(x.cid || ' ' || x."desc" || ' ' || x.coll, ',') || ','
     FROM pragma_index_xinfo(i.name) AS x WHERE x.key) AS cols,
    (SELECT min(x.cid) FROM pragma_index_xinfo(i.name) AS x WHERE x.key) AS least,
    (SELECT x.name FROM pragma_index_xinfo(i.name) AS x WHERE x.seqno = 0) AS first_column
  FROM {_TABLES} AS t, pragma_index_list(t.name) AS i)"""

_QUOTED = """'"' || replace({0}, '"', '""') || '"'"""


def _q(name: str) -> str:
    return _QUOTED.format(name)


_PROBES: Mapping[str, Probe] = {
    "dbstat": Probe(
        "SELECT EXISTS (SELECT 1 FROM pragma_module_list WHERE name = 'dbstat')",
        "this SQLite was built without dbstat",
        "a build with SQLITE_ENABLE_DBSTAT_VTAB",
    ),
    "table_list": Probe(
        "SELECT EXISTS (SELECT 1 FROM pragma_pragma_list WHERE name = 'table_list')",
        "this SQLite is older than 3.37",
        "a newer SQLite",
    ),
}

_RULES: Sequence[Rule] = (
    Rule(
        "LT-INT-001",
        "critical",
        "database",
        "the file is damaged",
        "SELECT 'quick_check', quick_check, NULL FROM pragma_quick_check(20) WHERE quick_check <> 'ok'",
        "restore a backup",
    ),
    Rule(
        "LT-INT-002",
        "error",
        "object",
        "rows that refer to nothing",
        """
SELECT "table", count(*) || ' rows refer to rows of ' || parent || ' that are not there', NULL
FROM pragma_foreign_key_check GROUP BY "table", parent ORDER BY 1""",
        "mend the rows; PRAGMA foreign_keys = ON in every program keeps others from coming",
    ),
    Rule(
        "LT-SET-001",
        "warning",
        "database",
        "writers lock out readers",
        """
SELECT 'journal_mode', 'is ' || journal_mode, 'PRAGMA journal_mode = WAL;' FROM pragma_journal_mode
WHERE journal_mode NOT IN ('wal', 'memory')""",
        "the write-ahead log: readers and a writer go on side by side",
    ),
    Rule(
        "LT-SET-002",
        "info",
        "database",
        "small pages",
        "SELECT 'page_size', 'is ' || page_size, NULL FROM pragma_page_size WHERE page_size < 4096",
        "PRAGMA page_size = 4096 and VACUUM, outside of the write-ahead log",
    ),
    Rule(
        "LT-SET-003",
        "info",
        "database",
        "the file does not say whose it is",
        "SELECT 'application_id', 'is 0', NULL FROM pragma_application_id WHERE application_id = 0",
        "PRAGMA application_id = a number of one's own: programs can then refuse the wrong file",
    ),
    Rule(
        "LT-MET-002",
        "warning",
        "database",
        "room that nothing uses",
        """
SELECT 'freelist', round(100.0 * f.freelist_count / p.page_count) || '% of ' || p.page_count || ' pages', 'VACUUM;'
FROM pragma_freelist_count AS f, pragma_page_count AS p, pragma_page_size AS s
WHERE f.freelist_count * s.page_size >= :min_bytes AND 1.0 * f.freelist_count / p.page_count > :ratio""",
        "VACUUM, when nobody writes for as long as it takes",
        thresholds={"min_bytes": 1 << 20, "ratio": 0.2},
    ),
    Rule(
        "LT-MET-003",
        "info",
        "object",
        "pages that are half empty",
        """
SELECT name, round(100.0 * unused / pgsize) || '% of ' || pageno || ' pages', 'VACUUM;' FROM dbstat('main', 1)
WHERE pageno >= :min_pages AND 1.0 * unused / pgsize > :ratio AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY unused DESC""",
        "VACUUM packs them",
        requires=("dbstat",),
        thresholds={"min_pages": 100, "ratio": 0.4},
    ),
    Rule(
        "LT-MET-004",
        "error",
        "database",
        "the file is nearly as large as it may be",
        """
SELECT 'max_page_count', p.page_count || ' of ' || m.max_page_count || ' pages', NULL
FROM pragma_page_count AS p, pragma_max_page_count AS m WHERE p.page_count > :ratio * m.max_page_count""",
        "a higher PRAGMA max_page_count, in every program",
        thresholds={"ratio": 0.8},
    ),
    Rule(
        "LT-TBL-001",
        "warning",
        "database",
        "the planner knows nothing of the rows",
        """
SELECT 'sqlite_stat1', 'ANALYZE was never run', 'ANALYZE;'
WHERE NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1')
  AND EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'index' AND tbl_name NOT LIKE 'dbops\\_%' ESCAPE '\\')""",
        "ANALYZE, or PRAGMA optimize before a session ends",
        is_safe=True,
    ),
    Rule(
        "LT-TBL-002",
        "info",
        "object",
        "a table without a primary key",
        f"""
SELECT t.name, 'its rows have a hidden number alone', NULL FROM {_TABLES} AS t
WHERE NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name) AS c WHERE c.pk > 0) ORDER BY 1""",
        "a primary key: VACUUM may change the hidden numbers",
        requires=("table_list",),
    ),
    Rule(
        "LT-TBL-003",
        "info",
        "object",
        "a primary key beside the row's number",
        f"""
SELECT t.name, c.name || ' ' || c.type, NULL FROM {_TABLES} AS t, pragma_table_xinfo(t.name) AS c
WHERE NOT t.without_rowid AND c.pk = 1 AND upper(c.type) <> 'INTEGER'
  AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name) AS o WHERE o.pk > 1) ORDER BY 1""",
        "WITHOUT ROWID stores the key once, INTEGER PRIMARY KEY is the number itself",
        requires=("table_list",),
    ),
    Rule(
        "LT-TBL-004",
        "info",
        "object",
        "AUTOINCREMENT",
        f"""
SELECT t.name, 'each insert writes sqlite_sequence too', NULL FROM {_TABLES} AS t
WHERE EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence')
  AND t.sql LIKE '%AUTOINCREMENT%'
  AND EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name) AS c WHERE c.pk = 1 AND upper(c.type) = 'INTEGER')
ORDER BY 1""",
        "INTEGER PRIMARY KEY counts by itself; the word is for numbers that must never come again",
        requires=("table_list",),
    ),
    Rule(
        "LT-TBL-005",
        "info",
        "object",
        "a table that takes any type",
        f"SELECT t.name, 'not STRICT', NULL FROM {_TABLES} AS t WHERE NOT t.strict ORDER BY 1",
        "STRICT: a column then holds what it says",
        requires=("table_list",),
    ),
    Rule(
        "LT-IDX-001",
        "warning",
        "object",
        "an index that another one begins with, or that is there twice",
        f"""
SELECT a.tbl || '.' || a.name, b.name || ' begins with it', 'DROP INDEX ' || {_q("a.name")} || ';'
FROM {_INDEXES} AS a JOIN {_INDEXES} AS b ON b.tbl = a.tbl AND b.name <> a.name
WHERE a.origin = 'c' AND NOT a.is_unique AND NOT a.partial AND NOT b.partial AND a.least > -2
  AND substr(b.cols, 1, length(a.cols)) = a.cols AND (length(b.cols) > length(a.cols) OR b.is_unique OR a.name > b.name)
GROUP BY a.tbl, a.name ORDER BY 1""",
        "the other one serves what it serves",
        requires=("table_list",),
    ),
    Rule(
        "LT-IDX-002",
        "info",
        "object",
        "an index that begins with the row's number",
        f"""
SELECT i.tbl || '.' || i.name, 'rows are in the order of ' || i.first_column || ' already', 'DROP INDEX ' || {_q("i.name")} || ';'
FROM {_INDEXES} AS i JOIN pragma_table_xinfo(i.tbl) AS c ON c.name = i.first_column
WHERE i.origin = 'c' AND NOT i.partial AND c.pk = 1 AND upper(c.type) = 'INTEGER'
  AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(i.tbl) AS o WHERE o.pk > 1) ORDER BY 1""",
        "the table itself finds them",
        requires=("table_list",),
    ),
    Rule(
        "LT-IDX-003",
        "warning",
        "object",
        "a foreign key whose columns no index begins with",
        f"""
SELECT f.tbl, f.names || ' refers to ' || f.target,
       'CREATE INDEX ' || {_q("f.tbl || '_' || replace(f.plain, ',', '_')")} || ' ON ' || {_q("f.tbl")} || ' (' || f.names || ');'
FROM (SELECT t.name AS tbl, k.id, k."table" AS target, group_concat({_q('k."from"')}, ', ') AS names,
        group_concat(k."from", ',') AS plain, count(*) AS number
      FROM {_TABLES} AS t, pragma_foreign_key_list(t.name) AS k GROUP BY t.name, k.id) AS f
WHERE NOT EXISTS (
    SELECT 1 FROM pragma_index_list(f.tbl) AS i WHERE NOT i.partial AND f.number = (
      SELECT count(*) FROM pragma_index_xinfo(i.name) AS x
      JOIN pragma_foreign_key_list(f.tbl) AS k ON k.id = f.id AND k."from" = x.name WHERE x.key AND x.seqno < f.number))
  AND NOT (f.number = 1 AND EXISTS (SELECT 1 FROM pragma_table_xinfo(f.tbl) AS c WHERE c.name = f.plain AND c.pk = 1))
ORDER BY 1, 2""",
        "an index on them: without it every delete or change of a referenced row reads the whole table",
        requires=("table_list",),
        is_safe=True,
    ),
    Rule(
        "LT-SEC-004",
        "error",
        "object",
        "a view or trigger that reaches outside of the file",
        """
SELECT name, type, NULL FROM sqlite_schema WHERE type IN ('view', 'trigger')
  AND (sql LIKE '%load_extension(%' OR sql LIKE '%readfile(%' OR sql LIKE '%writefile(%' OR sql LIKE '%edit(%')
ORDER BY 1""",
        "see who wrote it; PRAGMA trusted_schema = OFF in every program",
    ),
)
#: There where there is something that counts alone.
_COUNTED = Rule(
    "LT-SEQ-001",
    "error",
    "object",
    "numbers of AUTOINCREMENT run out",
    """
SELECT name, seq || ' of 9223372036854775807', NULL FROM sqlite_sequence WHERE seq > :ratio * 9223372036854775807 ORDER BY 1""",
    "insert lower numbers by hand, or make the table anew",
    thresholds={"ratio": 0.9},
)


Look = Callable[[SqliteConnection, Mapping[str, float]], Iterator[Finding]]

#: Rules that no single query answers, and what answers them.
_LOOKED_AT: Sequence[tuple[Rule, Look]] = (
    (advice_files.ACCESS, advice_files.accessible),
    (advice_files.JOURNAL, advice_files.left_journal),
    (advice_files.LOG, advice_files.large_log),
    (VALUES, contradicting),
    (SECRETS, secrets),
)


class SqliteAdvice:
    """Fills `engines.base.advice.Advice`."""

    @property
    def rules(self) -> Sequence[Rule]:
        return (*_RULES, _COUNTED, *(rule for rule, _ in _LOOKED_AT))

    @property
    def index_rule(self) -> Rule:
        return index_rule("LT-IDX-004", 1000)

    @property
    def query_rules(self) -> Sequence[Rule]:
        return QUERIES

    def ask(self, conn: Connection, rules: Sequence[Rule], thresholds: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
        counts = bool(conn.query("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'"))
        askable = [rule for rule in rules if rule.sql and (counts or rule.id != _COUNTED.id)]
        found = {verdict.rule.id: verdict for verdict in ask_each(conn, askable, thresholds, _PROBES, {}, "")}
        for rule, look in _LOOKED_AT:
            if rule in rules:
                found[rule.id] = _looked_at(cast(SqliteConnection, conn), rule, look, thresholds.get(rule.id, {}))
        return [found.get(rule.id, Verdict(rule, "pass")) for rule in rules]


def _looked_at(conn: SqliteConnection, rule: Rule, look: Look, own: Mapping[str, float]) -> Verdict:
    try:
        findings = list(look(conn, {**rule.thresholds, **own}))
    except QueryError as error:
        return Verdict(rule, "unknown", (), error.message, "")
    return Verdict(rule, "fail" if findings else "pass", findings)
