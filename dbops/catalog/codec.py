"""Catalogs as JSON and back: for the cache, and for the canonical catalog kept in a managed database.

Each object becomes `{"is": class name, field: value, ...}` with default values left out; refs become lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

from dbops.catalog import model
from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Unmanaged
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass

FORMAT = "dbops.catalog/1"
PACKED = "dbops.catalog/1 packed"

_CLASSES: dict[str, Any] = {
    name: cls for name, cls in vars(model).items() if isinstance(cls, type) and cls.__module__ == model.__name__
}
_PLAIN = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, slots=True)
class _Shape:
    """How objects of one class are taken apart: the names of their fields, what they hold unless told, all values at once."""

    name: str
    names: tuple[str, ...]
    defaults: tuple[object, ...]
    values: Callable[[object], tuple[object, ...]]

    @classmethod
    def of(cls, kind: Any) -> _Shape:
        names = tuple(f.name for f in fields(kind))
        get = attrgetter(*names)
        values = get if len(names) > 1 else lambda value: (get(value),)
        return cls(kind.__name__, names, tuple(f.default for f in fields(kind)), values)


_SHAPES: dict[type, _Shape] = {kind: _Shape.of(kind) for kind in _CLASSES.values()}


class _Encoder:
    """Turns values of the model into plain JSON values; columns that several tables share are encoded once."""

    def __init__(self) -> None:
        self._columns: dict[int, Any] = {}

    def encode(self, value: object) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is tuple or kind is list:
            return [self.encode(item) for item in value]  # type: ignore[attr-defined]
        if kind is model.Column:
            found = self._columns.get(id(value))
            if found is None:
                found = self._columns[id(value)] = self._encode_object(value)
            return found
        return {"ref": list(value)} if isinstance(value, Ref) else self._encode_object(value)

    def _encode_object(self, value: object) -> dict[str, Any]:
        shape = _SHAPES[type(value)]
        result: dict[str, Any] = {"is": shape.name}
        for name, default, held in zip(shape.names, shape.defaults, shape.values(value), strict=True):
            if held is not default and held != default:
                result[name] = held if type(held) in _PLAIN else self.encode(held)
        return result


def classes() -> Mapping[str, Any]:
    """Return the classes whose values `encode` writes, by the name that stands under `is`."""
    return _CLASSES


def encode(value: object) -> Any:
    """Turn a value of the model into plain JSON values."""
    return _Encoder().encode(value)


def decode(value: Any) -> Any:
    """Turn JSON values back into the model; lists become tuples."""
    return _Decoder().decode(value)


class _Decoder:
    """Turns JSON values back into the model; columns that are alike become one object."""

    def __init__(self) -> None:
        self._columns: dict[tuple[Any, ...], model.Column] = {}

    def decode(self, value: Any) -> Any:
        kind = type(value)
        if kind is list:
            return tuple([self.decode(item) for item in value])
        if kind is not dict:
            return value
        if "ref" in value:
            return Ref(*value["ref"])
        if value["is"] == "Column":
            return self._column(value)
        return self._object(value)

    def _object(self, value: dict[str, Any]) -> Any:
        kind = _CLASSES[value["is"]]
        given = {name: held if type(held) in _PLAIN else self.decode(held) for name, held in value.items()}
        del given["is"]
        return kind(**given)

    def _column(self, value: dict[str, Any]) -> Any:
        if any(type(held) not in _PLAIN for held in value.values()):
            return self._object(value)
        key = (*value, *value.values())
        found = self._columns.get(key)
        if found is None:
            found = self._columns[key] = self._object(value)
        return found


def to_dict(catalog: Catalog) -> dict[str, Any]:
    """Return the catalog as plain JSON values, objects sorted by ref, so that equal catalogs give equal text."""
    dependencies = sorted(catalog.dependencies.items())
    return _head(catalog, FORMAT) | {
        "dependencies": [[list(ref), [list(need) for need in sorted(needs)]] for ref, needs in dependencies],
    }


def from_dict(data: Mapping[str, Any]) -> Catalog:
    """Read what `to_dict` wrote.

    Raises:
        ValueError: the values are of another format.
    """
    needs = data["dependencies"] if data.get("format") == FORMAT else ()
    return _catalog(
        data, FORMAT, lambda objects: {Ref._make(ref): frozenset([Ref._make(need) for need in needed]) for ref, needed in needs}
    )


def to_json(catalog: Catalog) -> str:
    """Return the catalog as one line of JSON for dbops alone: as `to_dict` has it, but quick to read.

    A dependency is a list of numbers, the object and what it needs: places in `objects`, and behind them in `others`, which are
    the refs of what is no object (columns).
    """
    refs = sorted(catalog.objects)
    others = {
        *catalog.dependencies,
        *(need for needs in catalog.dependencies.values() for need in needs),
    } - catalog.objects.keys()
    refs += sorted(others)
    places = {ref: place for place, ref in enumerate(refs)}
    numbers = sorted([places[ref], *sorted(map(places.__getitem__, needs))] for ref, needs in catalog.dependencies.items())
    data = _head(catalog, PACKED) | {"others": [list(ref) for ref in refs[len(catalog.objects) :]], "dependencies": numbers}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def from_json(text: str) -> Catalog:
    """Read what `to_json` wrote, or the text of what `to_dict` returned.

    Raises:
        ValueError: the text is of another format.
    """
    data = json.loads(text)
    if data.get("format") != PACKED:
        return from_dict(data)

    def needs(objects: Iterable[Ref]) -> dict[Ref, frozenset[Ref]]:
        refs = [*objects, *map(Ref._make, data["others"])]
        return {refs[place]: frozenset([refs[need] for need in needed]) for place, *needed in data["dependencies"]}

    return _catalog(data, PACKED, needs)


def _head(catalog: Catalog, form: str) -> dict[str, Any]:
    encode = _Encoder().encode
    return {
        "format": form,
        "options": [list(pair) for pair in catalog.options],
        "objects": [encode(catalog.objects[ref]) for ref in sorted(catalog.objects)],
        "unmanaged": [[item.kind, item.name, item.reason] for item in catalog.unmanaged],
    }


def _catalog(data: Mapping[str, Any], form: str, needs: Callable[[Iterable[Ref]], Mapping[Ref, frozenset[Ref]]]) -> Catalog:
    if data.get("format") != form:
        raise ValueError(f"not a {form} catalog")
    decode = _Decoder().decode
    found = [decode(item) for item in data["objects"]]
    objects = {item.ref: item for item in found}
    if len(objects) < len(found):
        raise ValueError("two objects have the same name")
    options = tuple((str(name), str(value)) for name, value in data["options"])
    unmanaged = tuple(sorted(Unmanaged(*item) for item in data["unmanaged"]))
    try:
        return Catalog(objects, needs(objects), unmanaged, options)
    except IndexError as error:
        raise ValueError("a dependency on nothing") from error


def digest(catalog: Catalog) -> str:
    """Return the SHA-256 of the managed objects: equal for databases that cannot be told apart."""
    encode = _Encoder().encode
    state = hashlib.sha256(json.dumps(catalog.options).encode())
    to_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    for ref in sorted(catalog.objects):
        item = encode(catalog.objects[ref])
        item.pop("spelling", None)
        state.update(to_text(item).encode())
    return state.hexdigest()
