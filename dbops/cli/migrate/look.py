"""`dbops migrate status`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.migrate.options import set_option
from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, environment_argument, output_option, verb, write_json
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@set_option
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when something is pending or in the way.")
@output_option("text", "json")
def status(env: Path, name: str | None, detailed_exitcode: bool, output: str) -> int:
    """Show how each migration stands: applied by whom and when, how long it took, pending, failed, edited, missing.

    \b
    Examples:
      dbops migrate status
      dbops migrate status environments/production -o json
    """
    from dbops.cli.views import migrations as views
    from dbops.usecases.migrate.status import status as look

    with open_workspace(env, os.environ) as workspace:
        found = look(workspace, name)
    if output == "json":
        write_json([views.status_data(one) for one in found])
    else:
        click.echo(views.status_texts(found))
    return EXIT_CHANGES if detailed_exitcode and not all(one.is_clean for one in found) else EXIT_DONE


@verb()
@environment_argument
@set_option
@click.option(
    "--accept", is_flag=True, help="Let edited files of applied migrations count as what was applied, once all is proved."
)
@click.option(
    "--from-tags", metavar="PATTERN", help="Prove also that a database of each tag of git, such as 'v*', comes to the same."
)
@output_option("text", "json")
def verify(env: Path, name: str | None, accept: bool, from_tags: str | None, output: str) -> int:
    """Prove the migrations on a scratch database.

    Runs all of them from nothing, and each there, back and there again: the catalog must be the same as before, and then the same
    as behind it. Where the database has a Schema, they must lead to it.

    With --from-tags, the folder as each tag has it is run from nothing, then what is pending since; files that a tag has and
    that are gone or edited now are named.

    \b
    Examples:
      dbops migrate verify environments/shop
      dbops migrate verify --from-tags 'v*'
      dbops migrate verify --accept
    """
    from dbops.cli.views import migrations as views
    from dbops.usecases.migrate.tags import verify_from_tags
    from dbops.usecases.migrate.verify import verify as prove

    with open_workspace(env, os.environ) as workspace:
        found = prove(workspace, name)
        if from_tags is not None:
            found += verify_from_tags(workspace, from_tags, name)
    if output == "json":
        write_json([views.verified_data(one) for one in found])
    else:
        click.echo(views.verified_text(found))
    if any(one.problem for one in found):
        return EXIT_CHANGES
    if accept:
        _accept(env, name)
    return EXIT_DONE


def _accept(env: Path, name: str | None) -> None:
    from dbops.cli.migrate.record import consent
    from dbops.cli.views.wording import on_one_line
    from dbops.usecases.apply import LOCK_TIMEOUT_S
    from dbops.usecases.migrate.records import accept

    with open_workspace(env, os.environ) as workspace:
        for one in accept(workspace, consent(LOCK_TIMEOUT_S), name):
            click.echo(f"{on_one_line(one)}: counts as applied the way it is now", err=True)


@verb()
@environment_argument
@set_option
@click.option("--since", metavar="REV", help="Only what changed since a git revision, such as origin/main.")
@click.option("--ignore", multiple=True, metavar="CODE", help="Leave this rule out. May be repeated.")
@output_option("text", "json", "sarif", "markdown", "junit")
def lint(env: Path, name: str | None, since: str | None, ignore: tuple[str, ...], output: str) -> int:
    """Check the files of a set against hazard and style rules, offline.

    Migrations in Python and revisions of Alembic count as far as they show their SQL. Of ways back it tells what holds others up.

    Exits with 2 when something was found.

    \b
    Examples:
      dbops migrate lint --since origin/main
    """
    from dbops.cli.lint import show
    from dbops.usecases.lint import LintRequest
    from dbops.usecases.migrate.lint import lint as check

    with open_workspace(env, os.environ) as workspace:
        report = check(workspace, LintRequest((), since=since, ignore=frozenset(code.upper() for code in ignore)), name)
    show(report, output)
    return EXIT_CHANGES if report.findings else EXIT_DONE
