"""import: a live database turned into manifests that describe it as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dbops.dataclass import dataclass
from dbops.engines.base.render import Act
from dbops.engines.base.url import MEMORY
from dbops.errors import PlanError, SchemaError
from dbops.reconcile.change import Observation
from dbops.usecases.inspect import Inspection, creation, inspect, script
from dbops.usecases.runtime import looks_like_url, open_workspace, target_for_url
from dbops.usecases.source_files import file_owners, file_paths

if TYPE_CHECKING:
    from dbops.resources.schema.portable import Obstacle

Layout = Literal["objects", "single", "tables"]

_HEAD = "# Written by dbops import: what the database is.\n"

_CONNECTION = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: {name}}}
spec:
  url: {url}
"""

_SCHEMA = """\
apiVersion: dbops/v1
kind: Schema
metadata: {{name: {name}}}
spec:
  connection: {connection}
  source:
{source}"""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """`variable` must be set to the URL before planning, because the URL holds a password; None when it holds none.

    `removed` are files of an earlier import that this one does not write.
    """

    files: tuple[Path, ...]
    observations: tuple[Observation, ...]
    variable: str | None
    removed: tuple[Path, ...] = ()


def import_database(
    what: str, into: Path, *, layout: Layout = "objects", name: str | None = None, force: bool = False
) -> ImportReport:
    """Write the manifests of a live database into a folder, new or an environment already.

    `what` is a URL, or a connection of the environment in `into`, which then gets a schema manifest only. `objects` writes
    one SQL file per object, `single` one file, `tables` portable tables into the manifest itself. `force` replaces what an
    earlier import wrote.

    Raises:
        PlanError: a file, or a manifest of that name, is there already, and `force` is not given.
        SchemaError: with `tables`, the objects that have no portable form, and why; nothing is written.
        ConnectError: the database cannot be reached.
    """
    inspection, connection = _inspected(what, into)
    chosen = name or connection or resource_name(inspection.name)
    place = _place(into, chosen, connection, force)
    files, source = _sources(inspection, layout, place.folder)
    variable = None
    manifest = _SCHEMA.format(name=chosen, connection=connection or chosen, source=source)
    if connection is None:
        text, variable = _address(what, into, chosen)
        manifest = _CONNECTION.format(name=chosen, url=text) + "---\n" + manifest
    files[place.manifest] = _HEAD + manifest
    _refuse_files(into, files, force)
    removed = _stale(into / place.folder, {into / path for path in files}) if force else []
    for path in removed:
        path.unlink()
    if layout == "objects":
        (into / place.folder).mkdir(parents=True, exist_ok=True)
    written = tuple(_write(into / path, content) for path, content in files.items())
    observations = [
        Observation(
            f"schema/{chosen}/{item.kind}/{item.name}", "NOT_MANAGED", f"{item.kind} {item.name} is left out: {item.reason}"
        )
        for item in inspection.catalog.unmanaged
    ]
    return ImportReport(written, tuple(observations), variable, tuple(removed))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an import goes, inside the environment: the manifest's file, and the folder of its source."""

    manifest: str
    folder: str


def _inspected(what: str, into: Path) -> tuple[Inspection, str | None]:
    """Read the database; the second value is the connection it was read through, None for a URL."""
    if looks_like_url(what):
        return inspect(what, None), None
    if not _is_filled(into):
        raise PlanError(f"{what!r} is no database URL", expected="a URL, or a connection of the environment in --into")
    with open_workspace(into, os.environ) as workspace:
        return inspect(what, workspace), what


def _place(into: Path, name: str, connection: str | None, force: bool) -> _Place:
    """Return where the import goes; names that other manifests of the environment have are refused.

    Alone in its folder a source is called `schema`; beside others it is called by its name.
    """
    manifest = f"{name}.yaml" if connection is None else f"{name}.schema.yaml"
    if not _is_filled(into):
        return _Place(manifest, "schema")
    old = into / manifest
    if old.exists() and not force:
        raise PlanError(f"{old} exists already", fix="--force replaces it and its source")
    if old.exists():
        return _Place(manifest, "schema" if "sql: [schema/]" in old.read_text(encoding="utf-8") else name)
    with open_workspace(into, os.environ) as workspace:
        kinds = ("Schema",) if connection else ("Connection", "Schema")
        for other in workspace.environment.manifests:
            if other.kind in kinds and other.name == name:
                raise PlanError(f"there is a {other.kind} {name!r} already", at=other.at, fix="--name gives another name")
    return _Place(manifest, name)


def _is_filled(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir())


def _refuse_files(into: Path, files: Mapping[str, str], force: bool) -> None:
    found = [into / path for path in files if (into / path).exists()]
    if found and not force:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise PlanError(f"{found[0]}{more} exist already", fix="--force replaces them")


def _stale(folder: Path, written: set[Path]) -> list[Path]:
    """Return the SQL files below the folder of a source that an import does not write anew."""
    return sorted(path for path in folder.rglob("*.sql") if path not in written) if folder.is_dir() else []


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


def _sources(inspection: Inspection, layout: Layout, folder: str) -> tuple[dict[str, str], str]:
    """Return the files of a layout beside the manifest, and what the manifest says under `source`."""
    match layout:
        case "objects":
            return _per_object(inspection, folder), f"    sql: [{folder}/]\n"
        case "single":
            return {f"{folder}.sql": script(creation(inspection), inspection.engine)}, f"    sql: [{folder}.sql]\n"
        case "tables":
            return {}, _portable(inspection)


def _portable(inspection: Inspection) -> str:
    from dbops.manifests.writing import list_text
    from dbops.resources.schema.portable import import_tables

    found = import_tables(inspection.catalog, inspection.engine, inspection.target)
    if found.obstacles:
        raise _not_portable(found.obstacles)
    return list_text("tables", found.tables, 4)


def _not_portable(obstacles: Sequence[Obstacle]) -> SchemaError:
    """Return one error that names the objects, each under the reasons why it has no portable form."""
    objects: dict[str, list[str]] = {}
    for item in obstacles:
        objects.setdefault(item.reason, []).append(item.where)
    lines = (f"  {why}: {_listed(places)}" for why, places in sorted(objects.items(), key=lambda pair: -len(pair[1])))
    many = len({item.where for item in obstacles})
    subject = "1 object of the database has" if many == 1 else f"{many} objects of the database have"
    return SchemaError(
        f"{subject} no portable form, and nothing was written:\n" + "\n".join(lines),
        fix="--layout objects writes everything, as SQL of this engine: one file per object",
    )


_NAMED = 12


def _listed(places: Sequence[str]) -> str:
    more = f", and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return ", ".join(places[:_NAMED]) + more


def _per_object(inspection: Inspection, folder: str) -> dict[str, str]:
    acts = creation(inspection, order_free=True)
    owners = file_owners([act.ref for act in acts], inspection.catalog)
    paths = file_paths(sorted(set(owners.values())), inspection.catalog)
    contents: dict[str, list[Act]] = {f"{folder}/{path}": [] for path in sorted(paths.values())}
    for act in acts:
        contents[f"{folder}/{paths[owners[act.ref]]}"].append(act)
    return {path: script(found, inspection.engine) for path, found in contents.items()}


def _write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path
