"""`dbops validate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dbops.cli.lint import show
from dbops.cli.verb import EXIT_DONE, EXIT_ERROR, environment_argument, output_option, verb, write_json
from dbops.cli.views import lint, wording

if TYPE_CHECKING:
    from dbops.usecases.validate import Validation


@verb()
@environment_argument
@output_option("text", "json", "sarif", "markdown", "junit")
def validate(env: Path, output: str) -> int:
    """Check manifests and sources, offline.

    Reads every manifest, its references, variables and secrets, and loads the SQL of sources into a temporary database: in
    memory for SQLite, on a private server started from programs of this machine for the others. No server of the manifests is
    spoken to. All problems are named at once. What the linter says of the sources is told, and makes nothing invalid.
    The formats for machines hold both, on stdout; the exit code is 1 when something is invalid.

    \b
    Examples:
      dbops validate
      dbops validate environments/production
      dbops validate -o sarif > validate.sarif
    """
    from dbops.errors import DbopsError
    from dbops.usecases.validate import as_report
    from dbops.usecases.validate import validate as check

    try:
        found = check(env, os.environ)
    except DbopsError as error:
        if output == "text":
            raise
        report = as_report(error, env)
        if output == "json":
            write_json({"valid": False, "environment": str(env), "findings": [lint.finding_data(one) for one in report.findings]})
        else:
            show(report, output, "validate")
        return EXIT_ERROR
    match output:
        case "text":
            _tell(found)
        case "json":
            write_json(_data(found))
        case _:
            show(found.report, output, "validate")
    return EXIT_DONE


def _data(found: Validation) -> dict[str, Any]:
    return {
        "valid": True,
        "environment": found.environment,
        "kinds": dict(found.kinds),
        "statements": found.statements,
        "untried": dict(found.untried),
        "findings": [lint.finding_data(one) for one in found.findings],
    }


def _tell(found: Validation) -> None:
    kinds = ", ".join(f"{number} {kind}" for kind, number in found.kinds.items()) or "no manifests"
    click.echo(f"Valid: {found.environment}: {kinds}; {wording.count(found.statements, 'SQL statement')}.")
    for line in lint.finding_lines(found.findings):
        click.echo(line)
    for address, reason in found.untried.items():
        click.echo(f"Not loaded: {address}: {reason}.", err=True)
