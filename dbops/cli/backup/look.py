"""`dbops backup list`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.backup.options import policy_option
from dbops.cli.verb import environment_argument, output_option, verb, write_json
from dbops.usecases.runtime import open_workspace


@verb("list")
@environment_argument
@policy_option
@output_option("text", "json")
def list_(env: Path, name: str | None, output: str) -> int:
    """List the backups with their sizes and whether a restore of them was tested.

    \b
    Examples:
      dbops backup list
      dbops backup list environments/shop -o json
    """
    from dbops.cli.views.backups import listing_json, listing_text
    from dbops.usecases.backup.look import listing

    with open_workspace(env, os.environ) as workspace:
        found = listing(workspace, name)
    if output == "json":
        write_json([listing_json(one) for one in found])
    else:
        click.echo("\n\n".join(listing_text(one) for one in found))
    return 0
