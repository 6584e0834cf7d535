"""`dbops migrate new` and `lock`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.migrate.options import set_option
from dbops.cli.verb import environment_argument, verb
from dbops.cli.views.wording import count, on_one_line
from dbops.usecases.runtime import open_workspace


@verb()
@click.argument("title", metavar="NAME")
@environment_argument
@set_option
@click.option("--python", is_flag=True, help="A Python step, for rows in batches.")
def new(title: str, env: Path, name: str | None, python: bool) -> None:
    """Write the next migration, empty, and the lock file; once it is filled in, `migrate lock` writes that anew.

    \b
    Examples:
      dbops migrate new "add orders"
      dbops migrate new backfill environments/shop --python
    """
    from dbops.usecases.migrate.files import new as begin
    from dbops.usecases.migrate.sets import one_set

    with open_workspace(env, os.environ) as workspace:
        for path in begin(one_set(workspace, name).desired, title, python=python):
            click.echo(f"wrote {on_one_line(str(path))}")
    click.echo("fill it in, then dbops migrate lock, which says that it was reviewed", err=True)


@verb()
@environment_argument
@set_option
def lock(env: Path, name: str | None) -> None:
    """Write migrations.lock anew: what the folder holds now was reviewed.

    The file makes two branches that both add a migration conflict in git, and an edit of a file show in validate and plan.

    \b
    Examples:
      dbops migrate lock environments/shop
    """
    from dbops.usecases.migrate.files import lock as write_lock
    from dbops.usecases.migrate.sets import one_set

    with open_workspace(env, os.environ) as workspace:
        click.echo(f"wrote {on_one_line(str(write_lock(one_set(workspace, name).desired)))}")


@verb()
@click.argument("title", metavar="NAME")
@environment_argument
@set_option
def generate(title: str, env: Path, name: str | None) -> None:
    """Write the migration that takes what the migrations build to what the Schema says.

    Up, down, and hazards as comments, in the set's own form. What is to happen to rows is left as marked places.

    \b
    Examples:
      dbops migrate generate "add orders"
    """
    from dbops.usecases.migrate.generate import generate as make

    with open_workspace(env, os.environ) as workspace:
        made = make(workspace, title, name)
    if not made.files:
        click.echo("Nothing to write: the migrations lead to the schema.")
    for path in made.files:
        click.echo(f"wrote {on_one_line(str(path))}")
    for step in made.unreturnable:
        click.echo(f"nothing takes back: {on_one_line(step)}", err=True)


@verb()
@click.argument("version")
@environment_argument
@set_option
@click.option("--remove", is_flag=True, help="Take the files away that the checkpoint stands for.")
def squash(version: str, env: Path, name: str | None, remove: bool) -> None:
    """Write one checkpoint that stands for the migrations up to VERSION.

    Databases that had none of them run the checkpoint, all others are content. Before it is written, it is proved on the scratch
    to give the same catalog and the same rows: those that the migrations write into an empty database are written by it.

    \b
    Examples:
      dbops migrate squash 0042
      dbops migrate squash 0042 --remove
    """
    from dbops.usecases.migrate.squash import squash as make

    with open_workspace(env, os.environ) as workspace:
        made = make(workspace, version, name, remove=remove)
    for path in made.files:
        click.echo(f"wrote {on_one_line(str(path))}")
    click.echo(f"It stands for {count(len(made.replaced), 'migration')}, and gives the same catalog and rows.")
    for table, number in made.rows.items():
        click.echo(f"it writes {count(number, 'row')} into {on_one_line(table)}")
