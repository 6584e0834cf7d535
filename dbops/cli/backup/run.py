"""`dbops backup run`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.backup.options import policy_option, teller
from dbops.cli.verb import EXIT_DONE, EXIT_ERROR, environment_argument, output_option, verb, write_json
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@policy_option
@click.option("--type", "kind", type=click.Choice(["full", "incremental", "differential", "log"]), help="Which kind to make.")
@click.option("--due", is_flag=True, help="Do what is due: backups, the proof of the newest, pruning. For cron and timers.")
@output_option("text", "json")
def run(env: Path, name: str | None, kind: str | None, due: bool, output: str) -> int:
    """Make a backup now: the first kind of the policy's schedule, or the one of `--type`.

    With `--due` only what the schedule and the promises ask for is done, and nothing where another run is at work.

    \b
    Examples:
      dbops backup run
      dbops backup run environments/shop --type incremental
      dbops backup run environments/shop --due
    """
    from dbops.cli.views.backups import done_json, done_text
    from dbops.usecases.backup.run import run as make
    from dbops.usecases.backup.run import run_due

    if due and kind:
        raise click.UsageError("--due and --type are given together; expected one of them")
    with open_workspace(env, os.environ) as workspace:
        done = run_due(workspace, name, teller()) if due else make(workspace, kind, name, teller())
    if output == "json":
        write_json([done_json(one) for one in done])
    else:
        click.echo("\n".join(done_text(one) for one in done))
    return EXIT_ERROR if any(one.error for one in done) else EXIT_DONE
