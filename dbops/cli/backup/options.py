"""What the commands of `dbops backup` share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from dbops.cli.verb import F
from dbops.dataclass import dataclass

if TYPE_CHECKING:
    from dbops.usecases.backup.elsewhere import Elsewhere
    from dbops.usecases.runtime import Workspace


def policy_option(function: F) -> F:
    """Add `--policy`, passed as `name`."""
    return click.option(
        "--policy", "name", metavar="NAME", help="The BackupPolicy that is meant, where an environment has several."
    )(function)


def backup_argument(function: F) -> F:
    """Add BACKUP: an id, its beginning, or latest; passed as `word`."""
    return click.argument("word", metavar="BACKUP")(function)


def place_options(function: F) -> F:
    """Add `--storage`, `--storage-option`, `--key-env`, `--key-file`, passed together as `where`."""

    @wraps(function)
    def with_place(
        *args: Any,
        storage: str | None,
        storage_options: dict[str, str],
        key_env: str | None,
        key_file: Path | None,
        accepts: tuple[str, ...],
        **more: Any,
    ) -> Any:
        return function(*args, where=Where(storage, storage_options, key_env, key_file, accepts), **more)

    for option in (
        click.option(
            "--accept",
            "accepts",
            multiple=True,
            type=click.Choice(("none", "age", "aes-256-gcm")),
            help="With a key for --storage: what else backups may be encrypted by. May be repeated.",
        ),
        click.option("--key-file", type=click.Path(path_type=Path), help="The file with the key for --storage."),
        click.option("--key-env", metavar="NAME", help="The variable with the key for --storage."),
        click.option(
            "--storage-option",
            "storage_options",
            multiple=True,
            callback=pairs,
            metavar="NAME=VALUE",
            help="For the library of --storage: endpoint, region, ...; NAME=env:VARIABLE reads a variable. May be repeated.",
        ),
        click.option("--storage", metavar="URL", help="Look there, without an environment: the URL and the key are enough."),
    ):
        with_place = option(with_place)
    return cast("F", with_place)


def pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return `NAME=VALUE` words as a mapping."""
    if wrong := next((value for value in values if "=" not in value), None):
        raise click.BadParameter(f"{wrong!r} has no value; expected NAME=VALUE")
    return {name: text for name, _, text in (value.partition("=") for value in values)}


@dataclass(frozen=True, slots=True)
class Where:
    """Where backups are looked for, as far as the command line says."""

    storage: str | None
    options: dict[str, str] = field(repr=False)
    key_env: str | None
    key_file: Path | None
    accepts: tuple[str, ...] = ()

    @contextmanager
    def opened(self, env: Path) -> Iterator[Workspace | Elsewhere]:
        """Open the environment, or the storage in its place."""
        from dbops.usecases.backup.elsewhere import Elsewhere
        from dbops.usecases.runtime import open_workspace

        if self.storage is not None:
            yield Elsewhere(
                self.storage, {name: _option(text) for name, text in self.options.items()}, self._secret(), self.accepts
            )
            return
        if self.options or self.key_env or self.key_file or self.accepts:
            raise click.UsageError("--storage-option, --key-env, --key-file and --accept are for --storage")
        with open_workspace(env, os.environ) as workspace:
            yield workspace

    def _secret(self) -> bytes | None:
        if self.key_env is not None:
            return variable(self.key_env).encode()
        if self.key_file is None:
            return None
        try:
            return self.key_file.read_bytes().strip()
        except OSError as error:
            raise click.ClickException(f"{self.key_file} cannot be read: {error.strerror}") from error


def _option(text: str) -> str:
    return variable(text.removeprefix("env:")) if text.startswith("env:") else text


def variable(name: str) -> str:
    """Return what an environment variable says.

    Raises:
        ClickException: nothing.
    """
    text = os.environ.get(name)
    if not text:
        raise click.ClickException(f"the variable {name} is not set")
    return text


def teller() -> Callable[[str], None]:
    """Return what tells on stderr what is being done."""
    from dbops.cli.views.wording import on_one_line

    return lambda text: click.echo(f"  {on_one_line(text)}", err=True)
