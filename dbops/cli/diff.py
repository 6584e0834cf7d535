"""`dbops diff`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import click

from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, environment_argument, output_option, verb, write, write_json
from dbops.usecases.runtime import looks_like_url, open_workspace


@verb()
@click.argument("a")
@click.argument("b")
@environment_argument
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when they differ.")
@output_option("text", "sql", "json")
def diff(a: str, b: str, env: Path, detailed_exitcode: bool, output: str) -> int:
    """Show the SQL that turns one schema into another.

    A and B are URLs, connections of the environment, or SQL files and folders; one of them is a database.

    \b
    Examples:
      dbops diff staging production
      dbops diff sqlite:///a.db sqlite:///b.db -o sql
      dbops diff shop schema/
    """
    from dbops.cli.views import tree
    from dbops.usecases.compare import compare

    needs_none = all(looks_like_url(side) or Path(side).exists() for side in (a, b))
    with nullcontext() if needs_none else open_workspace(env, os.environ) as workspace:
        found = compare(a, b, workspace)
    if output == "json":
        write_json(tree.comparison_data(found))
    elif output == "sql":
        write(tree.comparison_sql(found))
    else:
        click.echo(tree.comparison_text(found))
    return EXIT_CHANGES if detailed_exitcode and found.changes else EXIT_DONE
