"""`dbops backup restore`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from dbops.cli.backup.options import Where, pairs, place_options, policy_option, teller, variable
from dbops.cli.verb import output_option, verb, write_json


def _moment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no time; expected such as 2026-01-31T12:00:00Z") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@verb()
@click.argument("word", metavar="[ID]", default="latest")
@click.argument("env", default=".", envvar="DBOPS_ENV", type=click.Path(path_type=Path), metavar="[ENV]")
@policy_option
@place_options
@click.option("--to", required=True, metavar="URL", help="Where to: the URL of a new database, or file:///folder.")
@click.option("--password-env", metavar="NAME", help="The variable with the password for --to: others see what is in a URL.")
@click.option("--at", callback=_moment, metavar="TIME", help="To a moment; UTC unless it has a zone.")
@click.option("--lsn", metavar="LSN", help="To a place in the log: an LSN, or a GTID.")
@click.option("--name", "restore_point", metavar="POINT", help="To a named restore point.")
@click.option("--schema", "schemas", multiple=True, metavar="SCHEMA", help="Only this schema. May be repeated.")
@click.option("--table", "tables", multiple=True, metavar="TABLE", help="Only this table. May be repeated.")
@click.option("--replace", "replaces", is_flag=True, help="What stands there may go; a backup of it is made first.")
@click.option(
    "--option", "options", callback=pairs, multiple=True, metavar="NAME=VALUE", help="For the engine; specs/backups.md."
)
@output_option("text", "json")
def restore(
    word: str,
    env: Path,
    name: str | None,
    to: str,
    password_env: str | None,
    at: datetime | None,
    lsn: str | None,
    restore_point: str | None,
    schemas: tuple[str, ...],
    tables: tuple[str, ...],
    replaces: bool,
    options: dict[str, str],
    where: Where,
    output: str,
) -> int:
    """Bring a database back from a backup: `latest`, an id, or a moment.

    Every stored byte is checked before anything is touched.

    \b
    Examples:
      dbops backup restore latest --to sqlite:///restored.db
      dbops backup restore latest environments/shop --at 2026-01-31T12:00:00Z --to postgresql://localhost/shop_restored
      dbops backup restore latest --to mysql://shop@db.example/shop_restored --password-env SHOP_PASSWORD
      dbops backup restore 20260131T030000Z-full environments/shop --to sqlite:///shop.db --replace
    """
    from dbops.cli.views.backups import restored_json, restored_text
    from dbops.usecases.backup.restore import RestoreWish, point_of
    from dbops.usecases.backup.restore import restore as bring_back

    if sum(given is not None for given in (at, lsn, restore_point)) > 1:
        raise click.UsageError("--at, --lsn and --name are given together; expected one of them")
    if word != "latest" and Path(word).exists():
        word, env = "latest", Path(word)
    point = point_of(at, lsn, restore_point)
    password = variable(password_env) if password_env is not None else None
    with where.opened(env) as place:
        wish = RestoreWish(to, word, point, schemas, tables, replaces, options, password)
        result = bring_back(place, wish, teller(), name)
    if output == "json":
        write_json(restored_json(result))
    else:
        click.echo(restored_text(result))
    return 0
