"""What `advise --apply` did, and what it left to its reader, as text and data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.accept import diff_lines
from dbops.cli.views.outcome import outcome_text
from dbops.cli.views.text import indented
from dbops.reconcile import plan as plans
from dbops.usecases.accept import FileEdit
from dbops.usecases.mending import Left, Mended


def files_text(files: Sequence[FileEdit], root: Path) -> str:
    """Return the edits of sources as a diff; paths are shown from `root`."""
    return "\n".join(["The sources of the schema will say:", "", *diff_lines(files, root), ""])


def mended_text(mended: Mended, root: Path) -> str:
    """Return what became of each plan, which files to commit, and what is left with its reason."""
    parts = [outcome_text(result).lstrip("\n") for result in mended.results]
    if mended.files:
        names = ", ".join(str(_from(edit.path, root)) for edit in mended.files)
        parts.append(f"Review and commit: {wording.on_one_line(names)}")
    parts += map(_left, mended.left)
    return "\n\n".join(parts) or "Nothing to carry out."


def _left(left: Left) -> str:
    remedy = left.remedy
    about = style(wording.on_one_line(f"{remedy.rule.id}, {remedy.connection}: {remedy.finding.object}"), bold=True)
    sql = indented(wording.printable(str(remedy.finding.sql)), 4)
    return f"Not applied: {about}\n  {wording.printable(left.why)}; {wording.printable(left.fix)}\n{sql}"


def mended_data(mended: Mended, root: Path) -> dict[str, Any]:
    """Return the same as JSON values."""
    return {
        "results": [
            {"state": one.state, "apply_id": one.apply_id, "statements": one.statements, "plan": plans.to_dict(one.plan)}
            for one in mended.results
        ],
        "files": [{"path": str(edit.path), "action": edit.action, "diff": edit.diff(root)} for edit in mended.files],
        "left": [
            {
                "connection": one.remedy.connection,
                "rule": one.remedy.rule.id,
                "object": one.remedy.finding.object,
                "sql": one.remedy.finding.sql,
                "why": one.why,
                "fix": one.fix,
            }
            for one in mended.left
        ],
    }


def _from(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
