"""Sessions that stand in each other's way, as a tree: who holds a lock, and below who waits for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from click import style

from dbops.cli.views import wording
from dbops.usecases.monitor import Session, in_words

_TEXT = 120


def blocked_text(sessions: Sequence[Session]) -> str:
    """Return the tree; whoever waits for several stands below the first of them. Empty where nobody waits."""
    if not sessions:
        return ""
    by_id = {one.id: one for one in sessions}
    waiters: defaultdict[str, list[Session]] = defaultdict(list)
    for one in sessions:
        if holders := [id_ for id_ in one.blocked_by if id_ in by_id]:
            waiters[holders[0]].append(one)
    shown: set[str] = set()
    lines = [line for one in sessions if not one.blocked_by for line in _branch(one, waiters, shown, "", "")]
    for one in sessions:  # those that wait for each other, or for somebody who is gone
        if one.id not in shown:
            lines += _branch(one, waiters, shown, "", "")
    return "\n".join([style("Sessions in each other's way:", fg="yellow"), *lines])


def _branch(one: Session, waiters: Mapping[str, Sequence[Session]], shown: set[str], first: str, rest: str) -> Iterator[str]:
    shown.add(one.id)
    yield f"{first}{_described(one)}"
    if one.text:
        yield f"{rest}    {_text(one.text)}"
    below = [waiter for waiter in waiters.get(one.id, ()) if waiter.id not in shown]
    for place, waiter in enumerate(below, 1):
        is_last = place == len(below)
        yield from _branch(waiter, waiters, shown, f"{rest}{'└─ ' if is_last else '├─ '}", f"{rest}{'   ' if is_last else '│  '}")


def _described(one: Session) -> str:
    where = " ".join(part for part in (one.user, f"from {one.client}" if one.client else "", one.program) if part)
    facts = [f"its transaction is {_seconds(one.transaction_s)} old"] if one.transaction_s is not None else []
    if one.waits_for:
        waited = f"{_seconds(one.waited_s)} " if one.waited_s is not None else ""
        facts.append(f"waits {waited}for {one.waits_for}")
    if len(one.blocked_by) > 1:
        facts.append(f"kept by {', '.join(one.blocked_by)}")
    elif one.waits_for and not one.blocked_by:
        facts.append("the server does not tell for whom")
    return wording.on_one_line(f"{one.id} ({', '.join(part for part in (where, one.state, *facts) if part)})")


def _seconds(number: float) -> str:
    return in_words(max(number, 0.0), "seconds")


def _text(text: str) -> str:
    shown = wording.on_one_line(text)
    return shown if len(shown) <= _TEXT else f"{shown[:_TEXT]}…"
