"""`dbops backup verify`."""

from __future__ import annotations

from pathlib import Path

import click

from dbops.cli.backup.options import Where, place_options, policy_option, teller
from dbops.cli.verb import EXIT_CHANGES, EXIT_DONE, EXIT_ERROR, environment_argument, output_option, verb, write_json


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

    A lost or damaged manifest is a failure too, for `--id latest` also that of a later backup.

    What the key at hand does not open is checked as far as no key is needed, level 1. Where more was asked for it is not known to
    restore, and the exit code is 1; except that of all, those of a key before count as proven where a restore of the same bytes
    was proven with it and a later one opens. It is 1 as well where the evidence cannot be kept.

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
    if not all(one.ok for one in found):
        return EXIT_CHANGES
    return EXIT_ERROR if any(one.falls_short or one.unkept for one in found) else EXIT_DONE
