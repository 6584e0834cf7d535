"""`dbops monitor history` and `figures`."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path

import click

from dbops.cli.verb import EXIT_DONE, duration, environment_argument, output_option, store_option, verb, write_json
from dbops.usecases.runtime import open_workspace


@verb()
@click.argument("figure")
@environment_argument
@click.option("--connection", "only", multiple=True, metavar="NAME", help="Only this connection. May be repeated.")
@click.option("--since", default="1d", show_default=True, metavar="DURATION", help="How far back.")
@store_option
@output_option("text", "json")
def history(figure: str, env: Path, only: tuple[str, ...], since: str, store: str | None, output: str) -> int:
    """Show how a figure went on.

    \b
    Examples:
      dbops monitor history cache_hit_ratio environments/shop --since 7d
      dbops monitor history table_size_bytes environments/shop -o json
    """
    from dbops.cli.views import monitor as views
    from dbops.usecases import monitor

    with open_workspace(env, os.environ) as workspace, monitor.metrics_store(workspace, store) as kept:
        found = monitor.history(workspace, kept, figure, only=only, since_s=duration(since), now=time.time())
    if output == "json":
        write_json([views.history_data(one) for one in found])
    else:
        click.echo(views.histories_text(found) if found else f"Nothing was seen of {figure} since then; dbops monitor looks.")
    return EXIT_DONE


@verb()
@output_option("text", "json")
def figures(output: str) -> int:
    """List every figure, its unit and meaning, and the engines that have it.

    \b
    Examples:
      dbops monitor figures
      dbops monitor figures -o json
    """
    from dbops.cli.views import monitor as views
    from dbops.usecases.monitor import all_figures

    found = all_figures()
    if output == "json":
        write_json([asdict(one) for one in found])
    else:
        click.echo(views.figures_text(found))
    return EXIT_DONE
