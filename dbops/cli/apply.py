"""`dbops apply`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from dbops.cli.terminal import Screen
from dbops.cli.verb import (
    EXIT_DONE,
    EXIT_ERROR,
    F,
    duration,
    is_saved,
    output_option,
    rehearse_option,
    targets_option,
    verb,
    write_json,
)
from dbops.errors import HazardError
from dbops.reconcile.plan import Plan
from dbops.reconcile.policy import check_codes
from dbops.usecases.apply import LOCK_TIMEOUT_S, ApplyResult, Consent
from dbops.usecases.runtime import open_workspace


def hazard(code: str) -> str:
    """Return a hazard's code as it is spelled.

    Raises:
        BadParameter: nobody knows it.
    """
    try:
        return next(iter(check_codes([code])))
    except HazardError as error:
        raise click.BadParameter("; ".join(part for part in (error.message, error.fix, error.expected) if part)) from error


def lock_timeout_option(function: F) -> F:
    """Add `--lock-timeout`."""
    return click.option(
        "--lock-timeout",
        type=duration,
        default=f"{LOCK_TIMEOUT_S:.0f}s",
        show_default=True,
        metavar="DURATION",
        help="How long to wait for another apply.",
    )(function)


def consent_options(function: F) -> F:
    """Add `--auto-approve`, `--allow` and `--lock-timeout`."""
    function = lock_timeout_option(function)
    function = click.option(
        "--allow",
        type=hazard,
        multiple=True,
        metavar="HAZARD",
        help="Let steps with this hazard run, such as DELETES_DATA, or all. May be repeated.",
    )(function)
    return click.option("--auto-approve", is_flag=True, help="Do not ask.")(function)


@verb()
@click.argument("what", default=".", envvar="DBOPS_ENV", type=click.Path(path_type=Path), metavar="[ENV or PLAN]")
@click.option("--env", type=click.Path(path_type=Path), help="Where a saved plan is applied.  [default: where it was made]")
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    metavar="N",
    help="So many databases at a time, of sets of migrations that are bound to several by labels.",
)
@consent_options
@targets_option
@rehearse_option
@output_option("text", "json")
def apply(
    what: Path,
    env: Path | None,
    parallel: int | None,
    auto_approve: bool,
    allow: tuple[str, ...],
    lock_timeout: float,
    only: tuple[str, ...],
    rehearse: bool,
    output: str,
) -> int:
    """Make the databases what the manifests say.

    Plans under a lock, shows the plan, asks, runs it under a journal inside each database, and looks again. A saved plan
    runs only while every database still is what the plan saw (else exit code 4). Hazards that lose something stop it
    until they are allowed (exit code 3).

    \b
    Examples:
      dbops apply
      dbops apply environments/production --auto-approve
      dbops apply --allow DELETES_DATA
      dbops apply plan.json
    """
    with Screen(auto_approve=auto_approve, show=plan_writer(output, allow)) as screen:
        consent = Consent(screen.approve, allow, lock_timeout, screen.progress, screen.announce, parallel)
        result = _saved(what, env, only, consent) if is_saved(what) else _planned(env or what, only, rehearse, consent)
    return report(result, output)


def plan_writer(output: str, allow: tuple[str, ...]) -> Callable[[Plan], None]:
    """Return what shows a plan for approval: on stderr when stdout is kept for JSON."""

    def show(plan: Plan) -> None:
        from dbops.cli.views.text import plan_text

        click.echo(plan_text(plan, allow), err=output == "json")

    return show


def report(result: ApplyResult, output: str, *, is_undo: bool = False, nothing: str = "") -> int:
    """Write the outcome of an apply or undo, and return the exit code; `nothing` says that there was nothing to do."""
    if output == "json":
        from dbops.reconcile import plan as plans

        outcome = {"state": result.state, "apply_id": result.apply_id, "statements": result.statements}
        write_json({**outcome, "plan": plans.to_dict(result.plan)})
    else:
        from dbops.cli.views.outcome import outcome_text

        click.echo(outcome_text(result, is_undo=is_undo, nothing=nothing))
    return EXIT_DONE if result.is_approved and not result.plan.is_blind else EXIT_ERROR


def _planned(env: Path, only: tuple[str, ...], rehearse: bool, consent: Consent) -> ApplyResult:
    from dbops.usecases.apply import apply as carry_out

    with open_workspace(env, os.environ) as workspace:
        return carry_out(workspace, consent, only=only, rehearse=rehearse)


def _saved(file: Path, env: Path | None, only: tuple[str, ...], consent: Consent) -> ApplyResult:
    from dbops.cli.show import read_plan
    from dbops.usecases.apply import apply_saved

    if only:
        raise click.UsageError("a saved plan is applied whole; give --target to dbops plan")
    plan = read_plan(file)
    with open_workspace(env or Path(plan.environment), os.environ) as workspace:
        return apply_saved(plan, workspace, consent)
