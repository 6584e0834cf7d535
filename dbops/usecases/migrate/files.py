"""new and lock: what is written into the folder of a set."""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from dbops.errors import MigrationError
from dbops.resources.migrations import templates
from dbops.resources.migrations.alembic_folders import version_folders
from dbops.resources.migrations.folder import Contents, migrations_of, read_contents, write_text
from dbops.resources.migrations.graph import heads
from dbops.resources.migrations.lock_file import FILE_NAME, check_lock, write_lock
from dbops.resources.migrations.model import DesiredMigrations, Migration
from dbops.usecases.migrate.naming import file_names, form_of, next_version
from dbops.usecases.runtime import timestamp

_ALEMBIC = '''\
"""{title}"""

from alembic import op

revision = "{revision}"
down_revision = {before}
branch_labels = None
depends_on = None


def upgrade():
{up}


def downgrade():
{down}
'''

_ALEMBIC_OF_SEVERAL = (
    _ALEMBIC.replace("def upgrade():\n", "def upgrade_{engine}():\n").replace("def downgrade():\n", "def downgrade_{engine}():\n")
    + """

def upgrade(engine_name):
    globals().get("upgrade_%s" % engine_name, lambda: None)()


def downgrade(engine_name):
    globals().get("downgrade_%s" % engine_name, lambda: None)()
"""
)


def new(desired: DesiredMigrations, name: str, *, python: bool = False) -> list[Path]:
    """Write the next migration, empty, and the lock file; return the files.

    Raises:
        MigrationError: the folder holds what is wrong, the name has no letter, or the format has no Python steps.
    """
    migrations = read_set(desired)
    if python and desired.format != "sql":
        raise MigrationError(
            f"sets of the format {desired.format} have no Python steps of dbops's",
            at=desired.at,
            expected="format: sql" if desired.format == "json" else "dbops migrate new NAME, whose revisions are Python",
        )
    if python:
        version = next_version(migrations, _digits_of_now())
        return _written(desired, {f"{version}_{slug(name)}.py": templates.PYTHON.format(title=name)})
    if desired.format == "json":
        return write_json(desired, migrations, name, templates.JSON.format(title=name), None)
    if desired.format == "alembic":
        return write_alembic(desired, migrations, name, ("pass",), ("pass",))
    is_one_file = form_of(migrations) == "markers"
    return write(desired, migrations, name, templates.SQL.format(title=name) if is_one_file else "", None if is_one_file else "")


def read_set(desired: DesiredMigrations) -> list[Migration]:
    """Return the migrations of the folder; one that is not there yet holds none. Raises as `folder` does."""
    if not desired.directory.exists():
        return []
    contents = read_contents(desired.directory, desired.format)
    check_lock(desired.directory, contents)
    return migrations_of(desired.directory, contents, desired.format, desired.alembic)


def write(
    desired: DesiredMigrations, migrations: Sequence[Migration], name: str, text: str, down: str | None = None
) -> list[Path]:
    """Write one migration, its way back into a file of its own where one is given, and the lock file."""
    up_file, down_file = file_names(next_version(migrations, _digits_of_now()), slug(name), migrations)
    return _written(desired, {up_file: text, **({} if down is None else {down_file: down})})


def _written(desired: DesiredMigrations, texts: Mapping[str, str]) -> list[Path]:
    for file, text in texts.items():
        write_text(desired.directory / file, text)
    return [*(desired.directory / file for file in texts), lock(desired)]


def write_json(
    desired: DesiredMigrations,
    migrations: Sequence[Migration],
    name: str,
    sql: str,
    rollback_sql: str | None,
    *,
    description: str = "",
    is_transactional: bool = True,
    dependencies: Sequence[str] | None = None,
    extras: Mapping[str, str] = MappingProxyType({}),
    locks: bool = True,
) -> list[Path]:
    """Write one migration in the set's JSON form, with `extras` at its end, and the lock file where it `locks`.

    Unless told otherwise it depends on the last one.
    """
    version = f"{next_version(migrations, _digits_of_now())}_{slug(name)}"
    data = {
        "id": version,
        "name": name,
        "description": description,
        "sql": sql,
        "rollback_sql": rollback_sql,
        "dependencies": [one.version for one in migrations[-1:]] if dependencies is None else list(dependencies),
        "created_at": timestamp(),
        **extras,
        **({} if is_transactional else {"transaction": False}),
    }
    path = desired.directory / f"{version}.json"
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    return [path, lock(desired)] if locks else [path]


def write_alembic(
    desired: DesiredMigrations, migrations: Sequence[Migration], name: str, up: Sequence[str], down: Sequence[str]
) -> list[Path]:
    """Write a revision behind the heads of the script directory; `up` and `down` are lines of Python."""
    before = tuple(sorted(migration.version for migration in heads(migrations)))
    revision = secrets.token_hex(6)
    text = (_ALEMBIC if desired.alembic.engine_name is None else _ALEMBIC_OF_SEVERAL).format(
        engine=desired.alembic.engine_name,
        title=name.replace('"""', "'"),
        revision=revision,
        before=repr(before[0] if len(before) == 1 else before or None),
        up="\n".join(f"    {line}" if line else "" for line in up),
        down="\n".join(f"    {line}" if line else "" for line in down),
    )
    folder = version_folders(desired.directory)[0]
    path = folder / f"{revision}_{slug(name)}.py"
    write_text(path, text)
    return [path, lock(desired)]


def lock(desired: DesiredMigrations) -> Path:
    """Write the lock file of the folder, once its migrations are found to be in order; return it."""
    contents = read_contents(desired.directory, desired.format)
    migrations_of(desired.directory, contents, desired.format, desired.alembic)
    return write_lock(desired.directory, contents)


def is_locked(desired: DesiredMigrations, contents: Sequence[Contents]) -> bool:
    """Tell whether the folder has a lock file that says what it holds."""
    return (desired.directory / FILE_NAME).exists() and check_lock(desired.directory, contents)


def _digits_of_now() -> str:
    return re.sub(r"\D", "", timestamp())


def slug(name: str) -> str:
    """Return a name for a file: small letters without accents, digits and underscores.

    Raises:
        MigrationError: nothing is left of it.
    """
    letters = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    text = re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", letters).lower()).strip("_")
    if not text:
        raise MigrationError(f"{name!r} is no name for a migration", expected="letters or digits")
    return text[:100]
