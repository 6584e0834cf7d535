"""Arguments of the public face, held against their annotations before anything is done with them.

What runs often (`execute` and its like) looks at its arguments itself. Annotations that say something else than a type, and what
lists and mappings hold, are left to those who are called.
"""

from __future__ import annotations

import ast
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from itertools import chain
from numbers import Integral, Real
from typing import Any, TypeVar

from dbops.dataclass import dataclass
from dbops.errors import ArgumentError

T = TypeVar("T")

#: What does for a name in an annotation, the usual first. Text and mappings are no lists, though one can walk through them.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "None": (type(None),),
    "str": (str,),
    "bytes": (bytes,),
    "bool": (bool, Integral),
    "int": (int, Integral),
    "float": (float, int, Real),
    "dict": (dict, Mapping),
    "Mapping": (dict, Mapping),
    "list": (list, tuple, Iterable),
    "Sequence": (list, tuple, Iterable),
    "Iterable": (list, tuple, Iterable),
    "Callable": (Callable,),  # type: ignore[dict-item]  # an abstract class to isinstance
    "Path": (os.PathLike,),
    "PathLike": (os.PathLike,),
    "type": (type,),
}
_NO_LIST = (str, bytes, Mapping)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What an annotation allows, and its text."""

    kinds: tuple[type, ...]
    refused: tuple[type, ...]
    text: str

    def must_fit(self, value: object, where: str, name: str) -> None:
        if isinstance(value, self.kinds) and not (self.refused and isinstance(value, self.refused)):
            return
        given = "None" if value is None else type(value).__name__
        raise ArgumentError(f"{where}: {name} cannot be {given}", expected=self.text, argument=name)


def checked(given: T) -> T:
    """Return a function that refuses arguments of a wrong type, or a class whose constructor and public methods do.

    They raise ArgumentError, which says what was given and what is expected. Coroutine functions, and constructors of dataclasses
    (see `must_fit`), are left as they are.
    """
    if not isinstance(given, type):
        return _checked(given)  # type: ignore[arg-type,return-value]  # a function, and of the same signature
    for name, member in list(vars(given).items()):
        is_public = not name.startswith("_") or (name == "__init__" and "__dataclass_fields__" not in vars(given))
        if is_public and inspect.isfunction(member):
            setattr(given, name, _checked(member))
    return given


def must_fit(made: Any) -> None:
    """Hold the fields of a dataclass against their annotations.

    Raises:
        ArgumentError: one is of a wrong type.
    """
    cls: Any = type(made)
    for name, rule in _of_fields(cls).items():
        rule.must_fit(getattr(made, name), cls.__name__, name)


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    told = inspect.unwrap(function)
    names = told.__code__.co_varnames[: told.__code__.co_argcount + told.__code__.co_kwonlyargcount]
    if inspect.iscoroutinefunction(told) or set(names) <= {"self"}:
        return function
    where = function.__qualname__.removesuffix(".__init__")
    rules: Mapping[str, _Rule] | None = None

    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        nonlocal rules
        if rules is None:
            rules = _rules(told.__annotations__, told.__globals__)
        for name, value in chain(zip(names, values, strict=False), named.items()):
            if (rule := rules.get(name)) is not None:
                rule.must_fit(value, where, name)
        return function(*values, **named)

    return call


@functools.cache
def _of_fields(cls: Any) -> Mapping[str, _Rule]:
    import sys

    return _rules(inspect.get_annotations(cls), vars(sys.modules[cls.__module__]))


def _rules(annotations: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, _Rule]:
    """Return the rules of those annotations that say a type; `known` are the names of their module."""
    found = {}
    for name, annotation in annotations.items():
        kinds = list(_kinds(ast.parse(str(annotation), mode="eval").body, known))
        if name != "return" and None not in kinds:
            allowed = tuple(chain.from_iterable(kind for kind in kinds if kind is not None))
            refused = tuple(kind for kind in _NO_LIST if Iterable in allowed and kind not in allowed)
            found[name] = _Rule(allowed, refused, str(annotation))
    return found


def _kinds(told: ast.expr, known: Mapping[str, Any]) -> Iterator[tuple[type, ...] | None]:
    """Return what does for an annotation, part by part; None for a part that says no type."""
    match told:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _kinds(left, known)
            yield from _kinds(right, known)
        case ast.Subscript(value=value):
            yield from _kinds(value, known)
        case ast.Constant(value=None):
            yield _KINDS["None"]
        case ast.Name(id=name):
            yield _KINDS[name] if name in _KINDS else _of_class(known.get(name))
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            yield _KINDS[name] if name in _KINDS else _of_class(getattr(known.get(module), name, None))
        case _:
            yield None


def _of_class(kind: object) -> tuple[type, ...] | None:
    """A plain value of an enumeration does wherever the enumeration is expected; a protocol is no type to look for."""
    if not isinstance(kind, type) or kind is Any or getattr(kind, "_is_protocol", False):
        return None
    return (kind, str) if issubclass(kind, Enum) else (kind,)
