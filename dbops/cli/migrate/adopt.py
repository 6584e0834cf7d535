"""`dbops migrate adopt`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import click

from dbops.cli.migrate.options import set_option
from dbops.cli.terminal import Screen
from dbops.cli.verb import duration, environment_argument, output_option, verb, write_json
from dbops.reconcile.history import Tool
from dbops.state.histories import TOOLS
from dbops.usecases.apply import LOCK_TIMEOUT_S, Consent
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@set_option
@click.option("--from", "tool", type=click.Choice(TOOLS), help="Whose history.  [default: the only one there is]")
@click.option("--table", metavar="NAME", help="Where it is kept, if not in that runner's usual table.")
@click.option("--app", metavar="NAME", help="The app of Django, or the project of sqitch, that is meant.")
@click.option(
    "--registry",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The database in which sqitch keeps its history of an SQLite one.",
)
@click.option("--ignore-checksums", is_flag=True, help="Take files as they are, though they were edited since.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken over, and write nothing.")
@click.option(
    "--lock-timeout",
    type=duration,
    default=f"{LOCK_TIMEOUT_S:.0f}s",
    show_default=True,
    metavar="DURATION",
    help="How long to wait for an apply.",
)
@output_option("text", "json")
def adopt(
    env: Path,
    name: str | None,
    tool: str | None,
    table: str | None,
    app: str | None,
    registry: Path | None,
    ignore_checksums: bool,
    dry_run: bool,
    lock_timeout: float,
    output: str,
) -> None:
    """Take over what another runner applied, without running anything.

    Reads the history of Flyway, Alembic, dbmate, golang-migrate, yoyo, Django or sqitch, finds the file of each row in the set,
    compares checksums where that runner kept them, and writes the ledger. Where rows and files disagree it writes nothing and
    names them. The other runner's table stays.

    \b
    Examples:
      dbops migrate adopt --dry-run
      dbops migrate adopt environments/production
      dbops migrate adopt --from django --app shop
      dbops migrate adopt --registry sqitch.db
    """
    from dbops.cli.views import migrations as views
    from dbops.usecases.migrate.adopt import Source
    from dbops.usecases.migrate.adopt import adopt as take_over

    with Screen(auto_approve=True, show=lambda _: None) as screen, open_workspace(env, os.environ) as workspace:
        consent = Consent(screen.approve, (), lock_timeout, screen.progress, screen.announce)
        source = Source(cast("Tool | None", tool), table, app, ignore_checksums, registry)
        found = take_over(workspace, consent, source, name, dry_run=dry_run)
    if output == "json":
        write_json([views.adoption_data(one) for one in found])
    else:
        click.echo("\n\n".join(views.adoption_text(one, dry_run=dry_run) for one in found))
