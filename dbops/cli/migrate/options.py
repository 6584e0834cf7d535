"""The options that commands of `dbops migrate` share."""

from __future__ import annotations

import click

from dbops.cli.verb import F


def set_option(function: F) -> F:
    """Add `--set`, passed as `name`."""
    return click.option(
        "--set", "name", metavar="NAME", help="The MigrationSet that is meant, where an environment has several."
    )(function)
