"""`dbops schema`."""

from __future__ import annotations

from pathlib import Path

import click

from dbops.cli.verb import EXIT_DONE, EXIT_ERROR, verb, write_json


@verb()
@click.argument("kind", required=False)
@click.option("--all", "all_kinds", is_flag=True, help="Write the schemas of all kinds into a folder.")
@click.option("--check", is_flag=True, help="With --all: write nothing; exit with 1 when a file is stale.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("specs/schemas"),
    show_default=True,
    help="The folder for --all.",
)
def schema(kind: str | None, all_kinds: bool, check: bool, into: Path) -> int:
    """Print or write the JSON Schemas of the manifest kinds.

    With --all also those of the files that dbops writes.

    They are in draft-07, which editors read: put `# yaml-language-server: $schema=connection.json` on the first line of a
    manifest. The file dbops.json accepts every kind.

    \b
    Examples:
      dbops schema Connection
      dbops schema --all --into .schemas
      dbops schema --all --check
    """
    if all_kinds == (kind is not None):
        raise click.UsageError("expected a KIND, or --all")
    if kind is not None:
        write_json(_of(kind))
        return EXIT_DONE
    return _check(into) if check else _write(into)


def _of(kind: str) -> object:
    """Return the schema of one kind, whatever the case of its name."""
    import json

    from dbops.manifests.jsonschema import schema_files
    from dbops.usecases.runtime import specs

    files = {name.removesuffix(".json"): text for name, text in schema_files(specs()).items()}
    if kind.lower() not in files:
        raise click.UsageError(f"no schema of the kind {kind!r}; expected one of {', '.join(sorted(files))}")
    return json.loads(files[kind.lower()])


def _write(into: Path) -> int:
    from dbops.manifests.jsonschema import write_schemas
    from dbops.usecases.formats import schema_files

    try:
        written = write_schemas(into, schema_files())
    except OSError as error:
        raise click.ClickException(f"{into}: cannot be written: {error.strerror}") from error
    for file in written:
        click.echo(f"wrote {file}")
    return EXIT_DONE


def _check(into: Path) -> int:
    from dbops.manifests.jsonschema import stale_schemas
    from dbops.usecases.formats import schema_files

    stale = stale_schemas(into, schema_files())
    for file in stale:
        click.echo(f"stale: {file}; write it with: dbops schema --all --into {into}", err=True)
    return EXIT_ERROR if stale else EXIT_DONE
