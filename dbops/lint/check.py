"""The linter: files of one engine, as one schema or as migrations one after another, to findings in the order of the text."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, cast

from dbops.dataclass import dataclass
from dbops.errors import Mark, SchemaError
from dbops.lint.allow import Allow, allows, stray_allows, why_unused
from dbops.lint.facts import Fact
from dbops.lint.rule import HOLDS_UP, Hit, Rule, ScriptRule, Severity, StatementRule, TableRule, rules
from dbops.lint.settings import LintSettings
from dbops.lint.statements import Read, SqlFile, statements
from dbops.lint.world import World
from dbops.sql.dialect import Dialect
from dbops.sql.tokens import normalise, tokens

#: Returns where a statement is wrong and why, None when it is right: an engine's own grammar, where there is one.
Grammar = Callable[[str], tuple[int, str] | None]
Holds = Literal["schema", "migrations"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`fingerprint` stays the same when lines move."""

    code: str
    severity: Severity
    message: str
    at: Mark
    end: Mark | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class LintSet:
    """Files that belong together. A schema is one unit, in any order; of migrations each file is one, in the order given.

    `at_once` are names of files, one behind the other, that are applied together: what one of them makes is new to the next.
    `weighs_ways_back` tells of parts that undo what they hold up as well; what they lose, the way there has made.
    `changed`, when not None, leaves only what changed: it holds the files that did, each with the statements, in normal form,
    that it had before.
    """

    files: tuple[SqlFile, ...]
    dialect: Dialect
    settings: Mapping[str, LintSettings]
    holds: Holds = "migrations"
    grammar: Grammar | None = None
    changed: Mapping[str, frozenset[str]] | None = None
    at_once: frozenset[str] = frozenset()
    weighs_ways_back: bool = False


@dataclass(frozen=True, slots=True)
class Weighed:
    """A hazard of a statement; `allowed` is the reason of the remark that lets it pass, None where there is none."""

    code: str
    message: str
    at: Mark
    fact: Fact
    allowed: str | None = None


@dataclass(frozen=True, slots=True)
class _Raw:
    """A finding before remarks and severities; `read` is None where it is about no statement."""

    code: str
    message: str
    at: Mark
    read: Read | None
    offset: int = 0


def lint(files: LintSet) -> list[Finding]:
    """Return the findings in every file, by file and place."""
    return _Run(files).findings()


def weigh(files: LintSet) -> list[Weighed]:
    """Return the hazards of the files that are applied at once, also those that a remark lets pass, by file and place.

    Where a file cannot be read further, it ends.
    """
    return _Run(files).hazards()


