"""`dbops advise`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from dbops.cli.apply import hazard, plan_writer
from dbops.cli.terminal import Screen
from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, EXIT_ERROR, environment_argument, output_option, verb, write, write_json
from dbops.usecases.runtime import open_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbops.usecases.accept import FileEdit
    from dbops.usecases.advise import Advised, Severity

_SEVERITIES = ("info", "warning", "error", "critical")


def _thresholds(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, dict[str, float]]:
    from dbops.usecases.rule_numbers import number_of

    found: dict[str, dict[str, float]] = {}
    for text in values:
        name, _, number = text.partition("=")
        rule, _, threshold = name.rpartition(".")
        try:
            found.setdefault(rule, {})[threshold] = number_of(number)
        except ValueError:
            raise click.BadParameter(
                f"{text!r} is no threshold; expected RULE.NAME=NUMBER, such as PG-IDX-004.min_bytes=100MiB"
            ) from None
    return found


@verb()
@environment_argument
@click.option("--connection", "only", multiple=True, metavar="NAME", help="Only this connection. May be repeated.")
@click.option("--rule", "rules", multiple=True, metavar="ID", help="Only this rule. May be repeated.")
@click.option(
    "--severity", type=click.Choice(_SEVERITIES), default="info", show_default=True, help="Rules of at least this severity."
)
@click.option("--fail-on", type=click.Choice(_SEVERITIES), help="Exit with 2 when something of at least this severity is found.")
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="RULE.NAME=NUMBER",
    callback=_thresholds,
    help="Another number for a rule.",
)
@click.option(
    "--statements",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Advise indexes for the SQL of a file, in place of what the database counted.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=0,
    metavar="ROWS",
    help="Where indexes cannot be tried otherwise, copy so many rows of each table to a scratch beside it.",
)
@click.option("--apply", "mends", is_flag=True, help="Carry out the SQL of rules that lose nothing and keep nobody waiting.")
@click.option("--yes", is_flag=True, help="With --apply: do not ask.")
@click.option("--allow", type=hazard, multiple=True, metavar="HAZARD", help="With --apply: let steps with this hazard run.")
@click.option("--rules", "lists", is_flag=True, help="List the rules with their thresholds; ask nothing.")
@output_option("text", "json", "sql")
def advise(
    env: Path,
    only: tuple[str, ...],
    rules: tuple[str, ...],
    severity: str,
    fail_on: str | None,
    thresholds: dict[str, dict[str, float]],
    statements: Path | None,
    sample: int,
    mends: bool,
    yes: bool,
    allow: tuple[str, ...],
    lists: bool,
    output: str,
) -> int:
    """Say what is wrong with the databases, with evidence and the SQL that mends it.

    Nothing is changed without --apply. A rule that could not see is unknown, never well, and says what it needs.

    With --apply, what a Schema governs is written into its source and applied from there, so that the next plan finds nothing to
    take back: review and commit the files. Everything else runs as a plan of its own, journaled, and undo takes it back.

    \b
    Examples:
      dbops advise environments/shop
      dbops advise environments/shop --severity warning --fail-on error
      dbops advise environments/shop --rule PG-IDX-004 --threshold PG-IDX-004.min_days=30 -o sql
      dbops advise environments/shop --rule LT-IDX-004 --statements queries.sql
      dbops advise environments/shop --rule PG-IDX-001 --apply
      dbops advise --rules
    """
    from dbops.cli.views import advice as views
    from dbops.usecases import advise as usecase

    if lists:
        known = usecase.all_rules()
        write_json([views.rule_data(engine, rule) for engine, rule in known]) if output == "json" else write(
            views.rules_text(known)
        )
        return EXIT_DONE
    source = usecase.source_of(statements, sample)
    if (yes or allow) and not mends:
        raise click.UsageError("--yes and --allow go with --apply.")
    if mends and output == "sql":
        raise click.UsageError("--apply carries the SQL out; leave out -o sql.")
    with open_workspace(env, os.environ) as workspace:
        found = usecase.advise(
            workspace, only=only, rules=rules, least=cast("Severity", severity), thresholds=thresholds, source=source
        )
    if mends:
        return _mended(env, found, yes, allow, output)
    if output == "json":
        write_json([views.advised_data(one) for one in found])
    else:
        write(views.advised_sql(found) if output == "sql" else views.advised_text(found))
    if any(one.error for one in found):
        return EXIT_ERROR
    grave = _SEVERITIES[_SEVERITIES.index(fail_on) :] if fail_on is not None else ()
    return EXIT_CHANGES if any(v.rule.severity in grave for one in found for v in one.of("fail")) else EXIT_DONE


def _mended(env: Path, found: Sequence[Advised], yes: bool, allow: tuple[str, ...], output: str) -> int:
    """Carry out what mends the findings, and write what became of it."""
    from dbops.cli.views import mending as views
    from dbops.usecases.apply import Consent
    from dbops.usecases.mending import mend, sort_out

    def show(files: Sequence[FileEdit]) -> None:
        click.echo(views.files_text(files, Path.cwd()), err=output == "json")

    with open_workspace(env, os.environ) as workspace:
        mending = sort_out(workspace, found)
    with Screen(auto_approve=yes, show=plan_writer(output, allow)) as screen:
        consent = Consent(screen.approve, allow, progress=screen.progress, announce=screen.announce)
        mended = mend(env, os.environ, mending, consent, show)
    write_json(views.mended_data(mended, Path.cwd())) if output == "json" else write(views.mended_text(mended, Path.cwd()))
    return EXIT_DONE if mended.is_approved and not any(one.error for one in found) else EXIT_ERROR
