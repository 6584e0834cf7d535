"""Storage parameters and options of foreign objects: `name=value` lists and their changes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from dbops.catalog.model import Options
from dbops.engines.postgresql.render.names import literal, quote

_BARE = re.compile(r"[A-Za-z0-9_.+-]+")


def assignments(options: Options, without: Collection[str] = ()) -> str:
    """Return `fillfactor=70, autovacuum_enabled=false` without the names that are no parameters."""
    return ", ".join(_assignment(name, value) for name, value in options if not _is_left_out(name, without))


def _assignment(name: str, value: str) -> str:
    return f"{name}={value if _BARE.fullmatch(value) else literal(value)}"


def _is_left_out(name: str, without: Collection[str]) -> bool:
    return name in without or ":" in name


def changes_of(before: Options, after: Options, without: Collection[str] = ()) -> Iterator[str]:
    """Yield `SET (...)` and `RESET (...)`."""
    old, new = dict(before), dict(after)
    if changed := assignments(tuple((name, value) for name, value in new.items() if old.get(name) != value), without):
        yield f"SET ({changed})"
    if gone := [name for name in old if name not in new and not _is_left_out(name, without)]:
        yield f"RESET ({', '.join(gone)})"


def fdw_clause(options: Options) -> str:
    """Return `OPTIONS (host 'here')`, empty without options."""
    return "OPTIONS (" + ", ".join(f"{quote(name)} {literal(value)}" for name, value in options) + ")" if options else ""


def fdw_changes(before: Options, after: Options) -> str:
    """Return `OPTIONS (SET host 'there', DROP port)`, empty without changes."""
    old, new = dict(before), dict(after)
    parts = [f"DROP {quote(name)}" for name in old if name not in new]
    parts += [
        f"{'SET' if name in old else 'ADD'} {quote(name)} {literal(value)}"
        for name, value in new.items()
        if old.get(name) != value
    ]
    return f"OPTIONS ({', '.join(parts)})" if parts else ""
