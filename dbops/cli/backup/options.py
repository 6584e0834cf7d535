"""What the commands of `dbops backup` share."""

from __future__ import annotations

from collections.abc import Callable

import click

from dbops.cli.verb import F


def policy_option(function: F) -> F:
    """Add `--policy`, passed as `name`."""
    return click.option(
        "--policy", "name", metavar="NAME", help="The BackupPolicy that is meant, where an environment has several."
    )(function)


def backup_argument(function: F) -> F:
    """Add BACKUP: an id, its beginning, or latest; passed as `word`."""
    return click.argument("word", metavar="BACKUP")(function)


def teller() -> Callable[[str], None]:
    """Return what tells on stderr what is being done."""
    from dbops.cli.views.wording import on_one_line

    return lambda text: click.echo(f"  {on_one_line(text)}", err=True)
