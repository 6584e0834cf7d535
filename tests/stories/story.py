"""Reads, runs and rewrites stories: Markdown with blocks of shell commands and the output they must give.

In a block fenced as `console`, a line `$ command` runs in the shell, lines `> ` continue it, other lines are its output (both
streams together), and a last line `[2]` is its exit code where it is not 0. What changes from run to run is compared as
`<time>`, `<id>` and the like, so a story may show real values or placeholders; a line `...` stands for any lines. Commands of a
story share one folder, where a `setup` comment such as `<!-- setup: examples/environments/01-first-table -->` puts a copy.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import commands as command_line

ROOT = Path(__file__).parents[2]
UPDATE = "DBOPS_UPDATE"

_BLOCK = re.compile(r"^(?P<fence>`{3,})console\n(?P<lines>.*?)^(?P=fence)$", re.DOTALL | re.MULTILINE)
_SETUP = re.compile(r"<!-- setup: (\S+) -->")
_EXIT = re.compile(r"\[(\d+)\]")
_CHANGING = [
    (re.compile(r"\b\d{8}T\d{6}-[0-9a-f]{6}\b"), "<id>"),
    (re.compile(r"\b\d{8}T\d{6}Z-([a-z]+)-[0-9A-Z]{26}\b"), r"<utc>-\1-<ulid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\dZ"), "<minute>"),
    (re.compile(r"\bfile-[0-9a-f]{12}\b"), "<timeline>"),
    (re.compile(r"\b[\d.]+ [KM]i?B\b"), "<size>"),
    (re.compile(r"\btook \d+(\.\d+)? m?s\b"), "took <n> ms"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<sha256>"),
    (re.compile(r"\bin \d+(\.\d+)? m?s\b"), "in <n> ms"),
    (re.compile(r'"duration_s": [\d.]+'), '"duration_s": <n>'),
    (re.compile(r"archive_\d{18}"), "archive_<n>"),
    (re.compile(r"\bsqlite \d+\.\d+(\.\d+)?"), "sqlite <version>"),
    (re.compile(r"\b[\w.-]+@[\w.-]+(?=, |  |\n)"), "<who>"),
    (re.compile(r"/home/me(?=/)"), "<here>"),
]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a story; `start` and `end` are where its output stands in the text."""

    line: int
    shell: str
    output: str
    exit_code: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command gave."""

    output: str
    exit_code: int


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of a story in order."""
    for block in _BLOCK.finditer(text):
        place = block.start("lines")
        lines = block["lines"].splitlines(keepends=True)
        index = 0
        while index < len(lines):
            begin = place
            shell = [lines[index][2:]]
            assert lines[index].startswith("$ "), f"a block begins with '$ ', not with {lines[index]!r}"
            place, index = place + len(lines[index]), index + 1
            while index < len(lines) and lines[index].startswith("> "):
                shell.append(lines[index][2:])
                place, index = place + len(lines[index]), index + 1
            start = place
            output: list[str] = []
            while index < len(lines) and not lines[index].startswith("$ "):
                output.append(lines[index])
                place, index = place + len(lines[index]), index + 1
            code = _EXIT.fullmatch(output[-1].strip()) if output else None
            said = "".join(output[:-1] if code else output)
            yield Command(text.count("\n", 0, begin) + 1, "".join(shell), said, int(code[1]) if code else 0, start, place)


def run(story: Path, folder: Path) -> Iterator[tuple[Command, Answer]]:
    """Run a story in an empty folder, command by command."""
    text = story.read_text(encoding="utf-8")
    for setup in _SETUP.findall(text):
        shutil.copytree(ROOT / setup, folder / Path(setup).name)
    environment = environment_of(folder)
    for command in commands(text):
        done = subprocess.run(
            ["sh", "-c", command.shell],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        yield command, Answer(done.stdout, done.returncode)


def is_as_told(command: Command, answer: Answer, folder: Path) -> bool:
    """Compare, letting `...` stand for any lines and placeholders for what changes."""
    if command.exit_code != answer.exit_code:
        return False
    told = _without_alignment(settled(command.output, folder)).splitlines(keepends=True)
    wanted = "".join(r"(?:.*\n)*" if line == "...\n" else re.escape(line) for line in told)
    return re.fullmatch(wanted, _without_alignment(settled(answer.output, folder))) is not None


def settled(output: str, folder: Path) -> str:
    """Return output with placeholders for what changes from run to run."""
    output = output.replace(str(folder), "<here>")
    for pattern, placeholder in _CHANGING:
        output = pattern.sub(placeholder, output)
    return re.sub(r"[ \t]+\n", "\n", output if output.endswith("\n") or not output else output + "\n")


def _without_alignment(output: str) -> str:
    """Return output with two blanks where columns are padded: their widths depend on what placeholders stand for."""
    return re.sub(r"(?<=\S) {2,}", "  ", output)


def rewritten(story: Path, answers: list[tuple[Command, Answer]], folder: Path) -> str:
    """Return the story's text with the output its commands gave now; told right, they are left as they stand."""
    text = story.read_text(encoding="utf-8")
    for command, answer in reversed(answers):
        if not is_as_told(command, answer, folder):
            code = f"[{answer.exit_code}]\n" if answer.exit_code else ""
            text = text[: command.start] + settled(answer.output, folder) + code + text[command.end :]
    return text


def environment_of(folder: Path) -> dict[str, str]:
    """Return a small environment in which `dbops` is the program under test and nothing of the user's is touched."""
    programs = folder.parent / f"{folder.name}-programs"
    programs.mkdir(exist_ok=True)
    for name, line in {"dbops": command_line.command(), "python3": [sys.executable]}.items():
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {" ".join(line)} "$@"\n')
        script.chmod(0o755)
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(programs),
        "XDG_CACHE_HOME": str(programs / "cache"),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
    }
