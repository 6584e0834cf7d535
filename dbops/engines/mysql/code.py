"""Views, routines, triggers and events: dropped before tables change, made and replaced after.

MariaDB replaces each in one statement; MySQL 8 drops and creates all but views.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterObject, ChangeSet, CreateObject, DropObject
from dbops.catalog.model import CatalogObject, Event, Routine, Table, Trigger, View
from dbops.catalog.ref import Ref
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.ddl import create_event, create_routine, create_trigger, create_view, literal, routine_name
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.grant_acts import granted_again
from dbops.engines.mysql.renamed_triggers import row_of, speaks_of, triggers_over, turn
from dbops.engines.mysql.renamed_views import views_over
from dbops.engines.mysql.statements import ddl, under
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_OUTPUT = re.compile(r" AS `((?:[^`]|``)+)`")
"""What a query calls its columns, those of subqueries and tables too, in the server's own text of it."""

_Code = View | Routine | Trigger | Event


def code_acts(changes: ChangeSet, context: RenderContext, flavour: Flavour) -> tuple[list[Act], list[Act]]:
    """Return the acts before and after the changes of tables."""
    writer = _Writer(changes, context, flavour)
    return list(writer.leaving()), [*writer.routines(), *writer.views(), *writer.triggers(), *writer.events()]


