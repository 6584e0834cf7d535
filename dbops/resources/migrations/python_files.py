"""Migrations as Python files: `0008_backfill.py` with `up_fn(step)` and, where there is a way back, `down_fn(step)`.

The file is read as text here; it is imported only where it runs.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from dbops.errors import Mark, MigrationError
from dbops.resources.migrations.model import Migration, Script
from dbops.resources.migrations.sql_files import PLAIN_VERSION, version_of

_NAME = re.compile(rf"(?P<version>{PLAIN_VERSION})(?:[_.-]+(?P<name>.*?))?\.py")


def migration_of(text: str, path: Path, shown: str) -> Migration:
    """Return the migration that a Python file says: its functions, and the assignments `depends` and `irreversible`.

    Raises:
        MigrationError: the name says no version, the text is no Python, or there is no function `up_fn`.
    """
    found = _NAME.fullmatch(path.name)
    at = Mark(shown)
    if found is None:
        raise MigrationError(f"the name of {path.name} says no version", at=at, expected="0008_backfill.py")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise MigrationError(f"this is no Python: {error.msg}", at=Mark(shown, error.lineno or 0, error.offset or 0)) from error
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "up_fn" not in functions:
        raise MigrationError("there is no function up_fn", at=at, expected="def up_fn(step): ...")
    back = functions.get("down_fn")
    values = _assigned(tree)
    return Migration(
        version=version_of(found["version"]),
        name=found["name"] or "",
        at=at,
        up=Script(text, Mark(shown, functions["up_fn"].lineno, 1), is_transactional=False),
        down=None if back is None else Script(text, Mark(shown, back.lineno, 1), is_transactional=False),
        kind="python",
        depends=tuple(str(word) for word in values.get("depends") or ()),
        irreversible=values.get("irreversible"),
        description=(ast.get_docstring(tree) or "").split("\n", 1)[0],
    )


def _assigned(tree: ast.Module) -> dict[str, Any]:
    """Return the literal values that the module assigns to names dbops knows."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("depends", "irreversible"):
                try:
                    found[name] = ast.literal_eval(node.value)
                except ValueError:
                    continue
    return found
