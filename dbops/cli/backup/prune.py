"""`dbops backup prune`, `delete`, `hold`, `release`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from dbops.cli.backup.options import backup_argument, policy_option, teller
from dbops.cli.verb import environment_argument, output_option, verb, write_json
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@policy_option
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@output_option("text", "json")
def prune(env: Path, name: str | None, dry_run: bool, output: str) -> int:
    """Delete the backups that the policy's retention lets go.

    Never one that a kept one depends on, one that is held, the newest, or the last whose restore was tested. Parts that runs left
    which died are removed after a day.

    \b
    Examples:
      dbops backup prune --dry-run
      dbops backup prune environments/shop
    """
    from dbops.cli.views.backups import pruned_json, pruned_text
    from dbops.usecases.backup.prune import prune_all

    with open_workspace(env, os.environ) as workspace:
        found = prune_all(workspace, name, teller(), is_dry=dry_run)
    if output == "json":
        write_json([{"policy": one.policy, **pruned_json(one.pruned, is_dry=dry_run)} for one in found])
    else:
        click.echo("\n".join(f"{one.policy}: {pruned_text(one.pruned, is_dry=dry_run)}" for one in found))
    return 0


@verb()
@backup_argument
@environment_argument
@policy_option
@click.option("--cascade", is_flag=True, help="Also those that could not be restored without it.")
@click.option("--auto-approve", is_flag=True, help="Do not ask.")
@output_option("text", "json")
def delete(word: str, env: Path, name: str | None, cascade: bool, auto_approve: bool, output: str) -> int:
    """Delete one backup; by its whole id also what is left of one whose manifest was lost.

    Refused where others depend on it, where it is held, and where no other backup is known to restore.

    \b
    Examples:
      dbops backup delete 20260131T030000Z-full --auto-approve
      dbops backup delete 20260131T030000Z-full environments/shop --cascade
    """
    from dbops.cli.views.backups import pruned_json, pruned_text
    from dbops.usecases.backup.prune import delete as remove
    from dbops.usecases.backup.prune import meant

    with open_workspace(env, os.environ) as workspace:
        if not auto_approve:
            _must_be_asked()
            word = meant(workspace, word, name)
            _ask(f"Shall the backup {word} be deleted?")
        done = remove(workspace, word, name, teller(), cascades=cascade)
    if output == "json":
        write_json(pruned_json(done, is_dry=False))
    else:
        click.echo(pruned_text(done, is_dry=False))
    return 0


@verb()
@backup_argument
@environment_argument
@policy_option
@click.option("--reason", required=True, help="Why it must not be deleted.")
def hold(word: str, env: Path, name: str | None, reason: str) -> int:
    """Keep a backup from being deleted, whatever the retention says.

    \b
    Examples:
      dbops backup hold latest --reason "case 4711"
    """
    from dbops.usecases.backup.prune import hold as keep

    with open_workspace(env, os.environ) as workspace:
        click.echo(f"{keep(workspace, word, reason, name)} is held")
    return 0


@verb()
@backup_argument
@environment_argument
@policy_option
def release(word: str, env: Path, name: str | None) -> int:
    """Take a hold back.

    \b
    Examples:
      dbops backup release 20260131T030000Z-full
    """
    from dbops.usecases.backup.prune import release as let_go

    with open_workspace(env, os.environ) as workspace:
        click.echo(f"{let_go(workspace, word, name)} is no longer held")
    return 0


def _must_be_asked() -> None:
    if not sys.stdin.isatty():
        raise click.ClickException("stdin is no terminal, so nobody can approve this; after review: --auto-approve")


def _ask(question: str) -> None:
    click.echo(f"{question} Only 'yes' is accepted: ", nl=False, err=True)
    if sys.stdin.readline().strip() != "yes":
        raise click.ClickException("not approved; nothing was deleted")
