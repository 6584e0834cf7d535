"""`dbops doctor`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, EXIT_ERROR, environment_argument, output_option, verb, write, write_json
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@click.option("--connection", "only", multiple=True, metavar="NAME", help="Only this connection. May be repeated.")
@click.option("--grants", is_flag=True, help="Write the missing GRANT statements alone, for an administrator to run.")
@output_option("text", "json")
def doctor(env: Path, only: tuple[str, ...], grants: bool, output: str) -> int:
    """Say what the accounts cannot see of their databases, and what would show it.

    Asks every rule of advice and every metric, reads only, and exits with 2 when something is hidden. What settings or extensions
    are missing is told without --grants.

    \b
    Examples:
      dbops doctor environments/shop
      dbops doctor environments/shop --grants > grants.sql
    """
    from dbops.cli.views import doctor as views
    from dbops.usecases.doctor import examine

    if grants and output == "json":
        raise click.UsageError("-o json has the grants already; leave out --grants.")
    with open_workspace(env, os.environ) as workspace:
        found = examine(workspace, only=only)
    if output == "json":
        write_json([views.examined_data(one) for one in found])
    else:
        write(views.grants_sql(found) if grants else views.examined_text(found))
    if any(one.error for one in found):
        return EXIT_ERROR
    return EXIT_CHANGES if any(one.grants if grants else one.blind for one in found) else EXIT_DONE
