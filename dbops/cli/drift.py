"""`dbops drift`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, environment_argument, output_option, targets_option, verb, write, write_json
from dbops.usecases.drift import DriftReport, Mover
from dbops.usecases.runtime import open_workspace

FORMATS = ("text", "json", "markdown")


@verb()
@environment_argument
@output_option(*FORMATS)
@targets_option
def drift(env: Path, output: str, only: tuple[str, ...]) -> int:
    """Show who moved: the database or the manifests.

    Compares what is live with what was last applied and with the manifests; reads only. Exits with 2 when a database left
    what was last applied: put it back with apply, or write the change into the manifests.

    \b
    Examples:
      dbops drift
      dbops drift environments/production -o json
    """
    from dbops.usecases.drift import drift as look

    with open_workspace(env, os.environ) as workspace:
        report = look(workspace, only=only)
    show(report, output)
    return EXIT_CHANGES if report.has_drift else EXIT_DONE


def show(report: DriftReport, output: str, movers: Sequence[Mover] = ("database", "manifests")) -> None:
    """Write the items of `movers` in one of `FORMATS`."""
    from dbops.cli.views import drift as views

    if output == "json":
        write_json(views.drift_data(report, movers))
    elif output == "markdown":
        write(views.drift_markdown(report, movers))
    else:
        write(views.drift_text(report, movers))
