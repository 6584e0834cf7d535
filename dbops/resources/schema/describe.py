"""Changes in words: what an address needs, and why."""

from __future__ import annotations

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
from dbops.reconcile.change import Action

_SHORT = 60


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
    return f"{name}: {_brief(before)} → {_brief(after)}"


def _brief(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        value = ", ".join(_item(item) for item in value)
    text = " ".join(str(value).split())
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def _item(item: object) -> str:
    if isinstance(item, tuple) and len(item) == 2:
        return f"{item[0]}={item[1]}"
    return str(getattr(item, "name", item))
