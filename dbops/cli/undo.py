"""`dbops undo`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.apply import consent_options, plan_writer, report
from dbops.cli.terminal import Screen
from dbops.cli.verb import environment_argument, output_option, verb
from dbops.usecases.apply import Consent
from dbops.usecases.runtime import open_workspace


@verb()
@click.argument("apply_id")
@environment_argument
@click.option("--connection", "only", multiple=True, metavar="NAME", help="Only on this database; may be repeated.")
@consent_options
@output_option("text", "json")
def undo(
    apply_id: str, env: Path, only: tuple[str, ...], auto_approve: bool, allow: tuple[str, ...], lock_timeout: float, output: str
) -> int:
    """Take an apply back.

    Runs the undo of every statement of the apply that was done, last first: the structure comes back, and the rows that
    were archived when they were deleted. The manifests still say what they said, so change them too.

    \b
    Examples:
      dbops history
      dbops undo 20260131T120000-1a2b3c
      dbops undo 20260131T120000-1a2b3c --connection shop
    """
    from dbops.usecases.history import undo as take_back

    with (
        Screen(auto_approve=auto_approve, show=plan_writer(output, allow)) as screen,
        open_workspace(env, os.environ) as workspace,
    ):
        consent = Consent(screen.approve, allow, lock_timeout, screen.progress, screen.announce)
        result = take_back(workspace, apply_id, consent, only=only)
    return report(result, output, is_undo=True)
