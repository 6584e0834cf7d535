"""The kinds that tests load, and short ways to write and load an environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from dbops.manifests.environment import Environment, load_environment
from dbops.resources.connections.spec import ConnectionSpec
from dbops.resources.migrations.spec import MigrationSetSpec
from dbops.resources.schema.spec import SchemaSpec

KINDS = {"Connection": ConnectionSpec, "Schema": SchemaSpec, "MigrationSet": MigrationSetSpec}


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below `root`, folders as needed, and return `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return root


def load(root: Path, files: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None) -> Environment:
    """Write files and load the environment they make."""
    return load_environment(write(root, files or {}), KINDS, env or {})


def connection(spec: str, name: str = "shop", labels: str = "{}") -> str:
    """Return a Connection manifest; `spec` is YAML in braces."""
    return f"apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: {name}, labels: {labels}}}\nspec: {spec}\n"


def schema(spec: str, name: str = "shop") -> str:
    """Return a Schema manifest; `spec` is YAML in braces."""
    return f"apiVersion: dbops/v1\nkind: Schema\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def overlay(spec: str, name: str = "production") -> str:
    """Return an Environment manifest; `spec` is YAML in braces."""
    return f"apiVersion: dbops/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec: {spec}\n"
