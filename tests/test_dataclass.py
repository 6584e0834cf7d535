"""Dataclasses behave as the standard library's do, but for what frozen ones cost at run time."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar

import pytest

from dbops.dataclass import dataclass

Decorator = Callable[..., Any]


def family(decorator: Decorator) -> dict[str, Any]:
    """Return classes with all that the package's dataclasses have, made by a decorator."""

    @decorator(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2
        seen: list[int] = field(default_factory=list)
        note: str = field(default="", compare=False, repr=False)
        ORIGIN: ClassVar[int] = 0

    @decorator(frozen=True, slots=True, kw_only=True)
    class Named(Point):
        name: str

    @decorator(frozen=True, slots=True, order=True)
    class Version:
        number: int

    @decorator(slots=True)
    class Counter:
        count: int
        double: int = field(init=False)
        parts: dict[str, int] = field(init=False, default_factory=dict)

        def __post_init__(self) -> None:
            self.double = 2 * self.count

    @decorator(frozen=True, slots=True)
    class Empty:
        def __repr__(self) -> str:
            return "nothing"

    @decorator(slots=True, eq=False)
    class Unlike:
        x: int

    return {made.__name__: made for made in (Point, Named, Version, Counter, Empty, Unlike)}


OURS, THEIRS = family(dataclass), family(dataclasses.dataclass)

ACTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "positional arguments": lambda c: repr(c["Point"](1, 3, [4], "five")),
    "defaults": lambda c: repr(c["Point"](1)),
    "lists of their own": lambda c: c["Point"](1).seen is c["Point"](1).seen,
    "equal": lambda c: c["Point"](1, note="a") == c["Point"](1, note="b"),
    "unequal": lambda c: c["Point"](1) != c["Point"](2),
    "another class": lambda c: c["Point"](1) == c["Named"](1, name="n"),
    "inheritance": lambda c: repr(c["Named"](1, name="n")),
    "keywords only": lambda c: c["Named"](1, 2, [], "", "n"),
    "a missing argument": lambda c: c["Point"](),
    "an unknown argument": lambda c: c["Point"](1, z=1),
    "order": lambda c: sorted(c["Version"](n) for n in (3, 1, 2))[0] <= c["Version"](1),
    "no order": lambda c: c["Point"](1) < c["Point"](2),
    "hash": lambda c: len({c["Version"](1), c["Version"](1), c["Version"](2)}),
    "hash of what changes": lambda c: hash(c["Counter"](1)),
    "identity": lambda c: (c["Unlike"](1) == c["Unlike"](1), isinstance(hash(c["Unlike"](1)), int)),
    "after init": lambda c: repr(c["Counter"](2)),
    "a method of its own": lambda c: repr(c["Empty"]()),
    "empty": lambda c: c["Empty"]() == c["Empty"]() and hash(c["Empty"]()) == hash(c["Empty"]()),
    "replace": lambda c: repr(dataclasses.replace(c["Point"](1), y=5)),
    "copy": lambda c: repr(copy.deepcopy(c["Point"](1, seen=[2]))),
    "fields": lambda c: [item.name for item in dataclasses.fields(c["Named"])],
    "match": lambda c: c["Named"].__match_args__,
    "slots": lambda c: c["Point"](1).__dict__,
    "a class variable": lambda c: c["Named"].ORIGIN,
}


@pytest.mark.parametrize("act", ACTS)
def test_a_dataclass_behaves_as_the_standard_librarys(act: str) -> None:
    assert outcome(ACTS[act], OURS) == outcome(ACTS[act], THEIRS)


def outcome(act: Callable[[dict[str, Any]], Any], classes: dict[str, Any]) -> Any:
    try:
        return act(classes)
    except (TypeError, AttributeError) as error:
        return type(error)


@dataclass(frozen=True, slots=True)
class Kept:
    x: int


def test_objects_survive_pickling() -> None:
    assert pickle.loads(pickle.dumps(Kept(1))) == Kept(1)
