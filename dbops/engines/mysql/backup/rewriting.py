"""Views, routines, triggers and events as another database takes them. Pure.

A text that names the database it came from means its own: `nextval(`shop`.`numbers`)`, which the server writes so, `shop.audit`
in a trigger, and all columns of a view whose definer is gone. Under another name it would go on reading and writing the first, so
the new name takes the old one's place; to leave it out would be no better, for `shop.hex(1)` is no `hex(1)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.qualifiers import Naming, in_case_of
from dbops.engines.mysql.tokens import Token, tokens

#: As far as CREATE [OR REPLACE] [ALGORITHM = ...] [DEFINER = ...] may reach.
_HEAD = 10
_MODE = re.compile(r"(?:/\*!\d+ )?SET sql_mode\s*=\s*'([^']*)'", re.IGNORECASE)
#: Names that we make ourselves, such as a scratch database's: no reserved word is like them.
_OURS = re.compile(r"dbops_[0-9a-z_]+", re.ASCII)

Rewrite = Callable[[str, str], str]
"""Makes a statement into another one; the second argument is the sql_mode that the statement was written under."""


def rewrites(old: Naming, new: str, *, keeps_definers: bool) -> list[Rewrite]:
    """Return what is done to each statement of a dump of the database `old` that is brought into `new`."""
    found: list[Rewrite] = []
    if not keeps_definers:
        found.append(without_definer)
    if old.database != new:
        found.append(lambda sql, mode: renamed(sql, old, new, mode))
    return found


def renamed(sql: str, old: Naming, new: str, sql_mode: str = "") -> str:
    """Return a text that names the database `new` wherever it named `old`, in quotes of the same kind."""
    if not old.may_be_in(sql):
        return sql
    found = list(tokens(sql, sql_mode))
    places = set(old.places(found, sql_mode))
    return "".join(_like(token, old, new) if place in places else token.text for place, token in enumerate(found))


def _like(token: Token, old: Naming, new: str) -> str:
    if token.text[0] == '"':
        return '"' + new.replace('"', '""') + '"'
    if token.kind == "name" or not _OURS.fullmatch(new):
        return quoted(new)
    return in_case_of(token.text, old.database, new)


def without_definer(sql: str, sql_mode: str = "") -> str:
    """Return a CREATE statement without the account that defines what is made; any other comes back as it is."""
    found = list(tokens(sql, sql_mode))
    left_out = set(_definer_clause(found))
    return "".join(token.text for place, token in enumerate(found) if place not in left_out) if left_out else sql


def definer_of(sql: str, sql_mode: str = "") -> str:
    """Return `user@host`, or the name of a role, that defines what a CREATE statement makes; empty for any other."""
    found = list(tokens(sql, sql_mode))
    return "".join(found[place].identifier or found[place].text for place in _definer_clause(found)[2:])


def _definer_clause(found: list[Token]) -> list[int]:
    """Return the places of `DEFINER = name`, `DEFINER = name@name`, among tokens; SQL SECURITY DEFINER is none."""
    meant = [place for place, token in enumerate(found) if token.kind != "space"]
    head = [found[place] for place in meant[: _HEAD + 1]]
    at = next((i for i, token in enumerate(head[:-1]) if token.upper == "DEFINER" and head[i + 1].text == "="), None)
    if at is None or head[0].upper != "CREATE":
        return []
    end = at + 3
    if end < len(meant) and found[meant[end]].text.startswith("@"):
        end += 2 if found[meant[end]].text == "@" else 1
    return meant[at:end]


def statements_of(pieces: Iterator[bytes], rewrite: Rewrite) -> Iterator[bytes]:
    """Rewrite what stands between lines `DELIMITER ;;` and `DELIMITER ;`, statement by statement."""
    inside, held, mode = False, list[str](), ""
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", _text(pieces)):  # other characters end a line for str.splitlines
        bare = line.rstrip("\n")
        if bare == "DELIMITER ;":
            yield _bytes("".join(held))
            held.clear()
            inside = False
        if not held and (found := _MODE.match(line)):
            mode = found[1]
        if not inside:
            yield _bytes(line)
        else:
            held.append(line)
            if bare.endswith(";;") and _is_whole(statement := "".join(held).rstrip().removesuffix(";;"), mode):
                held.clear()
                if changed := rewrite(statement, mode):
                    yield _bytes(f"{changed};;\n")
        if bare == "DELIMITER ;;":
            inside = True
    yield _bytes("".join(held))


def _is_whole(statement: str, sql_mode: str) -> bool:
    """Tell whether no string, name or comment is open at the end: the client takes no end of a statement for one in these."""
    found = list(tokens(f"{statement};;", sql_mode))
    if len(found) < 2 or [token.kind for token in found[-2:]] != ["mark", "mark"]:
        return False
    opens = any(
        token.text in ("'", '"', "`") or (token.text == "/" and after.text == "*")
        for token, after in pairwise(found)
        if token.kind == "mark"
    )
    return not opens


def views_of(pieces: Iterator[bytes], rewrite: Rewrite) -> Iterator[bytes]:
    """Rewrite statements that a semicolon ends at the end of a line: the server writes a view's text on one line."""
    for statement in re.split(r"(?<=;\n)", _text(pieces)):
        yield _bytes(rewrite(statement, "") if _makes_view(statement) else statement)


def _makes_view(statement: str) -> bool:
    first: Token | None = next((token for token in tokens(statement) if token.kind != "space"), None)
    return first is not None and first.upper == "CREATE"


def _text(pieces: Iterator[bytes]) -> str:
    return b"".join(pieces).decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
