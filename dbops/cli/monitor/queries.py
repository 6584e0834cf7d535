"""`dbops monitor queries`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from dbops.cli.verb import EXIT_DONE, EXIT_ERROR, environment_argument, output_option, verb, write_json
from dbops.usecases.runtime import open_workspace

if TYPE_CHECKING:
    from dbops.usecases.workload import Order

_ORDERS = ("total", "mean", "calls", "rows", "reads")


@verb()
@environment_argument
@click.option("--connection", "only", multiple=True, metavar="NAME", help="Only this connection. May be repeated.")
@click.option("--by", type=click.Choice(_ORDERS), default="total", show_default=True, help="What makes a statement costly.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many statements of each database.")
@output_option("text", "json")
def queries(env: Path, only: tuple[str, ...], by: str, limit: int, output: str) -> int:
    """Show the statements that cost most, as the servers count them.

    PostgreSQL needs pg_stat_statements, MySQL and MariaDB performance_schema; what is missing is said.

    \b
    Examples:
      dbops monitor queries environments/shop
      dbops monitor queries environments/shop --by mean --limit 5 -o json
    """
    from dbops.cli.views import workload as views
    from dbops.usecases.workload import costliest

    with open_workspace(env, os.environ) as workspace:
        found = costliest(workspace, only=only, by=cast("Order", by), limit=limit)
    if output == "json":
        write_json([asdict(one) for one in found])
    else:
        click.echo(views.asked_text(found))
    return EXIT_ERROR if any(one.error for one in found) else EXIT_DONE
