"""What can be wrong with a MySQL or MariaDB database, as rules that are asked of it.

* `advice_schema`   what tables, columns and indexes tell
* `advice_server`   what the status of the server, its settings, sessions and statements tell
* `advice_replicas` what a replica tells of its source
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from dbops.engines.base.advice import Probe, Rule, Verdict, ask_each, index_rule
from dbops.engines.base.connect import Connection
from dbops.engines.mysql import advice_schema, advice_server
from dbops.engines.mysql.account import own_account
from dbops.engines.mysql.advice_replicas import REPLICATION, replication
from dbops.engines.mysql.connect import MysqlConnection, quoted
from dbops.engines.mysql.ddl import literal

_PROBES: Mapping[str, Probe] = {
    "tables": Probe(
        "SELECT 1 FROM dbops_no_such_table",
        "tables that this account may not read are not shown to it",
        "GRANT SELECT, SHOW VIEW ON {database}.* TO {user};",
        by_absence=True,
    ),
    "programs": Probe(
        """
SELECT COUNT(DISTINCT privilege_type) = 2 FROM (
  SELECT grantee, privilege_type FROM information_schema.user_privileges
  UNION ALL SELECT grantee, privilege_type FROM information_schema.schema_privileges WHERE DATABASE() LIKE table_schema) AS p
WHERE p.grantee = {account} AND p.privilege_type IN ('TRIGGER', 'EVENT')""",
        "triggers and events are shown with the privilege to change them alone",
        "GRANT TRIGGER, EVENT ON {database}.* TO {user};",
    ),
    "process": Probe(
        "SELECT COUNT(*) >= 0 FROM information_schema.innodb_trx",  # refused without it, however an account came by it
        "transactions and InnoDB's counters are shown with the privilege PROCESS alone",
        "GRANT PROCESS ON *.* TO {user};",
    ),
    "performance_schema": Probe(
        "SELECT @@performance_schema",
        "performance_schema is off",
        "performance_schema = ON in the server's configuration, and a restart",
    ),
    "counters": Probe(
        "SELECT EXISTS (SELECT 1 FROM performance_schema.setup_consumers)",
        "this account may not read performance_schema",
        "GRANT SELECT ON performance_schema.* TO {user};",
    ),
    "accounts": Probe(
        "SELECT COUNT(*) > 0 FROM mysql.user",
        "this account may not see which accounts there are",
        "GRANT SELECT ON mysql.* TO {user};",
    ),
}
_RULES = (*advice_schema.RULES, *advice_server.RULES, REPLICATION)


class MysqlAdvice:
    """Fills `engines.base.advice.Advice`."""

    @property
    def rules(self) -> Sequence[Rule]:
        return _RULES

    @property
    def index_rule(self) -> Rule:
        return index_rule("MY-IDX-004", 1000)

    @property
    def query_rules(self) -> Sequence[Rule]:
        return ()

    def ask(self, conn: Connection, rules: Sequence[Rule], thresholds: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
        is_mariadb = conn.server.flavour == "mariadb"
        home = "information_schema" if is_mariadb else "performance_schema"
        words = {
            "status": f"{home}.global_status",
            "variables": f"{home}.global_variables",
            "hide": "IGNORED" if is_mariadb else "INVISIBLE",
            "counted": "enabled = 1" if is_mariadb else "status = 'enabled'",
        }
        account, database = own_account(conn), quoted(cast(MysqlConnection, conn).database)
        probes = {
            name: replace(
                probe, sql=probe.sql.replace("{account}", literal(account)), fix=probe.fix.replace("{database}", database)
            )
            for name, probe in _PROBES.items()
        }
        found = {verdict.rule.id: verdict for verdict in ask_each(conn, _with_sql(rules), thresholds, probes, words, account)}
        return [found.get(rule.id) or replication(conn, rule, thresholds.get(rule.id, {}), account) for rule in rules]


def _with_sql(rules: Sequence[Rule]) -> list[Rule]:
    return [rule for rule in rules if rule.sql]
