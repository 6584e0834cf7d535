"""What all verbs share: the environment argument, output formats, global flags, and how results are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from dbops.dataclass import dataclass

F = TypeVar("F", bound=Callable[..., Any])

EXIT_DONE, EXIT_ERROR, EXIT_CHANGES, EXIT_HAZARD, EXIT_STALE, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130


@dataclass(slots=True)
class Flags:
    """Global flags; they may stand before or after the verb. `color` None lets the terminal decide."""

    debug: bool = False
    color: bool | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Flags:
        """Read DBOPS_DEBUG and NO_COLOR (no-color.org: present and not empty)."""
        is_debug = environment.get("DBOPS_DEBUG", "0") not in ("", "0")
        return cls(debug=is_debug, color=False if environment.get("NO_COLOR") else None)


def global_flags(function: F) -> F:
    """Add `--no-color` and `--debug`."""
    for name, callback, text in (
        ("--debug", _debug, "Show tracebacks and log what is done."),
        ("--no-color", _no_color, "Plain text, also on a terminal."),
    ):
        function = click.option(name, is_flag=True, expose_value=False, callback=callback, help=text)(function)
    return function


def _debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    flags = ctx.ensure_object(Flags)
    if value or flags.debug:
        from dbops.cli.debug import log_to_stderr

        flags.debug = True
        log_to_stderr()


def _no_color(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    flags = ctx.ensure_object(Flags)
    if value:
        flags.color = False
    ctx.color = flags.color


def verb(name: str | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a verb: a click command that also takes the global flags."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        return click.command(name)(global_flags(function))

    return decorate


def environment_argument(function: F) -> F:
    """Add ENV: an environment folder or file."""
    return click.argument("env", default=".", envvar="DBOPS_ENV", type=click.Path(path_type=Path), metavar="[ENV]")(function)


def output_option(*formats: str) -> Callable[[F], F]:
    """Add `-o/--output`; the first format is the default."""
    return click.option(
        "-o", "--output", type=click.Choice(formats), default=formats[0], show_default=True, help="How the result is written."
    )


def targets_option(function: F) -> F:
    """Add `--target`, passed as `only`."""
    return click.option(
        "--target",
        "only",
        multiple=True,
        metavar="ADDR",
        help="Only this address and what lies below it, such as schema/shop/table/users. May be repeated.",
    )(function)


def rehearse_option(function: F) -> F:
    """Add `--no-rehearse`, passed as `rehearse`."""
    return click.option(
        "--no-rehearse", "rehearse", flag_value=False, default=True, help="Do not try the steps on a scratch copy first."
    )(function)


def store_option(function: F) -> F:
    """Add `--store`: where the history of figures is."""
    return click.option(
        "--store", metavar="URL", help="Where the history is kept: a URL of SQLAlchemy's, .dbops/metrics.db unless given."
    )(function)


def duration(text: str) -> float:
    """Return the seconds of a duration as manifests write it: `30s`, `5m`, `1h`.

    Raises:
        BadParameter: it is none.
    """
    from dbops.manifests.spec import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no duration; expected a number with its unit, such as 30s, 5m, 1h") from error


def write(text: str) -> None:
    """Write a result to stdout."""
    click.echo(text, nl=not text.endswith("\n"))


def write_json(data: Any) -> None:
    import json

    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def write_file(path: Path, text: str) -> None:
    """Write a result to a file, making its folder.

    Raises:
        ClickException: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror}") from error


def is_saved(file: Path) -> bool:
    """Tell whether a file is a saved plan, as its name says, or as it begins: `plan --out` writes to any name."""
    if file.suffix == ".json":
        return True
    try:
        with file.open("rb") as opened:
            return _HEAD in opened.read(100)
    except OSError:  # a folder, or nothing: an environment, or said to be none
        return False


_HEAD = b'"format": "dbops.plan/'
