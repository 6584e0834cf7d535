"""SQLAlchemy models as a source: their metadata compiled to the engine's DDL by SQLAlchemy itself.

Models are loaded to be read: under their own names, beside whatever modules of these names the program has, with bases of
their own, and forgotten afterwards.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.errors import Mark, SchemaError
from dbops.resources.schema.discovery import declared
from dbops.resources.schema.model import ModelSource
from dbops.resources.schema.sources import shown
from dbops.sql.splitter import SourceStatement, split

if TYPE_CHECKING:
    from sqlalchemy import MetaData

_TAKEN = sys.stdlib_module_names | {"dbops", "sqlalchemy"}
_LOADING = RLock()
"""Modules belong to the whole program, so one source is loaded at a time."""
_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def model_statements(source: ModelSource, engine: Engine, target: Target) -> list[SourceStatement]:
    """Return the DDL of all models, each statement placed at the file it comes from.

    Importing models runs their code, with `root` on the path, as Alembic does.

    Raises:
        SchemaError: nothing to import, an import that fails, or a module without metadata.
    """
    return [item for file, metadata in read_models(source) for item in _compiled(metadata, engine, file)]


def read_models(source: ModelSource) -> list[tuple[Path, MetaData]]:
    """Return the metadata of all models, each once, with the first file that holds it. Raises as `model_statements` does."""
    from dbops.resources.schema.bases import fresh_bases

    with _LOADING, fresh_bases():
        found = _imported(source) if source.imports else _scanned(source)
    first: dict[int, tuple[Path, MetaData]] = {}
    for file, metadata in found:
        first.setdefault(id(metadata), (file, metadata))
    return list(first.values())


def _compiled(metadata: MetaData, engine: Engine, file: Path) -> list[SourceStatement]:
    from sqlalchemy import create_mock_engine
    from sqlalchemy.exc import SQLAlchemyError

    texts: list[str] = []

    def keep(statement: Any, *_: Any, **__: Any) -> None:
        text = str(statement.compile(dialect=mock.dialect)) if not isinstance(statement, str) else statement
        texts.append(text.strip())

    mock = create_mock_engine(f"{_DRIVERS[engine.name]}://", keep)
    try:
        metadata.create_all(mock, checkfirst=False)
    except SQLAlchemyError as error:
        raise SchemaError(f"the models cannot be written as {engine.name} DDL: {error}", at=Mark(shown(file))) from error
    text = ";\n".join(texts) + ";" if texts else ""
    return split(text, engine.dialect, str(file))


def _imported(source: ModelSource) -> list[tuple[Path, MetaData]]:
    name, _, attribute = (source.imports or "").partition(":")
    with _on_path(source.root, {name.partition(".")[0]}):
        try:
            module = importlib.import_module(name)
        except Exception as error:  # whatever the user's module raises is the answer
            raise SchemaError(
                f"the models {name!r} cannot be imported: {error!r}",
                at=Mark(shown(source.root)),
                fix="check models.import and its imports",
            ) from error
    value = getattr(module, attribute, None) if attribute else None
    if attribute and value is None:
        raise SchemaError(
            f"the module {name!r} has no {attribute!r}",
            expected="a declarative base or a MetaData",
            at=Mark(str(module.__file__)),
        )
    found = [metadata] if (metadata := _metadata_of(value)) is not None else _metadata_in(module)
    if not found:
        raise SchemaError(f"{source.imports!r} holds no SQLAlchemy metadata", expected="a declarative base or a MetaData")
    return [(Path(str(module.__file__)), metadata) for metadata in found]


def _scanned(source: ModelSource) -> list[tuple[Path, MetaData]]:
    files = _files(source)
    found: list[tuple[Path, MetaData]] = []
    names = {file: _module_name(file, source.root) for file in files}
    with _on_path(source.root, {name.partition(".")[0] for name in names.values()}):
        for file, name in names.items():
            found += [(file, metadata) for metadata in _metadata_in(_load(file, name))]
    if not found:
        raise SchemaError(
            "the model files hold no SQLAlchemy metadata", at=Mark(shown(files[0])), expected="a declarative base or a MetaData"
        )
    return found


def _files(source: ModelSource) -> list[Path]:
    files = sorted({file for pattern in source.paths for file in source.root.glob(pattern) if file.is_file()})
    if not files:
        raise SchemaError(
            f"no file matches models.paths {list(source.paths)}", at=Mark(shown(source.root)), expected="at least one Python file"
        )
    if source.database is None:
        return files
    found = declared(files)
    chosen = [item.file for item in found if item.database == source.database]
    if not chosen:
        raise SchemaError(
            f"no model file says DATABASE_NAME = {source.database!r}",
            at=Mark(shown(source.root)),
            expected=f"one of {', '.join(sorted({item.database for item in found}))}" if found else "one that does",
        )
    return chosen


def _module_name(file: Path, root: Path) -> str:
    """Return the name under which others below `root` import the file; a name of our own where they cannot."""
    parts = file.relative_to(root).with_suffix("").parts if file.is_relative_to(root) else ()
    if parts and all(part.isidentifier() for part in parts) and parts[0] not in _TAKEN:
        return ".".join(parts)
    return f"dbops_models_{sha256(str(file).encode()).hexdigest()[:12]}"


def _load(file: Path, name: str) -> ModuleType:
    """Run a file as the module `name`, unless another one has imported it meanwhile; the packages it lies in are not run."""
    there = sys.modules.get(name)
    if there is not None and getattr(there, "__file__", None) == str(file):
        return there
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise SchemaError("the model file is no Python module", at=Mark(shown(file)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's module raises is the answer
        del sys.modules[name]
        raise SchemaError(f"the models cannot be imported: {error!r}", at=Mark(shown(file))) from error
    return module


def _metadata_in(module: ModuleType) -> list[MetaData]:
    found = [metadata for value in vars(module).values() if (metadata := _metadata_of(value)) is not None and metadata.tables]
    return list({id(metadata): metadata for metadata in found}.values())


def _metadata_of(value: object) -> MetaData | None:
    from sqlalchemy import MetaData

    candidate = getattr(value, "metadata", value)
    return candidate if isinstance(candidate, MetaData) else None


@contextmanager
def _on_path(root: Path, names: set[str]) -> Iterator[None]:
    """Import from `root`, modules of the packages `names` anew; afterwards the program has those that it had before.

    So a long-running program sees the next edit, and its own models are not defined a second time.
    """
    before = dict(sys.modules)
    for name in before:
        if name.partition(".")[0] in names:
            del sys.modules[name]
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(root))
        for name in set(sys.modules) - set(before):
            file = getattr(sys.modules[name], "__file__", None)
            is_below = file and Path(file).is_relative_to(root) and "site-packages" not in Path(file).parts
            if is_below or name.partition(".")[0] in names:
                del sys.modules[name]
        sys.modules.update({name: module for name, module in before.items() if name.partition(".")[0] in names})
