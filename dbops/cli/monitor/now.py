"""`dbops monitor now`."""

from __future__ import annotations

import os
import time
from pathlib import Path

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


def _address(text: str) -> tuple[str, int]:
    """Split `HOST:PORT`, `:PORT` and `[::1]:PORT`; without a host all addresses of this machine are meant; port 0 is any free."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f"{text!r} is no address; expected [HOST]:PORT, such as :9187 or 127.0.0.1:9187")
    return host.strip("[]") or "0.0.0.0", int(port)


@verb()
@environment_argument
@click.option("--connection", "only", multiple=True, metavar="NAME", help="Only this connection. May be repeated.")
@click.option(
    "--objects", type=click.IntRange(0), default=50, show_default=True, help="Of tables, indexes and sequences, how many."
)
@click.option("--every", metavar="DURATION", help="Look again and again, until interrupted.")
@click.option("--count", type=click.IntRange(1), help="With --every: so many times.")
@click.option(
    "--serve", metavar="[HOST]:PORT", help="Answer at /metrics, in Prometheus's and OpenMetrics' words; looks when asked."
)
@store_option
@output_option("text", "json", "openmetrics")
def now(
    env: Path,
    only: tuple[str, ...],
    objects: int,
    every: str | None,
    count: int | None,
    serve: str | None,
    store: str | None,
    output: str,
) -> int:
    """Look at the databases and keep what was seen.

    Exits with 1 when a database could not be looked at.

    \b
    Examples:
      dbops monitor environments/shop
      dbops monitor environments/shop --every 15s -o json
      dbops monitor environments/shop --serve 127.0.0.1:9187
    """
    from dbops.cli.views import monitor as views
    from dbops.usecases import monitor

    if count is not None and every is None:
        raise click.UsageError("--count needs --every")
    pause_s = duration(every) if every is not None else 0.0
    with open_workspace(env, os.environ) as workspace, monitor.metrics_store(workspace, store) as kept:

        def look() -> list[monitor.Reading]:
            return monitor.read(workspace, kept, only=only, objects=objects)

        if serve is not None:
            from dbops.usecases.exposition import serve as answer

            host, port = _address(serve)
            answer(look, host, port, lambda where: click.echo(f"answering at {where}, until interrupted", err=True))
            return EXIT_DONE
        done, failed = 0, False
        while True:
            began = time.monotonic()
            readings = look()
            done += 1
            failed = any(one.error for one in readings)
            if output == "json":
                write_json([views.reading_data(one) for one in readings])
            elif output == "openmetrics":
                from dbops.usecases.exposition import exposition

                write(exposition(readings))
            else:
                click.echo(views.readings_text(readings))
            if every is None or done == count:
                return EXIT_ERROR if failed else EXIT_DONE
            time.sleep(max(0.0, pause_s - (time.monotonic() - began)))
