"""`dbops alerts`: what is wrong now, by the policies of an environment."""

from __future__ import annotations

from collections.abc import Mapping

import click

from dbops.cli.group import DefaultGroup
from dbops.cli.verb import global_flags

COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("check", "Look, and show what fires; this is meant where no command is named."),
    "rules": ("rules", "List the rules, those of packs too; look at nothing."),
    "export": ("rules", "Write the rules for Prometheus, or a dashboard for Grafana."),
}


class Commands(DefaultGroup):
    """What `dbops alerts` can do."""

    package = __name__
    commands_by_name: Mapping[str, tuple[str, str]] = COMMANDS
    default = "check"


@click.group(cls=Commands)
@global_flags
def alerts() -> None:
    """Hold AlertPolicy manifests against what the databases do.

    \b
    Examples:
      dbops alerts environments/shop
      dbops alerts environments/shop --every 1m
      dbops alerts rules environments/shop
      dbops alerts export environments/shop --format prometheus
    """
