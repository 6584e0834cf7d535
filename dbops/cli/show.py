"""`dbops show`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.plan import FORMATS, as_text
from dbops.cli.verb import environment_argument, is_saved, output_option, verb, write, write_json
from dbops.reconcile import plan as plans
from dbops.usecases.runtime import open_workspace


@verb()
@click.argument("what", metavar="PLAN|APPLY_ID")
@environment_argument
@output_option(*FORMATS)
def show(what: str, env: Path, output: str) -> None:
    """Show a saved plan, or an apply with its statements.

    \b
    Examples:
      dbops show plan.json
      dbops show plan.json -o markdown
      dbops show 20260131T120000-1a2b3c
    """
    if is_saved(Path(what)):
        write(as_text(read_plan(Path(what)), output))
        return
    from dbops.cli.views import journal as views
    from dbops.usecases.history import show_apply

    if output not in ("text", "json"):
        raise click.UsageError(f"an apply is shown as text or json, not as {output}")
    with open_workspace(env, os.environ) as workspace:
        found = show_apply(workspace, what, told=lambda text: click.echo(text, err=True))
    if output == "json":
        write_json([views.record_data(one) for one in found])
    else:
        click.echo(views.apply_text(found))


def read_plan(file: Path) -> plans.Plan:
    """Read a saved plan.

    Raises:
        ClickException: the file cannot be read.
        PlanError: it is no plan.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file}: not a plan file: byte {error.start} is no UTF-8") from error
    return plans.from_json(text, str(file))
