"""What Python steps send to a database: heard while they run on a scratch, behind all that comes before them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import FrameType

from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError
from dbops.resources.migrations.model import Migration
from dbops.resources.migrations.replay import from_nothing, run_on_scratch
from dbops.resources.migrations.visible import Lines
from dbops.sql.dialect import Dialect


def heard_on_scratch(
    migrations: Sequence[Migration], versions: Collection[str], engine: Engine, target: Target
) -> Mapping[str, Lines]:
    """Run migrations from nothing up to the last of `versions`; return what these sent, by version, each by its line.

    Where one does not run on a scratch, or a scratch cannot be had, it is what was heard until then.
    """
    found: dict[str, Lines] = {version: {} for version in versions}
    coming = from_nothing(migrations)
    last = max((place for place, one in enumerate(coming) if one.version in found), default=-1)
    try:
        with engine.scratch(target) as conn:
            for migration in coming[: last + 1]:
                lines = found.get(migration.version, {})
                run_on_scratch(migration, "up", engine, conn, partial(_hear, lines, migration.at.file, engine.dialect))
    except DbopsError:
        pass  # the run itself will say what is wrong
    return found


def _hear(lines: Lines, file: str, dialect: Dialect, sql: str) -> None:
    """Write down a statement at the line of the file that had it sent."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != file:
        frame = frame.f_back
    sent = dialect.terminated(sql.strip())
    told = lines.setdefault(frame.f_lineno if frame is not None else 1, [])
    if sent not in told:
        told.append(sent)
