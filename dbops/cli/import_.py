"""`dbops import`."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from dbops.cli.verb import verb
from dbops.cli.views import wording
from dbops.cli.views.text import observations_text
from dbops.usecases.importing import ImportReport, Layout, import_database


@verb("import")
@click.argument("what", metavar="URL|CONN")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="A new folder, or an environment.",
)
@click.option(
    "--layout",
    type=click.Choice(get_args(Layout)),
    default="objects",
    show_default=True,
    help="SQL, one file per object or all in one; or portable YAML tables.",
)
@click.option("--name", help="The name of the connection and the schema.  [default: the database's]")
@click.option("--force", is_flag=True, help="Replace what an earlier import wrote, and remove its files of objects now gone.")
def import_(what: str, into: Path, layout: Layout, name: str | None, force: bool) -> None:
    """Write the manifests of a live database.

    A plan right after says that there are no changes. A password in URL is not written down: the manifest reads the URL
    from a variable. CONN is a connection of the environment in DIR, which gets the schema beside it.

    \b
    Examples:
      dbops import sqlite:///shop.db --into environments/shop
      dbops import postgresql://me@localhost/shop --into shop --layout single
      dbops import mysql://me@localhost/shop --into shop --layout tables
      dbops import shop --into environments/production --force
    """
    report = import_database(what, into, layout=layout, name=name, force=force)
    for observation in observations_text(report.observations):
        click.echo(observation)
    click.echo(_outcome(report, into))


def _outcome(report: ImportReport, into: Path) -> str:
    wrote = f"Wrote {wording.count(len(report.files), 'file')} into {into}."
    if report.removed:
        wrote += f" Removed {wording.count(len(report.removed), 'file')} of objects that are gone."
    if report.variable:
        return f"{wrote} Set {report.variable} to the URL, then: dbops plan {into}"
    return f"{wrote} Next: dbops plan {into}"
