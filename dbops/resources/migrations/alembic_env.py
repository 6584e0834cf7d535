"""An Alembic `env.py`: run on a session that is given to it, or read for the name that it gives to Alembic's table."""

from __future__ import annotations

import ast
from collections.abc import Callable
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbops.errors import Mark, MigrationError
from dbops.resources.migrations.alembic_folders import INI, config_of, ini_of
from dbops.resources.migrations.model import ALEMBIC_TABLE, AlembicOptions, Revisions

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlAlchemyConnection


def history_options(directory: Path, options: AlembicOptions) -> dict[str, str]:
    """Return `version_table` and `version_table_schema` as the manifest, or else `env.py` in plain text, says them.

    Raises:
        MigrationError: env.py says one of them in a way that only running it tells.
    """
    said = {"version_table": options.version_table, "version_table_schema": options.version_table_schema}
    wanted = [name for name, value in said.items() if value is None]
    return {name: value for name, value in (said | _written(directory, wanted)).items() if value is not None}


def history_table(directory: Path, options: AlembicOptions) -> str:
    """Return the name of Alembic's table, behind its schema where it has one of its own. Raises as `history_options` does."""
    said = history_options(directory, options)
    table = said.get("version_table", ALEMBIC_TABLE)
    return f"{said['version_table_schema']}.{table}" if "version_table_schema" in said else table


def _written(directory: Path, wanted: list[str]) -> dict[str, str | None]:
    """Return what calls of `configure` in env.py give to the parameters of these names."""
    file = directory / "env.py"
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):  # without env.py, or one that Python does not read, Alembic's own names hold
        return {}
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: dict[str, str | None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "configure":
            for keyword in node.keywords:
                if keyword.arg in wanted:
                    found[keyword.arg] = _plain(keyword.arg, keyword.value, constants, directory, file)
    return found


def _plain(name: str, value: ast.expr, constants: dict[str, ast.expr], directory: Path, file: Path) -> str | None:
    """Return the text that an expression stands for: a literal, a name of the module's, an option of alembic.ini."""
    if isinstance(value, ast.Name):
        value = constants.get(value.id, value)
    match value:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return text
        case ast.Call(func=ast.Attribute(attr="get_main_option"), args=[ast.Constant(value=str(option)), *_]):
            return _of_ini(directory, option)
    what, option = {
        "version_table": ("a name", "versionTable: NAME"),
        "version_table_schema": ("a schema", "versionTableSchema: NAME"),
    }[name]
    raise MigrationError(
        f"{file.name} gives Alembic's table {what} that only running it tells: {ast.unparse(value)}",
        at=Mark(str(file), value.lineno, value.col_offset + 1),
        expected="a text",
        fix=f"say it in the manifest, alembic: {{{option}}}, also where env.py is run",
    )


def _of_ini(directory: Path, option: str) -> str | None:
    ini = ini_of(directory)
    parser = ConfigParser({"here": str(ini.parent)} if ini else {})
    try:
        parser.read([ini] if ini else [], encoding="utf-8")
        return parser.get("alembic", option, fallback=None)
    except ConfigError as error:
        raise MigrationError(f"{INI} cannot be read: {error}", at=Mark(str(ini))) from error


Steps = Callable[[Any, Any], Any]


def run_env(
    session: SqlAlchemyConnection, revisions: Revisions, steps: Steps, known: dict[Any, Any], *, on_scratch: bool
) -> None:
    """Run env.py, as Alembic's commands do, with `session` as `config.attributes["connection"]`; `known` is the run's memory.

    Raises:
        MigrationError: env.py connects by itself; nothing was run.
        and what env.py and the revisions raise.
    """
    from alembic.runtime.environment import EnvironmentContext

    config = config_of(revisions.directory, whole=True)
    config.attributes["connection"] = session
    environment = EnvironmentContext(config, revisions.scripts, fn=steps)
    configure = environment.configure

    def on_session(connection: SqlAlchemyConnection | None = None, *positional: Any, **given: Any) -> None:
        """Take no session but the one that is given: another could be of another database."""
        if connection is None or connection.engine is not session.engine:
            raise MigrationError(
                "env.py connects by itself, wherever that leads",
                at=Mark(str(revisions.directory / "env.py")),
                expected='connection=config.attributes["connection"] where that is given',
                fix="take it from there (Alembic's cookbook, Sharing a Connection), or alembic: {env: skip}; where it is about"
                " several databases, a MigrationSet for each, with alembic: {engineName: NAME}",
            )
        if on_scratch:
            given |= {"version_table": ALEMBIC_TABLE, "version_table_schema": None}
        configure(connection, *positional, **{**given, "transaction_per_migration": True})
        environment.get_context().impl.memo = known

    environment.configure = on_session  # type: ignore[method-assign]  # alembic.context knows methods of this very class alone
    with environment:
        revisions.scripts.run_env()
