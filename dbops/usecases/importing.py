"""import: a live database turned into manifests that describe it as it is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import Act
from dbops.engines.base.url import MEMORY
from dbops.errors import DbopsError, PlanError, Problems, SchemaError
from dbops.reconcile.change import Observation
from dbops.usecases.inspect import Inspection, by_owner, creation, inspect, script
from dbops.usecases.runtime import target_for_url

Layout = Literal["objects", "single", "tables"]

_MANIFEST = """\
# Written by dbops import: the connection and the schema it describes.
apiVersion: dbops/v1
kind: Connection
metadata: {{name: {name}}}
spec:
  url: {url}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: {name}}}
spec:
  connection: {name}
  source:
{source}"""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """`variable` must be set to the URL before planning, because the URL holds a password; None when it holds none."""

    files: tuple[Path, ...]
    observations: tuple[Observation, ...]
    variable: str | None


def import_database(url: str, into: Path, *, layout: Layout = "objects", name: str | None = None) -> ImportReport:
    """Write the manifests of a live database into a folder that is empty or does not exist.

    `objects` writes one SQL file per object below `schema/`, `single` one `schema.sql`, `tables` portable tables into the
    manifest itself.

    Raises:
        PlanError: the folder holds files.
        Problems: of SchemaError: with `tables`, every object that has no portable form, and why; nothing is written.
        ConnectError: the database cannot be reached.
    """
    if into.exists() and any(into.iterdir()):
        raise PlanError(f"the folder {into} is not empty", expected="a new or an empty folder")
    inspection = inspect(url, None)
    chosen = name or resource_name(inspection.name)
    text, variable = _address(url, into, chosen)
    files, source = _sources(inspection, layout, target_for_url(url))
    files[f"{chosen}.yaml"] = _MANIFEST.format(name=chosen, url=text, source=source)
    if layout == "objects":
        (into / "schema").mkdir(parents=True, exist_ok=True)
    written = tuple(_write(into / path, content) for path, content in files.items())
    observations = [
        Observation(
            f"schema/{chosen}/{item.kind}/{item.name}", "NOT_MANAGED", f"{item.kind} {item.name} is left out: {item.reason}"
        )
        for item in inspection.catalog.unmanaged
    ]
    return ImportReport(written, tuple(observations), variable)


def resource_name(database: str) -> str:
    """Return a manifest name made of a database's name."""
    stem = Path(database).stem if "/" in database else database
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "database"


def _address(url: str, into: Path, name: str) -> tuple[str, str | None]:
    """Return the URL as the manifest writes it; one with a password becomes a variable."""
    parsed = target_for_url(url).url
    if parsed.password is not None:
        variable = re.sub(r"\W", "_", name.upper()) + "_DATABASE_URL"
        return f"${{{variable}}}", variable
    if parsed.engine == "sqlite" and parsed.database and parsed.database != MEMORY and not url.startswith("sqlite:////"):
        relative = os.path.relpath(parsed.database, into.absolute())
        return _quoted(f"sqlite:///{relative}"), None
    return _quoted(url), None


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$" if "${" in text else "$") + '"'


def _sources(inspection: Inspection, layout: Layout, target: Target) -> tuple[dict[str, str], str]:
    """Return the files of a layout beside the manifest, and what the manifest says under `source`."""
    match layout:
        case "objects":
            return _per_object(inspection), "    sql: [schema/]\n"
        case "single":
            return {"schema.sql": _source(creation(inspection), inspection.engine)}, "    sql: [schema.sql]\n"
        case "tables":
            return {}, _portable(inspection, target)


def _portable(inspection: Inspection, target: Target) -> str:
    from dbops.manifests.writing import list_text
    from dbops.resources.schema.portable import import_tables

    found = import_tables(inspection.catalog, inspection.engine, target)
    if found.obstacles:
        problems: list[DbopsError] = [SchemaError(f"{item.where}: {item.reason}") for item in found.obstacles]
        problems[-1].fix = "--layout objects writes everything, as SQL"
        raise Problems(problems)
    return list_text("tables", found.tables, 4)


def _per_object(inspection: Inspection) -> dict[str, str]:
    taken: set[str] = set()
    groups = by_owner(creation(inspection), inspection.catalog)
    return {object_path(ref, taken): _source(groups[ref], inspection.engine) for ref in sorted(groups)}


def _source(acts: list[Act], engine: Engine) -> str:
    """Return acts as a file of a source: settings of the transaction they were meant for are no part of a schema."""
    return script([replace(act, do=tuple(s for s in act.do if not s.sql.startswith("SET LOCAL "))) for act in acts], engine)


def object_path(ref: Ref, taken: set[str]) -> str:
    """Return a file name for an object that is not `taken`, and take it.

    Two objects whose names differ only in case or odd characters get two files.
    """
    plain = re.sub(r"[^\w.-]+", "_", f"{ref.schema}.{ref.name}" if ref.schema else ref.name).strip("_") or "object"
    stem = f"schema/{ref.kind}/{plain[:100]}"
    path, count = f"{stem}.sql", 1
    while path.lower() in taken:
        count += 1
        path = f"{stem}_{count}.sql"
    taken.add(path.lower())
    return path


def _write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path
