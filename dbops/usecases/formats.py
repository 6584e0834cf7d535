"""The JSON Schemas that `specs/schemas` keeps: of every manifest kind, and of the files that use cases write."""

from __future__ import annotations

import json

from dbops.archive import schema as backups
from dbops.manifests import jsonschema
from dbops.usecases import saved
from dbops.usecases.runtime import specs


def schema_files() -> dict[str, str]:
    """Return the text of every generated schema file by its name."""
    formats = {"inspect.schema.json": saved.json_schema(), "backup.schema.json": backups.json_schema()}
    texts = {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in formats.items()}
    return jsonschema.schema_files(specs()) | texts
