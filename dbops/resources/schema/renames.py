"""Renames the manifest asks for, and drops with adds that look like a rename nobody asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import (
    AddColumn,
    CatalogChange,
    CreateObject,
    DropColumn,
    DropObject,
    RenameColumn,
    RenameObject,
    column_ref,
)
from dbops.catalog.model import CatalogObject, Column, Constraint, Index, Table, View
from dbops.catalog.model import Sequence as SequenceObject
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import TableSize
from dbops.engines.base.features import Features
from dbops.errors import SchemaError
from dbops.resources.schema.model import Rename
from dbops.sql.hazard import Hazard

Name = tuple[str, str]

_ALIKE = 0.6
#: Kinds that a manifest or a remark can rename; a new name makes a new object of any other, which holds no rows.
_RENAMED = frozenset({"table", "view", "sequence", "enum", "schema"})


class _Released:
    """Names that renames give away, to be taken by others; `asked` are the kinds and new names of all.

    `tables` are the old names of what is renamed, by the new ones.
    """

    def __init__(self, asked: Collection[Name]) -> None:
        self._asked = asked
        self.refs: set[Ref] = set()
        self.tables: dict[Name, Name] = {}

    def note(self, change: RenameObject | RenameColumn) -> None:
        if isinstance(change, RenameColumn):
            self.refs.add(column_ref(change.table, change.before))
        else:
            self.refs.add(change.before)
            self.tables[change.after.schema, change.after.name] = change.before.schema, change.before.name

    def can_pass(self, new: Ref, old: Ref, *, is_desired: bool) -> bool:
        """Tell whether a name that is live becomes another object's, whose old name is to be nobody's or is given in turn."""
        return new in self.refs and (not is_desired or (old.kind, old.name) in self._asked)


def wanted_renames(
    renames: Sequence[Rename], live: Catalog, desired: Catalog, features: Features
) -> tuple[RenameObject | RenameColumn, ...]:
    """Return the renames still to be done: the old name is live, the new one is desired and not live yet.

    A name in another case is meant where the engine finds what has it by that, or where the server folded the new name. A new
    name that is live may be given away by another rename, which comes first then: where nothing but what is renamed so is to
    have the old name, so that it is plain what is meant.

    Raises:
        SchemaError: a rename whose new name the source does not have.
    """
    found: list[RenameObject | RenameColumn] = []
    old_names = _old_names(renames, features.default_schema)
    schemas = [schema for rename in renames if rename.kind == "schema" and (schema := _schema(rename, live, desired))]
    former = {schema.after.name: schema.before.name for schema in schemas}
    released = _Released({(rename.kind, rename.new.rpartition(".")[2]) for rename in renames})

    def change_of(rename: Rename) -> RenameObject | RenameColumn | None:
        if rename.kind == "column":
            return _column(rename, live, desired, features, old_names, former, released)
        return _object(rename, live, desired, features, former, released)

    # columns come last, for they are looked for where their tables are
    objects, columns = ([one for one in renames if (one.kind == "column") == is_column] for is_column in (False, True))
    for waiting in ([one for one in objects if one.kind != "schema"], columns):
        while True:
            left = []
            for rename in waiting:
                if (change := change_of(rename)) is None:
                    left.append(rename)
                else:
                    found.append(change)
                    released.note(change)
            if len(left) == len(waiting):
                break
            waiting = left
    return tuple(sorted(dict.fromkeys([*found, *schemas]), key=_rank))


def respelled(
    kinds: Collection[str], live: Catalog, desired: Catalog, renames: Sequence[RenameObject | RenameColumn]
) -> tuple[RenameObject | RenameColumn, ...]:
    """Return the renames nobody has to ask for: of names of those kinds that differ in case alone; `renames` are asked for."""
    found: list[RenameObject | RenameColumn] = []
    gone = {(ref.kind, ref.name.lower()): ref for ref in live.objects if ref.kind in kinds and ref not in desired}
    for ref in desired.objects:
        if ref.kind in kinds and ref not in live and (old := gone.get((ref.kind, ref.name.lower()))):
            found.append(RenameObject(old, ref))
    if "column" in kinds:
        asked = {(c.table, name) for c in renames if isinstance(c, RenameColumn) for name in (c.before, c.after)}
        columns = (change for table in desired.all(Table) for change in _respelled_columns(table, live, renames))
        found += (c for c in columns if (c.table, c.before) not in asked and (c.table, c.after) not in asked)
    return tuple(found)


def _respelled_columns(wanted: Table, live: Catalog, renames: Sequence[RenameObject | RenameColumn]) -> Iterable[RenameColumn]:
    table = live.objects.get(former_ref(wanted.ref, renames))
    if isinstance(table, Table):
        gone = {column.name.lower(): column.name for column in table.columns if not wanted.column(column.name)}
        for column in wanted.columns:
            if not table.column(column.name) and (old := gone.get(column.name.lower())):
                yield RenameColumn(wanted.ref, old, column.name)


def _rank(change: RenameObject | RenameColumn) -> int:
    """Put what is known by the old name of its table or schema before that, and columns, known by the new ones, behind it."""
    if isinstance(change, RenameColumn):
        return 3
    return {"table": 1, "schema": 2}.get(change.before.kind, 0)


def _schema(rename: Rename, live: Catalog, desired: Catalog) -> RenameObject | None:
    old, new = Ref("schema", "", rename.old), Ref("schema", "", rename.new)
    _must_be_desired(new in desired, rename)
    return RenameObject(old, new) if old in live and new not in live else None


def _object(
    rename: Rename,
    live: Catalog,
    desired: Catalog,
    features: Features,
    former: Mapping[str, str],
    released: _Released,
) -> RenameObject | RenameColumn | None:
    """`former` are the old names of schemas that are renamed behind what is in them: the object gets its name in the old one."""
    namespace, name = _split(rename.old, features.default_schema)
    latter = {old: new for new, old in former.items()}
    space, new_name = _split(rename.new, namespace)
    wanted = _named(desired, rename.kind, latter.get(space, space), new_name, any_case=True)
    _must_be_desired(wanted is not None, rename)
    if wanted is None or (wanted in live and wanted not in released.refs):
        return None
    new = wanted._replace(schema=former.get(wanted.schema, wanted.schema))
    is_caseless = rename.kind in features.caseless or wanted.name != new_name
    found = _named(live, rename.kind, former.get(namespace, namespace), name, any_case=is_caseless)
    if found is None or (found.name != name and found.name.lower() == wanted.name.lower()):
        return None
    if new in live and not released.can_pass(new, found, is_desired=found in desired):
        return None
    if found.kind != wanted.kind:  # a virtual table does not come of a table
        return None
    return RenameObject(found, new)


def _old_names(renames: Iterable[Rename], default_schema: str) -> dict[Name, Name]:
    names = {}
    for rename in renames:
        if rename.kind == "table":
            namespace, old = _split(rename.old, default_schema)
            names[_split(rename.new, namespace)] = (namespace, old)
    return names


def _named(catalog: Catalog, kind: str, schema: str, name: str, *, any_case: bool) -> Ref | None:
    """Return the object of that kind and name, whatever table it belongs to."""
    free = Ref(kind, schema, name)
    if free in catalog:
        return free
    exact = next((ref for ref in catalog.objects if (ref.kind, ref.schema, ref.name) == (kind, schema, name)), None)
    found = exact or (catalog.spelled(kind, schema, name) if any_case else None)
    return _named(catalog, "virtual_table", schema, name, any_case=any_case) if found is None and kind == "table" else found


def _column(
    rename: Rename,
    live: Catalog,
    desired: Catalog,
    features: Features,
    old_names: Mapping[Name, Name],
    former: Mapping[str, str],
    released: _Released,
) -> RenameObject | RenameColumn | None:
    """`old_names` are those of tables that are renamed first: `{(schema, new): (schema, old)}`, `former` those of schemas."""
    splits = [(rename.old[:at], rename.old[at + 1 :]) for at, sign in enumerate(rename.old) if sign == "." and at]
    if not splits:
        raise SchemaError(
            f"the rename of column {rename.old!r} does not name its table", expected="table.column or schema.table.column"
        )

    def named(owner: str) -> Name:
        namespace, name = _split(owner, features.default_schema)
        return next((new for new, before in former.items() if before == namespace), namespace), name

    known = (split for split in reversed(splits) if _named(desired, "table", *named(split[0]), any_case=True))
    owner, old = next(known, splits[-1])  # names may have dots in them
    namespace, name = named(owner)
    ref = _named(desired, "table", namespace, name, any_case=True)
    wanted = desired.table(ref.schema, ref.name) if ref else None
    is_caseless = "column" in features.caseless
    new = _column_of(wanted, rename.new, any_case=is_caseless)
    new = new or _column_of(wanted, rename.new.rpartition(".")[2], any_case=is_caseless)
    _must_be_desired(new is not None, rename)
    is_table_caseless = "table" in features.caseless or (ref is not None and ref.name != name)
    spaces = [(former.get(space, space), known) for space, known in _both((namespace, name), old_names)]
    spaces = [*(released.tables[known] for known in spaces[:1] if known in released.tables), *spaces]
    there = (_named(live, "table", *names, any_case=is_table_caseless) for names in spaces)
    table = next((live.table(found.schema, found.name) for found in there if found), None)
    before = _column_of(table, old, any_case=is_caseless)
    if ref is None or new is None or table is None or before is None:
        return None
    is_desired = wanted is not None and wanted.column(before) is not None
    if table.column(new) and not released.can_pass(column_ref(ref, new), column_ref(ref, before), is_desired=is_desired):
        return None
    return RenameColumn(ref, before, new)


def _both(name: Name, old_names: Mapping[Name, Name]) -> Iterable[Name]:
    yield name
    if name in old_names:
        yield old_names[name]


def _column_of(table: Table | None, name: str, *, any_case: bool) -> str | None:
    """Return the name of a table's column as it is spelled there."""
    if table is None or table.column(name) is not None:
        return name if table else None
    return next((column.name for column in table.columns if any_case and column.name.lower() == name.lower()), None)


