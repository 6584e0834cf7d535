"""Regular expressions that work on every Python that dbops runs on."""

from __future__ import annotations

import re
from pathlib import Path

import dbops

#: A group behind which a possessive quantifier stands, or an atomic group.
_RUN = re.compile(r"(?<!\|)\)[*+?]\+|\(\?>")


def test_runs_of_groups_end_with_an_empty_alternative() -> None:
    """Python before 3.11.5 goes on from where the last group failed (https://github.com/python/cpython/issues/106052)."""
    package = Path(dbops.__file__).parent
    found = [
        f"{file.relative_to(package)}: {run[0]}" for file in package.rglob("*.py") for run in _RUN.finditer(file.read_text())
    ]
    assert found == []
