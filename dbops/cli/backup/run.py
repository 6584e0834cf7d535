"""`dbops backup run`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.backup.options import policy_option, teller
from dbops.cli.verb import environment_argument, output_option, verb, write_json
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@policy_option
@click.option("--type", "kind", type=click.Choice(["full", "incremental", "differential", "log"]), help="Which kind to make.")
@output_option("text", "json")
def run(env: Path, name: str | None, kind: str | None, output: str) -> int:
    """Make a backup now: the first kind of the policy's schedule, or the one of `--type`.

    \b
    Examples:
      dbops backup run
      dbops backup run environments/shop --type incremental
    """
    from dbops.cli.views.backups import made_json, made_text
    from dbops.usecases.backup.run import run as make

    with open_workspace(env, os.environ) as workspace:
        made = [manifest for _, manifest in make(workspace, kind, name, teller())]
    if output == "json":
        write_json(made_json(made))
    else:
        click.echo(made_text(made))
    return 0