class _Writer:
    def __init__(self, changes: ChangeSet, context: RenderContext, flavour: Flavour) -> None:
        self.changes = changes
        self.flavour = flavour
        self.account = context.server.user
        self.back_with_names = views_over(context.renames, changes.before)
        self.back_last = {item.ref: place for place, item in enumerate(triggers_over(context.renames, changes.before))}
        gone = {c.ref for c in changes.changes if isinstance(c, DropObject) and isinstance(c.item, Table)}
        self.dropped = [c.item for c in changes.changes if isinstance(c, DropObject) and c.ref.table not in gone]
        self.created = [c.item for c in changes.changes if isinstance(c, CreateObject)]
        self.altered = [c for c in changes.changes if isinstance(c, AlterObject)]

    def leaving(self) -> Iterator[Act]:
        """Drops, and the first half of what is dropped and created again."""
        aside = [change.before for change in self.altered if self._is_made_anew(change)]
        leaving = [*self.dropped, *aside]
        for kind in (Event, Trigger, View, Routine):
            for item in self._users_first(leaving):
                if isinstance(item, kind):
                    word = _word(item)
                    lost = [] if item in aside else [Hazard("DELETES_OBJECT", f"{word} {item.name} is dropped")]
                    late = item.ref in self.back_with_names or item.ref in self.back_last
                    back = () if late else self._create(item, self.changes.before)
                    yield Act(item.ref, f"drop {word} {item.name}", (ddl(drop_code(item), lost),), back, drops=True)

    def _users_first(self, leaving: list[CatalogObject]) -> list[CatalogObject]:
        places = {ref: -place for place, ref in enumerate(_sorted([item.ref for item in leaving], self.changes.before))}
        return sorted(leaving, key=lambda item: places[item.ref])

    def _is_made_anew(self, change: AlterObject) -> bool:
        return change.ref in self.made_anew

    @cached_property
    def made_anew(self) -> set[Ref]:
        """Functions that become procedures, views that selected what goes, or such a view, and triggers that speak of what goes.

        Undo makes them when what they need is back.
        """
        found = {c.ref for c in self.altered if _changes_nature(c) or c.ref in self.back_with_names}
        views = [c.before for c in self.altered if isinstance(c.before, View)]
        found |= {view.ref for view in views if self._loses_columns(view)}
        found |= {c.ref for c in self.altered if isinstance(c.before, Trigger) and self._loses_names(c.before)}
        needs = self.changes.before.dependencies
        while more := {view.ref for view in views if view.ref not in found and found & set(needs.get(view.ref, ()))}:
            found |= more
        return found

    def _loses_names(self, trigger: Trigger) -> bool:
        before, after = (catalog.objects.get(trigger.ref.table) for catalog in (self.changes.before, self.changes.after))
        return trigger.ref in self.back_last or speaks_of(trigger, _column_names(before) - _column_names(after))

    def _loses_columns(self, view: View) -> bool:
        before, after = self.changes.before, self.changes.after
        for need in before.dependencies.get(view.ref, ()):
            if need not in after:
                return True
            lost = _column_names(before.objects.get(need)) - _column_names(after.objects.get(need))
            if any(quoted(name) in view.definition for name in lost):
                return True
        return False

    def routines(self) -> Iterator[Act]:
        yield from self._acts(Routine)

    def events(self) -> Iterator[Act]:
        yield from self._acts(Event)

    def views(self) -> Iterator[Act]:
        """Views behind the views they select from, by the names in the server's own text of them."""
        acts = {act.ref: act for act in self._acts(View)}
        for ref in _sorted(list(acts), self.changes.after):
            yield acts[ref]

    def triggers(self) -> Iterator[Act]:
        """Triggers of one moment in their order, each behind its left neighbour."""
        acts = {act.ref: act for act in self._acts(Trigger)}
        items = [item for ref in acts if isinstance(item := self.changes.after.objects.get(ref) or self._made(ref), Trigger)]
        for item in sorted(items, key=turn):
            yield acts[item.ref]

    def _made(self, ref: Ref) -> CatalogObject | None:
        return next((item for item in self.created if item.ref == ref), None)

    def _acts(self, kind: type[View] | type[Routine] | type[Trigger] | type[Event]) -> Iterator[Act]:
        for item in self.created:
            if isinstance(item, kind):
                drop = ddl(drop_code(item), [Hazard("DELETES_OBJECT", f"{_word(item)} {item.name} is dropped")])
                yield Act(
                    item.ref, f"create {_word(item)} {item.name}", self._create(item, self.changes.after), (drop,), creates=True
                )
        for change in self.altered:
            if isinstance(change.after, kind):
                yield self._replacement(change)

    def _replacement(self, change: AlterObject) -> Act:
        after = self._with_definer(change.after)
        is_new = self._is_made_anew(change)
        do = self._create(after, self.changes.after) if is_new else self._replace(after, self.changes.after)
        if found := _authority(change):
            do = (replace(do[0], hazards=(*do[0].hazards, found)), *do[1:])
        if is_new:
            return Act(change.ref, f"create {_word(after)} {after.name}", do, (ddl(drop_code(after)),), creates=True)
        return Act(
            change.ref,
            f"replace {_word(after)} {after.name}",
            do,
            self._replace(self._with_definer(change.before), self.changes.before),
        )

    def _with_definer(self, item: CatalogObject) -> CatalogObject:
        """Who defined an object stays so when the source does not say who."""
        before = self.changes.before.objects.get(item.ref)
        return replace(item, owner=before.owner) if item.owner is None and before is not None else item

    def _create(self, item: CatalogObject, catalog: Catalog) -> tuple[Statement, ...]:
        """Make an object as it is in `catalog`, its definer included, which the change itself may not mention."""
        item = item if catalog is self.changes.after else catalog.objects.get(item.ref, item)
        return (*create_code(item, self.account, self.flavour, place=self._place(item, catalog)), *self._grants_of(item))

    def _grants_of(self, item: CatalogObject) -> tuple[Statement, ...]:
        """What gives a routine, of whichever flavour it was before, the grants again that went with it."""
        before = self.changes.before.objects.get(item.ref)
        return granted_again(item, before.grants or (), self.flavour) if before is not None else ()

    def _place(self, item: CatalogObject, catalog: Catalog) -> str:
        if not isinstance(item, Trigger):
            return ""
        return self._new_place(item) if catalog is self.changes.after else self._old_place(item)

    def _new_place(self, item: Trigger) -> str:
        """FOLLOWS the left neighbour among the triggers of one moment; the first PRECEDES the next one that is there by then."""
        names = [trigger.name for trigger in row_of(item, self.changes.after)]
        at = names.index(item.name) if item.name in names else 0
        if at:
            return f"FOLLOWS {quoted(names[at - 1])}"
        known = {trigger.name for trigger in row_of(item, self.changes.before) if trigger.ref not in self.made_anew}
        follower = next((name for name in names[1:] if name in known), None)
        return f"PRECEDES {quoted(follower)}" if follower else ""

    def _old_place(self, item: Trigger) -> str:
        """Where undo puts a trigger: beside those that stand where they stood before, by then; others find their own place."""
        row = row_of(item, self.changes.before)
        at = next(place for place, trigger in enumerate(row) if trigger.ref == item.ref)
        left = [trigger.name for trigger in row[:at] if self._is_back_before(trigger, item)]
        right = [trigger.name for trigger in row[at + 1 :] if self._is_back_before(trigger, item)]
        return f"FOLLOWS {quoted(left[-1])}" if left else f"PRECEDES {quoted(right[0])}" if right else ""

    def _is_back_before(self, one: Trigger, other: Trigger) -> bool:
        """Tell whether `one` is as it was when undo comes to `other`: acts are taken back from the last to the first."""
        turns = self.turns
        return one.ref not in turns or turns[one.ref] > turns[other.ref]

    @cached_property
    def turns(self) -> dict[Ref, int]:
        """When triggers that were there before are dropped or replaced; negative where the undo of renames makes them."""
        aside = [change.before for change in self.altered if self._is_made_anew(change)]
        gone = [item for item in self._users_first([*self.dropped, *aside]) if isinstance(item, Trigger)]
        replaced = sorted((c.after for c in self.altered if isinstance(c.after, Trigger) and c.before not in aside), key=turn)
        turns = {item.ref: number for number, item in enumerate((*gone, *replaced))}
        return turns | {ref: -1 - place for ref, place in self.back_last.items()}

    def _replace(self, item: CatalogObject, catalog: Catalog) -> tuple[Statement, ...]:
        place = self._place(item, catalog)
        if self.flavour.has_or_replace or isinstance(item, View):
            return create_code(item, self.account, self.flavour, place=place, replace=True)
        made = create_code(item, self.account, self.flavour, place=place)
        return (ddl(drop_code(item)), *made, *self._grants_of(item))


