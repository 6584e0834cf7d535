"""JSON Schemas of specs, made of their fields; `draft07` puts them into the words that editors know.

Specs are described by their docstrings and by those under their fields, read from the source files.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from dbops.manifests.annotations import Described, Parsed, Prepared, Schema
from dbops.manifests.fields import SpecField, fields_of
from dbops.manifests.spec import DURATION_PATTERN, Choice, Later, Spec

_SIMPLE: Mapping[Any, Schema] = {str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}, Any: {}}


def schema_of(model: type[Spec]) -> Schema:
    """Return the schema of a spec; those inside it are references to `#/$defs/NAME`."""
    comments = _comments(model)
    fields = fields_of(model)
    properties = {alias: _property(model, field, comments.get(field.name)) for alias, field in fields.items()}
    required = [alias for alias, field in fields.items() if field.is_required]
    schema: Schema = {
        "additionalProperties": False,
        "description": described(model),
        "properties": properties,
        **({"required": required} if required else {}),
        "type": "object",
    }
    if issubclass(model, Choice) and model.exactly_one:
        schema["allOf"] = [{"oneOf": [{"required": [name]} for name in group]} for group in model.exactly_one]
    return schema


def described(model: type[Spec]) -> str:
    """Return the docstring of a spec."""
    return inspect.cleandoc(model.__doc__ or "")


def _property(model: type[Spec], field: SpecField, comment: str | None) -> Schema:
    schema = dict(_of_type(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation))
    default = getattr(model, field.name, None)
    if isinstance(default, float) and schema.get("pattern") == DURATION_PATTERN:
        schema["default"] = f"{default:g}s"
    elif isinstance(default, Spec):
        schema.pop("default", None)
    elif isinstance(default, str | int | float | tuple) and "default" not in schema:
        schema["default"] = list(default) if isinstance(default, tuple) else default
    return dict(sorted(schema.items())) | ({"description": comment} if comment else {})


def _of_type(hint: Any) -> Schema:
    if get_origin(hint) is Annotated:
        return _annotated(get_args(hint)[0], hint.__metadata__)
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if hasattr(hint, "from_manifest"):
        schema: Schema = hint.schema()
        return schema
    if isinstance(hint, type) and issubclass(hint, Spec):
        return {"$ref": f"#/$defs/{hint.__name__}"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        words = list(arguments)
        return {"const": words[0], "type": "string"} if len(words) == 1 else {"enum": words, "type": "string"}
    if origin in (Union, UnionType):
        return {"anyOf": [{"type": "null"} if argument is NoneType else _of_type(argument) for argument in arguments]}
    if origin is tuple:
        return {"items": _of_type(arguments[0]), "type": "array"}
    return _of_mapping(_of_type(arguments[0]), _of_type(arguments[1]))


def _annotated(hint: Any, metadata: tuple[Any, ...]) -> Schema:
    for item in metadata:
        if isinstance(item, Parsed):
            return dict(item.schema)
        if isinstance(item, Prepared):
            return item.schema()
        if isinstance(item, Later):
            return {"items": schema_of(item.model), "type": "array"}
    schema = _of_type(hint)
    for item in metadata:
        if hasattr(item, "check"):
            schema = item.describe(schema)
        elif isinstance(item, Described):
            schema = schema | item.schema
    return schema


def _of_mapping(name: Schema, value: Schema) -> Schema:
    """Names of a pattern say so with their values, others apart."""
    if "pattern" in name:
        return {"patternProperties": {name["pattern"]: value}, "type": "object"}
    limits = {word: said for word, said in name.items() if word != "type"}
    return {"additionalProperties": value or True, **({"propertyNames": limits} if limits else {}), "type": "object"}


def _comments(model: type[Spec]) -> dict[str, str]:
    """Return the docstrings that stand under the fields of a spec and of its bases."""
    comments: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Spec) and base is not Spec:
            body = ast.parse(inspect.getsource(base)).body[0]
            comments |= _comments_of(body) if isinstance(body, ast.ClassDef) else {}
    return comments


def _comments_of(body: ast.ClassDef) -> dict[str, str]:
    found: dict[str, str] = {}
    for field, comment in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(comment, ast.Expr):
            text = comment.value.value if isinstance(comment.value, ast.Constant) else None
            if isinstance(text, str):
                found[field.target.id] = " ".join(text.split())
    return found
