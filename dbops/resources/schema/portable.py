"""A catalog written as portable tables: the way back from `tables.py`, and what stands in the way.

What is written is data of the shape of `TableSpec`. Attributes without a portable form that make no difference where they are
the engine's default (character sets, storage) are found by reading the tables back, not here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import MISSING, fields
from typing import Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterObject, CatalogChange, diff, inverse
from dbops.catalog.declared import as_declared
from dbops.catalog.model import CatalogObject, Check, Column, ForeignKey, Index, IndexKey, PrimaryKey, Schema, Table, Unique
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.errors import Mark
from dbops.resources.schema.describe import reason
from dbops.resources.schema.tables import constraint_name, table_statements
from dbops.sql.dialect import Dialect
from dbops.sql.tokens import tokens

Data = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Obstacle:
    """Something that portable tables cannot say: `where` is an address inside a schema."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Portable:
    """Tables as data; `obstacles` is empty when they say everything, as far as can be told without asking the engine."""

    tables: tuple[Data, ...]
    obstacles: tuple[Obstacle, ...]


def portable_tables(catalog: Catalog, engine: Engine, *, restricting: Collection[Ref] = ()) -> Portable:
    """Return the tables of a catalog in its order.

    RESTRICT is the same as no action in engines that check at once, and their word for it when none is asked for: it is
    written for the foreign keys in `restricting` only.
    """
    parts: defaultdict[Ref, list[CatalogObject]] = defaultdict(list)
    for item in catalog:
        if item.parent:
            parts[item.ref.table].append(item)
    tables: list[Data] = []
    obstacles: list[Obstacle] = []
    for item in catalog:
        if isinstance(item, Table):
            writer = TableWriter(item, parts[item.ref], engine, restricting)
            tables.append(writer.data())
            obstacles += writer.obstacles
        elif not isinstance(item, Schema) and not (item.parent and isinstance(catalog.get(item.ref.table), Table)):
            obstacles.append(_without_form(item))
    return Portable(tuple(tables), tuple(sorted(set(obstacles))))


def _without_form(item: CatalogObject) -> Obstacle:
    return Obstacle(str(item.ref), f"{item.ref.kind.replace('_', ' ')}s have no portable form")