def renamed_parts(live: Catalog, wanted: Catalog) -> tuple[RenameObject, ...]:
    """Return the constraints and indexes that differ in nothing but their name, which an engine may have made of their table's.

    Partitions, children and their parents are left out: their parts are named by each other.
    """
    families = {parent for side in (live, wanted) for item in side.all(Table) for parent in item.inherits}
    taken = {(item.schema, item.name) for item in live}
    gone: defaultdict[CatalogObject, list[Ref]] = defaultdict(list)
    for item in live:
        if _is_plain_part(item, live, families) and item.ref not in wanted:
            gone[_nameless(item)].append(item.ref)
    found: list[RenameObject] = []
    waiting = [item for item in wanted if item.ref not in live and _is_plain_part(item, wanted, families)]
    while True:  # a name may become free by another one's leaving it
        left = []
        for item in waiting:
            old = gone.get(_nameless(item)) if (item.schema, item.name) not in taken else None
            if old:
                found.append(RenameObject(old.pop(0), item.ref))
                taken.discard((found[-1].before.schema, found[-1].before.name))
            else:
                left.append(item)
        if len(left) == len(waiting):
            return tuple(found)
        waiting = left


def _is_plain_part(item: CatalogObject, catalog: Catalog, families: Collection[Ref]) -> bool:
    table = catalog.get(item.ref.table)
    if not isinstance(item, Constraint | Index) or not isinstance(table, Table):
        return False
    return not (table.inherits or table.partition_of or table.partition_by or table.ref in families)


