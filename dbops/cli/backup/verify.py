"""`dbops backup verify`."""

from __future__ import annotations

from pathlib import Path

import click

from dbops.cli.backup.options import Where, place_options, policy_option, teller
from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, environment_argument, output_option, verb, write_json


@verb()
@environment_argument
@policy_option
@place_options
@click.option("--id", "word", metavar="ID", help="The backup that is meant: an id, its beginning, or latest; all unless given.")
@click.option(
    "--level",
    type=click.IntRange(0, 4),
    default=3,
    show_default=True,
    help="0 sizes, 1 hashes of all bytes, 2 the engine's tools, 3 a restore into a throwaway database, 4 to a moment between.",
)
@output_option("text", "json")
def verify(env: Path, name: str | None, word: str | None, level: int, where: Where, output: str) -> int:
    """Prove backups and keep the evidence beside them; exits with 2 when one fails, with 1 when there is none.

    \b
    Examples:
      dbops backup verify --id latest
      dbops backup verify environments/shop --level 1
    """
    from dbops.cli.views.backups import evidence_json, evidence_text
    from dbops.usecases.backup.verify import verify as prove

    with where.opened(env) as place:
        found = prove(place, word, level, teller(), name)
    if output == "json":
        write_json([evidence_json(one) for one in found])
    else:
        click.echo("\n".join(evidence_text(one) for one in found))
    return EXIT_DONE if all(one.ok for one in found) else EXIT_CHANGES
