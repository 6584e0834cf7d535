"""Run the measurements that are named, all when none is."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench import startup

BENCHES: dict[str, Callable[[], None]] = {"startup": startup.report}


def main(names: list[str]) -> int:
    """Return 2 for a name that is no measurement, else 0."""
    if unknown := [name for name in names if name not in BENCHES]:
        print(f"no such measurement: {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    for name in names or BENCHES:
        BENCHES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
