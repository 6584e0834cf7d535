"""Versions of a database's schema, kept as revisions of Alembic in a folder for each database.

A revision is generated from the difference between what the revisions before it make, on a scratch database, and what the models
say: the state of some live database plays no part. A database that had tables before its first revision gets a baseline in front,
which says what it holds and never runs where that is there already.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dbops.errors import MigrationError
from dbops.usecases.runtime import engine_for
from dbops.usecases.service.creating import create_database, session_on
from dbops.usecases.service.places import Places
from dbops.usecases.service.tables import VERSION_TABLE

if TYPE_CHECKING:
    from alembic.migration import MigrationContext
    from alembic.operations.ops import MigrationScript
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection as SqlAlchemyConnection
    from sqlalchemy import MetaData

_ENV = '''\
"""Runs the revisions of the database {name}: on the connection that is given, else on the one that alembic.ini names."""

from alembic import context
from sqlalchemy import create_engine


def run(connection):
    transactional = connection.dialect.name not in ("mysql", "mariadb")
    context.configure(
        connection=connection, version_table="{table}", render_as_batch=True, transactional_ddl=transactional,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
        run(connection)
'''

_TEMPLATE = '''\
"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
% if baseline:
dbops_baseline = True  # what databases held before their first revision
% endif


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''
_ALIASES = {"previous_revision": "-1", "previous": "-1"}


class Revisions:
    """The revisions of all databases of a program, in `folder/NAME`."""

    def __init__(self, folder: Path, places: Places) -> None:
        self._folder, self._places = folder, places

    def governs(self, name: str) -> bool:
        """Tell whether a database has revisions, so that its tables come from them."""
        versions = self._folder / name / "versions"
        return versions.is_dir() and any(versions.glob("*.py"))

    def begin(self, name: str) -> list[str]:
        """Take a database without tables to the head of its revisions, leave another as it is; return the tables made.

        Raises:
            MigrationError: a revision fails.
        """
        with session_on(self._places.target(name)) as session:
            if self._own_tables(session, name):
                return []
            self._run(session, name, "head", upwards=True)
            return sorted(self._own_tables(session, name))

    def generate(self, name: str, message: str, metadata: Sequence[MetaData]) -> dict[str, Any] | None:
        """Write a revision of what the models say beyond the revisions there are; None when they say nothing more.

        Returns `{revision, file, baseline}`; `baseline` is the revision that was put in front for what the database held.

        Raises:
            MigrationError: the revisions there are fail on the scratch, or have two heads.
            SchemaError: no place for a scratch.
        """
        target = self._places.target(name)
        scripts = self._scripts(name, make=True)
        create_database(target)
        baseline = None
        with session_on(target) as session:
            held = self._own_tables(session, name)
            known = self._own_metadata(session, held, metadata)
            if not self.governs(name) and held:
                baseline = self._write(name, scripts, f"baseline of {name}", [known], baseline=True)
                if baseline is not None:
                    self._context(session, name, scripts).stamp(scripts, baseline["revision"])
                    session.commit()
        made = self._write(name, scripts, message, metadata)
        return None if made is None else {**made, "baseline": baseline["revision"] if baseline else None}

    def upgrade(self, name: str, target: str) -> dict[str, Any]:
        """Run the revisions up to `target`: head, a revision, or a step such as +1. Returns `{from, to, applied}`.

        Raises:
            MigrationError: an unknown revision, or one that fails; on engines with transactional DDL it leaves nothing behind.
        """
        create_database(self._places.target(name))
        with session_on(self._places.target(name)) as session:
            return self._run(session, name, target, upwards=True)

    def downgrade(self, name: str, target: str) -> dict[str, Any]:
        """Undo the revisions behind `target`: a revision, base, a step such as -1, or previous. Otherwise as `upgrade`."""
        with session_on(self._places.target(name)) as session:
            return self._run(session, name, _ALIASES.get(target, target), upwards=False)

    def knows(self, name: str, target: str) -> bool:
        """Tell whether `target` is a revision of the database, by its whole name or how it begins."""
        from alembic.util.exc import CommandError

        if not self.governs(name):
            return False
        try:
            return self._scripts(name).get_revision(target) is not None
        except CommandError:
            return False

    def status(self, name: str) -> dict[str, Any]:
        """Return `{current, head, pending}`: revisions, None where there are none; `pending` in the order they would run."""
        if not self.governs(name):
            return {"current": None, "head": None, "pending": []}
        scripts = self._scripts(name)
        with session_on(self._places.target(name)) as session:
            current = self._context(session, name, scripts).get_current_heads()
        pending = [item.revision for item in scripts.iterate_revisions("heads", current or "base")]
        heads = scripts.get_heads()
        return {"current": ", ".join(current) or None, "head": ", ".join(heads) or None, "pending": pending[::-1]}

    # --- Alembic

    def _run(self, session: SqlAlchemyConnection, name: str, target: str, *, upwards: bool) -> dict[str, Any]:
        if not self.governs(name):
            raise MigrationError(
                f"the database {name!r} has no migrations", error_code="NO_MIGRATIONS", fix="generate_migration makes the first"
            )
        scripts = self._scripts(name)
        context = self._context(session, name, scripts)
        before = context.get_current_heads()
        if upwards and not before:
            self._adopt(session, name, scripts, context)
        session.commit()
        applied: list[str] = []

        def steps(heads: Any, _: Any) -> Any:
            plan = scripts._upgrade_revs(target, heads) if upwards else scripts._downgrade_revs(target, heads)
            applied.extend(_name_of(step) for step in plan)
            return plan

        try:
            _operate(self._context(session, name, scripts, steps))
            session.commit()
        except Exception as error:
            session.rollback()
            raise _failed(name, error) from error
        after = self._context(session, name, scripts).get_current_heads()
        session.commit()
        return {"from": ", ".join(before) or None, "to": ", ".join(after) or None, "applied": applied}

    def _adopt(self, session: SqlAlchemyConnection, name: str, scripts: ScriptDirectory, context: MigrationContext) -> None:
        """Take the baseline for done in a database that held tables before it had revisions."""
        if not self._own_tables(session, name):
            return
        for base in scripts.get_bases():
            revision = scripts.get_revision(base)
            if revision is not None and getattr(revision.module, "dbops_baseline", False):
                context.stamp(scripts, base)

    def _write(
        self, name: str, scripts: ScriptDirectory, message: str, metadata: Sequence[MetaData], *, baseline: bool = False
    ) -> dict[str, Any] | None:
        """Write what `metadata` has beyond the revisions there are, found out on a scratch database."""
        from alembic.autogenerate.api import RevisionContext
        from alembic.config import Config
        from alembic.util.exc import CommandError

        given = {"message": message, "autogenerate": True, "sql": False, "head": "head", "splice": False, "branch_label": None}
        given |= {"version_path": None, "rev_id": None, "depends_on": None}
        target = self._places.target(name)
        engine = engine_for(target.url)
        try:
            with engine.scratch(target) as conn, engine.scripts.sqlalchemy(conn) as session:
                if scripts.get_heads():
                    _operate(self._context(session, name, scripts, lambda heads, _: scripts._upgrade_revs("heads", heads)))
                    session.commit()
                context = self._context(session, name, scripts, metadata=metadata)
                changes = RevisionContext(Config(), scripts, given)
                cast("dict[str, Any]", changes.template_args)["baseline"] = baseline
                changes.run_autogenerate(context.get_current_heads(), context)
                if _is_empty(changes.generated_revisions):
                    return None
                (script,) = changes.generate_scripts()
        except CommandError as error:
            raise _failed(name, error) from error
        return None if script is None else {"revision": script.revision, "file": str(script.path)}

    def _context(
        self,
        session: SqlAlchemyConnection,
        name: str,
        scripts: ScriptDirectory,
        steps: Any = None,
        metadata: Sequence[MetaData] = (),
    ) -> MigrationContext:
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext

        environment = EnvironmentContext(Config(), scripts, **({} if steps is None else {"fn": steps}))
        environment.configure(
            connection=session,
            version_table=self._version_table(name),
            transaction_per_migration=True,
            transactional_ddl=engine_for(self._places.base).features.has_transactional_ddl,
            target_metadata=list(metadata),
            render_as_batch=True,
            compare_type=True,
            render_item=_rendered,
            include_name=self._is_own,
        )
        return environment.get_context()

    def _is_own(self, name: str | None, kind: str, _: Any) -> bool:
        return kind != "table" or not str(name).startswith(self._prefixes)

    @property
    def _prefixes(self) -> tuple[str, str]:
        return engine_for(self._places.base).features.state_prefix, VERSION_TABLE

    def _version_table(self, name: str) -> str:
        return f"{VERSION_TABLE}_{name}" if self._places.is_shared else VERSION_TABLE

    def _own_tables(self, session: SqlAlchemyConnection, name: str) -> list[str]:
        """Return the tables of the database, without ours; in a place that all share, the whole place's."""
        from sqlalchemy import inspect

        return [table for table in inspect(session).get_table_names() if self._is_own(table, "table", None)]

    def _own_metadata(self, session: SqlAlchemyConnection, held: Sequence[str], metadata: Sequence[MetaData]) -> MetaData:
        """Return what the database holds of the tables that models describe; where they are nobody else's, all that it holds."""
        from sqlalchemy import MetaData

        mine = {table.name for item in metadata for table in item.tables.values()}
        wanted = [table for table in held if table in mine or not self._places.is_shared]
        known = MetaData()
        if wanted:
            known.reflect(session, only=wanted)
        for table in known.tables.values():
            keys = {key.name for key in table.foreign_key_constraints}
            table.indexes -= {index for index in table.indexes if index.name in keys}  # MySQL makes them with their key
        return known

    def _scripts(self, name: str, *, make: bool = False) -> ScriptDirectory:
        try:
            from alembic.config import Config
            from alembic.script import ScriptDirectory
        except ImportError as error:
            raise MigrationError("migrations of the service need Alembic", fix="pip install 'dbops[service]'") from error
        folder = self._folder / name
        if make:
            (folder / "versions").mkdir(parents=True, exist_ok=True)
            for file, text in (
                ("env.py", _ENV.format(name=name, table=self._version_table(name))),
                ("script.py.mako", _TEMPLATE),
            ):
                if not (folder / file).exists():
                    (folder / file).write_text(text, encoding="utf-8")
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        scripts = ScriptDirectory.from_config(config)
        scripts.messaging_opts = {"quiet": True}  # it would print
        return scripts


def _operate(context: MigrationContext) -> None:
    from alembic.operations import Operations

    with Operations.context(context), context.begin_transaction():
        context.run_migrations()


def _name_of(step: Any) -> str:
    return str(step.revision.revision)


def _is_empty(scripts: Sequence[MigrationScript]) -> bool:
    return all(ops.is_empty() for script in scripts for ops in script.upgrade_ops_list)


def _failed(name: str, error: Exception) -> MigrationError:
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, MigrationError):
        return error
    text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return MigrationError(f"the migration of {name!r} failed: {text}", {"database": name}, "MIGRATION_FAILED")


def _rendered(kind: str, item: Any, context: Any) -> Any:
    """Write our JSON type so that a revision can be run without the program's models."""
    from dbops.resources.schema.bases import SQLiteJSON

    if kind == "type" and isinstance(item, SQLiteJSON):
        context.imports.add("from dbops.api.service.db_models import SQLiteJSON")
        return "SQLiteJSON()"
    return False
