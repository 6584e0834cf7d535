"""Changes in words: what an address needs, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    CreateObject,
    DropColumn,
    DropObject,
    RenameColumn,
    RenameObject,
)
from dbops.catalog.ref import Ref
from dbops.reconcile.change import Action

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_SHORT = 60
_BEFORE = 20


def action(change: CatalogChange) -> Action:
    match change:
        case CreateObject() | AddColumn():
            return "create"
        case DropObject() | DropColumn():
            return "delete"
        case AlterObject() | AlterColumn() | RenameObject() | RenameColumn():
            return "update"


def reason(change: CatalogChange) -> str:
    """Return one line: what is missing, what is too much, or which attributes differ and how."""
    match change:
        case CreateObject() | AddColumn():
            return "not in the database"
        case DropObject() | DropColumn():
            return "not in the source"
        case RenameObject(before, _):
            return f"renamed from {before.name}"
        case RenameColumn(_, before, _):
            return f"renamed from {before}"
        case AlterObject(before, after) | AlterColumn(_, before, after):
            parts = [_difference(name, getattr(before, name), getattr(after, name)) for name in change.attributes]
            if isinstance(change, AlterColumn) and change.moved:
                parts.append(f"position: after {change.after_column}" if change.after_column else "position: first")
            return "; ".join(parts)


def _difference(name: str, before: object, after: object) -> str:
    if before is True or after is True or before is False or after is False:
        return name if after else f"not {name}"
    old, new = _words(before), _words(after)
    start = _shared(old, new) if max(len(old), len(new)) > _SHORT else 0
    return f"{name}: {_from(start, old)} → {_from(start, new)}"


def _shared(old: str, new: str) -> int:
    """Return where to start so that the first difference is seen: at a word, with a little of what stands before it."""
    length = next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return old.rfind(" ", 0, max(length - _BEFORE, 0)) + 1


def _from(start: int, text: str) -> str:
    shown = text[start:]
    shown = shown if len(shown) <= _SHORT else shown[: _SHORT - 1] + "…"
    return f"…{shown}" if start else shown


def _words(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple) and not isinstance(value, Ref):
        return ", ".join(_item(item) for item in value)
    return " ".join(_item(value).split())


def _item(item: object) -> str:
    if isinstance(item, Ref):
        return item.qualified
    if isinstance(item, tuple) and len(item) == 2:
        return f"{item[0]}={item[1]}"
    if is_dataclass(item) and not isinstance(item, type):
        return " ".join(_said(item))
    return str(item)


def _said(item: DataclassInstance) -> Iterator[str]:
    """Yield what a part of an object says beyond what goes without saying: `updated descending`, `reader SELECT`."""
    for field in fields(item):
        value = getattr(item, field.name)
        if value == field.default:
            continue
        if isinstance(value, str):
            yield value
        else:
            yield field.name if value is True else f"{field.name}={_words(value)}"
