"""What an apply or undo came to, in one line or two."""

from __future__ import annotations

from click import style

from dbops.cli.views import wording
from dbops.reconcile.change import UNSEEN
from dbops.usecases.apply import ApplyResult


def outcome_text(result: ApplyResult, *, is_undo: bool = False, nothing: str = "") -> str:
    """Return the outcome with the id that undo takes; where nothing was to be done, behind what the plan, not shown, warns of.

    `nothing` says in other words than a plan's that there was nothing to do.
    """
    if result.state == "nothing":
        said = nothing if nothing and not result.plan.is_blind else wording.no_changes(result.plan)
        parts = [style(said, fg="yellow" if result.plan.is_blind else "green")]
        if warned := [one for one in result.plan.observations if one.severity == "warning" or one.code in UNSEEN]:
            from dbops.cli.views.text import observations_text

            parts = [*observations_text(warned), *parts]
        return "\n\n".join(parts)
    if result.state == "declined":
        return "\nNot approved: nothing was done."
    done = style("Taken back" if is_undo else "Applied", fg="green", bold=True)
    ran = wording.count(result.statements, "statement")
    outcome = "" if is_undo else ", and the databases are what was planned"
    unseen = (
        "\nSomething could not be looked at, and was left as it is: the errors of the plan say what."
        if result.plan.is_blind
        else ""
    )
    return f"\n{done}: {ran} ran{outcome}. Apply {result.apply_id}.{unseen}"
