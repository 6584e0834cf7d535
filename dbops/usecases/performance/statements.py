"""Statements that programs time, and those that servers count."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from dbops.engines.base.workload import Counted
from dbops.errors import DbopsError, MonitoringError
from dbops.sql.tokens import leading_words
from dbops.state.metrics_folder import history_file
from dbops.state.timings import Timing as Timing  # these two are what faces show
from dbops.state.timings import Timings as Timings
from dbops.usecases.databases.address import parts_of
from dbops.usecases.performance.places import name_of, workspace_of
from dbops.usecases.runtime import engine_named
from dbops.usecases.workload import counted_now

_LIMIT = 200


def timings_in(folder: Path, keep_s: float) -> Timings:
    """Open the timings of a workspace, made where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    return Timings(folder.absolute(), keep_s)


def is_anything_kept(folder: Path) -> bool:
    """Tell whether a workspace has a history; asking makes none."""
    return history_file(folder).exists()


def id_of(text: str) -> str:
    """Return the id of a statement: the same for the same text, whoever times it."""
    return sha256(text.encode()).hexdigest()[:16]


def kind_of(text: str, url: str | None) -> str:
    """Return the first word of a statement in upper case, UNKNOWN where it has none."""
    dialect = engine_named(parts_of(url).engine if url is not None else "sqlite").dialect
    return next(iter(leading_words(text, dialect, 1)), "UNKNOWN")


def counted(folder: Path, database: str, own_url: str | None, least_s: float) -> Sequence[Counted]:
    """Return the statements that the server counts and whose mean is at least `least_s`, the slowest first.

    Nothing where the database cannot be reached by its name, or counts none.

    Raises:
        MonitoringError: it cannot be looked at.
    """
    with workspace_of(folder, database, own_url) as workspace:
        if workspace is None:
            return ()
        try:
            workload = counted_now(workspace, name_of(database), "mean", _LIMIT)
        except DbopsError as error:
            raise MonitoringError(f"{name_of(database)} cannot be looked at: {error.message}") from error
    return [one for one in workload.statements if one.mean_s >= least_s]
