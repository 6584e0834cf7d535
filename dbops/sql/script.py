"""Statements written below each other, for people to read."""

from __future__ import annotations

from collections.abc import Iterable


def spaced(statements: Iterable[str]) -> str:
    """Return statements below each other, a blank line around those of several lines."""
    parts: list[str] = []
    was_long = True
    for statement in statements:
        is_long = "\n" in statement
        parts.append(("\n" if parts and (is_long or was_long) else "") + statement + "\n")
        was_long = is_long
    return "".join(parts)
