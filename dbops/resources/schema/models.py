"""SQLAlchemy models as a source: their metadata compiled to the engine's DDL by SQLAlchemy itself."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.errors import Mark, SchemaError
from dbops.resources.schema.model import ModelSource
from dbops.resources.schema.sources import shown
from dbops.sql.splitter import SourceStatement, split

if TYPE_CHECKING:
    from sqlalchemy import MetaData

_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def model_statements(source: ModelSource, engine: Engine, target: Target) -> list[SourceStatement]:
    """Return the DDL of all models, each statement placed at the file it comes from.

    Importing models runs their code, with `root` on the path, as Alembic does.

    Raises:
        SchemaError: nothing to import, an import that fails, or a module without metadata.
    """
    found = _imported(source) if source.imports else _scanned(source)
    statements: list[SourceStatement] = []
    seen: set[int] = set()
    for file, metadata in found:
        if id(metadata) not in seen:
            seen.add(id(metadata))
            statements += _compiled(metadata, engine, file)
    return statements


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
    with _on_path(source.root):
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
    files = sorted({file for pattern in source.paths for file in source.root.glob(pattern) if file.is_file()})
    if not files:
        raise SchemaError(
            f"no file matches models.paths {list(source.paths)}", at=Mark(shown(source.root)), expected="at least one Python file"
        )
    found: list[tuple[Path, MetaData]] = []
    with _on_path(source.root):
        for file in files:
            found += [(file, metadata) for metadata in _metadata_in(_load(file))]
    if not found:
        raise SchemaError(
            "the model files hold no SQLAlchemy metadata", at=Mark(shown(files[0])), expected="a declarative base or a MetaData"
        )
    return found


def _load(file: Path) -> ModuleType:
    name = f"dbops_models_{sha256(str(file).encode()).hexdigest()[:12]}"
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
def _on_path(root: Path) -> Iterator[None]:
    """Import from `root`; modules of it are forgotten afterwards, so that a long-running program sees the next edit."""
    before = set(sys.modules)
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(root) and "site-packages" not in Path(file).parts:
                del sys.modules[name]
