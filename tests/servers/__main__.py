"""Run the parts of private servers that are processes or that scripts ask: `keep ENGINE FOLDER`, `missing`, `optional`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.servers.keeper import keep
from tests.servers.programs import ServerError, missing_packages, optional_packages


def main(arguments: list[str]) -> int:
    """Obey `keep ENGINE FOLDER` (be a server's keeper), `missing` or `optional` (print the packages to install)."""
    match arguments:
        case ["keep", engine, home]:
            try:
                keep(engine, Path(home))
            except ServerError as error:
                print(error, file=sys.stderr)
                return 1
        case ["missing"]:
            print(" ".join(missing_packages()))
        case ["optional"]:
            print(" ".join(optional_packages()))
        case _:
            print("usage: python -m tests.servers keep ENGINE FOLDER | missing | optional", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
