"""Which database the files of models say they belong to, read with `ast`: nothing is imported, no code of theirs runs."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, Mark, Problems, SchemaError

MODEL_FILE = "db_models.py"
_VARIABLE = "DATABASE_NAME"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LONGEST = 63
"""What PostgreSQL takes (manual, 4.1.1 Identifiers and Key Words), the shortest limit of all."""
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_ELSEWHERE = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of models: `database` is what it calls its own, `tables` the names that its classes give in plain text."""

    file: Path
    database: str
    tables: tuple[str, ...]
    at: Mark


def discover(root: Path) -> list[ModelFile]:
    """Return all `db_models.py` below `root` that say in plain text which database they belong to, sorted by path.

    Folders that are hidden, or hold installed packages, are passed over, and so are files whose name is computed, commented
    out, or not there.

    Raises:
        Problems: of SchemaError: files that Python cannot read, names that are no plain file names or differ in case alone.
    """
    return declared(sorted(_files(root)))


def declared(files: Sequence[Path]) -> list[ModelFile]:
    """Return those of `files` that name a database. Raises as `discover` does."""
    found: list[ModelFile] = []
    problems: list[DbopsError] = []
    spellings: dict[str, ModelFile] = {}
    for file in files:
        try:
            item = model_file(file)
            if item is None:
                continue
            first = spellings.setdefault(item.database.lower(), item)
            if first.database != item.database:
                raise SchemaError(
                    f"the databases {first.database!r} ({first.at}) and {item.database!r} differ in case alone",
                    at=item.at,
                    fix="give one of them another name: some file systems and servers would take them for the same",
                )
            found.append(item)
        except SchemaError as error:
            problems.append(error)
    if problems:
        raise Problems(problems)
    return found


def by_database(files: Sequence[ModelFile]) -> Mapping[str, list[ModelFile]]:
    """Return the files of each database, databases by name."""
    found: dict[str, list[ModelFile]] = {}
    for item in sorted(files, key=lambda item: (item.database, item.file)):
        found.setdefault(item.database, []).append(item)
    return found


def model_file(file: Path) -> ModelFile | None:
    """Return what a file says, None when it names no database in plain text.

    Raises:
        SchemaError: Python cannot read it, it names two, or one that is no plain file name.
    """
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        raise SchemaError(
            f"the models are no Python: {error.msg}", at=Mark(str(file), error.lineno or 0, error.offset or 0)
        ) from error
    except (OSError, ValueError) as error:
        raise SchemaError(f"the models cannot be read: {error}", at=Mark(str(file))) from error
    names = {node.value: Mark(str(file), node.lineno, node.col_offset + 1) for node in _given(tree)}
    if not names:
        return None
    (name, at), *more = names.items()
    if more:
        raise SchemaError(
            f"the file names two databases, {name!r} and {more[0][0]!r}", at=more[0][1], expected=f"one {_VARIABLE}"
        )
    check_database_name(str(name), at)
    return ModelFile(file, str(name), tuple(_tables(tree)), at)


def check_database_name(name: str, at: Mark | None = None) -> None:
    """Refuse a name that is no plain file name on some system, or that a server would cut.

    Raises:
        SchemaError: it is none.
    """
    if not _NAME.fullmatch(name) or name.endswith(".") or len(name) > _LONGEST or _DEVICES.fullmatch(name):
        raise SchemaError(
            f"{name!r} cannot be the name of a database",
            at=at,
            expected=f"letters, digits, and _ - . behind the first, {_LONGEST} at most: it is also the name of a file",
            error_code="INVALID_DATABASE_NAME",
        )


def _given(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        value = getattr(node, "value", None)
        is_named = any(isinstance(target, ast.Name) and target.id == _VARIABLE for target in targets)
        if is_named and isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value


def _tables(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            match inner:
                case ast.Assign(targets=[ast.Name(id="__tablename__")], value=ast.Constant(value=str(name))):
                    yield name
                case ast.AnnAssign(target=ast.Name(id="__tablename__"), value=ast.Constant(value=str(name))):
                    yield name


def _files(root: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(root):
        below[:] = [
            name
            for name in below
            if not name.startswith(".") and name not in _ELSEWHERE and not (Path(folder) / name / "pyvenv.cfg").exists()
        ]
        if MODEL_FILE in names:
            yield Path(folder) / MODEL_FILE