class TableWriter:
    """One table as data; `obstacles` fills while it is written."""

    def __init__(self, table: Table, parts: Sequence[CatalogObject], engine: Engine, restricting: Collection[Ref] = ()) -> None:
        self._table, self._parts, self._engine, self._restricting = table, parts, engine, restricting
        self._features = engine.features
        self.obstacles: list[Obstacle] = []
        self._key = next((item.columns for item in parts if isinstance(item, PrimaryKey)), ())

    def data(self) -> Data:
        """Return the table with all its parts."""
        table = self._table
        self._refuse_extras(table, ("columns", "options"))
        data: Data = {"name": table.name}
        if table.schema and table.schema != self._features.default_schema:
            data["schema"] = table.schema
        if table.comment:
            data["comment"] = table.comment
        data["columns"] = [self.column(column) for column in table.columns]
        if len(self._key) > 1:
            data["primaryKey"] = list(self._key)
        for part in self._parts:
            self._add(part, data)
        return data

    def column(self, column: Column) -> Data:
        """Return one column without the constraints on it."""
        where = str(Ref("column", self._table.schema, column.name, self._table.name))
        kind = self._engine.portable_type_of(column)
        if kind is None:
            self.obstacles.append(Obstacle(where, f"the type {column.type} has no portable name"))
        data: Data = {"name": column.name, "type": kind or column.type}
        if (column.name,) == self._key:
            data["primaryKey"] = True
        if column.identity is not None:
            data["autoIncrement"] = True
        elif not column.nullable:
            data["nullable"] = False
        if column.generated is not None:
            data["generated"] = {"expression": bare(column.generated.expression, self._engine.dialect)}
            if not column.generated.is_stored:
                data["generated"]["stored"] = False
        elif column.default is not None:
            data["default"] = self._default(column.default, column, kind)
        if column.comment:
            data["comment"] = column.comment
        if column.identity is not None and column.identity.mode == "always":
            self.obstacles.append(Obstacle(where, "the column is numbered always: portable tables number by default"))
        return data

    def part(self, part: CatalogObject) -> tuple[str, Data] | None:
        """Return the field of the table that a key, check or index belongs in, and its data; None for what has no form."""
        match part:
            case Unique():
                self._refuse_extras(part, ("columns", "is_named"))
                return "uniques", self._named(part, part.columns, "key") | {"columns": list(part.columns)}
            case ForeignKey():
                return "foreignKeys", self._foreign_key(part)
            case Check():
                self._refuse_extras(part, ("expression", "is_named"))
                name = part.name if part.is_named else None
                return "checks", {"name": name, "expression": bare(part.expression, self._engine.dialect)}
            case Index():
                return "indexes", self._index(part)
            case _:
                self.obstacles.append(_without_form(part))
                return None

    def _add(self, part: CatalogObject, data: Data) -> None:
        if isinstance(part, PrimaryKey):
            self._refuse_extras(part, ("columns", "is_named"))
            return
        found = self.part(part)
        if found is None:
            return
        field, written = found
        column = next((item for item in data["columns"] if [item["name"]] == written.get("columns")), None)
        if field == "uniques" and column is not None and "name" not in written:
            column["unique"] = True
        elif field == "foreignKeys" and column is not None and self._is_plain(written):
            column["references"] = f"{written['references']['table']}.{written['references']['columns'][0]}"
        else:
            data.setdefault(field, []).append(written)

    @staticmethod
    def _is_plain(foreign_key: Data) -> bool:
        there = foreign_key["references"]
        is_dotted = "." in there["columns"][0] if there["columns"] else True
        return foreign_key.keys() == {"columns", "references"} and not is_dotted

    def _named(self, part: Unique | ForeignKey, columns: Sequence[str], suffix: str) -> Data:
        if not part.is_named:
            return {"name": None}
        usual = constraint_name(self._table.name, columns, suffix, self._features.name_length)
        return {} if part.name == usual else {"name": part.name}

    def _foreign_key(self, key: ForeignKey) -> Data:
        self._refuse_extras(key, ("columns", "is_named", "references", "referenced_columns", "on_delete", "on_update"))
        there = key.references
        is_default = not there.schema or there.schema == self._features.default_schema
        table = there.name if is_default else f"{there.schema}.{there.name}"
        data = self._named(key, key.columns, "fkey") | {
            "columns": list(key.columns),
            "references": {"table": table, "columns": list(key.referenced_columns)},
        }
        if not key.referenced_columns:
            self.obstacles.append(Obstacle(str(key.ref), "the foreign key names no columns of the table it refers to"))
        silent = ("NO ACTION",) if key.ref in self._restricting else ("NO ACTION", "RESTRICT")
        for field, action in (("onDelete", key.on_delete), ("onUpdate", key.on_update)):
            if action not in silent:
                data[field] = action.lower()
        return data

    def _index(self, index: Index) -> Data:
        self._refuse_extras(index, ("keys", "unique", "predicate", "method", "is_valid"))
        if index.method.lower() != "btree":
            self.obstacles.append(Obstacle(str(index.ref), f"an index of method {index.method} has no portable form"))
        data: Data = {"name": index.name}
        columns = [key.column for key in index.keys if key.column is not None]
        if len(columns) == len(index.keys):
            data["columns"] = columns
        elif columns:
            self.obstacles.append(Obstacle(str(index.ref), "an index over columns and expressions together has no portable form"))
        else:
            data["expressions"] = [bare(str(key.expression), self._engine.dialect) for key in index.keys]
        special = dict.fromkeys(field for key in index.keys for field in _special(key))
        self.obstacles += [
            Obstacle(str(index.ref), f"an index with {field.replace('_', ' ')} has no portable form") for field in special
        ]
        if index.unique:
            data["unique"] = True
        if index.predicate:
            data["where"] = bare(index.predicate, self._engine.dialect)
        return data

    def _default(self, text: str, column: Column, kind: str | None) -> Any:
        if kind == "boolean" and text.lower() in (words := [word.lower() for word in self._features.booleans]):
            return bool(words.index(text.lower()))
        return fixed_value(text, column.type, kind, self._engine.dialect)

    def _refuse_extras(self, item: CatalogObject, told: Iterable[str]) -> None:
        known = {*told, "name", "schema", "parent", "owner", "spelling"} | ({"comment"} if isinstance(item, Table) else set())
        for field in fields(item):
            value = getattr(item, field.name)
            if field.name not in known and field.default is not MISSING and value != field.default:
                self.obstacles.append(Obstacle(str(item.ref), f"{field.name.replace('_', ' ')} has no portable form"))


