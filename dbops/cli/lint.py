"""`dbops lint`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, output_option, verb, write, write_json

if TYPE_CHECKING:
    from dbops.usecases.lint import LintReport

_ENGINES = ("postgresql", "mysql", "mariadb", "sqlite")


@verb()
@click.argument(
    "paths", nargs=-1, envvar="DBOPS_ENV", type=click.Path(path_type=Path, exists=True), metavar="[ENV|FILE.sql|FOLDER]..."
)
@click.option("--engine", type=click.Choice(_ENGINES), help="The engine of the SQL, where no manifest or setting says it.")
@click.option("--since", metavar="REV", help="Only what changed since a git revision: new files, changed statements of others.")
@click.option("--select", multiple=True, metavar="CODES", help="Run only these rules, even those that are off; commas part them.")
@click.option("--ignore", multiple=True, metavar="CODES", help="Leave these rules out.")
@click.option(
    "--as",
    "holds",
    type=click.Choice(("schema", "migrations")),
    help="One schema in any order, or migrations applied one by one; told by the names of files when not given.",
)
@click.option(
    "--fail-on",
    type=click.Choice(("error", "warning", "never")),
    default="warning",
    show_default=True,
    help="The severity from which on the exit code is 2.",
)
@click.option("--list", "list_rules", is_flag=True, help="List every rule with its severity and engines, and stop.")
@click.option("--explain", metavar="CODE", help="Say what a rule means, why, and what to do about it, and stop.")
@output_option("text", "json", "sarif", "markdown", "junit")
def lint(
    paths: tuple[Path, ...],
    engine: Literal["postgresql", "mysql", "mariadb", "sqlite"] | None,
    since: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    holds: Literal["schema", "migrations"] | None,
    fail_on: str,
    list_rules: bool,
    explain: str | None,
    output: str,
) -> int:
    """Check SQL files against hazard and style rules, offline.

    Without a path the environment (DBOPS_ENV, or the working directory) is checked. Rules that tell of hazards are silent for
    what the same file, or the same schema, creates. A remark lets a finding pass: `-- dbops:allow CODE reason`, before the
    statement or at the end of its line. Settings stand in the policy of a Schema, or in .dbops-lint.yaml beside the files.

    Exits with 0 when nothing was found, 2 for findings of the severity --fail-on or worse, 1 for errors.

    \b
    Examples:
      dbops lint environments/production
      dbops lint migrations/ --engine postgresql --since origin/main
      dbops lint 0042_drop_email.sql --ignore LOCK_QUEUE -o sarif
      dbops lint --explain MAY_FAIL_ON_DATA
    """
    from dbops.cli.views import lint as views
    from dbops.usecases.lint import LintRequest, all_rules
    from dbops.usecases.lint import lint as check

    if list_rules or explain is not None:
        chosen = list(all_rules().values()) if explain is None else [all_rules()[code] for code in _codes((explain,))]
        write(views.rules_text(chosen) if list_rules else views.explained(chosen[0]))
        return EXIT_DONE
    request = LintRequest(paths or (Path(),), engine, since, _codes(select), _codes(ignore), holds)
    report = check(request, os.environ)
    for guess, number in Counter(report.guessed.values()).items():
        what = next(iter(report.guessed)) if len(report.guessed) == 1 else f"{number} files"
        click.echo(f"{what} taken for {guess}; --engine or .dbops-lint.yaml says otherwise", err=True)
    show(report, output)
    return EXIT_CHANGES if fail_on != "never" and report.at_least(fail_on) else EXIT_DONE


def show(report: LintReport, output: str, verb: str = "lint") -> None:
    """Write what was found in one of the formats of `lint`."""
    from dbops.cli.views import lint as views

    match output:
        case "json":
            write_json(views.report_data(report))
        case "sarif":
            from dbops.cli.views.sarif import sarif

            write_json(sarif(report, Path.cwd(), verb))
        case "markdown":
            write(views.report_markdown(report, verb))
        case "junit":
            from dbops.cli.views.junit import junit

            write(junit(report, verb))
        case _:
            write(views.report_text(report))


def _codes(given: Sequence[str]) -> frozenset[str]:
    """Return the codes of options, commas between them or not.

    Raises:
        BadParameter: there is no such rule.
    """
    from difflib import get_close_matches

    from dbops.usecases.lint import all_rules

    known = all_rules()
    codes = frozenset(code.strip().upper() for text in given for code in text.split(",") if code.strip())
    for code in sorted(codes - known.keys()):
        near = get_close_matches(code, known, 1)
        raise click.BadParameter(f"there is no rule {code}" + (f"; did you mean {near[0]}?" if near else "; --list shows them"))
    return codes
