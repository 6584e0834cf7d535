"""`dbops monitor`: what databases are doing, now and before."""

from __future__ import annotations

from collections.abc import Mapping

import click

from dbops.cli.group import DefaultGroup
from dbops.cli.verb import global_flags

COMMANDS: dict[str, tuple[str, str]] = {
    "now": (
        "now",
        "Look at the databases, once, again and again, or when asked by HTTP; this is meant where no command is named.",
    ),
    "queries": ("queries", "Show the statements that cost most."),
    "history": ("history", "Show how a figure went on."),
    "figures": ("history", "List every figure, its unit and meaning."),
}


class Commands(DefaultGroup):
    """What `dbops monitor` can do."""

    package = __name__
    commands_by_name: Mapping[str, tuple[str, str]] = COMMANDS
    default = "now"


@click.group(cls=Commands)
@global_flags
def monitor() -> None:
    """See what databases are doing, now and before.

    What was seen is kept in .dbops/metrics.db of the environment, so that counters become rates.

    \b
    Examples:
      dbops monitor environments/shop
      dbops monitor environments/shop --every 15s
      dbops monitor environments/shop --serve 127.0.0.1:9187
      dbops monitor queries environments/shop --by mean
      dbops monitor history cache_hit_ratio environments/shop --since 1d
    """
