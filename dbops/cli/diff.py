"""`dbops diff`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import click

from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, environment_argument, output_option, verb, write, write_json
from dbops.usecases.runtime import ENGINES, looks_like_url, open_workspace


@verb()
@click.argument("a")
@click.argument("b")
@environment_argument
@click.option("--engine", type=click.Choice(tuple(ENGINES)), help="The dialect of SQL, when neither side is a database.")
@click.option("--exit-code", "--detailed-exitcode", is_flag=True, help="Exit with 2 when they differ.")
@output_option("text", "sql", "json", "markdown", "html")
def diff(a: str, b: str, env: Path, engine: str | None, exit_code: bool, output: str) -> int:
    """Show the SQL that turns one schema into another.

    A and B may each be a URL; a connection of ENV, or of another environment as FOLDER:CONNECTION; an environment, for the
    schema that it desires (FOLDER:schema/NAME where it has several); a backup, as backup:ID or backup:latest of ENV, or
    FOLDER:backup/ID, which is restored into a throwaway database; an SQL file or a folder of them; portable tables; a saved
    plan, for the schema that it leads to; or a saved inspection (dbops inspect -o json).

    \b
    Examples:
      dbops diff staging production
      dbops diff sqlite:///a.db sqlite:///b.db -o sql
      dbops diff environments/production:shop schema/
      dbops diff backup:latest shop
      dbops diff before.json plan.json --exit-code
      dbops diff old.sql new.sql --engine postgresql
    """
    from dbops.cli.views import tree
    from dbops.usecases.compare import compare

    with nullcontext() if all(_stands_alone(side) for side in (a, b)) else open_workspace(env, os.environ) as workspace:
        found = compare(a, b, workspace, engine=engine)
    if output == "json":
        write_json(tree.comparison_data(found))
    elif output == "sql":
        write(tree.comparison_sql(found))
    elif output == "markdown":
        from dbops.cli.views.markdown import comparison_markdown

        write(comparison_markdown(found))
    elif output == "html":
        from dbops.cli.views.html.comparison import comparison_html

        write(comparison_html(found))
    else:
        click.echo(tree.comparison_text(found))
    return EXIT_CHANGES if exit_code and found.changes else EXIT_DONE


def _stands_alone(side: str) -> bool:
    """Tell whether a side means the same in every environment."""
    if side.startswith("backup:"):
        return False
    return looks_like_url(side) or Path(side).exists() or (":" in side and Path(side.rpartition(":")[0]).exists())
