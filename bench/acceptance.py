"""Run a folder's converge.py over its cases, with private servers and this checkout's dbops.

usage: python -m bench.acceptance FOLDER [OPTION OF converge.py ...]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.servers import Lease
from tests.servers.programs import clean_environment, postgres_folder


def main(folder: Path, options: list[str]) -> int:
    """Return converge.py's exit code; 0 when the folder has none."""
    converge, cases = folder / "converge.py", folder / "cases.jsonl"
    if not (converge.exists() and cases.exists()):
        print(
            f"skipped: no converge.py with cases.jsonl in {folder.resolve()}; name another folder: make acceptance ACCEPTANCE=..."
        )
        return 0
    with Lease.take() as lease:
        postgres, mysql = lease.postgres(), lease.mysql()
        command = [
            *(sys.executable, str(converge), str(cases)),
            *("--pg", f"host={postgres.home} port={postgres.port} user={postgres.user}"),
            *("--mysql", f"socket={mysql.socket} user={mysql.user}"),
            *options,
        ]
        places = [Path(sys.executable).parent, postgres_folder(), os.environ.get("PATH", os.defpath)]
        environment = clean_environment() | {"PATH": os.pathsep.join(map(str, places))}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