class _Run:
    def __init__(self, files: LintSet) -> None:
        self._set = files
        self._rules = rules()
        self._raw: list[_Raw] = []
        self._allows: list[Allow] = []
        self._world = World(files.dialect, LintSettings(), files.holds == "schema")

    def findings(self) -> list[Finding]:
        self._collect()
        kept = [raw for raw in self._raw if not self._covering(raw)]
        kept += self._remarks()
        return self._finished(kept)

    def hazards(self) -> list[Weighed]:
        self._collect()
        found = []
        for raw in self._in_order(self._raw):
            if raw.read is not None and raw.read.file in self._set.at_once and self._rules[raw.code].is_hazard:
                covering = self._covering(raw)
                allowed = covering[0].reason if covering else None
                found.append(Weighed(raw.code, raw.message, raw.at, raw.read.fact, allowed))
        return found

    def _collect(self) -> None:
        scripts = [(file, tuple(self._read(file))) for file in self._set.files]
        if self._world.is_schema:
            self._world.foresee([script for _, script in scripts])
        before = ""
        for file, script in scripts:
            goes_on = {before, file.name} <= self._set.at_once
            self._script(file, script, starts_unit=not self._world.is_schema and not goes_on)
            before = file.name
        self._tables()

    # --- collecting

    def _read(self, file: SqlFile) -> Iterator[Read]:
        """Yield the statements of a file up to the first place where it cannot be read."""
        last: Read | None = None
        try:
            for read in statements(file, self._set.dialect):
                last = read
                self._allows += allows(read)
                yield read
        except SchemaError as error:
            at = error.at or Mark(file.name, 1, 1)
            self._raw.append(_Raw("SYNTAX_ERROR", error.message, at, None))
            return
        self._allows += self._behind(file, last)

    def _behind(self, file: SqlFile, last: Read | None) -> Iterator[Allow]:
        """Yield the remarks behind the last statement of a file, which belong to none."""
        if "dbops:allow" not in file.text:
            return
        seen = {allow.at for allow in self._allows}
        start = 0
        if last is not None:
            lines = file.text.split("\n")
            start = (
                sum(len(line) + 1 for line in lines[: last.source.at.line - 1])
                + last.source.at.column
                - 1
                + len(last.source.text)
            )
        for token in tokens(file.text, self._set.dialect, start):
            if token.kind == "comment" and "dbops:allow" in token.text:
                line = file.text.count("\n", 0, token.offset) + 1
                at = Mark(file.name, line, token.offset - file.text.rfind("\n", 0, token.offset))
                yield from (allow for allow in stray_allows(token.text, at) if allow.at not in seen)

    def _settings(self, file: str) -> LintSettings:
        return self._set.settings[file]

    def _is_on(self, rule: Rule, file: str) -> bool:
        return self._settings(file).severity_of(rule) != "off"

    def _script(self, file: SqlFile, script: tuple[Read, ...], *, starts_unit: bool) -> None:
        world = self._world
        world.settings = self._settings(file.name)
        world.enter(script, starts_unit=starts_unit)
        active = [rule for rule in self._rules.values() if self._is_on(rule, file.name)]
        for read in script:
            if not read.is_undo:
                self._statement(read, active)
                world.take(read)
        with world.going_back():
            for read in script:
                if read.is_undo:
                    self._statement(read, active)
                    world.take_back(read)
        for rule in active:
            if rule.scope == "script":
                for spot in cast(ScriptRule, rule.check)(script, world):
                    self._note(rule.code, spot.read, Hit(spot.at, spot.message))

    def _statement(self, read: Read, active: Sequence[Rule]) -> None:
        self._syntax(read, active)
        for rule in active:
            if rule.scope == "statement" and (not rule.is_hazard or not read.is_undo or self._is_told_back(rule)):
                for hit in cast(StatementRule, rule.check)(read, self._world):
                    self._note(rule.code, read, hit)

    def _is_told_back(self, rule: Rule) -> bool:
        return self._set.weighs_ways_back and rule.code in HOLDS_UP

    def _syntax(self, read: Read, active: Sequence[Rule]) -> None:
        if not any(rule.code == "SYNTAX_ERROR" for rule in active):
            return
        hits = list(read.faults)
        if not hits and self._set.grammar is not None and read.may_be_parsed:
            found = self._set.grammar(read.source.text)
            hits = [Hit(*found)] if found else []
        for hit in hits:
            self._note("SYNTAX_ERROR", read, hit)

    def _tables(self) -> None:
        world = self._world
        for rule in self._rules.values():
            if rule.scope != "table":
                continue
            for table in world.tables.values():
                world.settings = self._settings(table.read.file)
                for spot in cast(TableRule, rule.check)(table, world):
                    if self._is_on(rule, spot.read.file) and not (rule.is_hazard and spot.read.is_undo):
                        self._note(rule.code, spot.read, Hit(spot.at, spot.message))

    def _note(self, code: str, read: Read, hit: Hit) -> None:
        self._raw.append(_Raw(code, hit.message, read.mark(hit.at), read, hit.at))

    # --- remarks

    def _covering(self, raw: _Raw) -> list[Allow]:
        """Return the remarks that let a finding pass."""
        if raw.read is None:
            return []
        return [allow for allow in self._allows if allow.covers(raw.code, raw.read, raw.at.line)]

    def _remarks(self) -> Iterator[_Raw]:
        known = list(self._rules)
        for allow in self._allows:
            rule = self._rules.get(allow.code)
            ran = rule is None or self._is_on(rule, allow.at.file)
            if not allow.is_used and ran and self._is_on(self._rules["UNUSED_ALLOW"], allow.at.file):
                yield _Raw("UNUSED_ALLOW", why_unused(allow, known), allow.at, allow.read)
            if not allow.reason and allow.code and self._is_on(self._rules["ALLOW_WITHOUT_REASON"], allow.at.file):
                yield _Raw("ALLOW_WITHOUT_REASON", f"the allow of {allow.code} gives no reason", allow.at, allow.read)

    # --- results

    def _finished(self, kept: Sequence[_Raw]) -> list[Finding]:
        counts: Counter[str] = Counter()
        found = []
        for raw in self._in_order(kept):
            if not self._counts(raw):
                continue
            severity = self._settings(raw.at.file).severity_of(self._rules[raw.code])
            if severity == "off":
                continue
            print_ = self._fingerprint(raw)
            counts[print_] += 1
            found.append(Finding(raw.code, severity, raw.message, raw.at, self._end(raw), f"{print_}:{counts[print_]}"))
        return found

    def _in_order(self, found: Sequence[_Raw]) -> list[_Raw]:
        order = {file.name: place for place, file in enumerate(self._set.files)}
        return sorted(dict.fromkeys(found), key=lambda raw: (order.get(raw.at.file, 0), raw.at.line, raw.at.column, raw.code))

    def _counts(self, raw: _Raw) -> bool:
        """Return whether the finding is about a file or statement that changed, when only those count."""
        changed = self._set.changed
        if changed is None:
            return True
        if raw.at.file not in changed:
            return False
        return raw.read is None or normalise(raw.read.source.text, self._set.dialect) not in changed[raw.at.file]

    def _fingerprint(self, raw: _Raw) -> str:
        text = normalise(raw.read.source.text, self._set.dialect) if raw.read else ""
        return hashlib.sha256("\0".join((raw.code, raw.at.file, text, raw.message)).encode()).hexdigest()[:32]

    def _end(self, raw: _Raw) -> Mark | None:
        """Return where the word that the finding points to ends."""
        if raw.read is None or raw.at != raw.read.mark(raw.offset):
            return None
        word = re.match(r"[\w.\"`\[\]]+", raw.read.source.text[raw.offset :])
        return raw.at._replace(column=raw.at.column + len(word[0])) if word else None
