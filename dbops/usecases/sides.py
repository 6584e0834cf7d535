"""What can be compared: a word on the command line, found out and read as a catalog.

A URL or a connection is a live database; SQL files and folders, and portable tables in YAML, are schemas of the other side's
engine; an environment stands for the schema that it desires; a saved plan for the schema that it leads to; a saved inspection
for what was there when it was saved; a backup for what a restore of it gives.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Server, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.url import parse_url
from dbops.errors import DbopsError, Mark, PlanError
from dbops.resources.schema.model import DesiredSchema, Source, SqlSource, TableSource
from dbops.usecases.inspect import inspect
from dbops.usecases.runtime import ENGINES, Workspace, engine_for, looks_like_url, open_workspace


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison, read; `scratch` opens an empty database of its engine, for sources that name none."""

    title: str
    engine: Engine
    server: Server
    catalog: Catalog
    target: Target
    scratch: Callable[[Target], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Unbound:
    """A side that is written in the dialect of the other one."""

    title: str
    source: Source


def find_side(word: str, workspace: Workspace | None) -> Side | Unbound:
    """Read one side.

    Understood are: a URL; a connection of `workspace`; `backup:ID` of `workspace`, or `backup:POLICY/ID`, where `latest` is an
    id; `ENV:CONNECTION`, `ENV:schema/NAME` and `ENV:backup/ID`; an environment's folder or file; an SQL file or a folder of
    them; portable tables in YAML; a saved plan; a saved inspection.

    Raises:
        PlanError: it is none of these, or an environment with several schemas, of which none is named.
        ConnectError: a database cannot be reached.
    """
    if looks_like_url(word) or (workspace is not None and word in workspace.targets.known):
        return _live(word, word, workspace)
    if workspace is not None and word.startswith(_BACKUP):
        return _backup(word, word.removeprefix(_BACKUP), workspace)
    path = Path(word)
    if not path.exists():
        folder, colon, name = word.rpartition(":")
        if colon and Path(folder).exists():
            return _in_environment(word, Path(folder), name)
        known = workspace.connection_names() if workspace else []
        also = f", or one of {', '.join(known)}" if known else ""
        raise PlanError(
            f"{word!r} is nothing that can be compared",
            expected=f"a URL, ENV:CONNECTION, backup:ID, an environment, SQL, a saved plan or a saved inspection{also}",
        )
    if path.suffix == ".json":
        return _saved_file(word, path)
    if path.suffix in (".yaml", ".yml"):
        return _yaml_file(word, path)
    if path.is_dir() and any(path.rglob("*.y*ml")):
        return _in_environment(word, path, "")
    if path.is_file() and path.open("rb").read(len(_SQLITE_HEAD)) == _SQLITE_HEAD:
        raise PlanError(f"{word} is an SQLite database", fix=f"name it by its URL: sqlite:///{word}")
    return Unbound(word, SqlSource((path.absolute(),)))


_BACKUP = "backup:"
_SQLITE_HEAD = b"SQLite format 3\0"
"""https://www.sqlite.org/fileformat.html, section 1.3.1."""


def bind(side: Side | Unbound, other: Side | Unbound, engine: str | None) -> Side:
    """Return a side that is read; one that names no engine is loaded into a scratch database of the other's, or of `engine`.

    Raises:
        PlanError: nobody names an engine.
        Problems: of SchemaError: statements that do not load, each with its place.
        NoScratchError: `engine` has no programs on this machine that could run it.
    """
    from dbops.resources.schema.sources import read_source

    if isinstance(side, Side):
        return side
    if isinstance(other, Side):
        speaker, target, scratch = other.engine, other.target, other.scratch
    elif engine is not None:
        speaker, target, scratch = _offline(engine)
    else:
        raise PlanError("neither side names an engine to compare on", fix=f"--engine {'|'.join(ENGINES)}")
    statements = read_source(side.source, speaker, target)
    with scratch(target) as conn:
        speaker.load(conn, statements)
        return Side(side.title, speaker, conn.server, speaker.inspect(conn, declared=True), target, scratch)


def _offline(name: str) -> tuple[Engine, Target, Callable[..., AbstractContextManager[Connection]]]:
    """Return what opens scratch databases without a server of anybody's."""
    url = parse_url("sqlite:///:memory:" if name == "sqlite" else f"{name}://localhost/offline")
    engine = engine_for(url)
    return engine, Target("offline", url), engine.offline


def _live(word: str, title: str, workspace: Workspace | None) -> Side:
    found = inspect(word, workspace)
    return Side(
        found.url if looks_like_url(word) else title,
        found.engine,
        found.server,
        found.catalog,
        found.target,
        found.engine.scratch,
    )


def _in_environment(word: str, folder: Path, name: str) -> Side:
    """Return the database behind a connection, or the schema that an environment desires; no name means its only one."""
    with open_workspace(folder, os.environ) as workspace:
        if name.startswith("backup/"):
            return _backup(word, name.removeprefix("backup/"), workspace)
        if name and not name.startswith("schema/"):
            return _live(name, word, workspace)
        schemas = {work.desired.address: work.desired for work in workspace.work if isinstance(work.desired, DesiredSchema)}
        if name and name not in schemas:
            raise PlanError(f"there is no {name} in {folder}", expected=f"one of {', '.join(sorted(schemas)) or 'none'}")
        if not name and len(schemas) != 1:
            choices = ", ".join(f"{word}:{address}" for address in sorted(schemas))
            message = f"{word} desires {len(schemas)} schemas" if schemas else f"{word} has no manifest of kind Schema"
            raise PlanError(message, expected=f"one of {choices}" if choices else "an environment with one")
        return _desired(word, schemas[name] if name else next(iter(schemas.values())), workspace)


def _backup(title: str, words: str, workspace: Workspace) -> Side:
    from dbops.usecases.backup.side import catalog_of

    backup_id, policy, server, catalog = catalog_of(workspace, words, lambda text: None)
    told = title if words.endswith(backup_id) else f"{title} ({backup_id})"
    return Side(told, policy.engine, server, catalog, policy.target, policy.engine.scratch)


def _desired(title: str, schema: DesiredSchema, workspace: Workspace) -> Side:
    from dbops.resources.schema.sources import read_source

    engine, target = workspace.targets.engine(schema.connection), workspace.targets.target(schema.connection)
    statements = read_source(schema.source, engine, target)
    with engine.scratch(target) as conn:
        engine.load(conn, statements)
        return Side(title, engine, conn.server, engine.inspect(conn, schema.scope, declared=True), target, engine.scratch)


def _saved_file(title: str, path: Path) -> Side:
    from dbops.reconcile import plan as plans
    from dbops.usecases.saved import is_saved

    text = _text(path)
    try:
        data = json.loads(text)
    except ValueError as error:
        raise PlanError(f"the file is no JSON: {error}", at=Mark(str(path))) from error
    if is_saved(data):
        return _saved(title, data, path)
    if isinstance(data, dict) and data.get("format") == plans.FORMAT:
        return _planned(title, plans.from_json(text, str(path)), path)
    raise PlanError("the file is neither a saved plan nor a saved inspection", at=Mark(str(path)))


def _yaml_file(title: str, path: Path) -> Side | Unbound:
    import yaml

    from dbops.usecases.saved import is_saved

    try:
        documents = list(yaml.safe_load_all(_text(path)))
    except yaml.YAMLError as error:
        raise PlanError(f"the file is no YAML: {error}", at=Mark(str(path))) from error
    data = documents[0] if len(documents) == 1 else None
    if is_saved(data):
        assert isinstance(data, dict)
        return _saved(title, data, path)
    if isinstance(data, dict) and data.keys() == {"tables"}:
        return Unbound(title, _tables(data["tables"], path))
    return _in_environment(title, path, "")


def _tables(tables: Any, path: Path) -> TableSource:
    from pydantic import ValidationError

    from dbops.resources.schema.table_spec import TableSpec

    try:
        specs = tuple(TableSpec.model_validate(table) for table in tables)
    except (ValidationError, TypeError) as error:
        raise PlanError(f"the portable tables are wrong: {error}", at=Mark(str(path))) from error
    return TableSource(specs, tuple(Mark(str(path)) for _ in specs))


def _saved(title: str, data: dict[str, Any], path: Path) -> Side:
    from dbops.usecases.saved import from_dict

    saved = from_dict(data, str(path))
    engine, target, scratch = _offline(saved.engine)
    made = partial(scratch, options=saved.catalog.options, flavour=saved.server.flavour)
    return Side(title, engine, saved.server, saved.catalog, target, made)


def _planned(title: str, plan: Any, path: Path) -> Side:
    """Return the schema that a plan leads to: its steps, run on a scratch copy of what its database is now."""
    from dbops.reconcile.step import Call
    from dbops.resources.schema.copying import build, run

    connections = [on for on in plan.connections if any(step.on == on and not isinstance(step.do, Call) for step in plan.steps)]
    if len(connections) != 1:
        told = f"changes {len(connections)} databases: {', '.join(connections)}" if connections else "changes no schema"
        raise PlanError(f"the plan {told}", at=Mark(str(path)), expected="a plan that changes one")
    with open_workspace(Path(plan.environment), os.environ) as workspace:
        name = workspace.require_connection(connections[0])
        engine, target, reader = workspace.targets.engine(name), workspace.targets.target(name), workspace.targets.reader(name)
        live = engine.inspect(reader, declared=True) if reader else EMPTY
        with engine.scratch(target) as conn:
            try:
                build(live, engine, conn)
                run((s for step in plan.steps if not isinstance(step.do, Call) for s in step.do), engine, conn)
            except DbopsError as error:
                raise PlanError(
                    f"the plan does not run on a copy of {name}: {error.message}",
                    at=Mark(str(path)),
                    fix="make the plan again: the database moved since",
                ) from error
            return Side(title, engine, conn.server, engine.inspect(conn, declared=True), target, engine.scratch)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PlanError(f"the file cannot be read: {error.strerror}", at=Mark(str(path))) from error
    except UnicodeDecodeError as error:
        raise PlanError(f"the file is not UTF-8: byte {error.start} is wrong", at=Mark(str(path))) from error
