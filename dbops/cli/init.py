"""`dbops init`."""

from __future__ import annotations

from pathlib import Path

import click

from dbops.cli.verb import verb


@verb()
@click.argument("directory", default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
@click.option("--migrations", is_flag=True, help="With versioned migrations in place of a schema.")
def init(directory: Path, migrations: bool) -> None:
    """Make a new environment with commented manifests.

    Nothing that exists is overwritten. The new environment plans cleanly: it describes an empty database.

    \b
    Examples:
      dbops init
      dbops init environments/shop
      dbops init environments/shop --migrations
    """
    from dbops.usecases.scaffold import scaffold

    for file in scaffold(directory, migrations=migrations):
        click.echo(f"wrote {file}")
    if migrations:
        click.echo(f"Now write the first one: dbops migrate new NAME {directory}")
        return
    click.echo(f"Now say what the database should contain, then: dbops plan {directory}")
