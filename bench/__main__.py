"""Run one measurement with its options, or all measurements as they are.

usage: python -m bench [NAME [OPTION ...]]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from compileall import compile_dir
from pathlib import Path

import dbops
from bench import api, backup, migrations, online, schemas, scripts, service, startup

BENCHES: dict[str, Callable[[Sequence[str]], None]] = {
    "startup": startup.report,
    "schemas": schemas.report,
    "online": online.report,
    "scripts": scripts.report,
    "migrations": migrations.report,
    "backup": backup.report,
    "api": api.report,
    "service": service.report,
}


def main(arguments: Sequence[str]) -> int:
    """Return 2 for a name that is no measurement, else 0."""
    if arguments and arguments[0] not in BENCHES:
        print(f"no such measurement: {arguments[0]}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    compile_dir(Path(dbops.__file__).parent, quiet=1)  # as an installed program is
    for name in arguments[:1] or BENCHES:
        BENCHES[name](arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