def made_anew(changes: ChangeSet, context: RenderContext, flavour: Flavour) -> set[Ref]:
    """Return what `code_acts` drops before the changes of tables and makes after them, though it is there before and after."""
    return _Writer(changes, context, flavour).made_anew


def create_code(
    item: CatalogObject, account: str, flavour: Flavour, *, place: str = "", replace: bool = False
) -> tuple[Statement, ...]:
    """Return the statements that make a view, routine, trigger or event, under the sql_mode it is to run with."""
    options = dict(getattr(item, "options", ()))
    settings = {"sql_mode": literal(options["sql_mode"])} if "sql_mode" in options else {}
    match item:
        case View():
            sql = create_view(item, account, replace=replace)
        case Routine():
            sql = create_routine(item, account, replace=replace)
        case Trigger():
            sql = create_trigger(item, account, place=place, replace=replace)
        case Event():
            sql = create_event(item, account, replace=replace)
            if options["time_zone"] != "SYSTEM":
                settings["time_zone"] = literal(options["time_zone"])
        case _:
            raise TypeError(f"{item.ref} is no code")
    return under(settings, ddl(sql))


def drop_code(item: CatalogObject) -> str:
    """Return the statement that drops a view, routine, trigger or event."""
    if isinstance(item, Routine):
        return f"DROP {item.flavour.upper()} {quoted(routine_name(item))}"
    return f"DROP {item.kind.upper()} {quoted(item.name)}"


def _word(item: CatalogObject) -> str:
    return item.flavour if isinstance(item, Routine) else item.kind


def _column_names(item: CatalogObject | None) -> set[str]:
    if isinstance(item, Table):
        return {column.name for column in item.columns}
    return {name.replace("``", "`") for name in _OUTPUT.findall(item.definition)} if isinstance(item, View) else set()


def _changes_nature(change: AlterObject) -> bool:
    return (
        isinstance(change.before, Routine) and isinstance(change.after, Routine) and change.before.flavour != change.after.flavour
    )


def _authority(change: AlterObject) -> Hazard | None:
    """Whose rights an object runs with is a question of who may do what."""
    before, after = change.before, change.after
    old, new = (dict(getattr(item, "options", ())).get("security", "") for item in (before, after))
    if old == new and (after.owner is None or before.owner == after.owner):
        return None
    return Hazard("AUTHZ_CHANGE", f"{_word(after)} {after.name} runs with other rights than before")


def _sorted(refs: list[Ref], catalog: Catalog) -> list[Ref]:
    order: list[Ref] = []
    waiting: dict[Ref, set[Ref]] = {ref: set(catalog.dependencies.get(ref, ())) & set(refs) for ref in refs}
    while waiting:
        ready = [ref for ref, needs in waiting.items() if not needs & waiting.keys()] or list(waiting)
        order += ready
        for ref in ready:
            del waiting[ref]
    return order
