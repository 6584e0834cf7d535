"""Catalogs as JSON and back: for the cache, and for the canonical catalog kept in a managed database.

Each object becomes `{"is": class name, field: value, ...}` with default values left out; refs become lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from dbops.catalog import model
from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, Unmanaged
from dbops.catalog.ref import Ref

FORMAT = "dbops.catalog/1"

_CLASSES: dict[str, Any] = {
    name: cls for name, cls in vars(model).items() if isinstance(cls, type) and cls.__module__ == model.__name__
}
_DEFAULTS: dict[type, tuple[tuple[str, object], ...]] = {
    cls: tuple((f.name, f.default if f.default is not MISSING else MISSING) for f in fields(cls)) for cls in _CLASSES.values()
}


def encode(value: object) -> Any:
    """Turn a value of the model into plain JSON values."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Ref):
        return {"ref": list(value)}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return {"is": type(value).__name__} | {
        name: encode(held) for name, default in _DEFAULTS[type(value)] if (held := getattr(value, name)) != default
    }


def decode(value: Any) -> Any:
    """Turn JSON values back into the model; lists become tuples."""
    if isinstance(value, list):
        return tuple(decode(item) for item in value)
    if isinstance(value, dict):
        if "ref" in value:
            return Ref(*value["ref"])
        return _CLASSES[value["is"]](**{key: decode(held) for key, held in value.items() if key != "is"})
    return value


def to_json(catalog: Catalog) -> str:
    """Return the catalog as one line of JSON, objects sorted by ref, so that equal catalogs give equal text."""
    return json.dumps(to_dict(catalog), separators=(",", ":"), ensure_ascii=False)


def to_dict(catalog: Catalog) -> dict[str, Any]:
    refs = sorted(catalog.objects)
    dependencies = sorted(catalog.dependencies.items())
    return {
        "format": FORMAT,
        "options": [list(pair) for pair in catalog.options],
        "objects": [encode(catalog.objects[ref]) for ref in refs],
        "dependencies": [[list(ref), [list(need) for need in sorted(needs)]] for ref, needs in dependencies],
        "unmanaged": [[item.kind, item.name, item.reason] for item in catalog.unmanaged],
    }


def from_json(text: str) -> Catalog:
    """Read what `to_json` wrote.

    Raises:
        ValueError: the text is of another format.
    """
    return from_dict(json.loads(text))


def from_dict(data: Mapping[str, Any]) -> Catalog:
    if data.get("format") != FORMAT:
        raise ValueError(f"not a {FORMAT} catalog")
    as_ref: Callable[[list[str]], Ref] = lambda parts: Ref(*parts)  # noqa: E731
    return Catalog.of(
        [_object(item) for item in data["objects"]],
        {as_ref(ref): [as_ref(need) for need in needs] for ref, needs in data["dependencies"]},
        [Unmanaged(*item) for item in data["unmanaged"]],
        tuple((str(name), str(value)) for name, value in data["options"]),
    )


def _object(data: Any) -> CatalogObject:
    item = decode(data)
    assert isinstance(item, CatalogObject)
    return item


def digest(catalog: Catalog) -> str:
    """Return the SHA-256 of the managed objects: equal for databases that cannot be told apart."""
    objects = [encode(replace(catalog.objects[ref], spelling=None)) for ref in sorted(catalog.objects)]
    text = json.dumps([catalog.options, objects], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
