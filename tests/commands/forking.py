"""The process that has imported `dbops` and forks for each command: `python -m tests.commands.forking SOCKET`."""

from __future__ import annotations

import atexit
import io
import os
import select
import socket
import sys
import threading
from importlib import import_module
from pkgutil import walk_packages

_HEADER_BYTES = 4
_ROOMS = ("dbops.cli", "dbops.lint", "dbops.engines", "dbops.resources", "dbops.usecases")
_PASSED_OVER = {"backup", "service", "performance"}
"""What takes long to import and is seldom wanted."""


def serve(place: str) -> None:
    """Run commands until the standard input closes."""
    for room in _ROOMS:
        for found in walk_packages(import_module(room).__path__, f"{room}."):
            if not found.ispkg and _PASSED_OVER.isdisjoint(found.name.split(".")):
                import_module(found.name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listening, sys.stdin], [], [], 1.0)
            _reap()
            if sys.stdin in ready:
                return
            if listening in ready:
                conn, _ = listening.accept()
                with conn:
                    if not os.fork():
                        _answer(conn, listening)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _answer(conn: socket.socket, listening: socket.socket) -> None:
    """Be one command, in a process of its own, and never return."""
    code = 1
    try:
        listening.close()
        header, streams, _, _ = socket.recv_fds(conn, _HEADER_BYTES, 3)
        wanted, body = int.from_bytes(header, "big"), b""
        while len(body) < wanted:
            body += conn.recv(wanted - len(body))
        folder, count, *words = body.decode("utf-8", "surrogateescape").split("\0")
        arguments, settings = words[: int(count)], words[int(count) :]
        os.environ.clear()
        os.environ.update(zip(settings[::2], settings[1::2], strict=True))
        os.chdir(folder)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
        sys.stdout = _writer(1)
        sys.stderr = _writer(2, errors="backslashreplace", line_buffering=True)
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]  # as at a start
        code = _run(folder, arguments)
    finally:
        conn.sendall(str(code).encode())
        os._exit(code)


def _writer(number: int, errors: str = "strict", line_buffering: bool = False) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(number, "wb", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=line_buffering)


def _run(folder: str, arguments: list[str]) -> int:
    """Do what `python -m dbops` does, to the end of the interpreter."""
    from dbops.cli.main import main

    sys.path[0] = folder
    sys.argv = ["dbops", *arguments]
    code = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]  # there is one
    threading._shutdown()  # type: ignore[attr-defined]  # the interpreter waits for its threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = 120  # as the interpreter does
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
