"""`dbops migrate`: versioned migrations by themselves."""

from __future__ import annotations

from collections.abc import Mapping

import click

from dbops.cli.group import LazyGroup
from dbops.cli.verb import global_flags

COMMANDS: dict[str, tuple[str, str]] = {
    "new": ("write", "Write the next migration, empty."),
    "generate": ("write", "Write the migration that takes the migrations to the Schema."),
    "lock": ("write", "Write migrations.lock anew, after a review."),
    "status": ("look", "Show how each migration stands: who, when, how long."),
    "verify": ("look", "Prove the migrations on a scratch database: from nothing, there and back."),
    "lint": ("look", "Check the files of a set against hazard and style rules."),
    "up": ("run", "Run what is pending, in order."),
    "down": ("run", "Take the last migration back."),
    "adopt": ("adopt", "Take over what another runner applied."),
    "redo": ("run", "Take the last migration back and run it again."),
    "baseline": ("record", "Let migrations count as applied on a database that has their objects."),
    "resolve": ("record", "Say how a migration stands that was mended by hand."),
    "squash": ("write", "Write one checkpoint in place of the first migrations, proved equal."),
}


class Commands(LazyGroup):
    """What `dbops migrate` can do."""

    package = __name__
    commands_by_name: Mapping[str, tuple[str, str]] = COMMANDS


@click.group(cls=Commands)
@global_flags
def migrate() -> None:
    """Run and write versioned migrations.

    Each file runs once, in order, and is remembered in a ledger inside the database.

    \b
    Examples:
      dbops migrate new "add orders" environments/shop
      dbops migrate status environments/shop
      dbops migrate up environments/shop
    """
