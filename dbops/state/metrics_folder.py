"""Where an environment keeps the history of its figures; known without opening it."""

from __future__ import annotations

from pathlib import Path


def history_file(folder: Path) -> Path:
    """Return the file of the history of the environment in `folder`, whether it is there or not."""
    return folder / ".dbops" / "metrics.db"
