"""`dbops drift`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, environment_argument, output_option, targets_option, verb, write, write_json
from dbops.usecases.drift import DriftReport, Mover
from dbops.usecases.runtime import open_workspace

FORMATS = ("text", "json", "markdown")


@verb()
@environment_argument
@output_option(*FORMATS)
@targets_option
@click.option(
    "--accept",
    multiple=True,
    metavar="ADDR",
    help="Write the live state at this address into the manifests; `all` is all that left the last apply. May be repeated.",
)
@click.option("--dry-run", is_flag=True, help="With --accept: show the edits, write nothing.")
def drift(env: Path, output: str, only: tuple[str, ...], accept: tuple[str, ...], dry_run: bool) -> int:
    """Show who moved: the database or the manifests.

    Compares what is live with what was last applied and with the manifests; reads only. Exits with 2 when a database left
    what was last applied: put it back with apply, or write the change into the manifests with --accept. Sources in SQL and
    portable tables are edited in place, comments kept, after the engine has proved the edit.

    \b
    Examples:
      dbops drift
      dbops drift environments/production -o json
      dbops drift --accept schema/shop/table/users/column/nickname --dry-run
    """
    if dry_run and not accept:
        raise click.UsageError("--dry-run goes with --accept.")
    if accept:
        return accepted(env, output, accept, dry_run=dry_run)
    from dbops.usecases.drift import drift as look

    with open_workspace(env, os.environ) as workspace:
        report = look(workspace, only=only)
    show(report, output)
    return EXIT_CHANGES if report.has_drift else EXIT_DONE


def accepted(env: Path, output: str, addresses: Sequence[str], *, dry_run: bool) -> int:
    """Accept, and write what was edited in one of `FORMATS`."""
    from dbops.cli.views import accept as views
    from dbops.usecases.accept import accept

    with open_workspace(env, os.environ) as workspace:
        report = accept(workspace, addresses, dry_run=dry_run)
    if output == "json":
        write_json(views.accept_data(report, Path.cwd()))
    else:
        write(views.accept_markdown(report, Path.cwd()) if output == "markdown" else views.accept_text(report, Path.cwd()))
    return EXIT_DONE


def show(report: DriftReport, output: str, movers: Sequence[Mover] = ("database", "manifests")) -> None:
    """Write the items of `movers` in one of `FORMATS`."""
    from dbops.cli.views import drift as views

    if output == "json":
        write_json(views.drift_data(report, movers))
    elif output == "markdown":
        write(views.drift_markdown(report, movers))
    else:
        write(views.drift_text(report, movers))
