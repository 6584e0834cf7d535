"""Rules about checks that are switched off."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.lint.facts import AlterTable, Setting
from dbops.lint.rule import ENGINES, Spot, script_rule
from dbops.lint.statements import Read
from dbops.lint.world import World

_SWITCHES = {
    "postgresql": ("session_replication_role", ("replica",)),
    "mysql": ("foreign_key_checks", ("0", "off", "false")),
    "sqlite": ("pragma foreign_keys", ("0", "off", "false", "no")),
}


@script_rule(
    "NO_FOREIGN_KEY_ENFORCEMENT",
    ENGINES,
    "foreign keys are switched off and not on again",
    why="Rows that refer to nothing come in unseen, and the session goes on like that after the file.",
    advice="Switch them on again at the end of the file, and look for orphans (PRAGMA foreign_key_check).",
)
def no_foreign_key_enforcement(script: tuple[Read, ...], world: World) -> Iterator[Spot]:
    name, off = _SWITCHES[world.dialect.name]
    switched: Read | None = None
    for read in script:
        match read.fact:
            case Setting(found, value) if found == name:
                switched = read if value.strip("'\" ").lower() in off else None
            case Setting(found, _) if found.startswith("@old_"):
                continue
            case AlterTable(table, actions) if world.dialect.name == "postgresql" and not world.is_new(table):
                for action in actions:
                    if (
                        action.kind == "triggers"
                        and action.words[:3] == ("DISABLE", "TRIGGER", "ALL")
                        and not _enabled(table.name, read, script)
                    ):
                        yield Spot(read, action.at, f"the triggers of {table}, those of its foreign keys too, stay switched off")
            case _:
                pass
    if switched is not None:
        yield Spot(switched, 0, "foreign keys are switched off until the session ends")


def _enabled(table: str, since: Read, script: tuple[Read, ...]) -> bool:
    later = (read.fact for read in script[since.number + 1 :])
    return any(
        isinstance(fact, AlterTable)
        and fact.table.name == table
        and any(action.words[:2] == ("ENABLE", "TRIGGER") for action in fact.actions)
        for fact in later
    )
