"""Which engine's SQL a file holds, guessed from its words and its path where nothing says so."""

from __future__ import annotations

import re

from dbops.lint.rule import Engine

_SIGNS: tuple[tuple[Engine, re.Pattern[str]], ...] = (
    (
        "mysql",
        re.compile(
            r"`\w+`|\bENGINE\s*=|\bAUTO_INCREMENT\b|^\s*DELIMITER\b|/\*!\d{5}|\bUNSIGNED\b|\bMODIFY\s+(?:COLUMN\s+)?\w+",
            re.I | re.M,
        ),
    ),
    (
        "sqlite",
        re.compile(
            r"\bAUTOINCREMENT\b|\bPRAGMA\b|\bWITHOUT\s+ROWID\b|\)\s*STRICT\b|\bsqlite_\w+|\bUSING\s+fts[345]\b", re.IGNORECASE
        ),
    ),
    (
        "postgresql",
        re.compile(
            r"\$\w*\$|::\w+|\b(?:big)?serial\b|\btimestamptz\b|\bjsonb\b|\bCONCURRENTLY\b|\bCOMMENT\s+ON\b|\bUSING\s+(?:gin|gist|btree)\b"
            r"|\bNOT\s+VALID\b|\bALTER\s+COLUMN\b|\bpublic\.|\block_timeout\b|\bCREATE\s+(?:TYPE|EXTENSION|SCHEMA|POLICY|SEQUENCE)\b",
            re.IGNORECASE,
        ),
    ),
)
_PATHS: tuple[tuple[Engine, re.Pattern[str]], ...] = (
    ("mariadb", re.compile(r"maria", re.IGNORECASE)),
    ("mysql", re.compile(r"mysql", re.IGNORECASE)),
    ("sqlite", re.compile(r"sqlite", re.IGNORECASE)),
    ("postgresql", re.compile(r"postgres|pgsql|(?<![a-z])pg(?![a-z])", re.IGNORECASE)),
)
_ENOUGH = 200_000


def guess_engine(path: str, text: str) -> Engine | None:
    """Return the engine that the path names or most signs in the text point to, None when nothing does."""
    for engine, pattern in _PATHS:
        if pattern.search(path):
            return engine
    counts = [(len(pattern.findall(text, 0, _ENOUGH)), engine) for engine, pattern in _SIGNS]
    most, engine = max(counts, key=lambda item: item[0])
    return engine if most else None
