"""What running a command costs: CPU time, wall time and memory of the whole process, with its children.

Where a database server works for the command, its CPU time is counted too: see `server_cpu_s`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

T = TypeVar("T")
_SLOWING = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over the runs of one command; the memory is the largest process's peak. `cpu_s` is the command's own.

    Of a command that was cut off this is what it took until then.
    """

    cpu_s: float
    wall_s: float
    peak_bytes: int
    server_s: float = 0.0
    is_cut_off: bool = False

    @property
    def total_s(self) -> float:
        """CPU time of the command and of the server on its behalf."""
        return self.cpu_s + self.server_s


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, how often (None: as often as the others), and what is done before each run without being counted.

    Exit codes other than 0 are failures unless they are in `accepted`. After `limit_s` the run is ended and its cost so far
    stands for the whole: the true one is higher.
    """

    arguments: Sequence[str]
    runs: int | None = None
    before: Callable[[int], None] | None = None
    accepted: tuple[int, ...] = (0,)
    limit_s: float | None = None


class CommandFailed(Exception):
    """A measured command ended with an exit code other than 0."""


def measure(
    commands: Mapping[str, Sequence[str] | Command],
    runs: int = 9,
    env: Mapping[str, str] | None = None,
    server: Callable[[], float] = lambda: 0.0,
) -> dict[str, Cost]:
    """Run each command once per round, so that a busy machine slows all alike, and return the costs by name.

    `server` returns the CPU time that the server has used so far. Raises: CommandFailed.
    """
    chosen = {name: item if isinstance(item, Command) else Command(item) for name, item in commands.items()}
    rounds = {name: command.runs or runs for name, command in chosen.items()}
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(max(rounds.values())):
        for name, command in chosen.items():
            if turn < rounds[name]:
                if command.before:
                    command.before(turn)
                found[name].append(_run(command, {**_usual_environment(), **(env or {})}, server))
    return {name: medians(costs) for name, costs in found.items()}


def server_cpu_s(process: int) -> float:
    """Return the CPU time that a server has used: its process, the children it has, and those that ended."""
    ticks = sum(sum(_ticks(child)[:2]) for child in _children(process)) + sum(_ticks(process))
    return ticks / os.sysconf("SC_CLK_TCK")


def _usual_environment() -> dict[str, str]:
    """Return this process's environment without what makes any Python program slower than it is where it is installed."""
    return {name: value for name, value in os.environ.items() if name not in _SLOWING}


def _ticks(process: int) -> tuple[int, int, int, int]:
    """Return utime, stime, cutime and cstime of proc(5); zeros when the process is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, 0, 0, 0
    return int(fields[11]), int(fields[12]), int(fields[13]), int(fields[14])


def _children(process: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def _run(command: Command, env: Mapping[str, str], server: Callable[[], float]) -> Cost:
    served, begun = server(), time.perf_counter()
    with subprocess.Popen(command.arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        if command.limit_s is not None:
            signal.signal(signal.SIGALRM, lambda number, frame: process.terminate())
            signal.setitimer(signal.ITIMER_REAL, command.limit_s)
        assert process.stdout is not None
        output = process.stdout.read()
        # wait4 counts this child and the children it has waited for; getrusage would count all of ours together.
        _, status, usage = os.wait4(process.pid, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - begun
    is_cut_off = command.limit_s is not None and process.returncode == -signal.SIGTERM
    if process.returncode not in command.accepted and not is_cut_off:
        shown = output.decode(errors="replace")[-4000:]
        raise CommandFailed(f"{' '.join(command.arguments)} ended with {process.returncode}:\n{shown}")
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss * 1024, server() - served, is_cut_off)


def medians(costs: Sequence[Cost]) -> Cost:
    """Return the median of each cost over the runs of one command."""
    return Cost(
        median(cost.cpu_s for cost in costs),
        median(cost.wall_s for cost in costs),
        int(median(cost.peak_bytes for cost in costs)),
        median(cost.server_s for cost in costs),
        any(cost.is_cut_off for cost in costs),
    )


def in_turn(sides: Mapping[str, T], turn: int) -> list[tuple[str, T]]:
    """Return what is compared in the order of a round: each side begins as often as the others."""
    items = list(sides.items())
    start = turn % len(items)
    return [*items[start:], *items[:start]]


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of rounds."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))
