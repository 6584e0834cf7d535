"""`dbops backup`: backups that are known to restore."""

from __future__ import annotations

from collections.abc import Mapping

import click

from dbops.cli.group import LazyGroup
from dbops.cli.verb import global_flags

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "Make a backup, or do what is due."),
    "list": ("look", "List the backups, and when the promise would break."),
    "show": ("look", "Show one backup."),
    "verify": ("verify", "Prove that backups restore."),
    "restore": ("restore", "Bring a database back."),
    "prune": ("prune", "Delete what retention lets go."),
    "delete": ("prune", "Delete one backup."),
    "hold": ("prune", "Keep a backup from being deleted."),
    "release": ("prune", "Take a hold back."),
}


class Commands(LazyGroup):
    """What `dbops backup` can do."""

    package = __name__
    commands_by_name: Mapping[str, tuple[str, str]] = COMMANDS


@click.group(cls=Commands)
@global_flags
def backup() -> None:
    """Make, prove and restore backups.

    A BackupPolicy says where they go, when they are made and how long they are kept.

    \b
    Examples:
      dbops backup run environments/shop
      dbops backup list environments/shop
      dbops backup restore latest environments/shop --to sqlite:///restored.db
    """
