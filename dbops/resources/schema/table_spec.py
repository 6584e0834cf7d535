"""Portable tables: one spelling of tables and column types that every engine understands, as manifests write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from dbops.dataclass import dataclass
from dbops.manifests.document import KeyPath
from dbops.manifests.spec import WRITTEN, Choice, Names, Spec, Text, complain, nearest, one_of
from dbops.resources.schema.spec import DottedColumn

#: Portable column types, and the numbers that may follow each in parentheses.
PORTABLE_TYPES: dict[str, tuple[str, ...]] = {
    "string": ("n",),
    "text": (),
    "smallint": (),
    "integer": (),
    "bigint": (),
    "decimal": ("p", "s"),
    "float": (),
    "boolean": (),
    "date": (),
    "time": (),
    "datetime": (),
    "binary": (),
    "json": (),
    "uuid": (),
}
_TYPE = re.compile(r"([A-Za-z]+)(?:\(\s*([0-9]{1,9})\s*(?:,\s*([0-9]{1,9})\s*)?\))?")
_TYPES_IN_WORDS = one_of(f"{name}({', '.join(numbers)})" if numbers else name for name, numbers in PORTABLE_TYPES.items())
_INTEGERS = ("smallint", "integer", "bigint")


@dataclass(frozen=True, slots=True)
class PortableType:
    """A column type that every engine has in its own spelling: `string(40)` is `PortableType("string", (40,))`."""

    name: str
    arguments: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({','.join(map(str, self.arguments))})" if self.arguments else self.name


@dataclass(frozen=True, slots=True)
class Expression:
    """SQL that the database evaluates, in place of a fixed value."""

    sql: str


def parse_type(value: Any) -> PortableType:
    """Read `string(40)`, `decimal(10, 2)`, `integer`, and so on."""
    return value if isinstance(value, PortableType) else _parse_type(value if isinstance(value, str) else "")


_ELSEWHERE = {
    "timestamp": "datetime",
    "timestamptz": "datetime",
    "varchar": "string",
    "char": "string",
    "bool": "boolean",
    "double": "float",
    "real": "float",
    "numeric": "decimal",
    "blob": "binary",
    "bytea": "binary",
    "jsonb": "json",
}
"""What engines call types that are portable under another name."""


@lru_cache(maxsize=256)
def _parse_type(text: str) -> PortableType:
    found = _TYPE.fullmatch(text.strip())
    if found is None or found[1] not in PORTABLE_TYPES:
        name = text.partition("(")[0].strip().lower()
        near = nearest(_ELSEWHERE.get(name, name), PORTABLE_TYPES)
        raise complain(f"unknown column type '{WRITTEN}'", expected=_TYPES_IN_WORDS, fix=near)
    name = found[1]
    arguments = tuple(int(text) for text in found.groups()[1:] if text is not None)
    if len(arguments) > len(PORTABLE_TYPES[name]):
        raise complain(f"the column type '{WRITTEN}' has too many numbers", expected=_TYPES_IN_WORDS)
    if name == "decimal" and len(arguments) == 2 and arguments[1] > arguments[0]:
        raise complain(f"the column type '{WRITTEN}' has more decimals than digits", expected="decimal(p, s) with s not above p")
    return PortableType(name, arguments)


def parse_default(value: Any) -> str | int | float | bool | Expression:
    """Read a fixed value, or `{expression: SQL}`."""
    if isinstance(value, str | int | float | bool | Expression):
        return value
    if isinstance(value, dict) and list(value) == ["expression"] and isinstance(value["expression"], str):
        return Expression(value["expression"])
    raise complain(expected="text, a number, a boolean or {expression: SQL}")


_PORTABLE = [
    {"enum": list(PORTABLE_TYPES)},
    {"type": "string", "pattern": r"^(string\([0-9]+\)|decimal\([0-9]+(, ?[0-9]+)?\))$"},
]
_EXPRESSION = {
    "type": "object",
    "properties": {"expression": {"type": "string"}},
    "required": ["expression"],
    "additionalProperties": False,
}
ColumnType = Annotated[PortableType, PlainValidator(parse_type), PlainSerializer(str), WithJsonSchema({"anyOf": _PORTABLE})]
Default = Annotated[
    Any, BeforeValidator(parse_default), WithJsonSchema({"anyOf": [{"type": ["string", "number", "boolean"]}, _EXPRESSION]})
]


Action = Literal["no action", "restrict", "cascade", "set null", "set default"]


class Generated(Spec):
    """A column that the database computes."""

    expression: Text
    """SQL over the other columns of the row."""
    stored: bool = True
    """Whether the value is kept in the row, or computed when read."""


class ColumnSpec(Spec):
    """A column of a portable table."""

    name: Text
    type: ColumnType
    """A portable type: string(n), text, integer, decimal(p, s), datetime, json, ..."""
    nullable: bool = True
    """Whether the column may be empty; a primary key never is."""
    default: Default | None = None
    """The value of new rows that name none: fixed, or {expression: SQL}."""
    primary_key: bool = False
    """Whether this column alone is the primary key."""
    unique: bool = False
    """Whether no two rows may have the same value."""
    auto_increment: bool = False
    """Whether the database numbers new rows."""
    generated: Generated | None = None
    references: DottedColumn | None = None
    """A foreign key to one column, as table.column; `foreignKeys` has room for actions."""
    comment: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.generated is not None and (self.default is not None or self.auto_increment):
            other = "default" if self.default is not None else "autoIncrement"
            raise complain(f"generated and {other} are given together", expected="one of them", path=(other,))
        if self.auto_increment and self.type.name not in _INTEGERS:
            raise complain(
                f"autoIncrement on a column of type {self.type.name}", expected=one_of(_INTEGERS), path=("autoIncrement",)
            )
        return self


class UniqueSpec(Spec):
    """Columns whose values together are unique."""

    name: Text | None = None
    """Made of the table and the columns when not given; null leaves the constraint without a name of ours."""
    columns: Names


class ReferenceSpec(Spec):
    """What a foreign key points to."""

    table: Text
    """A table, or schema.table."""
    columns: Names


class ForeignKeySpec(Spec):
    """Columns whose values exist in another table."""

    name: Text | None = None
    """Made of the table and the columns when not given; null leaves the constraint without a name of ours."""
    columns: Names
    references: ReferenceSpec
    on_delete: Action = "no action"
    """What happens here when the row pointed to is deleted."""
    on_update: Action = "no action"
    """What happens here when the columns pointed to change."""


class CheckSpec(Spec):
    """A condition that every row fulfils."""

    name: Text | None
    """null leaves the constraint without a name of ours."""
    expression: Text
    """SQL over the columns of the row."""


class IndexSpec(Choice):
    """An index over columns or over expressions."""

    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = (("columns", "expressions"),)

    name: Text
    columns: Names | None = None
    expressions: Names | None = None
    """SQL over the columns, in place of `columns`."""
    unique: bool = False
    where: Text | None = None
    """SQL condition of a partial index."""


class TableSpec(Spec):
    """A table that every engine can have; the same manifest works on all of them."""

    name: Text
    schema_: Annotated[Text | None, Field(alias="schema")] = None
    """The namespace, on engines that have them."""
    comment: str | None = None
    columns: Annotated[tuple[ColumnSpec, ...], Field(min_length=1)]
    primary_key: Names | None = None
    """The columns of the primary key, when it has several."""
    uniques: tuple[UniqueSpec, ...] = ()
    foreign_keys: tuple[ForeignKeySpec, ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    indexes: tuple[IndexSpec, ...] = ()

    @property
    def qualified(self) -> str:
        return f"{self.schema_}.{self.name}" if self.schema_ else self.name

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        names = [column.name for column in self.columns]
        _refuse_twins("column", names, "columns")
        _refuse_twins("index", [index.name for index in self.indexes], "indexes")
        for path, used in self._used_columns():
            if used not in names:
                raise complain(f"there is no column '{WRITTEN}'", expected=one_of(names), fix=nearest(used, names), path=path)
        keys = [number for number, column in enumerate(self.columns) if column.primary_key]
        if self.primary_key is not None and keys:
            raise complain(
                "primaryKey on the table and on a column", expected="one of them", path=("columns", keys[0], "primaryKey")
            )
        if len(keys) > 1:
            raise complain(
                "primaryKey on several columns",
                expected="primaryKey: [...] on the table",
                path=("columns", keys[1], "primaryKey"),
            )
        return self

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        for number, key in enumerate(self.foreign_keys):
            if len(key.columns) != len(key.references.columns):
                message = f"{len(key.columns)} columns refer to {len(key.references.columns)}"
                raise complain(
                    message, expected="as many columns on both sides", path=("foreignKeys", number, "references", "columns")
                )
        return self

    def _used_columns(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield every column that the table's keys and indexes name, and where."""
        yield from ((("primaryKey", at), name) for at, name in enumerate(self.primary_key or ()))
        groups: tuple[tuple[str, Iterable[UniqueSpec | ForeignKeySpec | IndexSpec]], ...] = (
            ("uniques", self.uniques),
            ("foreignKeys", self.foreign_keys),
            ("indexes", self.indexes),
        )
        for field, items in groups:
            for number, item in enumerate(items):
                yield from (((field, number, "columns", at), name) for at, name in enumerate(item.columns or ()))

    def references(self) -> Iterator[tuple[KeyPath, str, tuple[str, ...]]]:
        """Yield where each foreign key stands, the table it points to and the columns there."""
        for number, column in enumerate(self.columns):
            if column.references:
                table, _, name = column.references.rpartition(".")
                yield ("columns", number, "references"), table, (name,)
        for number, key in enumerate(self.foreign_keys):
            yield ("foreignKeys", number, "references", "table"), key.references.table, key.references.columns


def _refuse_twins(kind: str, names: list[str], field: str) -> None:
    """Names are compared without case, as SQLite and MySQL do."""
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name.lower() in seen:
            raise complain(f"a second {kind} named '{WRITTEN}'", expected="one name once", path=(field, number, "name"))
        seen.add(name.lower())
