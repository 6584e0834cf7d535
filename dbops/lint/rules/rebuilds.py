"""The hazard of making a table anew by hand: what stood on the old one goes with it, and no statement says so."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.lint.facts import Create, CreateIndex, Drop, Name
from dbops.lint.rule import LITE, Hit, hazard
from dbops.lint.statements import Read
from dbops.lint.world import World


@hazard(
    "LOST_IN_REBUILD",
    LITE,
    why="DROP TABLE takes the table's triggers and indexes along (sqlite.org/lang_droptable.html) without a word, and the table "
    "that takes its name has none of them.",
    advice="CREATE TRIGGER and CREATE INDEX again behind the rename (sqlite.org/lang_altertable.html#otheralter, step 8); "
    "what shall go is dropped by its name first.",
)
def lost_in_rebuild(read: Read, world: World) -> Iterator[Hit]:
    if not isinstance(read.fact, Drop) or read.fact.kind != "table":
        return
    for name in read.fact.names:
        if world.key(name) in world.rebuilt and (lost := _lost(name, world)):
            them = "it" if len(lost) == 1 else "them"
            yield Hit(
                name.at, f"with {name} {' and '.join(lost)} {'go' if len(lost) > 1 else 'goes'}: nothing here makes {them} again"
            )


def _lost(table: Name, world: World) -> list[str]:
    """Return what stands on a table, as far as files tell, and is made by no statement of the file that makes the table anew."""
    facts = [read.fact for read in world.script]
    made = {("trigger", world.fold(fact.name.name)) for fact in facts if isinstance(fact, Create) and fact.kind == "trigger"}
    indexes = [fact for fact in facts if isinstance(fact, CreateIndex)]
    made |= {("index", world.fold(fact.name.name)) for fact in indexes if fact.name}
    alike = {fact.signature for fact in indexes}
    state = world.table(table)
    standing = dict.fromkeys(
        index.name
        for index in (state.indexes if state else ())
        if index.name and not index.is_constraint and index.signature not in alike
    )
    on_it = [("trigger", name) for name in world.triggers_of(table)] + [("index", name) for name in standing]
    return [f"{kind} {name}" for kind, name in on_it if (kind, world.fold(name)) not in made]
