"""What an apply or undo came to, in one line or two."""

from __future__ import annotations

from click import style

from dbops.cli.views import wording
from dbops.usecases.apply import ApplyResult


def outcome_text(result: ApplyResult) -> str:
    """Return the outcome with the id that undo takes."""
    if result.state == "nothing":
        return style(wording.NO_CHANGES, fg="green")
    if result.state == "declined":
        return "Not approved: nothing was done."
    done = style("Applied", fg="green", bold=True)
    ran = wording.count(result.statements, "statement")
    return f"{done}: {ran} ran, and the databases are what was planned. Apply {result.apply_id}."
