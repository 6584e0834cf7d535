"""The JSON Schema of catalogs as `codec` writes them, made from the classes of the model."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from dbops.catalog import codec, model
from dbops.catalog.model import CatalogObject
from dbops.catalog.ref import Ref

Schema = dict[str, Any]

_PLAIN: dict[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    Ref: {"$ref": "#/definitions/ref"},
}


def definitions() -> Schema:
    """Return `catalog`, `ref`, and one definition for each class that can stand in a catalog, by its name."""
    found = {name: _of_class(name, cls) for name, cls in sorted(codec.classes().items()) if not _is_abstract(cls)}
    objects = [name for name, cls in codec.classes().items() if issubclass(cls, CatalogObject) and not _is_abstract(cls)]
    parts = {"type": "array", "items": {"type": "string"}, "minItems": 4, "maxItems": 4}
    pair = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
    dependency = {"type": "array", "items": [parts, {"type": "array", "items": parts}], "minItems": 2, "maxItems": 2}
    unmanaged = {**parts, "minItems": 3, "maxItems": 3}
    properties: Schema = {
        "format": {"const": codec.FORMAT},
        "options": {"type": "array", "items": pair, "description": "Attributes of the database itself."},
        "objects": {"type": "array", "items": {"anyOf": [{"$ref": f"#/definitions/{name}"} for name in objects]}},
        "dependencies": {"type": "array", "items": dependency, "description": "Pairs of a ref and the refs that it needs."},
        "unmanaged": {"type": "array", "items": unmanaged, "description": "Kind, name, and why dbops does not manage it."},
    }
    catalog = {
        "description": "Everything an inspector saw; objects and dependencies in the order of their refs.",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    ref = {
        "description": "The name of an object: kind, schema, name, and the table it belongs to, empty where there is none.",
        "type": "object",
        "properties": {"ref": parts},
        "required": ["ref"],
        "additionalProperties": False,
    }
    return {"catalog": catalog, "ref": ref, **found}


def _is_abstract(cls: type) -> bool:
    return cls in (model.CatalogObject, model.Constraint, model.Unmanaged)


def _of_class(name: str, cls: Any) -> Schema:
    hints = get_type_hints(cls)
    properties = {"is": {"const": name}} | {field.name: _of_type(hints[field.name]) for field in fields(cls)}
    required = ["is", *(f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING)]
    described = inspect.getdoc(cls) or ""
    words = {"description": " ".join(described.split())} if described else {}
    return {**words, "type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _of_type(hint: Any) -> Schema:
    if hint in _PLAIN:
        return _PLAIN[hint]
    arguments = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return {"anyOf": [_of_type(argument) for argument in arguments]}
    if get_origin(hint) is tuple:
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": _of_type(arguments[0])}
        items = [_of_type(argument) for argument in arguments]
        return {"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}
    return {"$ref": f"#/definitions/{hint.__name__}"}
