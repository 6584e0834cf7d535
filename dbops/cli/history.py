"""`dbops history`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.verb import environment_argument, output_option, verb, write_json
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many applies to list.")
@output_option("text", "json")
def history(env: Path, limit: int, output: str) -> None:
    """List what was applied, when and by whom.

    The newest comes first; an apply on several databases has a line for each. Databases that cannot be reached are left
    out, and named.

    \b
    Examples:
      dbops history
      dbops history environments/production --limit 5
    """
    from dbops.cli.views import journal as views
    from dbops.usecases.history import history as look

    with open_workspace(env, os.environ) as workspace:
        found = look(workspace, limit=limit, told=lambda text: click.echo(text, err=True))
    if output == "json":
        write_json([views.record_data(one) for one in found])
    else:
        click.echo(views.history_text(found))
