"""Statements with what has to surround them, and facts turned into hazards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dbops.engines.mysql.cost import Fact
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_ZERO_DATE = re.compile(r"'\d{4}-(?:00-\d\d|\d\d-00)")


def ddl(sql: str, hazards: Iterable[Hazard] = ()) -> Statement:
    """Return a statement that commits by itself."""
    return Statement(sql, hazards=tuple(dict.fromkeys(hazards)), transactional=False)


def hazards(facts: Iterable[Fact], rows: int) -> tuple[Hazard, ...]:
    """Turn facts into hazards; those that speak of rows are silent where there are none."""
    return tuple(dict.fromkeys(Hazard(fact.code, fact.message) for fact in facts if rows or not fact.needs_rows))


def under(settings: dict[str, str], statement: Statement) -> tuple[Statement, ...]:
    """Run a statement under session settings and put the session back as it was."""
    if not settings:
        return (statement,)
    kept = ", ".join(f"@dbops_{name} = @@SESSION.{name}" for name in settings)
    new = ", ".join(f"SESSION {name} = {value}" for name, value in settings.items())
    old = ", ".join(f"SESSION {name} = @dbops_{name}" for name in settings)
    return ddl(f"SET {kept}, {new}"), statement, ddl(f"SET {old}")


def table_statements(
    sql: str,
    found: Sequence[Hazard] = (),
    *,
    without_checks: bool = False,
    has_history: bool = False,
    keeps_zeros: bool = False,
) -> tuple[Statement, ...]:
    """Return the statement, with zero dates allowed where it names one: sql_mode NO_ZERO_DATE would refuse it.

    A column that begins to count gives each 0 in it another number unless it `keeps_zeros`.

    A system-versioned table refuses changes of its keys and more, unless its history is to be kept as it is (MariaDB
    Knowledge Base, system_versioning_alter_history).
    """
    settings: dict[str, str] = {}
    mode = "@@SESSION.sql_mode"
    if _ZERO_DATE.search(sql):
        mode = f"REPLACE(REPLACE({mode}, 'NO_ZERO_DATE', ''), 'NO_ZERO_IN_DATE', '')"
    if keeps_zeros:
        mode = f"CONCAT({mode}, ',NO_AUTO_VALUE_ON_ZERO')"
    if mode != "@@SESSION.sql_mode":
        settings["sql_mode"] = mode
    if without_checks:
        settings["foreign_key_checks"] = "0"
    if has_history:
        settings["system_versioning_alter_history"] = "KEEP"
    return under(settings, ddl(sql, found))
