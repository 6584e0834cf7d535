"""Inspections as files: format `dbops.inspect/1` in JSON or YAML, portable tables, and reading either back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Server
from dbops.errors import Mark, NoScratchError, PlanError
from dbops.usecases.inspect import Inspection

FORMAT = "dbops.inspect/1"


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved inspection; `engine` is the name of the engine that read it."""

    name: str
    engine: str
    server: Server
    catalog: Catalog


def to_dict(inspection: Inspection) -> dict[str, Any]:
    """Return the inspection as JSON values, as `specs/catalog-format.md` describes them."""
    server = inspection.server
    return {
        "format": FORMAT,
        "name": inspection.name,
        "url": inspection.url,
        "engine": inspection.engine.name,
        "server": {"flavour": server.flavour, "version": server.version_text, "numbers": list(server.version)},
        "catalog": codec.to_dict(inspection.catalog),
    }


def to_json(inspection: Inspection) -> str:
    return json.dumps(to_dict(inspection), indent=2, ensure_ascii=False)


def to_yaml(inspection: Inspection) -> str:
    """Return portable tables, as `source.tables` of a manifest takes them; where those cannot say all, `to_dict` as YAML.

    Portable tables are proved by loading them into a scratch database.
    """
    from dbops.manifests.writing import list_text
    from dbops.resources.schema.portable import import_tables

    try:
        found = import_tables(inspection.catalog, inspection.engine, inspection.target)
    except NoScratchError as error:
        return _as_it_is(inspection, [error.message])
    if found.obstacles:
        return _as_it_is(inspection, [f"{item.where}: {item.reason}" for item in found.obstacles])
    head = "# Portable tables: what `source` of a manifest of kind Schema takes, on every engine.\n"
    return head + list_text("tables", found.tables, 0)


def _as_it_is(inspection: Inspection, reasons: list[str]) -> str:
    import yaml

    head = ["# Not as portable tables, because:", *(f"#   {' '.join(reason.split())}" for reason in reasons)]
    text = yaml.safe_dump(to_dict(inspection), default_flow_style=None, sort_keys=False, width=130, allow_unicode=True)
    return "\n".join([*head, text])


def is_saved(data: object) -> bool:
    """Tell whether JSON or YAML values are a saved inspection."""
    return isinstance(data, dict) and data.get("format") == FORMAT


def from_dict(data: Mapping[str, Any], file: str) -> Saved:
    """Read what `to_dict` wrote.

    Raises:
        PlanError: the file is damaged, or of a format that this version does not read.
    """
    try:
        server = data["server"]
        return Saved(
            str(data["name"]),
            str(data["engine"]),
            Server(server["flavour"], tuple(server["numbers"]), server["version"], identity=""),
            codec.from_dict(data["catalog"]),
        )
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise PlanError(f"the saved inspection is damaged: {error}", at=Mark(file), fix="inspect again") from error


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the format, in draft-07."""
    from dbops.catalog.codec_schema import definitions

    text, numbers = {"type": "string"}, {"type": "array", "items": {"type": "integer"}}
    server = {
        "type": "object",
        "properties": {
            "flavour": {"enum": ["sqlite", "postgresql", "mysql", "mariadb"]},
            "version": text,
            "numbers": {**numbers, "description": "The version as numbers, for comparing."},
        },
        "required": ["flavour", "version", "numbers"],
        "additionalProperties": False,
    }
    properties = {
        "format": {"const": FORMAT},
        "name": {**text, "description": "The database, or the connection it was reached by."},
        "url": {**text, "description": "Where it is, without secrets."},
        "engine": {"enum": ["sqlite", "postgresql", "mysql"]},
        "server": server,
        "catalog": {"$ref": "#/definitions/catalog"},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A database as dbops inspect saw it",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "definitions": definitions(),
    }
