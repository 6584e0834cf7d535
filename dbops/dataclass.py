"""Dataclasses that are quick to define, quick to make, and frozen for the type checker.

The standard library compiles up to seven methods for every class when it is defined, which takes 0.7 ms; a command imports a
hundred classes and makes objects of a few. Here a class compares, hashes and shows itself through functions that all classes
share the text of, and `__init__` is compiled when the first object is made. A frozen one is not frozen at run time: that would
set every field through `object.__setattr__`, and take twice as long for each object. That nobody assigns to a field is proved
by mypy, which takes `dataclass` for the standard library's.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, eq: bool = True, order: bool = False, kw_only: bool = False
    ) -> Callable[[type], type]:
        """Make a dataclass; the options mean what they mean in the standard library, and methods that the class has stay."""

        def decorate(given: type) -> type:
            own = set(given.__dict__)
            words = given.__doc__ or ""
            given.__doc__ = words or given.__name__  # without, the standard library takes long to write a signature there
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(given)
            made.__doc__ = words
            methods = {"__init__": _compiled_later(made), "__repr__": _shown}
            if eq:
                key = _key(made)
                methods |= {f"__{name}__": _comparing(getattr(operator, name), key) for name in _COMPARISONS[: 5 if order else 1]}
                if frozen:
                    methods["__hash__"] = lambda self: hash(key(self))
                elif "__eq__" not in own:
                    made.__hash__ = None
            for name, method in methods.items():
                if name not in own:
                    setattr(made, name, method)
            return made

        return decorate


_COMPARISONS = ("eq", "lt", "le", "gt", "ge")


def _key(made: type) -> Callable[[Any], Any]:
    names = [field.name for field in dataclasses.fields(made) if field.compare]
    return operator.attrgetter(*names) if names else lambda self: ()


def _comparing(compare: Callable[[Any, Any], bool], key: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return compare(key(self), key(other)) if other.__class__ is self.__class__ else NotImplemented

    return method


@recursive_repr()
def _shown(self: Any) -> str:
    shown = [f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _compiled_later(made: type) -> Callable[..., None]:
    def __init__(self: Any, *values: Any, **named: Any) -> None:
        init = made.__init__ = _compiled(made)  # type: ignore[misc]  # this function's successor
        init(self, *values, **named)

    return __init__


def _compiled(made: type) -> Callable[..., None]:
    """Return `__init__`, with the parameters that the fields say, in their order."""
    names: dict[str, Any] = {"_missing": dataclasses.MISSING}
    positional, named, lines = ["self"], ["*"], []
    for field in dataclasses.fields(made):
        parameter, value = field.name, field.name
        if field.default is not dataclasses.MISSING:
            default = f"_default_{field.name}"
            names[default] = field.default
            parameter, value = f"{field.name}={default}", field.name if field.init else default
        elif field.default_factory is not dataclasses.MISSING:
            factory = f"_make_{field.name}"
            names[factory] = field.default_factory
            parameter = f"{field.name}=_missing"
            value = f"{factory}() if {field.name} is _missing else {field.name}" if field.init else f"{factory}()"
        elif not field.init:
            continue
        if field.init:
            (named if field.kw_only else positional).append(parameter)
        lines.append(f"self.{field.name} = {value}")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    parameters = ", ".join(positional + (named if len(named) > 1 else []))
    exec(f"def __init__({parameters}):\n  " + "\n  ".join(lines or ["pass"]), names)
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    return init


__all__ = ["dataclass"]
