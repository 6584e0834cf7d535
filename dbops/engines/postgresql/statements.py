"""What a statement of a SQL source is about, told from its first words: schema, session settings, rows, or the whole server."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbops.sql.splitter import SourceStatement


class Role(Enum):
    """What loading does with a statement."""

    SCHEMA = "schema"
    SETTING = "setting"
    """Holds for the statements of its file that follow."""
    ROWS = "rows"
    """About data: no part of a schema."""
    TRANSACTION = "transaction control"
    SERVER = "server"
    """About databases, roles or settings of the server, which a source must not touch."""
    ENCODING = "encoding of the file"
    """Was heeded when the file was read: what is sent is text."""
    CLIENT = "client command"
    """For psql alone, without effect on the schema."""
    UPKEEP = "upkeep"
    """VACUUM and the like: nothing of it is left in the schema."""
    REFUSED = "refused"


_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_SETTING = re.compile(r"(?:SET|RESET)\s|SELECT\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(", re.IGNORECASE)
_ENCODING = re.compile(
    r"SET\s+(?:SESSION\s+|LOCAL\s+)?(?:client_encoding\b|NAMES\b)|RESET\s+client_encoding\b"
    r"|SELECT\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(\s*'client_encoding'",
    re.IGNORECASE,
)
_ROWS = re.compile(
    r"(?:INSERT|UPDATE|DELETE|COPY|MERGE|TRUNCATE|WITH|VALUES|TABLE|FETCH|DECLARE|MOVE|CLOSE)\b"
    r"|SELECT\s+(?:pg_catalog\s*\.\s*)?setval\s*\(|SELECT\s+(?:pg_catalog\s*\.\s*)?(?:lo_\w+)\s*\(",
    re.IGNORECASE,
)
_TRANSACTION = re.compile(
    r"(?:BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION|LOCK)\b", re.IGNORECASE
)
_UPKEEP = re.compile(
    r"(?:VACUUM|ANALY[SZ]E|REINDEX|CHECKPOINT|NOTIFY|LISTEN|UNLISTEN|EXPLAIN|DISCARD|SHOW|REFRESH)\b", re.IGNORECASE
)
_SERVER = re.compile(
    r"(?:CREATE|ALTER|DROP)\s+(?:DATABASE|ROLE|USER(?!\s+MAPPING)|GROUP|TABLESPACE|SYSTEM|SUBSCRIPTION)\b"
    r"|COMMENT\s+ON\s+(?:DATABASE|ROLE|TABLESPACE|SUBSCRIPTION)\b"
    r"|SECURITY\s+LABEL\b[^']*?\bON\s+(?:DATABASE|ROLE|TABLESPACE)\b"
    r"|(?:GRANT|REVOKE)\b[^']*?\bON\s+(?:DATABASE|TABLESPACE|PARAMETER)\b",
    re.IGNORECASE,
)
_MEMBERSHIP = re.compile(r"(?:GRANT|REVOKE)\b(?!.*\bON\b)", re.IGNORECASE | re.DOTALL)
_OWNED = re.compile(r"(?:DROP|REASSIGN)\s+OWNED\b", re.IGNORECASE)
_BLOCK = re.compile(r"DO\b", re.IGNORECASE)
_SERVER_IN_BLOCK = re.compile(
    r"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER(?!\s+MAPPING)|GROUP|DATABASE|SUBSCRIPTION)\b", re.IGNORECASE
)
HARMLESS_CLIENT = re.compile(
    r"\\(?:restrict|unrestrict|connect|c|set|unset|echo|qecho|warn|encoding|pset|timing|x|o|copy|password|conninfo|q|a|t|f|H|l|z"
    r"|d[A-Za-z]*)(?![A-Za-z])"
)
_COMMENT = re.compile(r"(?:\s+|--[^\n]*\n?|/\*.*?\*/)+", re.DOTALL)

_CONCURRENTLY = re.compile(
    r"((?:CREATE\s+(?:UNIQUE\s+)?|DROP\s+|RE)INDEX\s+|(?:DETACH\s+PARTITION\s+"
    + _NAME
    + r"(?:\s*\.\s*"
    + _NAME
    + r")?\s+))CONCURRENTLY\b",
    re.IGNORECASE,
)
_CREATED = re.compile(
    r"CREATE\b.*?\b(?:TABLE|VIEW|TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE|SEQUENCE|SCHEMA|INDEX|EXTENSION|COLLATION|SERVER|WRAPPER"
    r"|DICTIONARY|CONFIGURATION|TEMPLATE|PARSER|FAMILY|CLASS|LANGUAGE)\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?"
    rf"({_NAME})(?:\s*\.\s*({_NAME}))?",
    re.IGNORECASE | re.DOTALL,
)
_DROPS = re.compile(r"DROP\b", re.IGNORECASE)
_TAKES_AWAY = re.compile(
    rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?:{_NAME}\s*\.\s*)?({_NAME})\s.*\bDROP\b", re.IGNORECASE | re.DOTALL
)


def role_of(statement: SourceStatement) -> Role:
    """Tell what to do with a statement."""
    text = without_leading_comments(statement.text)
    if statement.kind == "meta":
        return Role.CLIENT if HARMLESS_CLIENT.match(text) else Role.REFUSED
    for pattern, role in _ROLES:
        if pattern.match(text):
            return role
    if _BLOCK.match(text) and _SERVER_IN_BLOCK.search(text):
        return Role.SERVER
    return Role.SCHEMA


_ROLES = (
    (_ENCODING, Role.ENCODING),
    (_SETTING, Role.SETTING),
    (_ROWS, Role.ROWS),
    (_TRANSACTION, Role.TRANSACTION),
    (_UPKEEP, Role.UPKEEP),
    (_SERVER, Role.SERVER),
    (_MEMBERSHIP, Role.SERVER),
    (_OWNED, Role.REFUSED),
)


def without_leading_comments(text: str) -> str:
    match = _COMMENT.match(text)
    return text[match.end() :] if match else text


def in_line(text: str) -> str:
    """Blank out CONCURRENTLY, which cannot run together with other statements; every other character keeps its place."""
    return _CONCURRENTLY.sub(lambda match: match[1] + " " * len("CONCURRENTLY"), text, count=1)


def created_name(text: str) -> str | None:
    """Return the bare name of what a CREATE statement makes, as messages of the server spell it."""
    match = _CREATED.match(without_leading_comments(text)[:400])
    return bare(match[2] or match[1]) if match else None


def drops(text: str) -> bool:
    """Tell whether the statement drops something: where it is not there yet, nothing is left to do."""
    return _DROPS.match(without_leading_comments(text)) is not None


def takes_away_from(text: str) -> str | None:
    """Return the table from which ALTER TABLE ... DROP takes something."""
    match = _TAKES_AWAY.match(without_leading_comments(text))
    return bare(match[1]) if match else None


def bare(name: str) -> str:
    """Fold a name as the server does: quoted as it is, else in lower case."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def is_of_server(text: str) -> bool:
    """Tell whether a statement is about what all databases of the server share."""
    if _SERVER.match(text) or _MEMBERSHIP.match(text):
        return True
    return _BLOCK.match(text) is not None and _SERVER_IN_BLOCK.search(text) is not None


def literal(text: str) -> str:
    """Return a string constant that reads the same whatever standard_conforming_strings says."""
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in text else f"'{quoted}'"
