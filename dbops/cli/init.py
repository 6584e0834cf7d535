"""`dbops init`."""

from __future__ import annotations

from pathlib import Path

import click

from dbops.cli.verb import verb


@verb()
@click.argument("directory", default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
def init(directory: Path) -> None:
    """Make a new environment with commented manifests.

    Nothing that exists is overwritten. The new environment plans cleanly: it describes an empty database.

    \b
    Examples:
      dbops init
      dbops init environments/shop
    """
    from dbops.usecases.scaffold import scaffold

    for file in scaffold(directory):
        click.echo(f"wrote {file}")
    click.echo(f"Now say what the database should contain, then: dbops plan {directory}")
