"""`dbops monitor`: what databases are doing, now and before."""

from __future__ import annotations

import click

from dbops.cli.group import LazyGroup
from dbops.cli.verb import global_flags

COMMANDS: dict[str, tuple[str, str]] = {
    "now": (
        "now",
        "Look at the databases, once, again and again, or when asked by HTTP; this is meant where no command is named.",
    ),
    "history": ("history", "Show how a figure went on."),
    "figures": ("history", "List every figure, its unit and meaning."),
}


class Commands(LazyGroup):
    """What `dbops monitor` can do; what is none of its commands is for `now`."""

    package = __name__
    commands_by_name = COMMANDS

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in COMMANDS and args[0] not in ("-h", "--help")):
            args = ["now", *args]
        return super().parse_args(ctx, args)


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
      dbops monitor history cache_hit_ratio environments/shop --since 1d
    """
