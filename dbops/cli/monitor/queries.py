"""`dbops monitor queries`."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from dbops.cli.verb import (
    EXIT_DONE,
    EXIT_ERROR,
    duration,
    environment_argument,
    output_option,
    store_option,
    verb,
    write,
    write_json,
)
from dbops.usecases.runtime import open_workspace

if TYPE_CHECKING:
    from dbops.usecases.workload import Order

_ORDERS = ("total", "mean", "p95", "calls", "rows", "reads", "io")


@verb()
@environment_argument
@click.option("--connection", "only", multiple=True, metavar="NAME", help="Only this connection. May be repeated.")
@click.option("--by", type=click.Choice(_ORDERS), default="total", show_default=True, help="What makes a statement costly.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many statements of each database.")
@click.option(
    "--since", metavar="DURATION", help="Of the history, what they cost in this time; else all that the servers counted."
)
@click.option("--plans", is_flag=True, help="Show how the costliest would be carried out; nothing is run.")
@store_option
@output_option("text", "json", "html")
def queries(
    env: Path,
    only: tuple[str, ...],
    by: str,
    limit: int,
    since: str | None,
    plans: bool,
    store: str | None,
    output: str,
) -> int:
    """Show the statements that cost most, as the servers count them, and those that became slower.

    What was counted is kept, as every look of `dbops monitor` does each five minutes. A statement became slower when it was
    called often enough before and now, and its mean is well above what it was in the week before. PostgreSQL needs
    pg_stat_statements, MySQL and MariaDB performance_schema; what is missing is said.

    \b
    Examples:
      dbops monitor queries environments/shop
      dbops monitor queries environments/shop --since 1d --by mean --limit 5 --plans
      dbops monitor queries environments/shop --since 7d --plans -o html > queries.html
    """
    from dbops.cli.views import workload as views
    from dbops.usecases import workload
    from dbops.usecases.monitor import metrics_store

    since_s = duration(since) if since is not None else None
    wish = workload.Wish(cast("Order", by), limit, since_s, plans)
    now = time.time()
    with open_workspace(env, os.environ) as workspace, metrics_store(workspace, store) as kept:
        found = workload.costliest(workspace, kept, wish, only=only, now=now)
        if output == "json":
            write_json([asdict(one) for one in found])
        elif output == "html":
            from dbops.cli.views.html.workload import workload_html
            from dbops.usecases.handbook import marked

            name, engine = workspace.environment.root.name, workspace.targets.engine
            write(workload_html(name, found, now, lambda on, sql: marked(sql, engine(on).dialect)))
        else:
            click.echo(views.asked_text(found))
    return EXIT_ERROR if any(one.error for one in found) else EXIT_DONE
