"""`dbops inspect`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import click

from dbops.cli.verb import environment_argument, output_option, verb, write, write_json
from dbops.usecases.runtime import looks_like_url, open_workspace


@verb()
@click.argument("what", metavar="CONN|URL")
@environment_argument
@output_option("text", "json", "sql")
def inspect(what: str, env: Path, output: str) -> None:
    """Show what a database contains.

    CONN is the name of a connection of the environment. As sql it is a script that builds the schema in an empty database.

    \b
    Examples:
      dbops inspect shop
      dbops inspect postgresql://me@localhost/shop -o sql > schema.sql
    """
    from dbops.usecases import inspect as usecase
    from dbops.usecases.outline import outline, to_dict

    with nullcontext() if looks_like_url(what) else open_workspace(env, os.environ) as workspace:
        inspection = usecase.inspect(what, workspace)
    if output == "json":
        write_json(to_dict(inspection))
    elif output == "sql":
        write(usecase.to_sql(inspection))
    else:
        from dbops.cli.views.tree import inspection_text

        click.echo(inspection_text(inspection, outline(inspection.catalog)))
