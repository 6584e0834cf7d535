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

_UTF8 = "utf-8"
#: Character sets with a backslash's byte within characters, and what Python calls them.
_ENCODINGS = {"gbk": "gbk", "gb18030": "gb18030", "big5": "big5", "sjis": "shift_jis", "cp932": "cp932"}
_CHARSET = re.compile(rb"^/\*!50003 SET character_set_client\s*=\s*(@?\w+) \*/ (;;?)$", re.MULTILINE)
"""Before and behind each statement, with what it is written in, and what was before."""

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
    inside, held, raw, mode, encoding = False, list[str](), list[bytes](), "", _UTF8
    for data in re.findall(rb"[^\n]*\n|[^\n]+\Z", b"".join(pieces)):  # other characters end a line for str.splitlines
        if not held and (spoken := _CHARSET.match(data)):
            encoding = _ENCODINGS.get(spoken[1].decode(), _UTF8)
        line = data.decode(encoding, "surrogateescape")
        bare = line.rstrip("\n")
        if bare == "DELIMITER ;":
            yield b"".join(raw)
            held.clear()
            raw.clear()
            inside = False
        if not held and (found := _MODE.match(line)):
            mode = found[1]
        if not inside:
            yield data
        else:
            held.append(line)
            raw.append(data)
            if bare.endswith(";;") and _is_whole(statement := "".join(held).rstrip().removesuffix(";;"), mode):
                kept = b"".join(raw)
                held.clear()
                raw.clear()
                if changed := rewrite(statement, mode):
                    yield kept if changed == statement else _bytes(f"{changed};;\n", encoding)
        if bare == "DELIMITER ;;":
            inside = True
    yield b"".join(raw)


def spoken(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Tell the client in which encoding statements are whose characters may have a backslash within.

    It looks for the ends of strings, and would take that for one that escapes. It knows no command of its own while the server
    says that backslashes escape nothing.
    """
    text = b"".join(pieces)
    if any(found[1].decode() in _ENCODINGS for found in _CHARSET.finditer(text)):
        text = _CHARSET.sub(_told, text)
    yield text


def _told(found: re.Match[bytes]) -> bytes:
    charset = found[1] if found[1].decode() in _ENCODINGS else b"utf8mb4"
    before = b"SET @dbops_sql_mode = @@SESSION.sql_mode, SESSION sql_mode = ''"
    end = found[2]
    return b"%s%s\n\\C %s\nSET SESSION sql_mode = @dbops_sql_mode%s\n%s" % (before, end, charset, end, found[0])


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


def _bytes(text: str, encoding: str = _UTF8) -> bytes:
    return text.encode(encoding, "surrogateescape")
