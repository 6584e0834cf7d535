"""The port of advice: rules as data, each asked of a live database, each with three answers.

A rule passes, fails with findings, or is **unknown**: with few rights many views of a server return fewer rows and no error, so
every rule names what it `requires`, which is probed first. An unknown says what would make it an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dbops.dataclass import dataclass
from dbops.errors import MissingTableError, QueryError
from dbops.sql.hazard import Hazard

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection

Severity = Literal["info", "warning", "error", "critical"]

#: What a finding is about: the whole server, so that it is told once however many databases are asked; the database; an object.
Scope = Literal["server", "database", "object"]

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong.

    `sql` returns rows of object, what was seen, and the SQL that mends it or NULL; `:name` stands for a threshold. `requires`
    are names of probes of the engine. `remedy` says in words what to do, and is `safe` when it loses nothing and keeps nobody
    waiting. `versions` are the first version that has the rule, and the first that has it no more.
    """

    id: str
    severity: Severity
    scope: Scope
    title: str
    sql: str
    remedy: str
    requires: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    is_safe: bool = False
    versions: tuple[int, int] = (0, 9999)


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a rule fails: the object as the engine names it, what was seen, and the SQL that mends it, if any does.

    `hazards` are those of the SQL, as far as they are known before it is planned. `details` are what was seen as data.
    """

    object: str
    evidence: str
    sql: str | None = None
    hazards: tuple[Hazard, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of a database. `why` and `fix` are of an unknown."""

    rule: Rule
    state: Literal["pass", "fail", "unknown"]
    findings: Sequence[Finding] = ()
    why: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """What must hold before a rule can be asked: `sql` gives one value that is true where it does; `fix` may hold `{user}`.

    One with `by_absence` asks for a table that is not there: it holds where that is what the server says, and not where it says
    that this account may not.
    """

    sql: str
    why: str
    fix: str
    by_absence: bool = False


class Advice(Protocol):
    """What an engine knows to be wrong with databases."""

    @property
    def rules(self) -> Sequence[Rule]: ...

    @property
    def index_rule(self) -> Rule:
        """Return the rule about indexes that statements want, which `ask` does not ask: it has no SQL."""
        ...

    @property
    def query_rules(self) -> Sequence[Rule]:
        """Return the rules about the plans of single statements, which `Trials.remarks` answers; some engines have none."""
        ...

    def ask(self, conn: Connection, rules: Sequence[Rule], thresholds: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
        """Ask rules of a database, in their order. `thresholds` by rule go before those of the rules themselves.

        One query for each rule and each probe that they need; none writes.
        """
        ...


def index_rule(id_: str, min_cost: float) -> Rule:
    """Return the rule about indexes that the statements of a database want; `min_cost` is in the unit of the engine's trials.

    Tried are `candidates` indexes at most, for so many `statements`, the costliest; told are `most`. An index helps a statement
    that costs no more than `max_share` of what it did.
    """
    return Rule(
        id_,
        "warning",
        "object",
        "an index that statements would use",
        "",
        "the index: they then find their rows without reading the others",
        thresholds={"min_cost": min_cost, "max_share": 0.5, "statements": 100, "candidates": 60, "most": 10},
        is_safe=True,
    )


def ask_each(
    conn: Connection,
    rules: Sequence[Rule],
    thresholds: Mapping[str, Mapping[str, float]],
    probes: Mapping[str, Probe],
    words: Mapping[str, str],
    user: str,
) -> list[Verdict]:
    """Ask rules one by one; `words` stand for `{name}` in their SQL, for what is called otherwise on other servers."""
    asked: dict[str, Verdict | None] = {}

    def obstacle(rule: Rule) -> tuple[str, str] | None:
        for name in rule.requires:
            if name not in asked:
                asked[name] = _probed(conn, probes[name], rule, user)
        found = [unknown for name in rule.requires if (unknown := asked[name]) is not None]
        if not found:
            return None
        return "; ".join(one.why for one in found), " ".join(one.fix for one in found)

    return [_verdict(conn, rule, thresholds.get(rule.id, {}), words, obstacle) for rule in rules]


def _probed(conn: Connection, probe: Probe, rule: Rule, user: str) -> Verdict | None:
    try:
        rows = conn.query(probe.sql)
        if rows and rows[0][0]:
            return None
    except MissingTableError:
        if probe.by_absence:
            return None
    except QueryError:
        pass
    return Verdict(rule, "unknown", (), probe.why, probe.fix.replace("{user}", user))


def _verdict(
    conn: Connection,
    rule: Rule,
    own: Mapping[str, float],
    words: Mapping[str, str],
    obstacle: Callable[[Rule], tuple[str, str] | None],
) -> Verdict:
    if (found := obstacle(rule)) is not None:
        return Verdict(rule, "unknown", (), *found)
    numbers = {**rule.thresholds, **own}
    sql = _PARAMETER.sub(lambda name: f"{numbers[name[1]]:.15g}" if name[1] in numbers else name[0], rule.sql)
    for word, text in words.items():
        sql = sql.replace(f"{{{word}}}", text)
    try:
        rows: Sequence[Any] = conn.query(sql)
    except QueryError as error:
        return Verdict(rule, "unknown", (), error.message, "")
    findings = [Finding(str(row[0]), str(row[1] or ""), row[2]) for row in rows]
    return Verdict(rule, "fail" if findings else "pass", findings)
