"""Writing GRANT and REVOKE: from the grants that an object has to those that are wanted, and back.

What is taken goes before tables change, what is given comes last, when every object and column is there; undo the other way
round. Grants outlive a dropped table or view, not a dropped routine, and stay with the old name when a table is renamed
(MySQL 8.4 manual, 15.1.32 and 15.1.36; MariaDB the same).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbops.catalog.changes import AlterObject, CatalogChange, ChangeSet, CreateObject, DropObject
from dbops.catalog.model import CatalogObject, Defined, Grant, Routine, Sequence, Table, View
from dbops.dataclass import dataclass
from dbops.engines.base.render import Act
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.ddl import names, routine_name
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.grants import DATABASE, NOTHING, OPTION, PUBLIC, Place, privileges_on
from dbops.engines.mysql.statements import ddl
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

Patterns = dict[str, str]
"""The pattern under which an account's grants on the database stand, where it is not the database's plain name."""


def place_of(item: CatalogObject) -> Place | None:
    """Return what grants on an object are on, None for one that nobody grants anything on."""
    match item:
        case Table() | View() | Sequence():
            return Place("table", item.name)
        case Routine(flavour="function" | "procedure"):
            return Place(item.flavour, routine_name(item))
        case Defined(what="database"):
            return DATABASE
        case _:
            return None


def database_object(grants: tuple[Grant, ...], patterns: Patterns) -> Defined:
    """Return the database itself, as far as it is an object: who may do what in all of it."""
    return Defined(
        what="database",
        name="grants",
        definition="",
        grants=grants,
        spelling=json.dumps(patterns, sort_keys=True) if patterns else None,
    )


def granted_again(item: CatalogObject, grants: Iterable[Grant], flavour: Flavour) -> tuple[Statement, ...]:
    """Return what gives a routine that is made again the grants that went with it."""
    place = place_of(item)
    return tuple(_given(place, set(grants), flavour, {})) if isinstance(item, Routine) and place is not None else ()


def moved(old: Place, new: Place, grants: Iterable[Grant], flavour: Flavour, *, survive: bool) -> tuple[Statement, ...]:
    """Return what gives an object its grants under its new name, and takes them from the old one where they `survive` it."""
    held = set(grants)
    return (*(_taken(old, held, flavour, {}) if survive else ()), *_given(new, held, flavour, {}))


def moved_column(table: str, old: str, new: str, grants: Iterable[Grant], flavour: Flavour) -> tuple[Statement, ...]:
    """Return what lets the grants on a column follow its new name."""
    held = {grant for grant in grants if grant.column == old}
    place = Place("table", table)
    return (*_taken(place, held, flavour, {}), *_given(place, {replace(g, column=new) for g in held}, flavour, {}))


def without_grants(changes: ChangeSet) -> ChangeSet:
    """Return the changes without what `grant_acts` carries out."""
    return replace(changes, changes=tuple(left for change in changes.changes if (left := _but_grants(change)) is not None))


def _but_grants(change: CatalogChange) -> CatalogChange | None:
    if change.ref.kind == "database":
        return None
    if isinstance(change, AlterObject) and change.before.grants != change.after.grants:
        after = replace(change.after, grants=change.before.grants)
        return None if change.before == after else AlterObject(change.before, after)
    return change


def grant_acts(changes: ChangeSet, flavour: Flavour) -> tuple[list[Act], list[Act]]:
    """Return the acts before and after all others."""
    pairs = [_acts(found, flavour) for change in changes.changes if (found := _difference(change, changes)) is not None]
    return [act for first, _ in pairs for act in first], [act for _, last in pairs for act in last]


@dataclass(frozen=True, slots=True)
class _Difference:
    item: CatalogObject
    place: Place
    is_new_place: bool
    old: frozenset[Grant]
    new: frozenset[Grant]
    patterns: Patterns
    hazards: tuple[Hazard, ...] = ()


def _difference(change: CatalogChange, changes: ChangeSet) -> _Difference | None:
    match change:
        case CreateObject(item):
            before, after = None, item.grants
        case AlterObject(old, item):
            before, after = old.grants, item.grants
        case DropObject(item) if item.ref.kind == "database":
            before, after = item.grants, None
        case _:
            return None
    place = place_of(item)
    sides = [frozenset(grant for grant in side or () if grant.privilege != NOTHING) for side in (before, after)]
    if place is None or sides[0] == sides[1]:
        return None
    live = changes.before.objects.get(item.ref)
    patterns = json.loads(live.spelling) if place == DATABASE and live is not None and live.spelling else {}
    is_change = before is not None and not isinstance(change, CreateObject)
    found = (Hazard("AUTHZ_CHANGE", f"grants on {_called(place)} change"),) if is_change else ()
    is_new_place = isinstance(change, AlterObject) and place_of(change.before) != place
    return _Difference(item, place, is_new_place, sides[0], sides[1], patterns, found)


def _acts(found: _Difference, flavour: Flavour) -> tuple[list[Act], list[Act]]:
    place, patterns, facts = found.place, found.patterns, found.hazards
    gone, come = set(found.old - found.new), set(found.new - found.old)
    stay = found.old & found.new
    taking = tuple(_taken(place, gone, flavour, patterns, facts))
    giving = tuple(_given(place, come | _along(gone, stay), flavour, patterns, facts))
    untaking = tuple(_given(place, gone | _along(come, stay), flavour, patterns))
    ungiving = tuple(_taken(place, come, flavour, patterns))
    ref, name = found.item.ref, _called(place)
    if not gone:
        return [], [Act(ref, f"grant on {name}", giving, (*ungiving, *untaking))]
    if found.is_new_place:  # a function becomes a procedure, and takes along what was granted
        return [], [Act(ref, f"grant on {name}", (*taking, *giving), (*ungiving, *untaking))]
    if not come:
        return [Act(ref, f"revoke on {name}", (*taking, *giving), untaking)], []
    first = Act(ref, f"revoke on {name}", taking, untaking)
    return [first], [Act(ref, f"grant on {name}", giving, ungiving)]


def _along(taken: set[Grant], stay: Iterable[Grant]) -> set[Grant]:
    """Revoking a privilege on a table revokes it on every column too (replace_column_table in sql/sql_acl.cc of both servers)."""
    whole = {(grant.grantee, grant.privilege) for grant in taken if not grant.column}
    return {grant for grant in stay if grant.column and (grant.grantee, grant.privilege) in whole}


def _called(place: Place) -> str:
    return "the database" if place == DATABASE else f"{place.kind} {place.name}"


def _target(place: Place, who: str, patterns: Patterns) -> str:
    if place == DATABASE:
        return f"{quoted(patterns[who])}.*" if who in patterns else "*"
    return quoted(place.name) if place.kind == "table" else f"{place.kind.upper()} {quoted(place.name)}"


def _given(
    place: Place, grants: set[Grant], flavour: Flavour, patterns: Patterns, facts: tuple[Hazard, ...] = ()
) -> Iterator[Statement]:
    for who, has in _by_grantee(grants):
        option = " WITH GRANT OPTION" if Grant(who, OPTION) in has else ""
        for privileges in _listed(place, has, flavour) or [NOTHING]:
            yield ddl(f"GRANT {privileges} ON {_target(place, who, patterns)} TO {_who(who)}{option}", facts)


def _taken(
    place: Place, grants: set[Grant], flavour: Flavour, patterns: Patterns, facts: tuple[Hazard, ...] = ()
) -> Iterator[Statement]:
    for who, has in _by_grantee(grants):
        target = _target(place, who, patterns)
        for privileges in _listed(place, has, flavour)[:1]:  # ALL takes what is granted on columns along
            yield ddl(f"REVOKE {privileges} ON {target} FROM {_who(who)}", facts)
        if Grant(who, OPTION) in has:
            yield ddl(f"REVOKE {OPTION} ON {target} FROM {_who(who)}", facts)


def _by_grantee(grants: set[Grant]) -> list[tuple[str, set[Grant]]]:
    found: defaultdict[str, set[Grant]] = defaultdict(set)
    for grant in grants:
        if grant.privilege != NOTHING:
            found[grant.grantee].add(grant)
    return sorted(found.items())


def _listed(place: Place, grants: set[Grant], flavour: Flavour) -> list[str]:
    """Write the privileges, the right to grant left out: `SELECT, UPDATE (a, b)`, or ALL, which stands alone, and the rest."""
    whole = {grant.privilege for grant in grants if not grant.column} - {OPTION}
    by_privilege: defaultdict[str, list[str]] = defaultdict(list)
    for grant in sorted(grants):
        if grant.column:
            by_privilege[grant.privilege].append(grant.column)
    on_columns = [f"{privilege} ({names(columns)})" for privilege, columns in sorted(by_privilege.items())]
    if whole == privileges_on(place.kind, flavour):
        return ["ALL PRIVILEGES", *([", ".join(on_columns)] if on_columns else [])]
    return [", ".join([*sorted(whole), *on_columns])] if whole or on_columns else []


def _who(grantee: str) -> str:
    return "PUBLIC" if grantee == PUBLIC else grantee
