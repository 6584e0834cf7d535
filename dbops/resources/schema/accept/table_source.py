"""Edits of portable tables in their manifest that make them mean a goal, comments kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, CreateObject, DropColumn, DropObject
from dbops.catalog.model import CatalogObject, ForeignKey, Index, PrimaryKey, Schema, Table
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError, Problems, SchemaError
from dbops.manifests.editing import ListText, in_lines, in_one_line
from dbops.manifests.environment import Manifest
from dbops.manifests.loader import parse_documents
from dbops.manifests.validation import read_spec
from dbops.manifests.variables import Variables, substitute
from dbops.manifests.writing import item_text
from dbops.resources.schema.accept.goal import columns_of
from dbops.resources.schema.accept.proof import Judge, Objection, in_words, objections_of
from dbops.resources.schema.portable import Data, Obstacle, TableWriter, portable_tables
from dbops.resources.schema.tables import constraint_name, table_statements
from dbops.sql.splitter import SourceStatement

_LISTS = ("uniques", "foreignKeys", "checks", "indexes")
#: Fields of a column that are objects of their own.
_KEYS = ("primaryKey", "unique", "references")


@dataclass(frozen=True, slots=True)
class Way:
    """How an attempt writes: for which foreign keys RESTRICT is told, and whether the indexes they brought along are."""

    all_indexes: bool = False
    restricting: frozenset[Ref] = frozenset()


def edited(manifest: Manifest, judge: Judge, variables: Variables, text: str) -> dict[Path, str]:
    """Return the manifest's file with its tables edited.

    Raises:
        SchemaError: what is live has no portable form, the tables stand elsewhere, or the edit does not prove right.
    """
    marks = _marks(manifest)
    objections: list[Objection] = []
    keys = frozenset(item.ref for item in judge.goal.after.all(ForeignKey))
    for way in (Way(), Way(all_indexes=True), Way(all_indexes=True, restricting=keys)):
        made = _Tables(manifest, judge, text, way).edited(marks)
        try:
            objections = judge.objections(_statements(made, manifest, variables, judge.engine))
        except DbopsError as error:
            objections = objections_of(error)
        if not objections:
            return {manifest.file: made}
    raise SchemaError(
        f"the tables of {judge.desired.address} cannot be edited to say what is live: {in_words(objections)}",
        at=judge.desired.at,
        fix="accept what belongs together in one go, or edit the tables by hand",
    )


def _marks(manifest: Manifest) -> list[Any]:
    spec: Any = manifest.spec
    marks = [manifest.mark("spec", "source", "tables", number) for number in range(len(spec.source.tables or ()))]
    elsewhere = next((mark for mark in marks if mark.file != manifest.at.file), None)
    if elsewhere is not None:
        raise SchemaError("these tables come from a patch", at=elsewhere, fix="edit them there by hand")
    return marks


def _statements(text: str, manifest: Manifest, variables: Variables, engine: Engine) -> list[SourceStatement]:
    """Read the edited manifest as a plan would."""
    from dbops.resources.schema.spec import SchemaSpec

    problems: list[DbopsError] = []
    for document in parse_documents(text, manifest.at.file):
        value = document.value
        if value.get("kind") == manifest.kind and value.get("metadata", {}).get("name") == manifest.name:
            content = substitute(value["spec"], ("spec",), document.marks, variables, problems)
            spec = read_spec(SchemaSpec, content, document.marks, problems) if not problems else None
            if spec is not None:
                tables = spec.source.tables or ()
                return table_statements(tables, [manifest.at] * len(tables), engine)
    raise Problems(problems)


@dataclass(frozen=True, slots=True)
class _Side:
    """A catalog's tables with their parts."""

    catalog: Catalog
    parts: Mapping[Ref, Sequence[CatalogObject]]

    @classmethod
    def of(cls, catalog: Catalog) -> _Side:
        parts: defaultdict[Ref, list[CatalogObject]] = defaultdict(list)
        for item in catalog:
            if item.parent:
                parts[item.ref.table].append(item)
        return cls(catalog, parts)


