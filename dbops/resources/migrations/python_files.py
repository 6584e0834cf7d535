"""Migrations as Python files: `0008_backfill.py` with `up_fn(step)` and, where there is a way back, `down_fn(step)`.

The file is read as text here; it is imported only where it runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbops.errors import Mark, MigrationError
from dbops.resources.migrations.model import Migration, Script
from dbops.resources.migrations.sql_files import NO_REASON, PLAIN_VERSION, version_of

_NAME = re.compile(rf"(?P<version>{PLAIN_VERSION})(?:[_.-]+(?P<name>.*?))?\.py")


def migration_of(text: str, path: Path, shown: str) -> Migration:
    """Return the migration that a Python file says: its functions, and the assignments `depends` and `irreversible`.

    Raises:
        MigrationError: the name says no version, the text is no Python, or there is no function `up_fn`.
    """
    found = _NAME.fullmatch(path.name)
    if found is None:
        fix = "a script directory of Alembic is a set with format: alembic" if path.name == "env.py" else None
        raise MigrationError(f"the name of {path.name} says no version", at=Mark(shown), expected="0008_backfill.py", fix=fix)
    return of_text(text, version_of(found["version"]), found["name"] or "", shown)


def of_text(text: str, version: str, name: str, shown: str) -> Migration:
    """Return the migration that the text of a Python file says. Raises as `migration_of` does."""
    at = Mark(shown)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise MigrationError(f"this is no Python: {error.msg}", at=Mark(shown, error.lineno or 0, error.offset or 0)) from error
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "up_fn" not in functions:
        raise MigrationError("there is no function up_fn", at=at, expected="def up_fn(step): ...")
    back = functions.get("down_fn")
    if back is not None and len(back.body) == 1 and ast.get_docstring(back) is not None:
        back = None  # as `dbops migrate new` begins it; what leads back by doing nothing says pass
    values = _assigned(tree)
    irreversible = _irreversible(values, shown)
    if back is not None and irreversible is not None:
        here = Mark(shown, back.lineno, 1)
        raise MigrationError("irreversible says that nothing leads back, and there is a down_fn", at=here, expected="one of them")
    return Migration(
        version=version,
        name=name,
        at=at,
        up=Script(text, Mark(shown, functions["up_fn"].lineno, 1), is_transactional=False),
        down=None if back is None else Script(text, Mark(shown, back.lineno, 1), is_transactional=False),
        kind="python",
        depends=_depends(values, shown),
        irreversible=irreversible,
        description=(ast.get_docstring(tree) or "").split("\n", 1)[0],
    )


def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what the module assigns to names dbops knows."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name) and target.id in ("depends", "irreversible"):
                found[target.id] = node.value
    return found


def _depends(values: Mapping[str, ast.expr], shown: str) -> tuple[str, ...]:
    value = _literal(values, "depends", shown, _VERSIONS)
    words = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(words, list | tuple | set) or not all(isinstance(word, str) and word for word in words):
        raise _not_said(values["depends"], "depends", shown, _VERSIONS)
    return tuple(words)


def _irreversible(values: Mapping[str, ast.expr], shown: str) -> str | None:
    value = _literal(values, "irreversible", shown, _WHY)
    if value is not None and not isinstance(value, str | bool):
        raise _not_said(values["irreversible"], "irreversible", shown, _WHY)
    return NO_REASON if value is True else value or None


_VERSIONS, _WHY = 'versions as text, written out: depends = ["0005", "0006"]', 'why, as text: irreversible = "rows were deleted"'


def _literal(values: Mapping[str, ast.expr], name: str, shown: str, expected: str) -> Any:
    if name not in values:
        return None
    try:
        return ast.literal_eval(values[name])
    except (ValueError, TypeError) as error:
        raise _not_said(values[name], name, shown, expected) from error


def _not_said(value: ast.expr, name: str, shown: str, expected: str) -> MigrationError:
    at = Mark(shown, value.lineno, value.col_offset + 1)
    return MigrationError(f"{name} is {ast.unparse(value)[:60]}", at=at, expected=expected)
