"""`dbops alerts rules` and `export`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click

from dbops.cli.verb import EXIT_DONE, environment_argument, output_option, verb, write, write_file, write_json
from dbops.usecases.runtime import open_workspace


@verb()
@environment_argument
@output_option("text", "json")
def rules(env: Path, output: str) -> int:
    """List the rules of every AlertPolicy, those of packs too.

    \b
    Examples:
      dbops alerts rules environments/shop
    """
    from dbops.cli.views import alerts as views
    from dbops.usecases import alerts

    with open_workspace(env, os.environ) as workspace:
        found = alerts.rules(workspace)
    if output == "json":
        write_json([asdict(one) for one in found])
    else:
        click.echo(views.rules_text(found))
    return EXIT_DONE


@verb()
@environment_argument
@click.option("--format", "form", type=click.Choice(("prometheus", "grafana")), default="prometheus", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write here instead of to stdout.")
def export(env: Path, form: str, out: Path | None) -> int:
    """Write the rules for Prometheus, or a dashboard for Grafana, over what `dbops monitor --serve` answers.

    \b
    Examples:
      dbops alerts export environments/shop --out rules.json
      dbops alerts export environments/shop --format grafana --out dashboard.json
    """
    from dbops.usecases import alerts

    with open_workspace(env, os.environ) as workspace:
        text = alerts.prometheus_rules(workspace) if form == "prometheus" else alerts.dashboard(workspace)
    if out is None:
        write(text)
    else:
        write_file(out, text)
    return EXIT_DONE
