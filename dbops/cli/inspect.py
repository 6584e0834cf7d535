"""`dbops inspect`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbops.cli.verb import environment_argument, output_option, verb, write
from dbops.usecases.runtime import looks_like_url, open_workspace

if TYPE_CHECKING:
    from dbops.usecases.inspect import Inspection


@verb()
@click.argument("what", metavar="CONN|URL")
@environment_argument
@output_option("text", "json", "yaml", "sql", "mermaid", "html")
def inspect(what: str, env: Path, output: str) -> None:
    """Show what a database contains.

    CONN is the name of a connection of the environment. As sql it is a script that builds the schema in an empty database; as
    mermaid an ER diagram for Markdown; as html one page with the diagram and everything to browse, that needs no network.

    \b
    Examples:
      dbops inspect shop
      dbops inspect postgresql://me@localhost/shop -o sql > schema.sql
      dbops inspect shop -o html > shop.html
    """
    from dbops.usecases import inspect as usecase

    with nullcontext() if looks_like_url(what) else open_workspace(env, os.environ) as workspace:
        inspection = usecase.inspect(what, workspace)
    write(_as_text(inspection, output))


def _as_text(inspection: Inspection, output: str) -> str:
    match output:
        case "json":
            from dbops.usecases.saved import to_json

            return to_json(inspection)
        case "yaml":
            from dbops.usecases.saved import to_yaml

            return to_yaml(inspection)
        case "sql":
            from dbops.usecases.inspect import to_sql

            return to_sql(inspection)
        case "mermaid":
            from dbops.cli.views.mermaid import inspection_mermaid

            return inspection_mermaid(inspection)
        case "html":
            from dbops.cli.views.html.inspection import inspection_html

            return inspection_html(inspection)
        case _:
            from dbops.cli.views.tree import inspection_text
            from dbops.usecases.outline import outline

            return inspection_text(inspection, outline(inspection.catalog))
