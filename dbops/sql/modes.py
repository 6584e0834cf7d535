"""Session settings that change how the statements after them are to be read: followed through a script by its text alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from dbops.sql.dialect import Dialect
from dbops.sql.tokens import Token, tokens

_HEARD = re.compile(
    r"(?:/\*M?!\d*\s*)?(?:SET|RESET|DISCARD|BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SELECT(?=[\s\S]*\bset_config\b))\b",
    re.IGNORECASE,
)
_CONFORMING = "STANDARD_CONFORMING_STRINGS"
_SET_CONFIG = re.compile(rf"\bset_config\s*\(\s*'{_CONFORMING}'\s*,\s*'(\w*)'\s*,\s*'?(\w+)", re.IGNORECASE)
# Modes that include ANSI_QUOTES: MySQL manual, 7.1.11, Combination SQL Modes; MariaDB, SQL_MODE.
_ANSI_QUOTES = re.compile(r"\b(?:ANSI|ANSI_QUOTES|DB2|MAXDB|MSSQL|ORACLE|POSTGRESQL)\b", re.IGNORECASE)
_NO_BACKSLASHES = re.compile(r"\bNO_BACKSLASH_ESCAPES\b", re.IGNORECASE)
_SQL_MODE = re.compile(r"(?:@@(?:session\.|local\.)?)?sql_mode", re.IGNORECASE)


class Rules:
    """The lexical rules in force: `now` is right for the statement behind the last one that was heard."""

    def __init__(self, initial: Dialect) -> None:
        self._initial = initial
        self.now: Dialect = initial
        self._before: Dialect | None = None
        self._after = initial
        self._saved: dict[str, Dialect] = {}

    def hear(self, statement: str) -> None:
        """Take notice of a statement that runs."""
        if not _HEARD.match(statement):
            return
        words = [token for token in tokens(statement, self._initial) if token.kind not in ("comment", "version")]
        if self._initial.version_comments:
            if words and words[0].text.upper() == "SET":
                self._set_modes(iter(words[1:]))
        elif self._initial.escape_strings:
            self._hear_postgres(statement, [token.text.strip("'\"").upper() for token in words])

    # --- PostgreSQL: standard_conforming_strings, as long as its transaction lets it stand

    def _hear_postgres(self, statement: str, words: list[str]) -> None:
        match words:
            case ["BEGIN" | "START", *_] if self._before is None:
                self._before = self._after = self.now
            case ["COMMIT" | "END", *rest]:
                self._leave(self._after, rest)
            case ["ROLLBACK" | "ABORT", *rest] if "TO" not in rest:
                self._leave(self._before or self.now, rest)
            case ["RESET", "ALL" | "STANDARD_CONFORMING_STRINGS", *_] | ["DISCARD", "ALL", *_]:
                self._conform(self._initial)
            case ["SET", "SESSION" | "LOCAL" as scope, name, "=" | "TO", value, *_] if name == _CONFORMING:
                self._conform(self._with_escapes(value), is_local=scope == "LOCAL")
            case ["SET", name, "=" | "TO", value, *_] if name == _CONFORMING:
                self._conform(self._with_escapes(value))
            case ["SELECT", *_]:
                for value, is_local in _SET_CONFIG.findall(statement):
                    self._conform(self._with_escapes(value.upper()), is_local=is_local.lower() in ("true", "t", "on", "yes", "1"))

    def _with_escapes(self, value: str) -> Dialect:
        return replace(self._initial, backslash_escapes=value in ("OFF", "FALSE", "NO", "0", "F", "N"))

    def _conform(self, rules: Dialect, *, is_local: bool = False) -> None:
        if is_local and self._before is None:
            return
        self.now = rules
        self._after = self._after if is_local else rules

    def _leave(self, rules: Dialect, rest: list[str]) -> None:
        if self._before is not None:
            is_chained = rest[-2:] == ["AND", "CHAIN"]
            self.now = self._after = rules
            self._before = rules if is_chained else None

    # --- MySQL: sql_mode, among the assignments of a SET

    def _set_modes(self, words: Iterator[Token]) -> None:
        for scope, target, value in _assignments(words):
            name = target.replace("`", "")
            if name.startswith("@") and not name.startswith("@@"):
                if any(_SQL_MODE.fullmatch(token.text) for token in value if token.kind == "variable"):
                    self._saved[name.lower()] = self.now
            elif _SQL_MODE.fullmatch(name) and scope in ("", "SESSION", "LOCAL"):
                self.now = self._under(value)

    def _under(self, value: list[Token]) -> Dialect:
        """Return the rules under a mode; one that is not written out means the first ones, as it does in dumps."""
        strings = " ".join(token.text for token in value if token.kind == "string")
        words = [token.text.lower() for token in value if token.kind in ("variable", "word")]
        if not strings:
            return next((self._saved[word] for word in words if word in self._saved), self._initial)
        adds_to = any(_SQL_MODE.fullmatch(word) for word in words)
        takes_away = adds_to and "replace" in words
        rules = self.now if adds_to else self._initial
        if not adds_to or _NO_BACKSLASHES.search(strings):
            rules = replace(rules, backslash_escapes=takes_away or not _NO_BACKSLASHES.search(strings))
        if _ANSI_QUOTES.search(strings):
            quotes = self._initial if takes_away else replace(self._initial, string_quotes="'", identifier_quotes='`"')
            rules = replace(rules, string_quotes=quotes.string_quotes, identifier_quotes=quotes.identifier_quotes)
        return rules


_SCOPES = ("GLOBAL", "SESSION", "LOCAL", "PERSIST", "PERSIST_ONLY")


def _assignments(words: Iterator[Token]) -> Iterator[tuple[str, str, list[Token]]]:
    """Yield scope, target and value of each assignment of a SET; SET STATEMENT sets nothing that stays."""
    scope, target, value, depth = "", "", list[Token](), 0
    is_value = False
    for token in words:
        text = token.text.upper()
        depth += (text == "(") - (text == ")")
        if text == "," and not depth:
            yield scope, target, value
            scope, target, value, is_value = "", "", [], False
        elif is_value:
            value.append(token)
        elif text in ("=", ":="):
            is_value = True
        elif text == "STATEMENT" and not target:
            return
        elif text in _SCOPES and not target:
            scope = text
        else:
            target += token.text
    yield scope, target, value
