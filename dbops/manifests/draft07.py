"""JSON Schemas as pydantic writes them, draft 2020-12, turned into draft-07."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
_VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}


def draft07(schema: Any) -> Any:
    """Return a schema of draft 2020-12 in draft-07's words; values of a fixed form may also be variables."""
    if not isinstance(schema, dict):
        return schema
    result: Schema = {}
    for name, value in schema.items():
        match name:
            case "$ref":
                result["$ref"] = value.replace("#/$defs/", "#/definitions/")
            case "prefixItems":
                result["items"] = [draft07(item) for item in value]
            case "items" if "prefixItems" in schema:
                result["additionalItems"] = draft07(value)
            case "properties":
                result[name] = {key: draft07(item) for key, item in value.items()}
            case "patternProperties":
                result[name] = {key: draft07(item) for key, item in value.items()}
            case "anyOf" | "oneOf" | "allOf":
                result[name] = [draft07(item) for item in value]
            case "items" | "additionalProperties" | "not":
                result[name] = draft07(value)
            case "title" | "discriminator":
                pass
            case "default" if value is None or isinstance(value, dict):
                pass  # nothing an editor could offer
            case _:
                result[name] = value
    return _with_reference_alone(_or_variable(_without_null(result)))


def _without_null(schema: Schema) -> Schema:
    """Take `null` out of choices: an absent field says the same, and editors offer it no more."""
    choices = schema.get("anyOf")
    if not choices or {"type": "null"} not in choices:
        return schema
    left = [choice for choice in choices if choice != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **left[0]} if len(left) == 1 else {**rest, "anyOf": left}


def _or_variable(schema: Schema) -> Schema:
    """Let `${NAME}` stand where a number, a boolean, one of some words, or text of some form is expected."""
    kinds = schema.get("type")
    kinds = {kinds} if isinstance(kinds, str) else set(kinds or ())
    is_free = "string" in kinds and not schema.keys() & {"pattern", "enum", "const", "format"}
    is_scalar = bool(kinds & {"integer", "number", "boolean"}) or bool(schema.keys() & {"pattern", "enum", "const"})
    if is_free or not is_scalar or schema == _VARIABLE:
        return schema
    outer = {name: value for name, value in schema.items() if name in ("description", "default")}
    inner = {name: value for name, value in schema.items() if name not in outer}
    return {**outer, "anyOf": [inner, _VARIABLE]}


def _with_reference_alone(schema: Schema) -> Schema:
    """Draft-07 ignores whatever stands beside `$ref`."""
    if "$ref" not in schema or len(schema) == 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "$ref"}
    return {**rest, "allOf": [*rest.get("allOf", []), {"$ref": schema["$ref"]}]}
