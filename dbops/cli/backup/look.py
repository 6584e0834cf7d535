"""`dbops backup list`, `show`."""

from __future__ import annotations

from pathlib import Path

import click

from dbops.cli.backup.options import Where, backup_argument, place_options, policy_option
from dbops.cli.verb import environment_argument, output_option, verb, write_json


@verb("list")
@environment_argument
@policy_option
@place_options
@output_option("text", "json")
def list_(env: Path, name: str | None, where: Where, output: str) -> int:
    """List the backups: sizes, growth, whether a restore was tested and how long it took, and when the promise would break.

    No database is asked; with `--storage` no key is needed.

    \b
    Examples:
      dbops backup list
      dbops backup list environments/shop -o json
    """
    from dbops.cli.views.backups import listing_json, listing_text
    from dbops.usecases.backup.look import listing

    with where.opened(env) as place:
        found = listing(place, name)
    if output == "json":
        write_json([listing_json(one) for one in found])
    else:
        click.echo("\n\n".join(listing_text(one) for one in found))
    return 0


@verb()
@backup_argument
@environment_argument
@policy_option
@place_options
@output_option("text", "json")
def show(word: str, env: Path, name: str | None, where: Where, output: str) -> int:
    """Show one backup: its chain, what depends on it, positions, tools, streams, evidence.

    \b
    Examples:
      dbops backup show latest
      dbops backup show 20260131T030000Z-full environments/shop
    """
    from dbops.cli.views.backups import shown_json, shown_text
    from dbops.usecases.backup.look import show as look

    with where.opened(env) as place:
        found = look(place, word, name)
    if output == "json":
        write_json(shown_json(found))
    else:
        click.echo(shown_text(found))
    return 0
