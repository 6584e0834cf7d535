"""What a run of the linter is told: engine, severities, limits, names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.lint.rule import Engine, Rule, Severity


@dataclass(frozen=True, slots=True)
class LintSettings:
    """Settings of one file.

    `select` are the codes to run, all when empty; naming a rule that is off turns it on. `version` is the server's as
    numbers, empty when not known: the newest is assumed. `allow` are hazards that the manifest lets pass.
    """

    engine: Engine = "postgresql"
    version: tuple[int, ...] = ()
    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    severity: Mapping[str, Severity] = field(default_factory=dict)
    allow: frozenset[str] = frozenset()
    naming: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    required_columns: tuple[str, ...] = ()
    forbidden_types: tuple[str, ...] = ()
    most_indexes: int = 12
    most_index_columns: int = 5

    def severity_of(self, rule: Rule) -> Severity:
        """Return the severity under which a rule runs here."""
        is_let_pass = rule.is_hazard and bool({rule.code, "all"} & self.allow)
        if self.engine not in rule.engines or rule.code in self.ignore or is_let_pass:
            return "off"
        if self.select and rule.code not in self.select:
            return "off"
        given = self.severity.get(rule.code, rule.severity)
        return "warning" if given == "off" and rule.code in self.select else given

    def is_older_than(self, *version: int) -> bool:
        """Return whether the server is known to be older."""
        return bool(self.version) and self.version < version
