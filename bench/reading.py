"""Reads the whole catalog of the database behind a URL: the part of dbops that `inspect`, `plan` and `import` share.

usage: python -m bench.reading URL
"""

from __future__ import annotations

import sys

from dbops.usecases.inspect import inspect

if __name__ == "__main__":
    print(f"{len(inspect(sys.argv[1], None).catalog):,} objects")
