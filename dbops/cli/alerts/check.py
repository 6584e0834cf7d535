"""`dbops alerts check`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from dbops.cli.verb import (
    EXIT_CHANGES,
    EXIT_DONE,
    EXIT_ERROR,
    duration,
    environment_argument,
    output_option,
    store_option,
    verb,
    write_json,
)
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@click.option("--connection", "only", multiple=True, metavar="NAME", help="Only this connection. May be repeated.")
@click.option("--watch", is_flag=True, help="Look again and again, every minute unless --every says otherwise.")
@click.option("--every", metavar="DURATION", help="Look again and again, until interrupted.")
@click.option("--count", type=click.IntRange(1), help="With --watch or --every: so many times.")
@click.option("--no-notify", "notify", flag_value=False, default=True, help="Tell nobody but who runs this.")
@store_option
@output_option("text", "json")
def check(
    env: Path,
    only: tuple[str, ...],
    watch: bool,
    every: str | None,
    count: int | None,
    notify: bool,
    store: str | None,
    output: str,
) -> int:
    """Look at the databases, and show and tell what fires.

    Exits with 2 while something fires, with 1 when somebody could not be told. What fires is remembered, so runs from cron
    know since when, and tell once.

    \b
    Examples:
      dbops alerts environments/shop
      dbops alerts environments/shop --watch --every 30s
      dbops alerts environments/shop --no-notify -o json
    """
    from dbops.cli.views import alerts as views
    from dbops.usecases import alerts, monitor

    repeats = watch or every is not None
    if count is not None and not repeats:
        raise click.UsageError("--count needs --watch or --every")
    pause_s = duration(every) if every is not None else 60.0
    done = 0
    with open_workspace(env, os.environ) as workspace, monitor.metrics_store(workspace, store) as kept:
        while True:
            began = time.monotonic()
            found = alerts.check(workspace, kept, only=only, notify=notify)
            done += 1
            if output == "json":
                write_json([views.policy_data(one) for one in found])
            else:
                click.echo(views.policies_text(found))
            for one in found:
                for failure in one.failures:
                    click.echo(f"not told: {failure}", err=True)
            if not repeats or done == count:
                break
            time.sleep(max(0.0, pause_s - (time.monotonic() - began)))
    if any(one.firing for one in found):
        return EXIT_CHANGES
    return EXIT_ERROR if any(one.failures for one in found) else EXIT_DONE
