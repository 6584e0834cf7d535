"""`dbops validate`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dbops.cli.verb import environment_argument, output_option, verb, write_json
from dbops.cli.views import lint, wording


@verb()
@environment_argument
@output_option("text", "json")
def validate(env: Path, output: str) -> None:
    """Check manifests and sources, offline.

    Reads every manifest, its references, variables and secrets, and loads the SQL of sources into a temporary database: in
    memory for SQLite, on a private server started from programs of this machine for the others. No server of the manifests is
    spoken to. All problems are named at once. What the linter says of the sources is told, and makes nothing invalid.

    \b
    Examples:
      dbops validate
      dbops validate environments/production
    """
    from dbops.usecases.validate import validate as check

    found = check(env, os.environ)
    if output == "json":
        data = {"environment": found.environment, "kinds": dict(found.kinds), "statements": found.statements}
        write_json({**data, "untried": dict(found.untried), "findings": [lint.finding_data(item) for item in found.findings]})
        return
    kinds = ", ".join(f"{number} {kind}" for kind, number in found.kinds.items()) or "no manifests"
    click.echo(f"Valid: {found.environment}: {kinds}; {wording.count(found.statements, 'SQL statement')}.")
    for line in lint.finding_lines(found.findings):
        click.echo(line)
    for address, reason in found.untried.items():
        click.echo(f"Not loaded: {address}: {reason}.", err=True)
