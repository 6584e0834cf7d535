"""The JSON Schema of manifests, draft-07, as `specs/schemas/backup.schema.json` has it."""

from __future__ import annotations

from typing import Any, get_args

from dbops.archive.manifest import FORMAT, Kind

_TEXT = {"type": "string"}
_MAYBE = {"type": ["string", "null"]}
_TIME = {"type": "string", "format": "date-time", "description": "UTC, ends with Z"}
_BYTES = {"type": "integer", "minimum": 0, "description": "bytes"}
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "BLAKE3"}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_ANYTHING = {"type": "object"}


def json_schema() -> dict[str, Any]:
    """Return the schema."""
    part = _object(
        {"key": _TEXT, "plain_size": _BYTES, "stored_size": _BYTES, "plain_blake3": _HASH, "stored_blake3": _HASH},
        "a stored object, below the folder of the backup",
    )
    stream = _object(
        {
            "name": _TEXT,
            "compression": {"enum": ["zstd", "gzip", "none"]},
            "parts": {"type": "array", "items": part, "minItems": 1},
        },
        "a stream, its parts in order",
    )
    exit_ = _object({"tool": _TEXT, "code": {"type": "integer"}, "seconds": {"type": "number"}}, "how a process ended")
    fields: dict[str, Any] = {
        "format": {"const": FORMAT},
        "id": _TEXT,
        "target": _TEXT,
        "timeline": _TEXT,
        "engine": _TEXT,
        "server_version": _TEXT,
        "identity": {**_TEXTS, "description": "which database this is, for people"},
        "kind": {"enum": list(get_args(Kind))},
        "method": {"enum": ["logical", "physical"]},
        "tool": _TEXT,
        "family": {**_TEXT, "description": "a backup follows only one of its own family"},
        "parent_id": _MAYBE,
        "parent_digest": {**_MAYBE, "description": "the seal of the parent"},
        "full_id": {**_MAYBE, "description": "the full that the chain begins with; its own id for a full"},
        "points": {"type": "array", "items": {"enum": ["time", "lsn", "name"]}},
        "begun_at": _TIME,
        "ended_at": {**_TIME, "description": "the moment that a restore leads to"},
        "finished_at": _TIME,
        "start": {**_ANYTHING, "description": "a position, in the engine's words"},
        "end": {**_ANYTHING, "description": "a position, in the engine's words"},
        "tools": {**_TEXTS, "description": "programs and libraries with their versions"},
        "exits": {"type": "array", "items": exit_},
        "details": {**_ANYTHING, "description": "what the engine has to know for a restore"},
        "schema_digest": _MAYBE,
        "database_size": {"type": ["integer", "null"], "description": "bytes"},
        "encryption": {
            "type": "object",
            "properties": {"method": {"enum": ["none", "age", "aes-256-gcm"]}},
            "required": ["method"],
        },
        "streams": {"type": "array", "items": stream},
        "warnings": {"type": "array", "items": _TEXT},
        "labels": _TEXTS,
        "fence": {"type": "integer", "description": "the number of the lease under which it was made"},
        "dbops_version": _TEXT,
        "seal": _HASH,
        "mac": {"type": "string", "pattern": "^([0-9a-f]{64})?$", "description": "keyed BLAKE3, empty without a symmetric key"},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The manifest of a backup of dbops",
        **_object(fields, "written last and create-only: its presence is the commit"),
    }


def _object(properties: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
