"""Storage parameters and options of foreign objects: `name=value` lists and their changes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from dbops.catalog.model import Index, MaterializedView, Options, Table, View
from dbops.engines.postgresql.render.names import literal, quote

_BARE = re.compile(r"[A-Za-z0-9_.+-]+")


def assignments(options: Options, without: Collection[str] = ()) -> str:
    """Return `fillfactor=70, autovacuum_enabled=false` without the names that are no parameters."""
    return ", ".join(_assignment(name, value) for name, value in options if not _is_left_out(name, without))


def _assignment(name: str, value: str) -> str:
    return f"{name}={value if _BARE.fullmatch(value) else literal(value)}"


def _is_left_out(name: str, without: Collection[str]) -> bool:
    return name in without or ":" in name


Parametrised = Table | View | MaterializedView | Index


def in_order(item: Parametrised) -> Options:
    """Return the options of an object, its storage parameters in the order in which the server keeps them."""
    if item.spelling is None:
        return item.options
    places = {name: place for place, name in enumerate(item.spelling.split())}
    return tuple(sorted(item.options, key=lambda pair: places.get(pair[0], len(places))))


def changes_of(before: Parametrised, after: Parametrised, without: Collection[str] = ()) -> Iterator[str]:
    """Yield `SET (...)` and `RESET (...)`.

    What is set goes behind what stays (transformRelOptions in reloptions.c): from the first difference on all is set again, so
    that the parameters stand as they do where the table is made anew.
    """
    old, new = ([(name, value) for name, value in in_order(item) if not _is_left_out(name, without)] for item in (before, after))
    if set(new) == set(old):
        return
    kept = [pair for pair in old if pair[0] in dict(new)]
    alike = next((at for at, (one, other) in enumerate(zip(kept, new, strict=False)) if one != other), len(kept))
    if set_again := tuple(new[alike:]):
        yield f"SET ({assignments(set_again)})"
    if gone := [name for name, _ in old if name not in dict(new)]:
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
