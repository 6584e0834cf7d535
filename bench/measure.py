"""What running a command costs: CPU time, wall time and memory of the whole process, with its children."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over the runs of one command; the memory is the largest process's peak."""

    cpu_s: float
    wall_s: float
    peak_bytes: int


class CommandFailed(Exception):
    """A measured command ended with an exit code other than 0."""


def measure(commands: Mapping[str, Sequence[str]], runs: int = 9, env: Mapping[str, str] | None = None) -> dict[str, Cost]:
    """Run each command once per round, so that a busy machine slows all alike, and return the costs by name.

    Raises: CommandFailed.
    """
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            found[name].append(_run(command, {**os.environ, **(env or {})}))
    return {name: _medians(costs) for name, costs in found.items()}


def _run(command: Sequence[str], env: Mapping[str, str]) -> Cost:
    begun = time.perf_counter()
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        # wait4 counts this child and the children it has waited for; getrusage would count all of ours together.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CommandFailed(f"{' '.join(command)} ended with {process.returncode}:\n{output.decode(errors='replace')}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - begun, usage.ru_maxrss * 1024)


def _medians(costs: Sequence[Cost]) -> Cost:
    return Cost(
        median(cost.cpu_s for cost in costs),
        median(cost.wall_s for cost in costs),
        int(median(cost.peak_bytes for cost in costs)),
    )
