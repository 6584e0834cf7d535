"""HTML as nested calls: whatever is not `Markup` already is text, and escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from dbops.cli.views.wording import printable

Child = str | None | Iterable["Child"]
Value = str | int | float | bool | None


class Markup(str):
    """HTML that needs no escaping."""

    __slots__ = ()


_VOID = frozenset(("meta", "input", "br", "path", "rect", "circle", "line"))
_SELF_CLOSED = frozenset(("path", "rect", "circle", "line"))


def text(value: str) -> Markup:
    """Return text as HTML; control and direction characters are spelled out."""
    return Markup(escape(printable(value), quote=True))


def joined(*children: Child) -> Markup:
    """Return children one after the other."""
    return Markup("".join(_flat(children)))


def tag(name: str, /, *children: Child, **attributes: Value) -> Markup:
    """Return an element; `class_` is written class, `data_kind` data-kind; True stands alone, None and False are left out."""
    head = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _SELF_CLOSED and not children:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>" if name in _VOID else f"<{head}>{''.join(_flat(children))}</{name}>")


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    shown = f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f' {name}="{text(shown)}"'


def _flat(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str):
            yield text(child)
        else:
            yield from _flat(child)
