"""Session settings that change how the statements after them are to be read."""

from __future__ import annotations

import re
from dataclasses import replace

from dbops.sql.dialect import Dialect

_SETS = re.compile(r"(?:/\*M?!\d*\s*)?(?:SET|RESET)\b", re.IGNORECASE)
_CONFORMING = re.compile(r"\bstandard_conforming_strings\b\s*(?:=|\bTO\b)?\s*'?(\w*)", re.IGNORECASE)
_SQL_MODE = re.compile(r"(?<![@\w.])(?:@@(?:session|local)\.|@@)?`?sql_mode`?\s*:?=(.*)", re.IGNORECASE | re.DOTALL)
# Modes that include ANSI_QUOTES: MySQL manual, 7.1.11, Combination SQL Modes; MariaDB, SQL_MODE.
_ANSI_QUOTES = re.compile(r"\b(?:ANSI|ANSI_QUOTES|DB2|MAXDB|MSSQL|ORACLE|POSTGRESQL)\b", re.IGNORECASE)


def rules_after(statement: str, now: Dialect, initial: Dialect) -> Dialect:
    """Return the lexical rules in force once `statement` has run: `now`, unless it sets what changes them.

    A value that is not written out (`SET sql_mode = @saved`) means the `initial` rules, as it does in dumps.
    """
    if not _SETS.match(statement):
        return now
    if initial.escape_strings and (found := _CONFORMING.search(statement)):
        return replace(now, backslash_escapes=found[1].lower() in ("off", "false", "no", "0", "f"))
    if initial.version_comments and (found := _SQL_MODE.search(statement)):
        return _under_sql_mode(found[1], initial)
    return now


def _under_sql_mode(value: str, initial: Dialect) -> Dialect:
    if "'" not in value and '"' not in value:
        return initial
    has_ansi_quotes = _ANSI_QUOTES.search(value) is not None
    return replace(
        initial,
        backslash_escapes="NO_BACKSLASH_ESCAPES" not in value.upper(),
        string_quotes="'" if has_ansi_quotes else initial.string_quotes,
        identifier_quotes='`"' if has_ansi_quotes else initial.identifier_quotes,
    )
