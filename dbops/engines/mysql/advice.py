"""What can be wrong with a MySQL or MariaDB database, as rules that are asked of it.

* `advice_schema`   what tables, columns and indexes tell
* `advice_server`   what the status of the server, its settings, sessions and statements tell
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbops.engines.base.advice import Probe, Rule, Verdict, ask_each, index_rule
from dbops.engines.base.connect import Connection
from dbops.engines.mysql import advice_schema, advice_server
from dbops.engines.mysql.account import own_account

_PROBES: Mapping[str, Probe] = {
    "process": Probe(
        "SELECT COUNT(*) >= 0 FROM information_schema.innodb_trx",  # refused without it, however an account came by it
        "transactions and InnoDB's counters are shown with the privilege PROCESS alone",
        "GRANT PROCESS ON *.* TO {user};",
    ),
    "performance_schema": Probe(
        "SELECT @@performance_schema AND EXISTS (SELECT 1 FROM performance_schema.setup_consumers)",
        "performance_schema is off, or this account may not read it",
        "performance_schema = ON in the server's configuration, and a restart; GRANT SELECT ON performance_schema.* TO {user};",
    ),
    "accounts": Probe(
        "SELECT COUNT(*) > 0 FROM mysql.user",
        "this account may not see which accounts there are",
        "GRANT SELECT ON mysql.* TO {user};",
    ),
}
_RULES = (*advice_schema.RULES, *advice_server.RULES)


class MysqlAdvice:
    """Fills `engines.base.advice.Advice`."""

    @property
    def rules(self) -> Sequence[Rule]:
        return _RULES

    @property
    def index_rule(self) -> Rule:
        return index_rule("MY-IDX-004", 1000)

    def ask(self, conn: Connection, rules: Sequence[Rule], thresholds: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
        is_mariadb = conn.server.flavour == "mariadb"
        home = "information_schema" if is_mariadb else "performance_schema"
        words = {
            "status": f"{home}.global_status",
            "variables": f"{home}.global_variables",
            "hide": "IGNORED" if is_mariadb else "INVISIBLE",
            "counted": "enabled = 1" if is_mariadb else "status = 'enabled'",
        }
        return ask_each(conn, rules, thresholds, _PROBES, words, own_account(conn))
