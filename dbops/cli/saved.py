"""Which files are saved plans, so that whoever names one needs no option for it."""

from __future__ import annotations

from pathlib import Path

_HEAD = b'"format": "dbops.plan/'


def is_saved(file: Path) -> bool:
    """Tell whether a file is a saved plan, as its name says, or as it begins: `plan --out` writes to any name."""
    if file.suffix == ".json":
        return True
    try:
        with file.open("rb") as opened:
            return _HEAD in opened.read(100)
    except OSError:  # a folder, or nothing: an environment, or said to be none
        return False
