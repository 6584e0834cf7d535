"""`dbops migrate up`, `down`, `redo`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbops.cli.apply import consent_options, plan_writer, report
from dbops.cli.migrate.options import set_option
from dbops.cli.terminal import Screen
from dbops.cli.verb import EXIT_DONE, environment_argument, output_option, verb, write_json
from dbops.usecases.apply import ApplyResult, Consent
from dbops.usecases.runtime import Workspace, open_workspace

if TYPE_CHECKING:
    from dbops.usecases.migrate.extent import Extent

_PARALLEL = click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    metavar="N",
    help="So many databases at a time, where the set is bound to several by labels.  [default: what the manifest says, or 1]",
)
_NOTHING_BACK = "Nothing is applied that could be taken back."
_STEPS = click.option("--steps", type=click.IntRange(min=1), metavar="N", help="So many migrations at most.")


@verb()
@environment_argument
@set_option
@click.option("--to", metavar="VERSION", help="The last migration to run.")
@_STEPS
@click.option("--dry-run", is_flag=True, help="Run everything on a scratch database, from nothing, and nothing here.")
@_PARALLEL
@consent_options
@output_option("text", "json")
def up(
    env: Path,
    name: str | None,
    to: str | None,
    steps: int | None,
    dry_run: bool,
    parallel: int | None,
    auto_approve: bool,
    allow: tuple[str, ...],
    lock_timeout: float,
    output: str,
) -> int:
    """Run what is pending, in order.

    Each migration and its record in the ledger are one transaction where the engine and the statements allow it. Otherwise the
    ledger says which statements stand, and the next run goes on behind them. Runners that start together wait for each other.

    \b
    Examples:
      dbops migrate up
      dbops migrate up environments/production --auto-approve
      dbops migrate up --to 0042
      dbops migrate up --dry-run
      dbops migrate up environments/tenants --parallel 8
    """
    from dbops.cli.views.wording import on_one_line
    from dbops.usecases.migrate.extent import Extent
    from dbops.usecases.migrate.running import up as run

    if dry_run:
        return _rehearsed(env, name, Extent(to, steps), output)
    nothing = "" if to is None else f"Nothing is pending up to {on_one_line(to)}."
    return _run(
        env, (auto_approve, allow, lock_timeout, output), lambda w, c: run(w, c, Extent(to, steps), name), parallel, nothing
    )


@verb()
@environment_argument
@set_option
@click.option("--to", metavar="VERSION", help="Take back all behind this migration, which stays; 0 for all.")
@_STEPS
@_PARALLEL
@consent_options
@output_option("text", "json")
def down(
    env: Path,
    name: str | None,
    to: str | None,
    steps: int | None,
    parallel: int | None,
    auto_approve: bool,
    allow: tuple[str, ...],
    lock_timeout: float,
    output: str,
) -> int:
    """Take the last migration back, by its own way down.

    Refused where nothing leads back, where the file was edited since, and where another migration that stays depends on it.

    \b
    Examples:
      dbops migrate down
      dbops migrate down --steps 2
      dbops migrate down --to 0042
    """
    from dbops.usecases.migrate.extent import Extent
    from dbops.usecases.migrate.running import down as run

    return _run(
        env, (auto_approve, allow, lock_timeout, output), lambda w, c: run(w, c, Extent(to, steps), name), parallel, _NOTHING_BACK
    )


@verb()
@environment_argument
@set_option
@consent_options
@output_option("text", "json")
def redo(env: Path, name: str | None, auto_approve: bool, allow: tuple[str, ...], lock_timeout: float, output: str) -> int:
    """Take the last migration back and run it again, for a migration that is being written.

    One that was edited since is taken back by the way down that it had when it was applied.

    \b
    Examples:
      dbops migrate redo --auto-approve
    """
    from dbops.usecases.migrate.running import redo as run

    return _run(env, (auto_approve, allow, lock_timeout, output), lambda w, c: run(w, c, name), nothing=_NOTHING_BACK)


def _run(
    env: Path,
    options: tuple[bool, tuple[str, ...], float, str],
    act: Callable[[Workspace, Consent], ApplyResult],
    parallel: int | None = None,
    nothing: str = "",
) -> int:
    auto_approve, allow, lock_timeout, output = options
    with (
        Screen(auto_approve=auto_approve, show=plan_writer(output, allow)) as screen,
        open_workspace(env, os.environ) as workspace,
    ):
        consent = Consent(screen.approve, allow, lock_timeout, screen.progress, screen.announce, parallel)
        result = act(workspace, consent)
    return report(result, output, nothing=nothing)


def _rehearsed(env: Path, name: str | None, extent: Extent, output: str) -> int:
    from dbops.cli.views.migrations import dry_run_data, dry_run_text
    from dbops.usecases.migrate.verify import dry_run

    with open_workspace(env, os.environ) as workspace:
        found = dry_run(workspace, name, extent)
    if output == "json":
        write_json([dry_run_data(one) for one in found])
    else:
        click.echo("\n".join(map(dry_run_text, found)))
    return EXIT_DONE
