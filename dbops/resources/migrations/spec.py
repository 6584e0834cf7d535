"""The spec of kind MigrationSet: where the files are, how they are written, and how strictly their order is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dbops.manifests.hazard_code import HazardCode
from dbops.manifests.spec import Bound, Form, Names, Spec, Text

TableName = Annotated[str, Form(r"dbops_[a-z0-9_]{1,40}", "a name that begins with dbops_, in small letters")]


class Hooks(Spec):
    """SQL files that run around migrations, relative to the folder of the manifest's environment."""

    before: Names | None = None
    """Run once before the first pending migration of an apply."""
    after: Names | None = None
    """Run once behind the last."""
    each: Names | None = None
    """Run behind every migration, in its transaction where it has one."""


class MigrationPolicySpec(Spec):
    """How far migrations may go."""

    allow: tuple[HazardCode, ...] = ()
    """Hazards that pass without being asked; a remark in the file, `-- dbops:allow CODE reason`, lets one statement pass."""


class RolloutSpec(Spec):
    """How a set goes over many databases."""

    max_failures: Annotated[int, Field(ge=0)] = 0
    """How many databases may fail while the others go on; one more, and those not begun are left for the next run."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 1
    """How many databases are worked on at a time."""


class AlembicSpec(Spec):
    """How an Alembic script directory is run."""

    env: Literal["run", "skip"] = "skip"
    """Whether its env.py is run, with the session as `config.attributes["connection"]`, which it must use."""
    version_table: Text | None = None
    """The table in which Alembic keeps its versions, where env.py does not say it in plain text."""
    version_table_schema: Text | None = None
    """The schema of that table."""
    engine_name: Text | None = None
    """Which database of several this is, for revisions of Alembic's template multidb: upgrade("engine1") is run."""


class MigrationSetSpec(Bound):
    """Versioned migrations: files that run once each, in order, and are remembered in a ledger inside the database."""

    directory: Text
    """The folder of the migrations, relative to the folder of the manifest's environment."""
    format: Literal["sql", "json", "alembic"] = "sql"
    """How they are written: `sql` also takes Python steps; `alembic` is an Alembic script directory, run by Alembic."""
    table: TableName = "dbops_migrations"
    """The table of the ledger; on PostgreSQL it stands in the schema dbops, without the prefix."""
    out_of_order: Annotated[Literal["if-independent"] | bool, Field(union_mode="left_to_right")] = False
    """Whether a migration may run that comes before one already applied: `if-independent` when they touch other tables."""
    baseline: Text | None = None
    """On a database that has objects and no ledger, migrations up to this version count as applied."""
    drift: Literal["warn", "refuse", "adopt"] = "warn"
    """What changed in the database since the last apply and no migration did: named, refused, or taken as it is."""
    alembic: AlembicSpec = AlembicSpec.model_construct()
    rollout: RolloutSpec = RolloutSpec.model_construct()
    policy: MigrationPolicySpec = MigrationPolicySpec.model_construct()
    hooks: Hooks | None = None