class _Tables:
    """One attempt at the manifest's list of tables."""

    def __init__(self, manifest: Manifest, judge: Judge, text: str, way: Way) -> None:
        self._engine, self._goal, self._way, self._text = judge.engine, judge.goal, way, text
        self._before, self._after = _Side.of(judge.goal.before), _Side.of(judge.goal.after)
        spec: Any = manifest.spec
        features = self._engine.features
        self._refs = [
            Ref("table", (table.schema_ or features.default_schema) if features.has_schemas else "", table.name)
            for table in spec.source.tables or ()
        ]
        self._obstacles: list[Obstacle] = []
        self._at = judge.desired.at

    def edited(self, marks: Sequence[Any]) -> str:
        """Return the file's text with every accepted change written into it."""
        changes: defaultdict[Ref, list[CatalogChange]] = defaultdict(list)
        for ref, change in self._goal.accepted.items():
            changes[ref.table].append(change)
        new = [ref for ref in changes if ref not in self._refs]
        items = ListText(self._text, marks)
        texts = self._new_tables(new)
        if texts and not marks:
            raise SchemaError("there is no table yet to write others after", at=self._at, fix="write the first one by hand")
        if texts:
            items.append(texts)
        for number in reversed(range(len(marks))):
            ref = self._refs[number]
            if ref in changes and ref not in self._goal.after.objects:
                items.remove(number)
            elif ref in changes:
                items.edit(number, partial(self._change_table, ref=ref, changes=changes[ref]))
        if self._obstacles:
            raise Problems([SchemaError(f"{one.where}: {one.reason}", at=self._at) for one in sorted(set(self._obstacles))])
        return items.text

    def _new_tables(self, refs: Sequence[Ref]) -> list[str]:
        wanted = [
            item
            for item in self._goal.after
            if item.ref.table in refs and not isinstance(item, Schema) and item.ref in self._goal.accepted
        ]
        found = portable_tables(Catalog.of(wanted), self._engine, restricting=self._way.restricting)
        self._obstacles += found.obstacles
        return [item_text(table, 0) for table in found.tables]

    # --- one table

    def _writer(self, side: _Side, ref: Ref) -> TableWriter | None:
        table = side.catalog.get(ref)
        return (
            TableWriter(table, side.parts.get(ref, ()), self._engine, self._way.restricting) if isinstance(table, Table) else None
        )

    def _change_table(self, node: Any, ref: Ref, changes: Sequence[CatalogChange]) -> None:
        old, new = self._writer(self._before, ref), self._writer(self._after, ref)
        if old is None or new is None:
            return
        for change in sorted(changes, key=_turn):
            match change:
                case AddColumn(_, column, _):
                    node["columns"].remove(_column(node, column.name))
                case DropColumn(_, column):
                    self._insert_column(node, new.column(column), ref)
                case AlterColumn(_, live, source, moved, _):
                    _update(_column(node, live.name), old.column(source), new.column(live))
                    if moved:
                        self._move_column(node, live.name, ref)
                case AlterObject(live, source) if isinstance(live, Table):
                    self._change_attributes(node, change)
                case AlterObject(live, source):
                    self._replace_part(node, source, live, new, ref)
                case CreateObject(item):
                    self._take_part(node, item, ref)
                case DropObject(item):
                    self._add_part(node, item, new)
                case _:
                    pass
        if self._way.all_indexes:
            self._add_indexes(node, ref, new)
        self._obstacles += new.obstacles

    def _add_indexes(self, node: Any, ref: Ref, writer: TableWriter) -> None:
        """Write down the indexes that bear the name of a foreign key: an engine that made one may not make it beside another."""
        parts = self._after.parts.get(ref, ())
        keys = {part.name for part in parts if isinstance(part, ForeignKey)}
        for part in parts:
            if isinstance(part, Index) and part.name in keys and part.ref not in self._goal.accepted:
                self._add_part(node, part, writer)

    def _change_attributes(self, node: Any, change: AlterObject) -> None:
        others = [name for name in change.attributes if name != "comment"]
        self._obstacles += [
            Obstacle(str(change.ref), f"{name.replace('_', ' ')} has no portable form") for name in others if name != "columns"
        ]
        if "comment" in change.attributes and change.before.comment:
            node["comment"] = in_one_line(change.before.comment)
        elif "comment" in change.attributes:
            node.pop("comment", None)

    def _insert_column(self, node: Any, data: Data, ref: Ref) -> None:
        plain = {name: value for name, value in data.items() if name not in _KEYS}
        node["columns"].insert(self._position(node, data["name"], ref), in_one_line(plain))

    def _move_column(self, node: Any, name: str, ref: Ref) -> None:
        column = _column(node, name)
        node["columns"].remove(column)
        node["columns"].insert(self._position(node, name, ref), column)

    def _position(self, node: Any, name: str, ref: Ref) -> int:
        table = self._goal.after.get(ref)
        names = [column.name for column in table.columns] if isinstance(table, Table) else []
        there = [column["name"] for column in node["columns"]]
        left = [other for other in names[: names.index(name)] if other in there]
        return there.index(left[-1]) + 1 if left else 0

    # --- keys, checks and indexes

    def _take_part(self, node: Any, item: CatalogObject, ref: Ref) -> None:
        if isinstance(item, PrimaryKey):
            node.pop("primaryKey", None)
            for column in node["columns"]:
                column.pop("primaryKey", None)
            return
        columns = list(columns_of(item))
        place = self._find(node, item, ref)
        if place is not None:
            field, number = place
            node[field].pop(number)
            if not node[field]:
                del node[field]
        elif len(columns) == 1 and (column := _column(node, columns[0])) is not None:
            column.pop("references" if isinstance(item, ForeignKey) else "unique", None)

    def _find(self, node: Any, item: CatalogObject, ref: Ref) -> tuple[str, int] | None:
        """Return the list and the position in which a part stands, None when a column says it."""
        limit = self._engine.features.name_length
        for field in _LISTS:
            suffix = "fkey" if field == "foreignKeys" else "key"
            for number, entry in enumerate(node.get(field, ())):
                columns = list(entry.get("columns", ()))
                usual = constraint_name(ref.name, columns, suffix, limit)
                name = entry["name"] if entry.get("name") is not None or "name" in entry else usual
                if name == item.name or (name is None and columns == list(columns_of(item))):
                    return field, number
        return None

    def _add_part(self, node: Any, item: CatalogObject, writer: TableWriter) -> None:
        if isinstance(item, PrimaryKey):
            column = _column(node, item.columns[0])
            if len(item.columns) == 1 and column is not None:
                column["primaryKey"] = True
            else:
                node["primaryKey"] = in_one_line(list(item.columns))
            return
        found = writer.part(item)
        if found is not None:
            field, data = found
            if field not in node:
                node[field] = in_lines([data])
            else:
                node[field].append(in_one_line(data))

    def _replace_part(self, node: Any, source: CatalogObject, live: CatalogObject, writer: TableWriter, ref: Ref) -> None:
        place, found = self._find(node, source, ref), writer.part(live) if not isinstance(live, PrimaryKey) else None
        if place is None or found is None or place[0] != found[0]:
            self._take_part(node, source, ref)
            self._add_part(node, live, writer)
        else:
            _update(node[place[0]][place[1]], {}, found[1], whole=True)


def _turn(change: CatalogChange) -> int:
    """Keys go before their columns and come after them."""
    match change:
        case CreateObject():
            return 0
        case AddColumn():
            return 1
        case AlterColumn():
            return 2
        case DropColumn():
            return 3
        case _:
            return 4


def _column(node: Any, name: str) -> Any:
    return next((column for column in node["columns"] if str(column["name"]).lower() == name.lower()), None)


def _update(node: Any, old: Data, new: Data, *, whole: bool = False) -> None:
    """Bring the fields that differ between `old` and `new` to the new state; all of them when `whole`."""
    names: Iterable[str] = dict.fromkeys((*(node if whole else old), *new))
    for name in names:
        if name in _KEYS and not whole:
            continue
        if name not in new:
            node.pop(name, None)
        elif name not in old or old[name] != new[name]:
            node[name] = in_one_line(new[name])
