"""What `--debug` shows: tracebacks and logs, without the passwords that may stand in them."""

from __future__ import annotations

import logging
import traceback

import click

from dbops.sql.redact import redact


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def log_to_stderr() -> None:
    """Log everything from now on, with the milliseconds since the start."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacted("%(relativeCreated)6d ms %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])


def show_traceback(error: BaseException) -> None:
    """Write the traceback of an error and of its causes to stderr."""
    click.echo(redact("".join(traceback.format_exception(error))), err=True)
