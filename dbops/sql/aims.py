"""Which objects a schema statement makes or changes: read strictly, so that what is not understood says so.

`subjects` reads leniently, for people; this is for deciding what may be left out of a load, where a guess would be a fault.
Names are bare and folded to lower case: two objects that differ only in schema or case are taken for one, which is safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum

from dbops.dataclass import dataclass
from dbops.sql.splitter import SourceStatement


class Role(Enum):
    """What a statement is to the objects of a source."""

    OBJECT = "makes or changes the objects it names"
    SETTING = "holds for the statements behind it"
    AMBIENT = "makes what others rely on without naming it"
    NOTHING = "is about rows, transactions or accounts"
    UNKNOWN = "may do anything"


@dataclass(frozen=True, slots=True)
class Aim:
    """The names of a statement's objects; those of `indexes` are spoken of without their table.

    `makes_index` is the index that a CREATE INDEX names; its table is what stands in `names`.
    """

    role: Role
    names: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    makes_index: str = ""


NAME = r'(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|\[[^\]]+\]|[^\s"`\[\](),.;\'=]+)'
_PATH = rf"{NAME}(?:\s*\.\s*{NAME}){{0,3}}"
_MAYBE = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:ONLY\s+)?"

_FREE = r"TABLE|VIEW|SEQUENCE|TYPE|DOMAIN|FUNCTION|PROCEDURE|ROUTINE|AGGREGATE|EVENT(?!\s+TRIGGER)"
_ON_TABLE = "TRIGGER|POLICY|RULE|STATISTICS|CONSTRAINT"
_AROUND = (
    r"EXTENSION|CAST|OPERATOR|COLLATION|LANGUAGE|TEXT\s+SEARCH|SERVER|FOREIGN\s+DATA\s+WRAPPER|USER\s+MAPPING"
    r"|PUBLICATION|ACCESS\s+METHOD|TRANSFORM|CONVERSION"
)
_FILLERS = (
    r"(?:(?:OR\s+REPLACE|UNLOGGED|MATERIALIZED|FOREIGN(?!\s+DATA)|VIRTUAL|RECURSIVE|TRUSTED|PROCEDURAL|DEFAULT(?!\s+PRIVILEGES)"
    r"|ALGORITHM\s*=\s*\w+|DEFINER\s*=\s*[^\s]+|SQL\s+SECURITY\s+\w+|CONSTRAINT(?=\s+TRIGGER)"
    r"|UNIQUE|FULLTEXT|SPATIAL)\s+)*"
)

_NOTHING = re.compile(
    r"(?:INSERT(?!\s+INTO\s+sqlite_(?:master|schema)\b)|REPLACE|UPDATE|DELETE|COPY|MERGE|TRUNCATE|VALUES|ANALY[SZ]E"
    r"|VACUUM|BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|LOCK|UNLOCK)\b"
    r"|SELECT\s+(?:pg_catalog\s*\.\s*)?setval\s*\("
    r"|(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER(?!\s+MAPPING)|GROUP|TABLESPACE|SYSTEM)\b"
    r"|COMMENT\s+ON\s+(?:DATABASE|ROLE|TABLESPACE)\b"
    r"|(?:GRANT|REVOKE)\b[^']*?\bON\s+(?:DATABASE|TABLESPACE|PARAMETER)\b"
    r"|(?:GRANT|REVOKE)\b(?!.*\bON\b)",
    re.IGNORECASE | re.DOTALL,
)
_SETTING = re.compile(
    r"(?:SET|RESET|USE|PRAGMA)\s|SELECT\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(|/\*M?!\d*\s*SET\s"
    r"|(?:CREATE|ALTER|DROP)\s+DATABASE\b",
    re.IGNORECASE,
)
_SCHEMA = re.compile(rf"(?:CREATE|ALTER)\s+SCHEMA\s+{_MAYBE}(?:{NAME}\s*)?(?:AUTHORIZATION\s+{NAME}\s*)?\Z", re.IGNORECASE)
_AMBIENT = re.compile(
    rf"(?:CREATE|ALTER)\s+{_FILLERS}(?:{_AROUND})\s|COMMENT\s+ON\s+(?:{_AROUND}|SCHEMA)\s"
    r"|(?:GRANT|REVOKE)\b[^']*?\bON\s+(?:SCHEMA|LANGUAGE|FOREIGN)\s"
    rf"|(?:GRANT|REVOKE)\b[^']*?\bON\s+(?:{NAME}\s*\.\s*)?\*\s",
    re.IGNORECASE,
)
_INDEX = re.compile(
    rf"CREATE\s+{_FILLERS}INDEX\s+(?:CONCURRENTLY\s+)?{_MAYBE}(?:(?!ON\s)(?P<index>{_PATH})\s+)?(?:USING\s+\w+\s+)?"
    rf"ON\s+(?:ONLY\s+)?(?P<name>{_PATH})",
    re.IGNORECASE,
)
_CREATED = re.compile(rf"CREATE\s+{_FILLERS}(?P<kind>{_FREE})\s+{_MAYBE}(?P<name>{_PATH})", re.IGNORECASE)
_STANDS = re.compile(rf"(?:CREATE|ALTER)\s+{_FILLERS}(?P<kind>{_ON_TABLE})\s+{_MAYBE}(?P<name>{_PATH})", re.IGNORECASE)
_ALTERED = re.compile(
    rf"ALTER\s+{_FILLERS}(?P<kind>{_FREE}|INDEX)\s+{_MAYBE}(?P<name>{_PATH})(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_DROPPED = re.compile(
    rf"DROP\s+(?:TABLE|VIEW|FUNCTION|PROCEDURE|SEQUENCE|EVENT)\s+IF\s+EXISTS\s+(?P<name>{_PATH})\s*(?:\([^()]*\)\s*)?\Z"
    rf"|DROP\s+(?:TRIGGER|INDEX|POLICY|RULE)\s+(?:IF\s+EXISTS\s+)?{NAME}\s+ON\s+(?P<table>{_PATH})\s*\Z",
    re.IGNORECASE,
)
_COMMENTED = re.compile(
    rf"COMMENT\s+ON\s+(?:MATERIALIZED\s+|FOREIGN\s+)?(?P<kind>{_FREE}|{_ON_TABLE}|INDEX|COLUMN)\s+(?P<name>{_PATH})"
    rf"(?:\s+ON\s+(?:DOMAIN\s+)?(?P<table>{_PATH}))?",
    re.IGNORECASE,
)
_GRANTED = re.compile(
    rf"(?:GRANT|REVOKE)\s[^']*?\bON\s+(?:(?:TABLE|SEQUENCE|FUNCTION|PROCEDURE|ROUTINE|TYPE|DOMAIN)\s+)?(?!ALL\b|LARGE\b|\*|{NAME}\s*\.\s*\*)"
    rf"(?P<names>{_PATH}\s*(?:\([^()]*\)\s*)?(?:,\s*{_PATH}\s*(?:\([^()]*\)\s*)?)*)\s*(?:TO|FROM)\s",
    re.IGNORECASE,
)
_FAMILY = re.compile(
    rf"\b(?:PARTITION\s+OF|ATTACH\s+PARTITION|DETACH\s+PARTITION|(?<!NO\s)INHERIT|OWNED\s+BY)\s+(?P<one>{_PATH})"
    r"|\bINHERITS\s*\((?P<several>[^()]*)\)",
    re.IGNORECASE,
)
_TABLE_OF = {
    "trigger": re.compile(rf"\bON\s+(?:ONLY\s+)?(?P<name>{_PATH})", re.IGNORECASE),
    "policy": re.compile(rf"\bON\s+(?P<name>{_PATH})", re.IGNORECASE),
    "rule": re.compile(rf"\bTO\s+(?P<name>{_PATH})", re.IGNORECASE),
    "statistics": re.compile(rf"\bFROM\s+(?P<name>{_PATH})", re.IGNORECASE),
}
_MOVES = re.compile(r"\bRENAME\b|\bSET\s+SCHEMA\b|\bEXCHANGE\b|\bSWAP\b", re.IGNORECASE)
_PARTS = re.compile(NAME)


def aim_of(statement: SourceStatement, *, has_schemas: bool) -> Aim:
    """Tell what a statement acts on; `has_schemas` where a schema is an object inside the database."""
    text = statement.text
    if statement.kind == "meta":
        return Aim(Role.SETTING)
    if _NOTHING.match(text):
        return Aim(Role.NOTHING)
    if _SETTING.match(text):
        return Aim(Role.SETTING)
    if _SCHEMA.match(text):
        return Aim(Role.AMBIENT if has_schemas else Role.SETTING)
    return _object(text) or (Aim(Role.AMBIENT) if _AMBIENT.match(text) else Aim(Role.UNKNOWN))


def _object(text: str) -> Aim | None:
    """Read a statement about objects with names; None for any other."""
    if match := _CREATED.match(text):
        return Aim(Role.OBJECT, (bare(match["name"]), *(_family(text) if match["kind"].upper() in ("TABLE", "SEQUENCE") else ())))
    if match := _INDEX.match(text):
        return Aim(Role.OBJECT, (bare(match["name"]),), (), bare(match["index"]) if match["index"] else "")
    if match := _STANDS.match(text):
        return _on_table(match["kind"].lower(), bare(match["name"]), text[match.end() :])
    if match := _ALTERED.match(text):
        return _altered(match)
    if match := _DROPPED.match(text):
        return Aim(Role.OBJECT, (bare(match["name"] or match["table"]),))
    if match := _COMMENTED.match(text):
        return _commented(match)
    if match := _GRANTED.match(text):
        return Aim(Role.OBJECT, tuple(bare(name) for name in re.findall(_PATH, re.sub(r"\([^()]*\)", "", match["names"]))))
    return None


def _family(text: str) -> Iterator[str]:
    """Yield the tables that this one is a part of, or that its statement makes a part of another."""
    for match in _FAMILY.finditer(text):
        if match["several"] is not None:
            yield from (bare(path) for path in match["several"].split(",") if path.strip())
        else:
            yield from _spoken_of(match["one"], match[0])


def _spoken_of(path: str, clause: str) -> Iterator[str]:
    """OWNED BY names a column: the table stands before it; NONE is no name."""
    parts = _PARTS.findall(path)
    if clause[:5].upper() != "OWNED":
        yield _folded(parts[-1])
    elif len(parts) > 1:
        yield _folded(parts[-2])


def _on_table(kind: str, name: str, rest: str) -> Aim | None:
    pattern = _TABLE_OF.get(kind)
    match = pattern.search(rest) if pattern else None
    if match is None:
        return None
    table = bare(match["name"])
    return Aim(Role.OBJECT, (name, table) if kind == "statistics" else (table,))


def _altered(match: re.Match[str]) -> Aim | None:
    if _MOVES.search(match["rest"]):
        return None
    if match["kind"].upper() == "INDEX":
        return Aim(Role.OBJECT, (), (bare(match["name"]), *_family(match["rest"])))
    return Aim(Role.OBJECT, (bare(match["name"]), *_family(match["rest"])))


def _commented(match: re.Match[str]) -> Aim | None:
    kind = match["kind"].upper()
    if kind == "INDEX":
        return Aim(Role.OBJECT, (), (bare(match["name"]),))
    if kind in ("TRIGGER", "POLICY", "RULE", "CONSTRAINT"):
        return Aim(Role.OBJECT, (bare(match["table"]),)) if match["table"] else None
    if kind == "COLUMN":
        parts = _PARTS.findall(match["name"])
        return Aim(Role.OBJECT, (_folded(parts[-2]),)) if len(parts) > 1 else None
    return Aim(Role.OBJECT, (bare(match["name"]),))


def bare(path: str) -> str:
    """Return the last part of a dotted name, without quotes, in lower case."""
    return _folded(_PARTS.findall(path)[-1])


def _folded(name: str) -> str:
    if name[0] in '"`':
        return name[1:-1].replace(name[0] * 2, name[0]).lower()
    return (name[1:-1] if name[0] == "[" else name).lower()


_WORDS = re.compile(r'"((?:[^"]|"")+)"|`((?:[^`]|``)+)`|\[([^\]]+)\]|([^\W\d][\w$]*)')


def words_of(texts: Sequence[str]) -> set[str]:
    """Return everything in statements that may be a name, folded; words inside strings, comments and quotes too."""
    found: set[str] = set()
    for text in texts:
        for double, back, square, plain in _WORDS.findall(text):
            if plain:
                found.add(plain.lower())
                continue
            inner = (double.replace('""', '"') or back.replace("``", "`") or square).lower()
            found.add(inner)
            found.update(word.lower() for word in _PLAIN.findall(inner))  # a string where names take other quotes
    return found


_PLAIN = re.compile(r"[^\W\d][\w$]*")
