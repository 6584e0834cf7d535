"""What the linter finds by itself: text that is no SQL, and remarks that allow nothing."""

from __future__ import annotations

from dbops.lint.rule import linter_rule

linter_rule(
    "SYNTAX_ERROR",
    "text that no version of the engine takes for a statement",
    why="The statement cannot run, and whatever follows it in the file may be read wrongly.",
    advice="Mend the place that is named. What the linter does not know is never called an error: only what cannot be SQL is.",
    severity="error",
)
linter_rule(
    "UNUSED_ALLOW",
    "a dbops:allow that suppresses nothing",
    why="It would hide the hazard that comes next year, and makes readers look for one that is not there.",
    advice="Remove it, or correct its code.",
    severity="warning",
)
linter_rule(
    "ALLOW_WITHOUT_REASON",
    "a dbops:allow that gives no reason",
    why="Whoever reads it later cannot tell whether it still holds.",
    advice="-- dbops:allow CODE reason, in a few words.",
    severity="warning",
)
