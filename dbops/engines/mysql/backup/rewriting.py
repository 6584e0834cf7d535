"""Views, routines, triggers and events as another database takes them. Pure.

A text that names the database it came from means its own: `nextval(`shop`.`numbers`)`, which the server writes so, `shop.audit`
in a trigger, and all columns of a view whose definer is gone. Under another name it would go on reading and writing the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from dbops.engines.mysql.tokens import Token, tokens, without_qualifier

#: As far as CREATE [OR REPLACE] [ALGORITHM = ...] [DEFINER = ...] may reach.
_HEAD = 10

Rewrite = Callable[[str], str]


def rewrites(old: str, new: str, *, keeps_definers: bool) -> list[Rewrite]:
    """Return what is done to each statement of a dump of the database `old` that is brought into `new`."""
    found: list[Rewrite] = []
    if not keeps_definers:
        found.append(without_definer)
    if old != new:
        found.append(lambda sql: without_qualifier(_trigger_at_home(sql, old), old))
    return found


def _trigger_at_home(sql: str, old: str) -> str:
    """Return CREATE TRIGGER without the database before its name and its table, whatever else is called so in it: with that, it
    would be made on a table of the other one.
    """
    found = list(tokens(sql))
    meant = [place for place, token in enumerate(found) if token.kind != "space"]
    words = [found[place].upper for place in meant[: 2 * _HEAD]]
    if not words or words[0] != "CREATE" or "TRIGGER" not in words[:_HEAD]:
        return sql
    head = words.index("TRIGGER")
    name = head + (4 if words[head + 1 : head + 4] == ["IF", "NOT", "EXISTS"] else 1)
    table = words.index("ON", name) + 1 if "ON" in words[name:] else name
    left_out = {
        place
        for at in (name, table)
        if found[meant[at]].identifier == old and found[meant[at + 1]].text == "."
        for place in meant[at : at + 2]
    }
    return "".join(token.text for place, token in enumerate(found) if place not in left_out)


def without_definer(sql: str) -> str:
    """Return a CREATE statement without the account that defines what is made; any other comes back as it is."""
    found = list(tokens(sql))
    left_out = set(_definer_clause(found))
    return "".join(token.text for place, token in enumerate(found) if place not in left_out) if left_out else sql


def definer_of(sql: str) -> str:
    """Return `user@host`, or the name of a role, that defines what a CREATE statement makes; empty for any other."""
    found = list(tokens(sql))
    return "".join(found[place].identifier or found[place].text for place in _definer_clause(found)[2:])


def _definer_clause(found: list[Token]) -> list[int]:
    """Return the places of `DEFINER = name`, `DEFINER = name@name`, among tokens."""
    meant = [place for place, token in enumerate(found) if token.kind != "space"]
    head = [found[place] for place in meant[:_HEAD]]
    at = next((i for i, token in enumerate(head) if token.upper == "DEFINER"), None)
    if at is None or head[0].upper != "CREATE":
        return []
    end = at + 3
    if end < len(meant) and found[meant[end]].text.startswith("@"):
        end += 2 if found[meant[end]].text == "@" else 1
    return meant[at:end]


def statements_of(pieces: Iterator[bytes], rewrite: Rewrite) -> Iterator[bytes]:
    """Rewrite what stands between lines `DELIMITER ;;` and `DELIMITER ;`, statement by statement."""
    inside, held = False, []
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", _text(pieces)):  # other characters end a line for str.splitlines
        bare = line.rstrip("\n")
        if bare == "DELIMITER ;":
            inside = False
        if not inside:
            yield _bytes(line)
        else:
            held.append(line)
            if bare.endswith(";;"):
                statement = "".join(held).rstrip().removesuffix(";;")
                held.clear()
                if changed := rewrite(statement):
                    yield _bytes(f"{changed};;\n")
        if bare == "DELIMITER ;;":
            inside = True


def views_of(pieces: Iterator[bytes], rewrite: Rewrite) -> Iterator[bytes]:
    """Rewrite statements that a semicolon ends at the end of a line: the server writes a view's text on one line."""
    for statement in re.split(r"(?<=;\n)", _text(pieces)):
        yield _bytes(rewrite(statement) if _makes_view(statement) else statement)


def _makes_view(statement: str) -> bool:
    first: Token | None = next((token for token in tokens(statement) if token.kind != "space"), None)
    return first is not None and first.upper == "CREATE"


def _text(pieces: Iterator[bytes]) -> str:
    return b"".join(pieces).decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
