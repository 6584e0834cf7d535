"""The rules of PostgreSQL, asked of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbops.engines.base.advice import Probe, Rule, Verdict, ask_each, index_rule
from dbops.engines.base.connect import Connection
from dbops.engines.postgresql.advice import indexes, server, sessions, settings, statements, tables
from dbops.engines.postgresql.advice.words import OWN
from dbops.engines.postgresql.connect import quoted

_PROBES: Mapping[str, Probe] = {
    "sessions": Probe(
        "SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')",
        "this account sees the sessions of others without their state",
        "GRANT pg_monitor TO {user};",
    ),
    "statistics": Probe(
        f"""
SELECT NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm', 'p') AND {OWN} AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT'))""",
        "this account sees the statistics of columns of tables that it may read alone",
        "GRANT pg_read_all_data TO {user};",
    ),
    "sequences": Probe(
        f"""
SELECT NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE {OWN} AND CASE WHEN c.relkind = 'S' THEN NOT pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE') END)""",
        "this account sees the last value of sequences that it may read alone",
        "GRANT pg_read_all_data TO {user};",
    ),
    "files": Probe(
        "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')"
        " AND pg_catalog.has_table_privilege('pg_catalog.pg_file_settings', 'SELECT')",
        "only superusers see the configuration files",
        "GRANT SELECT ON pg_catalog.pg_file_settings TO {user};"
        " GRANT EXECUTE ON FUNCTION pg_catalog.pg_show_all_file_settings() TO {user};",
    ),
    "checksums": Probe(
        "SELECT pg_catalog.current_setting('data_checksums') = 'on'",
        "the server keeps no checksums of pages",
        "pg_checksums --enable, while it is down",
    ),
    "statements": Probe(
        "SELECT EXISTS (SELECT 1 FROM {statements}(false))",
        "statements are not counted",
        "shared_preload_libraries = 'pg_stat_statements', a restart, CREATE EXTENSION pg_stat_statements;",
    ),
}
#: pg_read_all_data came with 14; before, each table has to be granted.
_BEFORE_14 = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {user};"
_RULES = (*indexes.RULES, *tables.RULES, *sessions.RULES, *server.RULES, *settings.RULES, *statements.RULES)
_STATEMENTS = """
SELECT n.nspname FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'"""


class PostgresAdvice:
    """Fills `engines.base.advice.Advice`."""

    @property
    def rules(self) -> Sequence[Rule]:
        return _RULES

    @property
    def index_rule(self) -> Rule:
        return index_rule("PG-IDX-008", 100)

    @property
    def query_rules(self) -> Sequence[Rule]:
        return ()

    def ask(self, conn: Connection, rules: Sequence[Rule], thresholds: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
        version = conn.server.version[0]
        known = [rule for rule in rules if rule.versions[0] <= version < rule.versions[1]]
        found = conn.query(_STATEMENTS)
        words = {"statements": f"{quoted(str(found[0][0]))}.pg_stat_statements" if found else "pg_stat_statements"}
        probes = {
            name: Probe(
                probe.sql.replace("{statements}", words["statements"]),
                probe.why,
                _BEFORE_14 if version < 14 and "pg_read_all_data" in probe.fix else probe.fix,
            )
            for name, probe in _PROBES.items()
        }
        return ask_each(conn, known, thresholds, probes, words, quoted(conn.server.user))