def _nameless(item: CatalogObject) -> CatalogObject:
    return replace(item, name="")


def sizes_after(sizes: Mapping[Ref, TableSize], renames: Iterable[RenameObject | RenameColumn]) -> Mapping[Ref, TableSize]:
    """Return the sizes by the old names of tables and by those the renames give them: steps are weighed under either."""
    found = dict(sizes)
    for rename in renames:
        if isinstance(rename, RenameObject):
            found |= {_moved(ref, rename): size for ref, size in found.items()}
    return found


def as_it_stands(
    item: CatalogObject,
    live: Catalog,
    renames: Sequence[RenameObject | RenameColumn],
    followed: Sequence[RenameObject | RenameColumn],
) -> CatalogObject:
    """Return an object of a scratch copy, where `renames` were carried out, with what only the live one has.

    The scratch knows no grants that the source says nothing of, and no index that a build left invalid. Grants are looked for
    under the names from before `followed`: those renames that grants follow.
    """
    if isinstance(item, Index) and isinstance(index := live.objects.get(former_ref(item.ref, renames)), Index):
        item = replace(item, is_valid=index.is_valid)
    before = live.objects.get(former_ref(item.ref, followed))
    if before is None or before.grants is None or item.grants is not None:
        return item
    names = {rename.before: rename.after for rename in followed if isinstance(rename, RenameColumn) and rename.table == item.ref}
    grants = (replace(grant, column=names.get(grant.column, grant.column)) for grant in before.grants)
    return replace(item, grants=tuple(sorted(grants)))


