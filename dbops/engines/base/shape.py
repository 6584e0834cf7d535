"""Shapes of what was written as JSON and comes back from a place where somebody else may have written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from dbops.errors import BackupError

#: A type; a list of one shape for all; a tuple of one for each; a mapping of names; a function that tells. What may be missing or
#: null says so by `or_none`.
Shape: TypeAlias = "type | Sequence[Shape] | tuple[Shape, ...] | Mapping[str, Shape] | Callable[[object], bool]"


def misfit(value: object, shape: Shape, name: str) -> str | None:
    """Say where a value has another shape, None where it has this one."""
    match shape:
        case type():
            fits = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
            return None if fits else f"{name} is {_short(value)}, no {shape.__name__}"
        case Mapping():
            if not isinstance(value, dict):
                return f"{name} is {_short(value)}, no mapping"
            found = (misfit(value.get(key), one, f"{name}.{key}") for key, one in shape.items())
            return next((text for text in found if text is not None), None)
        case tuple() | list():
            if not isinstance(value, list) or (isinstance(shape, tuple) and len(value) != len(shape)):
                return f"{name} is {_short(value)}, no list of that kind"
            shapes = shape if isinstance(shape, tuple) else tuple(shape) * len(value)
            found = (misfit(one, inner, f"{name}[{place}]") for place, (one, inner) in enumerate(zip(value, shapes, strict=True)))
            return next((text for text in found if text is not None), None)
        case _:
            assert callable(shape)
            return None if shape(value) else f"{name} is {_short(value)}"


def or_none(shape: Shape) -> Shape:
    """Return the shape of what may be missing."""
    return lambda value: value is None or misfit(value, shape, "") is None


def decoded(text: bytes, shape: Shape, what: str) -> Any:
    """Return what a text says, JSON of a shape; `what` names it.

    Raises:
        BackupError: it is something else.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BackupError(f"{what} is no JSON: {error}", error_code="PART_DAMAGED") from error
    if (wrong := misfit(value, shape, what)) is not None:
        raise BackupError(wrong, error_code="PART_DAMAGED")
    return value


def is_size(value: object) -> bool:
    """Tell whether a value is a whole number that something can be counted with, or that divides."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
