"""Accepted drift as text, Markdown and data: which files were edited, and how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.markdown import code, fenced
from dbops.usecases.accept import AcceptReport, FileEdit

_COLORS = {"+": "green", "-": "red", "@": "cyan"}


def accept_text(report: AcceptReport, root: Path) -> str:
    """Return a diff of each file, and one line on what was done; paths are shown from `root`."""
    lines = diff_lines(report.files, root)
    return "\n".join([*lines, *([""] if lines else []), _sentence(report), *_left(report)])


def accept_markdown(report: AcceptReport, root: Path) -> str:
    """Return the same for a code host's comment field."""
    addresses = "\n".join(f"- {code(address)}" for address in report.accepted)
    diffs = "\n\n".join(fenced(edit.diff(root).rstrip("\n"), "diff") for edit in report.files)
    return (
        "\n\n".join(part for part in (f"## dbops drift\n\n{_sentence(report)}", addresses, diffs, *_left(report)) if part) + "\n"
    )


def accept_data(report: AcceptReport, root: Path) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "accepted": list(report.accepted),
        "left": list(report.left),
        "is_written": report.is_written,
        "files": [{"path": str(edit.path), "action": edit.action, "diff": edit.diff(root)} for edit in report.files],
    }


def _left(report: AcceptReport) -> list[str]:
    return [f"Rows are not accepted: {', '.join(report.left)}."] if report.left else []


def diff_lines(files: Sequence[FileEdit], root: Path) -> list[str]:
    """Return the lines of the diffs of files, coloured; paths are shown from `root`."""
    return [_colored(line) for edit in files for line in edit.diff(root).splitlines()]


def _colored(line: str) -> str:
    is_heading = line.startswith(("+++ ", "--- "))
    return style(line, bold=True) if is_heading else style(line, fg=_COLORS.get(line[:1]))


def _sentence(report: AcceptReport) -> str:
    if not report.accepted:
        return "Nothing to accept: no database left what was last applied."
    objects, files = wording.count(len(report.accepted), "difference"), wording.count(len(report.files), "file")
    if report.is_written:
        return f"Accepted {objects}: {files} edited."
    return f"Would accept {objects}: {files} to edit. Nothing was written."
