"""Run a folder's converge.py over its cases, with private servers and this checkout's dbops.

usage: python -m bench.acceptance FOLDER [--within SECONDS] [OPTION OF converge.py ...]

After SECONDS the run is ended, and the cases that came so far are the outcome.
A case that fails for one of the reasons below fails by design: it is told, and counts as passed. Everything else is a failure.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.argued import MOMENT, MOMENTS, SCHEMA_GRANTS, SUBSCRIPTIONS, reason
from tests.servers import Lease
from tests.servers.programs import clean_environment, postgres_folder

#: What tells the reason from a verdict and its detail, and the reason.
ARGUED = {
    r"differs: only live: \[[^\]]*\bSUBSCRIPTION\b": SUBSCRIPTIONS,
    r"differs: only live: \['REVOKE [^']* ON SCHEMA public [^']*'\]\s+only wanted: \[\]": SCHEMA_GRANTS,
    rf"differs: only live: \[\"CREATE TABLE [^\"]* {MOMENT} [^\"]*\"\]\s+only wanted: \[\"CREATE TABLE ": MOMENTS,
}


def main(folder: Path, options: list[str]) -> int:
    """Return 1 when a case fails that no reason covers; 0 also when the folder has none."""
    within_s = None
    if "--within" in options:
        place = options.index("--within")
        within_s, options = float(options[place + 1]), [*options[:place], *options[place + 2 :]]
    converge, cases = folder / "converge.py", folder / "cases.jsonl"
    if not (converge.exists() and cases.exists()):
        print(
            f"skipped: no converge.py with cases.jsonl in {folder.resolve()}; name another folder: make acceptance ACCEPTANCE=..."
        )
        return 0
    with Lease.take() as lease, TemporaryDirectory(prefix="acceptance-") as scratch:
        postgres, mysql = lease.postgres(), lease.mysql()
        out = Path(options[options.index("--out") + 1]) if "--out" in options else Path(scratch) / "results.jsonl"
        command = [
            *(sys.executable, str(converge), str(cases)),
            *("--pg", f"host={postgres.home} port={postgres.port} user={postgres.user}"),
            *("--mysql", f"socket={mysql.socket} user={mysql.user}"),
            *options,
            *(() if "--out" in options else ("--out", str(out))),
        ]
        places = [Path(sys.executable).parent, postgres_folder(), os.environ.get("PATH", os.defpath)]
        environment = clean_environment() | {"PATH": os.pathsep.join(map(str, places))}
        code = _run(command, environment, within_s)
        if not out.exists():
            return code or 1
        return _report([json.loads(line) for line in out.read_text().splitlines()])


def _run(command: list[str], environment: dict[str, str], within_s: float | None) -> int:
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            print(f"ended after {within_s:.0f} s: what follows is about the cases until then")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the programs that its cases run
        return process.wait()


def _report(results: Iterable[dict[str, Any]]) -> int:
    """Tell every failure, and those that are argued with their reason; return the exit code."""
    counts = {"passed": 0, "failed": 0, "invalid": 0}
    for result in results:
        verdict = result["verdict"]
        why = reason(f"{verdict}: {result.get('detail', '')}", ARGUED)
        counts["invalid" if verdict == "invalid" else "passed" if verdict == "pass" or why else "failed"] += 1
        if why:
            print(f"by design: {result['id']}: {why}")
        elif verdict not in ("pass", "invalid"):
            print(f"{verdict}: {result['id']}\n    " + result.get("detail", "").replace("\n", "\n    "))
    print(f"{counts['invalid']} left out, because their own SQL does not load on these servers")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
