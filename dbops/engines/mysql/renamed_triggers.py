"""Which triggers speak of columns that go or get other names: a trigger is made only where its columns are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import RenameColumn, RenameObject
from dbops.catalog.model import Trigger
from dbops.engines.mysql.tokens import Token, tokens


def triggers_over(renames: Sequence[RenameObject | RenameColumn], catalog: Catalog) -> tuple[Trigger, ...]:
    """Return the triggers that the undo of the renames makes again, in the order in which they run, before or after the renames.

    What else undoes changes of these triggers must not make them: their columns have the old names only at the end.
    """
    columns = [change for change in renames if isinstance(change, RenameColumn)]
    if not columns:
        return ()
    names = {change.after.name: change.before.name for change in renames if isinstance(change, RenameObject)}
    old: dict[str, set[str]] = {}
    for change in columns:
        for table in {change.table.name, names.get(change.table.name, change.table.name)}:
            old.setdefault(table, set()).add(change.before)
    found = [item for item in catalog.all(Trigger) if item.parent in old and speaks_of(item, old[item.parent])]
    return tuple(sorted(found, key=turn))


def speaks_of(trigger: Trigger, columns: Iterable[str]) -> bool:
    """Tell whether a body has a name that is one of these columns, which it may have for something else, too."""
    wanted = {column.casefold() for column in columns}
    return any(_name(token).casefold() in wanted for token in tokens(trigger.definition))


def _name(token: Token) -> str:
    """What is a text to us is a name under ANSI_QUOTES."""
    return token.identifier or (token.text[1:-1] if token.text.startswith('"') else "")


def turn(trigger: Trigger) -> tuple[str, str, str, int]:
    """What sorts the triggers of a table: by moment, then in the order in which they run."""
    options = dict(trigger.options)
    return trigger.parent, options["timing"], options["event"], trigger.order


def row_of(trigger: Trigger, catalog: Catalog) -> list[Trigger]:
    """The triggers of one moment, in the order in which they run."""
    return sorted((other for other in catalog.all(Trigger) if turn(other)[:3] == turn(trigger)[:3]), key=turn)
