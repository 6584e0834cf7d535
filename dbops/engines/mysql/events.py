"""Scheduled events: reading them, writing them, and keeping them from running in a scratch database."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from dbops.catalog.model import Event, Options
from dbops.engines.base.connect import Row
from dbops.engines.mysql.qualifiers import without_qualifier
from dbops.engines.mysql.tokens import Token, tokens, without_comments, words

_STATES = {
    "ENABLED": "ENABLE",
    "DISABLED": "DISABLE",
    "SLAVESIDE_DISABLED": "DISABLE ON SLAVE",
    "REPLICA_SIDE_DISABLED": "DISABLE ON SLAVE",
}


def read_event(row: Row, mode: Options, *, owner: str | None, parked: str | None, database: str, begun: bool) -> Event:
    """Build the event from its row of information_schema.events and SHOW CREATE EVENT.

    `parked` is the state it was declared with in a scratch.

    A start that equals the moment of creation was not asked for: the server fills it in (MySQL 8.4 manual, 15.1.13). `begun` says
    that this was so where the event was made first; a dump has the start alone.
    """
    name, _, kind, execute_at, interval, field, starts, ends, status, on_completion, comment, created, _, zone, text = row
    if kind == "ONE TIME":
        schedule = f"AT '{execute_at}'"
    else:
        count = interval if str(interval).isdigit() else f"'{str(interval).strip(chr(39))}'"
        schedule = f"EVERY {count} {field}"
        if not begun and not _is_creation(starts, created):
            schedule += f" STARTS '{starts}'"
        if ends:
            schedule += f" ENDS '{ends}'"
    own = without_qualifier(_body(text), database)
    options = dict(mode) | {
        "completion": "PRESERVE" if on_completion == "PRESERVE" else "NOT PRESERVE",
        "schedule": schedule,
        "state": parked or _STATES.get(status, "ENABLE"),
        "time_zone": zone or "SYSTEM",
    }
    return Event(
        name=name,
        definition=without_comments(own).lstrip(),
        spelling=own,
        comment=comment or None,
        owner=owner,
        options=tuple(sorted(options.items())),
    )


def _body(text: str) -> str:
    """What stands behind the DO of SHOW CREATE EVENT."""
    do = next(token for token in tokens(text) if token.upper == "DO")
    return text[do.start + len("DO") :].lstrip()


def _is_creation(starts: datetime | None, created: datetime | None) -> bool:
    return starts is None or (created is not None and abs(starts - created) <= timedelta(seconds=1))


def park(sql: str, states: dict[str, str], sql_mode: str = "") -> str:
    """Return CREATE EVENT with the event disabled, and note its declared state in `states`; other SQL comes back as it is.

    An event of a source must not run in a scratch database: its body may name other databases of the server.
    """
    if not re.search(r"\bevent\b", sql[:400], re.IGNORECASE):
        return sql
    meant = words(sql, sql_mode)
    place = _event_word(meant)
    if place is None:
        return sql
    place += 3 if [token.upper for token in meant[place + 1 : place + 4]] == ["IF", "NOT", "EXISTS"] else 0
    name = meant[place + 3] if meant[place + 2].text == "." else meant[place + 1]
    body = next((token for token in _outside(meant[place:]) if token.upper == "DO"), None)
    if body is None:
        return sql
    state, begin, end = _state(meant, body)
    states[name.identifier or ""] = state
    if begin == end:
        begin = end = _place_for_state(meant, body)
        return f"{sql[:begin]} DISABLE {sql[end:]}"
    return f"{sql[:begin]}DISABLE{sql[end:]}"


def _event_word(meant: list[Token]) -> int | None:
    """The place of the word EVENT in `CREATE [OR REPLACE] [DEFINER = ...] EVENT`, None in any other statement."""
    if not meant or meant[0].upper != "CREATE":
        return None
    for place, token in enumerate(meant[1:12], 1):
        if token.upper == "EVENT":
            return place
        if token.upper in ("TABLE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "INDEX", "SEQUENCE", "DATABASE", "SCHEMA"):
            return None
    return None


def _outside(meant: list[Token]) -> list[Token]:
    """Tokens outside parentheses."""
    depth, result = 0, []
    for token in meant:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            result.append(token)
    return result


def _state(meant: list[Token], body: Token) -> tuple[str, int, int]:
    """The declared state and where it stands; equal offsets when nothing is declared."""
    for place, token in enumerate(meant):
        if token.start >= body.start:
            break
        if token.upper == "ENABLE":
            return "ENABLE", token.start, token.start + len(token.text)
        if token.upper == "DISABLE":
            last = meant[place + 2] if meant[place + 1].upper == "ON" else token
            return ("DISABLE ON SLAVE" if last is not token else "DISABLE"), token.start, last.start + len(last.text)
    return "ENABLE", 0, 0


def _place_for_state(meant: list[Token], body: Token) -> int:
    """The state stands before COMMENT, else before DO."""
    for token in meant:
        if token.start >= body.start:
            break
        if token.upper == "COMMENT":
            return token.start
    return body.start
