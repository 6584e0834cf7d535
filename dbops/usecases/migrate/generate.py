"""generate: the migration that takes what the migrations build to what the Schema says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbops.errors import MigrationError
from dbops.reconcile.step import Call, Step
from dbops.resources.migrations.folder import read_contents
from dbops.resources.migrations.model import DesiredMigrations
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.resource import SchemaResource
from dbops.sql.dialect import Dialect
from dbops.sql.statement import Statement
from dbops.usecases.agreement import replayed
from dbops.usecases.migrate.files import read_set, write, write_alembic, write_json
from dbops.usecases.migrate.sets import MigrationWork, one_set, sets_of
from dbops.usecases.runtime import Workspace

#: Hazards of rows that are there already: what to do about them only a person knows.
_OF_ROWS = frozenset({"MAY_FAIL_ON_DATA", "DELETES_DATA", "IMPLICIT_ZERO_VALUE", "BACKFILL_INLINE"})


@dataclass(frozen=True, slots=True)
class Generated:
    """The files that were written, none when there was nothing to write; `unreturnable` are steps without a way back."""

    files: tuple[Path, ...]
    titles: tuple[str, ...]
    unreturnable: tuple[str, ...] = ()


def generate(workspace: Workspace, title: str, name: str | None = None) -> Generated:
    """Write the migration that is missing between the migrations and the Schema of one database, and the lock file.

    Raises:
        MigrationError: there is no Schema for the database, or several; a migration does not run on a scratch.
    """
    one = one_set(workspace, name)
    resource, schema = _schema_of(one, workspace)
    migrations = [
        migration
        for other in sets_of(workspace)
        if other.desired.connection == one.desired.connection
        for migration in read_set(other.desired)
    ]
    with replayed(migrations, resource, schema, workspace.targets) as apart:
        entries = apart.resource.steps(apart.changes, apart.desired, apart.observed, apart.targets, archives=False)
    steps = sorted((step for entry in entries for step in entry.steps), key=lambda step: step.order)
    if not steps:
        return Generated((), ())
    return _written(one.desired, steps, title, one.engine.dialect)


def _schema_of(one: MigrationWork, workspace: Workspace) -> tuple[SchemaResource, DesiredSchema]:
    found = [
        (work.resource, work.desired)
        for work in workspace.work
        if isinstance(work.resource, SchemaResource) and one.desired.connection in work.desired.connections
    ]
    if len(found) != 1:
        what = "several manifests" if found else "no manifest"
        raise MigrationError(
            f"there is {what} of kind Schema for {one.desired.connection}",
            at=one.desired.at,
            expected="one, which says what the migrations lead to",
        )
    resource, schema = found[0]
    assert isinstance(schema, DesiredSchema)
    return resource, schema


def _written(desired: DesiredMigrations, steps: Sequence[Step], title: str, dialect: Dialect) -> Generated:
    migrations = read_set(desired)
    stuck = tuple(step.title for step in steps if step.undo is None)
    up = _script(steps, dialect)
    down = _way_back(steps, dialect)
    if desired.format == "alembic":
        files = write_alembic(desired, migrations, title, _python(steps), _python_back(steps))
    elif desired.format == "json":
        files = write_json(desired, migrations, title, up, down or None)
    else:
        head = "".join(f"-- dbops:irreversible nothing takes back: {one}\n" for one in stuck[:1] if not down)
        files = write(desired, migrations, title, _texts(_style(desired), f"-- {title}\n{head}", up, down))
    return Generated(tuple(files), tuple(step.title for step in steps), stuck)


def _texts(style: str, head: str, up: str, down: str) -> dict[str, str]:
    if style == "files":
        return {".up.sql": f"{head}\n{up}", **({".down.sql": down} if down else {})}
    return {".sql": f"{head}\n-- migrate:up\n{up}" + (f"\n-- migrate:down\n{down}" if down else "")}


def _style(desired: DesiredMigrations) -> str:
    """Return how the last migration of the folder is written: `files` for two files, `markers` for one."""
    if not desired.directory.exists():
        return "markers"
    names = [file.name for file in read_contents(desired.directory, desired.format)]
    return "files" if names and names[-1].endswith((".up.sql", ".down.sql")) else "markers"


def _script(steps: Sequence[Step], dialect: Dialect) -> str:
    return "\n".join(_one(step, dialect) for step in steps)


def _one(step: Step, dialect: Dialect) -> str:
    lines = [f"-- {step.title}"]
    for hazard in step.hazards:
        lines.append(f"-- {hazard.code}: {_on_one_line(hazard.message)}")
    if any(hazard.code in _OF_ROWS for hazard in step.hazards):
        lines.append("-- Rows that are there: put what must happen to them here, before or behind the statement.")
    return "\n".join([*lines, *_terminated(_statements(step.do), dialect)]) + "\n"


def _way_back(steps: Sequence[Step], dialect: Dialect) -> str:
    """Return the undo of all steps, last first; empty as soon as one has none."""
    if any(step.undo is None for step in steps):
        return ""
    return "\n".join(
        "\n".join([f"-- take back: {step.title}", *_terminated(_statements(step.undo), dialect)]) + "\n"
        for step in reversed(steps)
    )


def _python(steps: Sequence[Step]) -> list[str]:
    """Return the lines of an Alembic revision; the driver gets the text as it is, colons and all."""
    lines = []
    for step in steps:
        lines.append(f"# {_on_one_line(step.title)}")
        lines += [f"# {hazard.code}: {_on_one_line(hazard.message)}" for hazard in step.hazards]
        lines += [f"op.get_bind().exec_driver_sql({statement.sql!r})" for statement in _statements(step.do)]
    return lines


def _python_back(steps: Sequence[Step]) -> list[str]:
    if stuck := [step.title for step in steps if step.undo is None]:
        return [f"raise NotImplementedError({f'nothing takes back: {stuck[0]}'!r})"]
    return [
        f"op.get_bind().exec_driver_sql({statement.sql!r})" for step in reversed(steps) for statement in _statements(step.undo)
    ]


def _statements(act: tuple[Statement, ...] | Call | None) -> tuple[Statement, ...]:
    assert isinstance(act, tuple), "a schema plans no calls"
    return act


def _terminated(statements: Sequence[Statement], dialect: Dialect) -> list[str]:
    return [dialect.terminated(_with_values(statement, dialect)) for statement in statements]


def _with_values(statement: Statement, dialect: Dialect) -> str:
    """Return a statement whose parameters stand in it; those of schema statements are names and texts."""
    parts = statement.sql.split("?")
    if not statement.parameters or len(parts) != len(statement.parameters) + 1:
        return statement.sql
    values = [dialect.string(str(value)) if isinstance(value, str) else str(value) for value in statement.parameters]
    return "".join(part + value for part, value in zip(parts, [*values, ""], strict=True))


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
