"""GRANT and REVOKE as data: what each says about which object of this database, and for whom.

Knows the grammar and the privileges of each level; asks no server. A statement about accounts, roles, other databases or the
whole server says nothing here. A grantee is written `user`@`host`, a role of MariaDB `role`, PUBLIC `public`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import field
from typing import NamedTuple

from dbops.catalog.model import Grant
from dbops.dataclass import dataclass
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.tokens import Token, closing, words
from dbops.errors import SchemaError

NOTHING = "USAGE"
"""What an account that is named has where it has nothing (MySQL 8.4 manual, 15.7.1.6; MariaDB the same)."""
OPTION = "GRANT OPTION"
PUBLIC = "public"

_ON_COLUMNS = ("INSERT", "REFERENCES", "SELECT", "UPDATE")
_ON_TABLES = (
    *("ALTER", "CREATE", "CREATE VIEW", "DELETE", "DROP", "INDEX", "INSERT", "REFERENCES", "SELECT", "SHOW VIEW", "TRIGGER"),
    "UPDATE",
)
_ON_ROUTINES = ("ALTER ROUTINE", "EXECUTE")
_ON_DATABASES = ("CREATE ROUTINE", "CREATE TEMPORARY TABLES", "EVENT", "LOCK TABLES")


class Place(NamedTuple):
    """What a privilege is on: `kind` is table (views and sequences too), function, procedure or database."""

    kind: str
    name: str


DATABASE = Place("database", "")


@dataclass(frozen=True, slots=True)
class Said:
    """One statement: for each grantee, what it gives or takes; `everything` takes all but the right to grant."""

    gives: bool
    place: Place
    grantees: tuple[str, ...]
    privileges: tuple[tuple[str, str], ...]
    everything: bool = False


@dataclass(slots=True)
class Ledger:
    """What the statements that a session was given say together; none of them reaches the server."""

    flavour: Flavour
    account: str
    own: set[str]
    roles: set[str] = field(default_factory=set)
    said: dict[Place, dict[str, set[Grant]]] = field(default_factory=dict)

    def take(self, sql: str) -> Said | None:
        """Note a GRANT or REVOKE; return None where it says nothing about this database.

        Raises:
            SchemaError: it cannot be understood.
        """
        found = read(sql, self.own, self.flavour, self.account, self.roles)
        if found is None:
            return None
        by_grantee = self.said.setdefault(found.place, {})
        for grantee in found.grantees:
            has = by_grantee.setdefault(grantee, set())
            granted = {Grant(grantee, privilege, False, column) for privilege, column in found.privileges}
            if found.gives:
                has |= granted
            elif found.everything:
                has -= {grant for grant in has if grant.privilege != OPTION}
            else:
                whole = {grant.privilege for grant in granted if not grant.column}
                has -= {grant for grant in has if grant in granted or grant.privilege in whole}
        return found

    def grants(self, place: Place) -> tuple[Grant, ...] | None:
        """Return what was said of a place, None for nothing; a grantee that has nothing has USAGE."""
        if place not in self.said:
            return None
        return tuple(sorted(g for who, has in self.said[place].items() for g in has or {Grant(who, NOTHING)}))


def is_grant(sql: str) -> bool:
    """Tell whether a statement grants or revokes."""
    return _FIRST.match(sql) is not None


_FIRST = re.compile(r"(?:\s+|--[^\n]*\n|#[^\n]*\n|/\*(?!M?!).*?\*/)*(?:GRANT|REVOKE)\b", re.IGNORECASE | re.DOTALL)


def privileges_on(kind: str, flavour: Flavour) -> frozenset[str]:
    """Return what ALL PRIVILEGES means for one kind of place."""
    if kind in ("function", "procedure"):
        return frozenset((*_ON_ROUTINES, *flavour.routine_privileges))
    tables = (*_ON_TABLES, *flavour.table_privileges)
    if kind == "table":
        return frozenset(tables)
    return frozenset((*tables, *_ON_ROUTINES, *_ON_DATABASES, *flavour.routine_privileges))


# --- reading ----------------------------------------------------------------------------------------------------------------


def read(sql: str, own: Container[str], flavour: Flavour, account: str, roles: Container[str] = ()) -> Said | None:
    """Read a statement; `own` are the names that mean this database, `account` is who CURRENT_USER is.

    `roles` are names that mean a role where no host stands behind them, as only MariaDB's may.

    Raises:
        SchemaError: no such privilege, or no such grammar.
    """
    found = words(sql)
    gives = found[0].upper == "GRANT"
    on = _outside(found, "ON")
    to = _outside(found, "TO" if gives else "FROM", on or 0)
    if on is None or to is None:  # roles given to accounts, or everything taken from them
        return None
    place = _place(found[on + 1 : to], own)
    if place is None:
        return None
    start = 3 if [token.upper for token in found[1:3]] == ["IF", "EXISTS"] else 1
    listed = list(_listed(sql, found[start:on], found[on].start))
    known = privileges_on(place.kind, flavour)
    everything = any(privilege in ("ALL", "ALL PRIVILEGES") for privilege, _ in listed)
    for privilege, column in listed:
        _check(privilege, column, place, known)
    grantees = tuple(_grantees(sql[found[to].start + len(found[to].text) :], flavour, account, roles))
    named = [(privilege, column) for privilege, column in listed if privilege not in ("ALL", "ALL PRIVILEGES", NOTHING)]
    if everything:
        named += [(privilege, "") for privilege in known]
    if gives and _grants_the_option(found[to + 1 :]):
        named.append((OPTION, ""))
    return Said(gives, place, grantees, tuple(sorted(set(named))), everything and (OPTION, "") not in named)


def _outside(found: list[Token], word: str, start: int = 0) -> int | None:
    """The place of a word outside parentheses."""
    depth = 0
    for at in range(start, len(found)):
        depth += (found[at].text == "(") - (found[at].text == ")")
        if not depth and found[at].upper == word:
            return at
    return None


def _place(found: list[Token], own: Container[str]) -> Place | None:
    """What stands between ON and TO; None for another database, the whole server, a proxied account, a package."""
    kind = "table"
    if found and found[0].upper in ("TABLE", "FUNCTION", "PROCEDURE") and len(found) > 1 and found[1].text != ".":
        kind, found = found[0].text.lower(), found[1:]
    texts = [token.text for token in found]
    names = [token.identifier or "" for token in found]
    match texts:
        case ["*"]:
            return DATABASE
        case [_, ".", "*"]:
            return DATABASE if names[0] in own or _without_escapes(names[0]) in own else None
        case [_, ".", _]:
            return Place(kind, names[2]) if names[0] in own else None
        case [_] if names[0]:
            return Place(kind, names[0])
        case _:
            return None


def _without_escapes(pattern: str) -> str:
    """A database stands in a grant as a pattern: an underscore that is meant has a backslash before it."""
    return re.sub(r"\\([_%])", r"\1", pattern)


def _listed(sql: str, found: list[Token], end: int) -> Iterator[tuple[str, str]]:
    """Yield `(privilege, column)`, the column empty for the whole place."""
    at = 0
    while at < len(found):
        start = at
        while at < len(found) and found[at].upper:
            at += 1
        privilege = " ".join(token.upper for token in found[start:at])
        privilege = _SYNONYMS.get(privilege, privilege)
        if at < len(found) and found[at].text == "(":
            behind = closing(sql, found[at].start)
            at += 1
            while at < len(found) and found[at].start < behind - 1:
                if found[at].text != ",":
                    yield privilege, found[at].identifier or found[at].text
                at += 1
            at += 1
        else:
            yield privilege, ""
        if at < len(found) and found[at].text != ",":
            raise SchemaError(f"cannot read the privileges before ON: {sql[found[0].start : end].strip()}")
        at += 1


_SYNONYMS = {"DELETE VERSIONING ROWS": "DELETE HISTORY"}


def _check(privilege: str, column: str, place: Place, known: frozenset[str]) -> None:
    allowed = frozenset(_ON_COLUMNS) if column else known | {"ALL", "ALL PRIVILEGES", NOTHING, OPTION}
    if privilege not in allowed:
        where = f"columns of a {place.kind}" if column else f"a {place.kind}"
        raise SchemaError(f"'{privilege}' is no privilege on {where}", expected=f"one of {', '.join(sorted(allowed))}")


_QUOTED = r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`"
_ACCOUNT = re.compile(
    rf"\s*(?P<user>{_QUOTED}|[\w$]+)(?:\s*@\s*(?P<host>{_QUOTED}|[\w$.%:/-]+)|\s*\(\s*\))?"
    rf"(?:\s+IDENTIFIED\s+(?:BY|WITH|VIA)\s+(?:(?!\s*,|\s+WITH\s+GRANT|\s+REQUIRE)(?:{_QUOTED}|.))*)?\s*(?P<next>,?)",
    re.IGNORECASE | re.DOTALL,
)


def _grantees(text: str, flavour: Flavour, account: str, roles: Container[str]) -> Iterator[str]:
    at = 0
    while match := _ACCOUNT.match(text, at):
        yield _grantee(match, flavour, account, roles)
        at = match.end()
        if not match["next"]:
            return
    raise SchemaError(f"cannot read the accounts: {text.strip()}")


def _grantee(match: re.Match[str], flavour: Flavour, account: str, roles: Container[str]) -> str:
    user = _plain(match["user"])
    if match["user"].upper() == "CURRENT_USER":
        name, _, host = account.rpartition("@")
        return grantee(name, host)
    if match["host"] is not None:
        return grantee(user, _plain(match["host"]))
    if flavour.is_mariadb and match["user"].upper() == "PUBLIC":
        return PUBLIC
    return quoted(user) if user in roles else grantee(user, "%")


def _plain(name: str) -> str:
    if name[0] not in "'\"`":
        return name
    inner = name[1:-1].replace(name[0] * 2, name[0])
    return inner if name[0] == "`" else re.sub(r"\\(.)", r"\1", inner)


def grantee(user: str, host: str) -> str:
    """Write who has a privilege; a role of MariaDB has no host, and hosts know no capitals."""
    return f"{quoted(user)}@{quoted(host.lower())}" if host else PUBLIC if user == "PUBLIC" else quoted(user)


def _grants_the_option(found: Iterable[Token]) -> bool:
    text = " ".join(token.upper for token in found)
    return re.search(r"\bWITH\b.*\bGRANT OPTION\b", text) is not None
