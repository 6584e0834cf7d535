"""JSON Schemas of manifests for editors, in draft-07, the newest that editors' YAML servers read.

Models are described by their docstrings and by those under their fields, read from the source files.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbops.manifests.draft07 import DRAFT, Schema, draft07
from dbops.manifests.envelope import NAME
from dbops.manifests.folder import API_VERSION, ENVIRONMENT
from dbops.manifests.spec import DURATION_PATTERN, Choice, EnvironmentSpec, Later
from dbops.manifests.validation import model_in

if TYPE_CHECKING:
    from pydantic import BaseModel

#: The schema of all kinds together, for editors that are given one schema for a folder.
COMBINED = "dbops.json"

_LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def schema_for(kind: str, model: type[BaseModel]) -> Schema:
    """Return the schema of a whole manifest of one kind; `${NAME}` is accepted wherever a value is not free text anyway."""
    spec, definitions = _spec_schema(model)
    manifest = _envelope(kind, spec, model)
    return {"$schema": DRAFT, "title": kind, **manifest, **({"definitions": definitions} if definitions else {})}


def combined_schema(kinds: Mapping[str, type[BaseModel]]) -> Schema:
    """Return the schema that accepts a manifest of any kind."""
    definitions: Schema = {}
    for kind, model in _all(kinds).items():
        spec, inner = _spec_schema(model)
        for name, definition in inner.items():
            definitions[f"{kind}.{name}"] = _renamed(definition, kind)
        definitions[kind] = _envelope(kind, _renamed(spec, kind), model)
    choices = [{"$ref": f"#/definitions/{kind}"} for kind in _all(kinds)]
    return {"$schema": DRAFT, "title": "dbops", "description": "A dbops manifest.", "oneOf": choices, "definitions": definitions}


def schema_files(kinds: Mapping[str, type[BaseModel]]) -> dict[str, str]:
    """Return the text of every schema file by its name."""
    schemas = {f"{kind.lower()}.json": schema_for(kind, model) for kind, model in _all(kinds).items()}
    schemas[COMBINED] = combined_schema(kinds)
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


def write_schemas(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write every schema file that is missing or different, and return those written; `files` are texts by name."""
    folder.mkdir(parents=True, exist_ok=True)
    stale = stale_schemas(folder, files)
    for path in stale:
        path.write_text(files[path.name], encoding="utf-8")
    return stale


def stale_schemas(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Return the schema files that are missing or are not what the models say now."""
    return [folder / name for name, text in files.items() if _text(folder / name) != text]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _all(kinds: Mapping[str, type[BaseModel]]) -> dict[str, type[BaseModel]]:
    return {**kinds, ENVIRONMENT: EnvironmentSpec}


def _envelope(kind: str, spec: Schema, model: type[BaseModel]) -> Schema:
    metadata: Schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": f"^{NAME.pattern}$"}, "labels": _LABELS},
        "required": ["name"],
        "additionalProperties": False,
    }
    return {
        "description": _description(model),
        "type": "object",
        "properties": {"apiVersion": {"const": API_VERSION}, "kind": {"const": kind}, "metadata": metadata, "spec": spec},
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }


def _spec_schema(model: type[BaseModel]) -> tuple[Schema, Schema]:
    """Return the draft-07 schema of a spec and its definitions."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    models = {found.__name__: found for found in _models_in(model)}
    definitions = schema.pop("$defs", {})
    _describe(schema, model)
    for name, definition in definitions.items():
        if name in models:
            _describe(definition, models[name])
    as_definitions = {name: draft07(definition) for name, definition in definitions.items()}
    return draft07(schema), as_definitions


def _models_in(model: type[BaseModel]) -> Iterable[type[BaseModel]]:
    seen = {model}
    waiting = [model]
    while waiting:
        for field in waiting.pop().model_fields.values():
            later = next((item.model for item in field.metadata if isinstance(item, Later)), None)
            inner = later or model_in(field.annotation)
            if inner is not None and inner not in seen:
                seen.add(inner)
                waiting.append(inner)
    return seen


def _describe(schema: Schema, model: type[BaseModel]) -> None:
    """Put docstrings, and the groups of which exactly one field must be given, into a model's schema."""
    schema["description"] = _description(model)
    schema.pop("title", None)
    comments = _field_comments(model)
    for name, field in model.model_fields.items():
        shown = schema["properties"][field.alias or name]
        shown.pop("title", None)
        if name in comments:
            shown["description"] = comments[name]
        later = next((item for item in field.metadata if isinstance(item, Later)), None)
        if later is not None:
            _describe(shown["items"], later.model)
        if shown.get("pattern") == DURATION_PATTERN and isinstance(field.default, float):
            shown["default"] = f"{field.default:g}s"
    if issubclass(model, Choice) and model.exactly_one:
        schema["allOf"] = [{"oneOf": [{"required": [name]} for name in group]} for group in model.exactly_one]


def _description(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "")


def _field_comments(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings that stand under the fields of a model and of its bases."""
    comments: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base.__module__.split(".")[0] not in ("pydantic", "builtins", "typing", "abc"):
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


def _renamed(schema: Any, kind: str) -> Any:
    """Return a schema whose references lead to the definitions of one kind among many."""
    text = json.dumps(schema)
    return json.loads(re.sub(r'"#/definitions/([^"]+)"', rf'"#/definitions/{kind}.\1"', text))