def under_former_names(desired: Catalog, live: Catalog, renames: Sequence[RenameObject | RenameColumn]) -> Catalog:
    """Return the desired catalog with what is renamed under its live name, too: what it says of grants is said of that one."""
    former = {former_ref(ref, renames): item for ref, item in desired.objects.items()} if renames else {}
    found = {ref: item for ref, item in former.items() if ref in live.objects}
    return replace(desired, objects={**desired.objects, **found}) if found else desired


def former_ref(ref: Ref, renames: Sequence[RenameObject | RenameColumn]) -> Ref:
    """Return what an object was called before renames of itself, its table and its schema."""
    for rename in reversed(renames):
        if not isinstance(rename, RenameObject):
            continue
        if ref == rename.after:
            ref = rename.before
        elif rename.after.kind == "schema" and ref.schema == rename.after.name:
            ref = ref._replace(schema=rename.before.name)
        elif ref.parent and ref.table == rename.after:
            ref = ref._replace(schema=rename.before.schema, parent=rename.before.name)
    return ref


def _moved(ref: Ref, rename: RenameObject) -> Ref:
    if rename.before.kind == "schema" and ref.schema == rename.before.name:
        return ref._replace(schema=rename.after.name)
    return rename.after if ref == rename.before else ref


def _must_be_desired(is_desired: bool, rename: Rename) -> None:
    if not is_desired:
        raise SchemaError(
            f"the rename {rename.old} → {rename.new} leads to a {rename.kind} that the source does not have",
            at=rename.at,
            fix="take the remark out" if rename.at else "correct the new name, or take the rename out of the manifest",
        )


def _split(name: str, default_schema: str) -> tuple[str, str]:
    namespace, _, own = name.rpartition(".")
    return (namespace or default_schema), own


def ambiguous(changes: Iterable[CatalogChange]) -> dict[Ref, Hazard]:
    """Return, by the ref that would be dropped, the hazard of losing what was probably meant to be renamed."""
    changes = list(changes)
    hazards: dict[Ref, Hazard] = {}
    dropped_columns: defaultdict[Ref, list[DropColumn]] = defaultdict(list)
    for change in changes:
        if isinstance(change, DropColumn):
            dropped_columns[change.table].append(change)
    for change in changes:
        if isinstance(change, AddColumn):
            for drop in dropped_columns[change.table]:
                if _same_column(drop.column, change.column):
                    hazards[drop.ref] = _hazard(drop.ref, change.ref, "column")
    hazards.update(_ambiguous_objects(changes))
    return hazards


def _ambiguous_objects(changes: Sequence[CatalogChange]) -> dict[Ref, Hazard]:
    drops = [
        change.item
        for change in changes
        if isinstance(change, DropObject) and not change.ref.parent and change.ref.kind in _RENAMED
    ]
    creates = [change.item for change in changes if isinstance(change, CreateObject) and not change.ref.parent]
    pairs = ((old, new) for old in drops for new in creates if old.ref.kind == new.ref.kind and old.ref != new.ref)
    return {old.ref: _hazard(old.ref, new.ref, old.ref.kind) for old, new in pairs if likeness(old, new) >= _ALIKE}


def _hazard(old: Ref, new: Ref, kind: str) -> Hazard:
    before = old.qualified
    after = new.qualified if kind != "column" and old.schema != new.schema else new.name
    way_out = f"renames: [{{{kind}: {before}, to: {after}}}]"
    return Hazard("AMBIGUOUS_RENAME", f"dropping {kind} {before} and adding {after} looks like a rename; say so with {way_out}")


def _same_column(old: Column, new: Column) -> bool:
    return replace(old, name=new.name, comment=new.comment) == new


def likeness(old: CatalogObject, new: CatalogObject) -> float:
    """Return how alike two objects of one kind are apart from their names, from 0 to 1."""
    if isinstance(old, Table) and isinstance(new, Table):
        mine, other = ({(column.name, column.type) for column in table.columns} for table in (old, new))
        return len(mine & other) / max(len(mine | other), 1)
    if isinstance(old, View) and isinstance(new, View):
        return float(old.definition == new.definition)
    if isinstance(old, SequenceObject):
        return 0.0
    return float(replace(old, name=new.name, schema=new.schema) == new)
