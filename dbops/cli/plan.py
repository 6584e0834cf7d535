"""`dbops plan`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.verb import (
    EXIT_CHANGES,
    EXIT_DONE,
    EXIT_ERROR,
    environment_argument,
    output_option,
    rehearse_option,
    targets_option,
    verb,
    write,
    write_file,
)
from dbops.reconcile import plan as plans
from dbops.usecases.runtime import Workspace, open_workspace

FORMATS = ("text", "json", "markdown", "html", "sql", "junit")


@verb()
@environment_argument
@output_option(*FORMATS)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the plan too, for dbops apply FILE."
)
@targets_option
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@rehearse_option
@click.option("--refresh-only", is_flag=True, help="Show only what moved in the databases since the last apply.")
def plan(
    env: Path, output: str, out: Path | None, only: tuple[str, ...], detailed_exitcode: bool, rehearse: bool, refresh_only: bool
) -> int:
    """Show what apply would do; change nothing.

    ENV is an environment folder or file, by default DBOPS_ENV or the working directory. Rows or migrations that apply is bound to
    stop at make it end with exit code 1.

    \b
    Examples:
      dbops plan
      dbops plan environments/production --out plan.json
      dbops plan --target schema/shop/table/users
      dbops plan -o markdown > comment.md
      dbops plan -o html > plan.html
      dbops plan -o junit > plan.xml
      dbops plan --detailed-exitcode
    """
    with open_workspace(env, os.environ) as workspace:
        if refresh_only:
            return _refresh(workspace, output, only, detailed_exitcode)
        from dbops.usecases.plan import plan as make_plan

        made = make_plan(workspace, only=only, rehearse=rehearse)
        write(as_text(made, output, workspace))
    if out is not None:
        write_file(out, plans.to_json(made) + "\n")
        click.echo("saved" if made.is_refused else f"saved; apply exactly this with: dbops apply {out}", err=True)
    if made.is_refused or made.is_blind:
        return EXIT_ERROR
    return EXIT_CHANGES if detailed_exitcode and not made.is_empty else EXIT_DONE


def as_text(made: plans.Plan, output: str, workspace: Workspace | None = None) -> str:
    """Return a plan in one of `FORMATS`; the workspace lets SQL end as its engine's own client wants it."""
    if output == "json":
        return plans.to_json(made)
    if output == "markdown":
        from dbops.cli.views.markdown import plan_markdown

        return plan_markdown(made)
    if output == "sql":
        from dbops.cli.views.sql import plan_sql

        return plan_sql(made, None if workspace is None else lambda on, sql: workspace.targets.engine(on).dialect.terminated(sql))
    if output == "junit":
        from dbops.cli.views.plan_junit import plan_junit

        return plan_junit(made)
    if output == "html":
        from dbops.cli.views.html.plan import plan_html
        from dbops.usecases.handbook import marked

        return plan_html(made, None if workspace is None else lambda on, sql: marked(sql, workspace.targets.engine(on).dialect))
    from dbops.cli.views.text import plan_text

    return plan_text(made)


def _refresh(workspace: Workspace, output: str, only: tuple[str, ...], detailed_exitcode: bool) -> int:
    from dbops.cli.drift import FORMATS as DRIFT_FORMATS
    from dbops.cli.drift import show
    from dbops.usecases.drift import drift

    if output not in DRIFT_FORMATS:
        raise click.UsageError(f"--refresh-only is shown as {' or '.join(DRIFT_FORMATS)}, not as {output}")
    report = drift(workspace, only=only)
    show(report, output, movers=("database",))
    return EXIT_CHANGES if detailed_exitcode and report.has_drift else EXIT_DONE
