"""A rule as data, and the register in which every rule stands once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from dbops.dataclass import dataclass
from dbops.sql.hazard import BLOCKING, HAZARDS

if TYPE_CHECKING:
    from dbops.lint.statements import Read
    from dbops.lint.world import TableState, World

Severity = Literal["error", "warning", "off"]
Engine = Literal["postgresql", "mysql", "mariadb", "sqlite"]
ENGINES: tuple[Engine, ...] = ("postgresql", "mysql", "mariadb", "sqlite")
MY: tuple[Engine, ...] = ("mysql", "mariadb")
PG: tuple[Engine, ...] = ("postgresql",)
LITE: tuple[Engine, ...] = ("sqlite",)


class Hit(NamedTuple):
    """Where a rule fires: an offset in the statement's text, and what it says there."""

    at: int
    message: str


class Spot(NamedTuple):
    """A hit with the statement it is in, for rules that look at more than one."""

    read: Read
    at: int
    message: str


StatementRule = Callable[["Read", "World"], Iterable[Hit]]
TableRule = Callable[["TableState", "World"], Iterable[Spot]]
ScriptRule = Callable[[tuple["Read", ...], "World"], Iterable[Spot]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One small thing to look for.

    `scope` says what the rule looks at: one statement, before it has its effect; one table, after all files; the statements
    of one file; or nothing, for what the linter itself finds. `is_hazard` marks rules about changing what exists, which are
    silent for what is created in the same file or set, and in parts of a file that undo, unless `HOLDS_UP` names them and
    those are asked about.
    """

    code: str
    engines: tuple[Engine, ...]
    severity: Severity
    meaning: str
    why: str
    advice: str
    scope: Literal["statement", "table", "script", "linter"]
    is_hazard: bool
    check: StatementRule | TableRule | ScriptRule | None = field(default=None, repr=False, compare=False)


HOLDS_UP = frozenset(
    {
        *("REWRITES_TABLE", "BLOCKS_READS", "BLOCKS_WRITES", "SCANS_TABLE", "MAY_FAIL_ON_DATA", "INDEX_BUILD", "CONSTRAINT_SWAP"),
        *("DETACH_BLOCKS", "BACKFILL_INLINE"),
    }
)
"""What a way back does to those who work, or cannot do for want of the right rows; most of them drop something besides."""

_RULES: dict[str, Rule] = {}


def register(rule: Rule) -> None:
    """Put a rule into the register, under its code."""
    assert rule.code not in _RULES, f"two rules of the code {rule.code}"
    _RULES[rule.code] = rule


def rules() -> Mapping[str, Rule]:
    """Return every rule by its code, hazards first, each group in alphabetical order."""
    import dbops.lint.rules  # noqa: F401  # fills the register

    ordered = sorted(_RULES.values(), key=lambda rule: (not rule.is_hazard, rule.code))
    return MappingProxyType({rule.code: rule for rule in ordered})


def hazard(
    code: str, engines: tuple[Engine, ...], *, why: str, advice: str, severity: Severity | None = None
) -> Callable[[StatementRule], StatementRule]:
    """Register a statement rule for a hazard that plans know too; those that block apply are errors, the others warnings."""

    def add(check: StatementRule) -> StatementRule:
        level = severity or ("error" if code in BLOCKING else "warning")
        register(Rule(code, engines, level, HAZARDS[code], why, advice, "statement", True, check))
        return check

    return add


def statement_rule(
    code: str, engines: tuple[Engine, ...], meaning: str, *, why: str, advice: str, severity: Severity = "warning"
) -> Callable[[StatementRule], StatementRule]:
    """Register a rule about one statement."""

    def add(check: StatementRule) -> StatementRule:
        register(Rule(code, engines, severity, meaning, why, advice, "statement", False, check))
        return check

    return add


def table_rule(
    code: str, engines: tuple[Engine, ...], meaning: str, *, why: str, advice: str, severity: Severity = "warning"
) -> Callable[[TableRule], TableRule]:
    """Register a rule about a table as all files together leave it."""

    def add(check: TableRule) -> TableRule:
        register(Rule(code, engines, severity, meaning, why, advice, "table", code in HAZARDS, check))
        return check

    return add


def script_rule(
    code: str, engines: tuple[Engine, ...], meaning: str, *, why: str, advice: str, severity: Severity = "warning"
) -> Callable[[ScriptRule], ScriptRule]:
    """Register a rule about the statements of one file."""

    def add(check: ScriptRule) -> ScriptRule:
        register(Rule(code, engines, severity, meaning, why, advice, "script", code in HAZARDS, check))
        return check

    return add


def linter_rule(code: str, meaning: str, *, why: str, advice: str, severity: Severity) -> None:
    """Register what the linter finds by itself."""
    register(Rule(code, ENGINES, severity, meaning, why, advice, "linter", False))
