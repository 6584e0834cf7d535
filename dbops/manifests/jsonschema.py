"""JSON Schemas of manifests for editors, in draft-07, the newest that editors' YAML servers read.

Models are described by their docstrings and by those under their fields, read from the source files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbops.manifests.annotations import Prepared
from dbops.manifests.draft07 import DRAFT, Schema, draft07
from dbops.manifests.envelope import NAME
from dbops.manifests.fields import fields_of, models_in
from dbops.manifests.folder import API_VERSION, ENVIRONMENT
from dbops.manifests.schemas import described, schema_of
from dbops.manifests.spec import EnvironmentSpec, Later, Spec

#: The schema of all kinds together, for editors that are given one schema for a folder.
COMBINED = "dbops.json"

_LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def schema_for(kind: str, model: type[Spec]) -> Schema:
    """Return the schema of a whole manifest of one kind; `${NAME}` is accepted wherever a value is not free text anyway."""
    spec, definitions = _spec_schema(model)
    manifest = _envelope(kind, spec, model)
    return {"$schema": DRAFT, "title": kind, **manifest, **({"definitions": definitions} if definitions else {})}


def combined_schema(kinds: Mapping[str, type[Spec]]) -> Schema:
    """Return the schema that accepts a manifest of any kind."""
    definitions: Schema = {}
    for kind, model in _all(kinds).items():
        spec, inner = _spec_schema(model)
        for name, definition in inner.items():
            definitions[f"{kind}.{name}"] = _renamed(definition, kind)
        definitions[kind] = _envelope(kind, _renamed(spec, kind), model)
    choices = [{"$ref": f"#/definitions/{kind}"} for kind in _all(kinds)]
    return {"$schema": DRAFT, "title": "dbops", "description": "A dbops manifest.", "oneOf": choices, "definitions": definitions}


def schema_files(kinds: Mapping[str, type[Spec]]) -> dict[str, str]:
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


def _all(kinds: Mapping[str, type[Spec]]) -> dict[str, type[Spec]]:
    return {**kinds, ENVIRONMENT: EnvironmentSpec}


def _envelope(kind: str, spec: Schema, model: type[Spec]) -> Schema:
    metadata: Schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": f"^{NAME.pattern}$"}, "labels": _LABELS},
        "required": ["name"],
        "additionalProperties": False,
    }
    return {
        "description": described(model),
        "type": "object",
        "properties": {"apiVersion": {"const": API_VERSION}, "kind": {"const": kind}, "metadata": metadata, "spec": spec},
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }


def _spec_schema(model: type[Spec]) -> tuple[Schema, Schema]:
    """Return the draft-07 schema of a spec and the definitions of those inside it."""
    inner = {found.__name__: draft07(schema_of(found)) for found in _models_in(model)}
    return draft07(schema_of(model)), dict(sorted(inner.items()))


def _models_in(model: type[Spec]) -> list[type[Spec]]:
    """Return the specs inside a spec that its schema refers to; others have theirs in place."""
    found: dict[type[Spec], None] = {}
    waiting = [model]
    while waiting:
        for field in fields_of(waiting.pop()).values():
            later = next((item.model for item in field.metadata if isinstance(item, Later)), None)
            stands_apart = any(isinstance(item, Prepared) for item in field.metadata)
            for inner in () if stands_apart else models_in(field.annotation):
                if inner not in found:
                    found[inner] = None
                    waiting.append(inner)
            if later is not None:
                waiting.append(later)
    return list(found)


def _renamed(schema: Any, kind: str) -> Any:
    """Return a schema whose references lead to the definitions of one kind among many."""
    text = json.dumps(schema)
    return json.loads(re.sub(r'"#/definitions/([^"]+)"', rf'"#/definitions/{kind}.\1"', text))
