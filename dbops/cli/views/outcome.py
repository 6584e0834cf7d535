"""What an apply or undo came to, in one line or two."""

from __future__ import annotations

from click import style

from dbops.cli.views import wording
from dbops.usecases.apply import ApplyResult


def outcome_text(result: ApplyResult, *, is_undo: bool = False) -> str:
    """Return the outcome with the id that undo takes."""
    if result.state == "nothing":
        return style(wording.no_changes(result.plan), fg="green")
    if result.state == "declined":
        return "\nNot approved: nothing was done."
    done = style("Taken back" if is_undo else "Applied", fg="green", bold=True)
    ran = wording.count(result.statements, "statement")
    outcome = "" if is_undo else ", and the databases are what was planned"
    return f"\n{done}: {ran} ran{outcome}. Apply {result.apply_id}."