def _special(key: IndexKey) -> Iterator[str]:
    for field in fields(key):
        if field.name not in ("column", "expression") and getattr(key, field.name) not in (None, False):
            yield field.name


_NUMBER = re.compile(r"-?(\d+)(\.\d+)?")
_NOW = re.compile(r"(current_(?:timestamp|date|time))(?:\(\))?", re.IGNORECASE)


def fixed_value(text: str, own_type: str, kind: str | None, dialect: Dialect) -> Any:
    """Return a default as a value where it is one, as `{"expression": SQL}` where it is not.

    Numbers are values only on columns of numbers, and where a float keeps their digits.
    """
    if kind and re.match(r"(smallint|integer|bigint|decimal|float)", kind) and (found := _NUMBER.fullmatch(text)):
        number = float(text) if found[2] else int(text)
        if not found[2] or len(found[1] + found[2]) <= 15:
            return number
    found_tokens = list(tokens(text, dialect))
    if found_tokens and found_tokens[0].kind == "string" and text[0] == "'":
        rest = text[len(found_tokens[0].text) :]
        if not rest or rest == f"::{own_type.partition('(')[0]}":
            value = found_tokens[0].text[1:-1].replace("''", "'")
            if dialect.string(value) == found_tokens[0].text:
                return value
    now = _NOW.fullmatch(text)
    return {"expression": now[1].upper() if now else bare(text, dialect)}


def bare(expression: str, dialect: Dialect) -> str:
    """Return an expression without parentheses around the whole of it."""
    text = expression.strip()
    while text.startswith("(") and text.endswith(")"):
        depth = 0
        for token in tokens(text, dialect):
            depth += (token.text == "(") - (token.text == ")")
            if not depth and token.offset < len(text) - 1:
                return text
        text = text[1:-1].strip()
    return text


def import_tables(catalog: Catalog, engine: Engine, target: Target) -> Portable:
    """Return the portable tables of a whole catalog, proved by reading them back from a scratch database.

    What comes back otherwise is an obstacle too, with the attributes that differ.
    """
    restricting: frozenset[Ref] = frozenset()
    for _ in range(2):
        found = portable_tables(catalog, engine, restricting=restricting)
        if found.obstacles:
            return found
        again = read_back(found.tables, engine, target)
        left = diff(as_declared(catalog, again), again, column_order=engine.features.has_column_order)
        stricter = {change.ref for change in left if isinstance(change, AlterObject) and isinstance(change.after, ForeignKey)}
        if not left or stricter <= restricting:
            break
        restricting |= stricter
    return Portable(found.tables, tuple(Obstacle(str(change.ref), _lost(change)) for change in left))


def _lost(change: CatalogChange) -> str:
    return "portable tables would make it otherwise: " + reason(inverse(change))


def read_back(tables: Sequence[Data], engine: Engine, target: Target) -> Catalog:
    """Return the catalog that the engine makes of portable tables, on a scratch database.

    Raises:
        Problems: the engine refuses them.
    """
    from dbops.resources.schema.table_spec import TableSpec

    specs = [TableSpec.model_validate(table) for table in tables]
    marks = [Mark(str(table["name"])) for table in tables]
    with engine.scratch(target) as conn:
        engine.load(conn, table_statements(specs, marks, engine))
        return engine.inspect(conn, declared=True)
