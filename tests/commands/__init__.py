"""The command line as a program that has started already: what tests of its output run in place of `python -m dbops`.

Starting Python and importing the package takes half a second of a processor, what most commands do some hundredths. So a process
imports it once and forks for each command; a small client passes on arguments, environment, folder and the three streams, and
ends with the command's exit code. Commands that are signalled, killed, measured, or spoken to on a terminal are started for real.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
_CLIENT = Path(__file__).with_name("client.py")


def command() -> list[str]:
    """Return what runs `dbops`, to be followed by its arguments."""
    return [sys.executable, "-I", "-S", str(_CLIENT), _socket()]


def run(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `dbops` and return what it wrote and its exit code."""
    return subprocess.run([*command(), *arguments], capture_output=True, text=True, check=False, env=env, cwd=cwd)


@cache
def _socket() -> str:
    """Start the process, one for each that asks, and return where it listens; it ends with us."""
    folder = tempfile.mkdtemp(prefix="dbops-commands-", dir="/tmp")  # a socket's path is short
    place = f"{folder}/s"
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.commands.forking", place], cwd=_PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert started.stdin is not None and started.stdout is not None
    atexit.register(_end, started, folder)
    assert started.stdout.readline() == b"ready\n"
    return place


def _end(started: subprocess.Popen[bytes], folder: str) -> None:
    if started.stdin is not None:
        started.stdin.close()
    started.wait(60)
    shutil.rmtree(folder, ignore_errors=True)
