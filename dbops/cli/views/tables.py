"""Rows in aligned columns."""

from __future__ import annotations

from collections.abc import Sequence

from click import style, unstyle


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows in aligned columns, the first row as heading; the last column is not padded."""
    widths = [max(len(unstyle(row[column])) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for place, row in enumerate(rows):
        cells = [cell + " " * (width - len(unstyle(cell))) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(cells).rstrip()
        lines.append(style(line, bold=True) if place == 0 else line)
    return "\n".join(lines)
