"""Migrations of an Alembic script directory, read and run by Alembic itself.

Alembic runs each revision on a session of its own and keeps its table `alembic_version`, in one transaction with the revision
where the engine allows that; so Alembic and dbops may be used side by side. `env.py` is run where the manifest says so, on the
session that the manifest leads to; elsewhere only the name that it gives to Alembic's table counts (`alembic_env`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dbops.engines.base.connect import Connection
from dbops.errors import DbopsError, Mark, MigrationError, QueryError
from dbops.resources.migrations.alembic_env import history_options, run_env
from dbops.resources.migrations.alembic_folders import script_directory
from dbops.resources.migrations.folder import shown
from dbops.resources.migrations.model import Direction, Migration, Revisions, Script
from dbops.resources.migrations.prints import printing_aside
from dbops.resources.migrations.traces import place_of

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from dbops.engines.base.engine import Engine


def migrations_of(directory: Path, texts: dict[Path, str]) -> list[Migration]:
    """Return the revisions of a script directory as migrations; `texts` holds the text of each file by its resolved path.

    Raises:
        MigrationError: Alembic is not installed, or does not understand the directory.
    """
    from alembic.util import CommandError

    scripts = script_directory(directory)
    try:
        with printing_aside():
            revisions = list(scripts.walk_revisions())
    except (Exception, SystemExit) as error:  # files of the user's are imported, and what they raise is the answer
        at = Mark(shown(directory))
        for file in texts:
            at = place_of(error, str(file), at, Mark(shown(file)))
        what = str(error) if isinstance(error, SyntaxError | CommandError) else f"{type(error).__name__}: {error}"
        raise MigrationError(f"Alembic cannot read {directory.name}: {what}", at=at) from error
    shared = Revisions(directory, scripts)
    return [_migration(revision, texts, shared) for revision in revisions]


def _migration(revision: Any, texts: dict[Path, str], revisions: Revisions) -> Migration:
    file = Path(revision.path)
    text = texts.get(file.resolve(), "")
    at = Mark(str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file))
    depends = (*_listed(revision.down_revision), *_listed(revision.dependencies))
    return Migration(
        version=revision.revision,
        name="_".join((revision.doc or "").split()).lower()[:100],
        at=at,
        up=Script(text, at, is_transactional=True),
        down=Script(text, at, is_transactional=True),
        kind="alembic",
        depends=depends,
        description=revision.doc or "",
        revisions=revisions,
    )


def _listed(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def run(migration: Migration, direction: Direction, engine: Engine, conn: Connection, *, on_scratch: bool = False) -> None:
    """Let Alembic run one revision on a session of its own; one that it has had already is left alone.

    What it prints goes to standard error.

    On a scratch Alembic's table is `alembic_version` beside the others, whatever it is elsewhere.

    Raises:
        MigrationError: the revision raised an error that is none of a database.
        QueryError: the database refused a statement.
    """
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.exc import DBAPIError

    revisions = revisions_of(migration)
    scripts = revisions.scripts
    may_stand = not on_scratch and not engine.features.has_transactional_ddl
    with engine.scripts.sqlalchemy(conn) as session, printing_aside(), revisions.memory.of(conn, direction) as known:
        try:
            if migration.alembic.runs_env:
                run_env(session, revisions, partial(_steps, migration, direction, scripts), known, on_scratch=on_scratch)
                return
            given = database_named(migration, direction, scripts)
            table = {} if on_scratch else history_options(revisions.directory, migration.alembic)
            opts = {"transaction_per_migration": True, "script": scripts, "fn": partial(_steps, migration, direction, scripts)}
            context = MigrationContext.configure(session, opts={**opts, **table})
            context.impl.memo = known
            with Operations.context(context), context.begin_transaction():
                context.run_migrations(**given)
        except DBAPIError as error:
            fix = _STANDS if may_stand else None
            at = _place_of(error, migration, revisions)
            raise QueryError(str(error.orig), {"sql": error.statement or ""}, at=at, fix=fix) from error
        except DbopsError:
            raise
        except (Exception, SystemExit) as error:  # what a revision raises is the answer
            what = f"{type(error).__name__}: {error}"
            at = _place_of(error, migration, revisions)
            fixes = [] if migration.alembic.runs_env else [_ENV]
            fixes += [_OF_ENV] if at.file == shown(revisions.directory / "env.py") else [_STANDS] if may_stand else []
            raise MigrationError(what, at=at, fix="; ".join(fixes) or None) from error


_ENV = "where it wants what env.py imports or sets, alembic: {env: run} of the manifest lets that run first"
_OF_ENV = "env.py raised it, not the revision: what it wants of its application must be there where dbops runs"
_STANDS = "tables that it made or changed before this stay so on this engine: take that back by hand, and it can run again"


def _place_of(error: BaseException, migration: Migration, revisions: Revisions) -> Mark:
    """Return the line of the revision that an error came from, or else of env.py."""
    revision: Any = revisions.scripts.get_revision(migration.version)
    env = str(Path(revisions.directory, "env.py"))
    return place_of(error, str(revision.path), place_of(error, env, migration.at, Mark(shown(env))), migration.at)


def database_named(migration: Migration, direction: Direction, scripts: ScriptDirectory) -> dict[str, str]:
    """Return what the function of a revision takes besides: the name of the database, where revisions stand for several.

    Raises:
        MigrationError: it wants a name and the manifest says none, or one that it does not know.
    """
    from inspect import signature

    module = scripts.get_revision(migration.version).module
    way = "upgrade" if direction == "up" else "downgrade"
    name, takes = migration.alembic.engine_name, getattr(module, way, None)
    if takes is None or "engine_name" not in signature(takes).parameters:
        return {}
    known = sorted(found.removeprefix(f"{way}_") for found in vars(module) if found.startswith(f"{way}_"))
    if name is None or (known and name not in known):
        said = "the manifest says none" if name is None else f"{name!r} is none of them"
        raise MigrationError(
            f"{migration.id} is written for several databases, {way}(engine_name), and {said}",
            at=migration.at,
            expected=f"one of {', '.join(known)}" if known else "the name of one",
            fix="a MigrationSet for each database, each with alembic: {engineName: NAME}",
        )
    return {"engine_name": name}


def _steps(
    migration: Migration, direction: Direction, scripts: ScriptDirectory, heads: Sequence[str], context: MigrationContext
) -> Any:
    """Tell Alembic the steps: one revision, up or down; none where its own table says that it is there, or gone."""
    from alembic.runtime.migration import MigrationStep

    if _is_there(migration, heads, scripts) == (direction == "up"):
        return []
    revision = scripts.get_revision(migration.version)
    assert revision is not None
    if direction == "up":
        return [MigrationStep.upgrade_from_script(scripts.revision_map, cast(Any, revision))]
    return [MigrationStep.downgrade_from_script(scripts.revision_map, cast(Any, revision))]


def _is_there(migration: Migration, heads: Sequence[str], scripts: ScriptDirectory) -> bool:
    """Tell whether Alembic's own table says that a revision is applied."""
    if not heads:
        return False
    return any(found.revision == migration.version for found in scripts.iterate_revisions(tuple(heads), "base", inclusive=True))


def revisions_of(migration: Migration) -> Revisions:
    """Return the script directory that a revision was read from."""
    if migration.revisions is None:
        raise MigrationError(f"{migration.id} was read from no script directory of Alembic", at=migration.at)
    return migration.revisions
