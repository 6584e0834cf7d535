"""`dbops status`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.verb import EXIT_DONE, EXIT_ERROR, environment_argument, output_option, verb, write_json
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@output_option("text", "json")
def status(env: Path, output: str) -> int:
    """Show every connection at a glance.

    Exits with 1 when a database cannot be reached or compared.

    \b
    Examples:
      dbops status
      dbops status environments/production -o json
    """
    from dbops.cli.views import journal as views
    from dbops.usecases.status import status as look

    with open_workspace(env, os.environ) as workspace:
        found = look(workspace)
    if output == "json":
        write_json([views.status_data(one) for one in found])
    else:
        click.echo(views.status_text(found))
    return EXIT_ERROR if any(one.error for one in found) else EXIT_DONE
