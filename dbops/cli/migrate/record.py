"""`dbops migrate baseline` and `resolve`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.apply import lock_timeout_option
from dbops.cli.migrate.options import set_option
from dbops.cli.verb import environment_argument, verb
from dbops.cli.views.wording import count, on_one_line
from dbops.usecases.apply import Consent
from dbops.usecases.runtime import open_workspace


@verb()
@click.argument("version")
@environment_argument
@set_option
@lock_timeout_option
def baseline(version: str, env: Path, name: str | None, lock_timeout: float) -> None:
    """Let the migrations up to VERSION count as applied, without running them.

    For a database that has what they make, and no ledger yet. Of a set that is bound to several databases, all are meant,
    or with --set NAME@CONNECTION one.

    \b
    Examples:
      dbops migrate baseline 0042 environments/production
      dbops migrate baseline 0042 environments/tenants --set shop@tenant7
    """
    from dbops.usecases.migrate.records import baseline as write

    with open_workspace(env, os.environ) as workspace:
        written = write(workspace, version, consent(lock_timeout), name)
    for connection, ids in written.items():
        where = f" on {connection}" if len(written) > 1 else ""
        click.echo(f"{count(len(ids), 'migration')} {'counts' if len(ids) == 1 else 'count'} as applied{where}.")


@verb()
@click.argument("migration")
@environment_argument
@set_option
@click.option("--applied", "state", flag_value="applied", help="All of it stands, as its file says now.")
@click.option("--pending", "state", flag_value="pending", help="Nothing of it stands; it will be run.")
@click.option(
    "--reached", type=click.IntRange(min=0), metavar="N", help="So many of its statements stand; the next run goes on there."
)
@lock_timeout_option
def resolve(
    migration: str,
    env: Path,
    name: str | None,
    state: str | None,
    reached: int | None,
    lock_timeout: float,
) -> None:
    """Say how a migration stands, after it was mended by hand.

    Of a set that is bound to several databases, all are meant where it stands alike on them, or with --set
    NAME@CONNECTION one.

    \b
    Examples:
      dbops migrate resolve 0042 --applied
      dbops migrate resolve 0042 --applied --set shop@tenant7
      dbops migrate resolve 0042 --reached 3
    """
    from dbops.usecases.migrate.records import resolve as write

    state = "failed" if reached is not None else state
    if state is None:
        raise click.UsageError("expected --applied, --pending or --reached N")
    with open_workspace(env, os.environ) as workspace:
        for one in write(workspace, migration, state, consent(lock_timeout), name, reached):
            click.echo(f"{on_one_line(one)}: {'taken out of' if state == 'pending' else 'written into'} the ledger")


def consent(lock_timeout_s: float) -> Consent:
    """Return the consent of a command that writes the ledger alone, which nobody has to approve."""
    return Consent(lambda plan: True, lock_timeout_s=lock_timeout_s, announce=lambda text: click.echo(text, err=True))
