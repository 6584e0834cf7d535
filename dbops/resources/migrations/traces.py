"""Where in a file of Python an error came from."""

from __future__ import annotations

from dbops.errors import Mark


def place_of(error: BaseException, file: str, otherwise: Mark, named: Mark | None = None) -> Mark:
    """Return the last line of a file, as Python was told of it, that an error passed through, or that is no Python.

    `named` is the file as people know it, where that is not the one of `otherwise`, which is the answer for other errors.
    """
    own = (named or otherwise).file
    if isinstance(error, SyntaxError) and error.filename == file:
        return Mark(own, error.lineno or 0, error.offset or 0)
    trace, found = error.__traceback__, otherwise
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            found = Mark(own, trace.tb_lineno)
        trace = trace.tb_next
    return found
