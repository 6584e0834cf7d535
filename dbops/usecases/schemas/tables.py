"""What a program says of a table, as a portable table: dictionaries, and classes of SQLAlchemy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dbops.errors import SchemaError
from dbops.manifests.spec import COMPLAINT, WRITTEN
from dbops.resources.schema.table_spec import PORTABLE_TYPES, Expression, TableSpec
from dbops.sql.keywords import words

if TYPE_CHECKING:
    from sqlalchemy import Column as SqlAlchemyColumn
    from sqlalchemy import Table as SqlAlchemyTable

_TYPE = re.compile(r"\s*([A-Za-z]+(?:\s+[A-Za-z]+)*)\s*(?:\(\s*([0-9,\s]+)\))?\s*")
#: What other vocabularies call portable types.
_CALLED = {
    "varchar": "string",
    "char": "string",
    "character varying": "string",
    "str": "string",
    "clob": "text",
    "int": "integer",
    "serial": "integer",
    "bigserial": "bigint",
    "long": "bigint",
    "int4": "integer",
    "int8": "bigint",
    "double": "float",
    "double precision": "float",
    "real": "float",
    "numeric": "decimal",
    "number": "decimal",
    "bool": "boolean",
    "timestamp": "datetime",
    "blob": "binary",
    "bytea": "binary",
    "bytes": "binary",
    "jsonb": "json",
}
_COLUMN = words("""
    name type data_type nullable default primary_key unique auto_increment autoincrement references foreign_key on_delete
    on_update max_length length comment
""")
_TABLE = words("""
    name schema columns indexes primary_key foreign_keys unique_constraints uniques checks constraints comment
""")


def type_of(text: str, length: int | None = None) -> str:
    """Return the portable type that a word means: `VARCHAR(40)` is `string(40)`.

    Raises:
        SchemaError: it means none.
    """
    found = _TYPE.fullmatch(text)
    name = " ".join(found[1].lower().split()) if found else ""
    name = _CALLED.get(name, name)
    if found is None or name not in PORTABLE_TYPES:
        from difflib import get_close_matches

        near = get_close_matches(name, [*PORTABLE_TYPES, *_CALLED], 1)
        raise SchemaError(
            f"unknown column type {text!r}",
            expected=f"one of {', '.join(PORTABLE_TYPES)}",
            fix=f"did you mean {near[0]}?" if near else None,
        )
    numbers = found[2] or (str(length) if length and name == "string" else "")
    return f"{name}({', '.join(part.strip() for part in numbers.split(','))})" if numbers and PORTABLE_TYPES[name] else name


def table_of(given: Mapping[str, Any]) -> TableSpec:
    """Return the portable table that a dictionary says.

    `{name, columns: [{name, type, nullable, default, primary_key, unique, auto_increment, references | foreign_key:
    "table.column", on_delete, on_update, max_length, comment}], indexes: [{name, columns, unique, where}], primary_key: [column],
    foreign_keys: [{columns, references: {table, columns}, on_delete, on_update, name}], unique_constraints: [[column]],
    checks: [SQL], comment}`.

    Raises:
        SchemaError: something is missing, unknown, or of no known type; names the table.
    """
    name = given.get("name")
    if not isinstance(name, str) or not name:
        raise SchemaError("a table has no name", expected="a dictionary with name and columns")
    _must_know(f"the table {name}", given, _TABLE)
    columns = [_column(name, one) for one in given.get("columns") or ()]
    keys = [one["name"] for one in columns if one.pop("primaryKey", False)]
    key = list(given.get("primary_key") or ()) or keys
    data: dict[str, Any] = {"name": name, "columns": columns}
    if len(key) == 1:
        next((one for one in columns if one["name"] == key[0]), {})["primaryKey"] = True
    if len(key) > 1 or (key and key[0] not in [one["name"] for one in columns]):
        data["primaryKey"] = key
    if given.get("schema"):
        data["schema"] = given["schema"]
    if given.get("comment"):
        data["comment"] = given["comment"]
    data["foreignKeys"] = [
        *(one.pop("_key") for one in columns if "_key" in one),
        *map(_foreign_key, given.get("foreign_keys") or ()),
    ]
    uniques = [*(given.get("unique_constraints") or ()), *(given.get("uniques") or ())]
    data["uniques"] = [dict(one) if isinstance(one, Mapping) else {"columns": list(one)} for one in uniques]
    checks = [*(given.get("checks") or ()), *(given.get("constraints") or ())]
    data["checks"] = [
        dict(one) if isinstance(one, Mapping) else {"name": f"{name}_check{place or ''}", "expression": _check(one)}
        for place, one in enumerate(checks)
    ]
    data["indexes"] = [_index(name, one) for one in given.get("indexes") or ()]
    return _validated(name, data)


def table_of_model(model: Any) -> TableSpec:
    """Return the portable table of a class that SQLAlchemy maps, or of one of its tables.

    Raises:
        SchemaError: it is neither, or a type has no portable form.
    """
    table = getattr(model, "__table__", model)
    if not hasattr(table, "columns") or not hasattr(table, "foreign_key_constraints"):
        raise SchemaError(
            f"{model!r} is no model", expected="a dictionary with name and columns, or a class that SQLAlchemy maps"
        )
    return _of_sqlalchemy(table)


def as_dict(spec: TableSpec) -> dict[str, Any]:
    """Return a portable table as the dictionary that `table_of` reads."""
    columns = []
    for column in spec.columns:
        default = column.default
        shown: dict[str, Any] = {
            "name": column.name,
            "type": str(column.type),
            "nullable": column.nullable and not column.primary_key,
            "default": {"expression": default.sql} if isinstance(default, Expression) else default,
            "primary_key": column.primary_key,
            "unique": column.unique,
            "auto_increment": column.auto_increment,
        }
        columns.append(shown | ({"comment": column.comment} if column.comment else {}))
    result: dict[str, Any] = {"name": spec.name, "columns": columns}
    if spec.schema_:
        result["schema"] = spec.schema_
    if spec.primary_key:
        result["primary_key"] = list(spec.primary_key)
    result["foreign_keys"] = [
        {
            **({"name": key.name} if key.name else {}),
            "columns": list(key.columns),
            "references": {"table": key.references.table, "columns": list(key.references.columns)},
            "on_delete": key.on_delete,
            "on_update": key.on_update,
        }
        for key in spec.foreign_keys
    ] + [
        {
            "columns": [column.name],
            "references": {"table": column.references.rpartition(".")[0], "columns": [column.references.rpartition(".")[2]]},
            "on_delete": "no action",
            "on_update": "no action",
        }
        for column in spec.columns
        if column.references
    ]
    result["uniques"] = [{**({"name": one.name} if one.name else {}), "columns": list(one.columns)} for one in spec.uniques]
    result["checks"] = [{"name": one.name, "expression": one.expression} for one in spec.checks]
    result["indexes"] = [
        {
            "name": one.name,
            **({"columns": list(one.columns)} if one.columns else {"expressions": list(one.expressions or ())}),
            "unique": one.unique,
            **({"where": one.where} if one.where else {}),
        }
        for one in spec.indexes
    ]
    return result


def _column(table: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not given.get("name"):
        raise SchemaError(f"a column of the table {table} has no name", expected="{name, type, ...}")
    where = f"{table}.{given['name']}"
    _must_know(f"the column {where}", given, _COLUMN)
    kind = given.get("type") or given.get("data_type")
    if not isinstance(kind, str):
        raise SchemaError(f"the column {where} has no type", expected=f"type: one of {', '.join(PORTABLE_TYPES)}")
    data: dict[str, Any] = {
        "name": given["name"],
        "type": type_of(kind, given.get("max_length") or given.get("length")),
        "nullable": bool(given.get("nullable", True)) and not given.get("primary_key"),
        "primaryKey": bool(given.get("primary_key")),
        "unique": bool(given.get("unique")) and not given.get("primary_key"),
        "autoIncrement": bool(given.get("auto_increment") or given.get("autoincrement"))
        or kind.lower() in ("serial", "bigserial"),
    }
    if given.get("default") is not None:
        data["default"] = _default(given["default"])
    if given.get("comment"):
        data["comment"] = given["comment"]
    target = given.get("references") or given.get("foreign_key")
    if target is not None:
        data["_key"] = _foreign_key(
            {
                "columns": [given["name"]],
                "references": _reference(where, target),
                "on_delete": given.get("on_delete"),
                "on_update": given.get("on_update"),
            }
        )
    return data


_NOW = re.compile(r"(?:current_(?:timestamp|date|time)|now\(\))(?:\(\))?", re.IGNORECASE)


def _default(value: Any) -> Any:
    if isinstance(value, str) and (found := _NOW.fullmatch(value.strip())):
        word = found[0].upper().removesuffix("()")
        return {"expression": "CURRENT_TIMESTAMP" if word == "NOW" else word}
    return dict(value) if isinstance(value, Mapping) else value


def _reference(where: str, target: Any) -> dict[str, Any]:
    if isinstance(target, Mapping):
        columns = target.get("columns") or [target["column"]]
        return {"table": target["table"], "columns": list(columns)}
    found = re.fullmatch(r"\s*(.+?)\s*\(\s*(\w+)\s*\)\s*", str(target)) or re.fullmatch(r"(.+)\.([^.]+)", str(target))
    if found is None:
        raise SchemaError(f"{where} refers to {target!r}", expected="table.column")
    return {"table": found[1], "columns": [found[2]]}


def _foreign_key(given: Mapping[str, Any]) -> dict[str, Any]:
    columns = given.get("columns") or [given.get("column")]
    there = given.get("references")
    data = {"columns": list(columns), "references": _reference(", ".join(map(str, columns)), there)}
    if given.get("name"):
        data["name"] = given["name"]
    for name, field in (("on_delete", "onDelete"), ("on_update", "onUpdate")):
        if given.get(name):
            data[field] = str(given[name]).lower()
    return data


def _index(table: str, given: Any) -> dict[str, Any]:
    data = dict(given) if isinstance(given, Mapping) else {"columns": list(given)}
    if not data.get("name"):
        data["name"] = "_".join(["ix", table, *(data.get("columns") or ())])
    return {name: value for name, value in data.items() if value is not None and name != "table"}


def _check(text: Any) -> str:
    found = re.fullmatch(r"\s*CHECK\s*\((.*)\)\s*", str(text), re.IGNORECASE | re.DOTALL)
    return found[1] if found else str(text)


def _validated(name: str, data: dict[str, Any]) -> TableSpec:
    from pydantic import ValidationError

    try:
        return TableSpec.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        told = first.get("ctx", {}) if first["type"] == COMPLAINT else {}
        path = (*first["loc"], *told.get("path", ()))
        place, value = ".".join(map(str, path)), _at(data, path)
        message = str(told.get("message") or first["msg"]).replace(WRITTEN, str(value))
        raise SchemaError(
            f"the table {name} is wrong{f' at {place}' if place else ''}: {message}",
            expected=told.get("expected"),
            fix=told.get("fix"),
        ) from error


def _at(data: Any, path: Sequence[Any]) -> Any:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _must_know(what: str, given: Mapping[str, Any], known: frozenset[str]) -> None:
    from difflib import get_close_matches

    if unknown := sorted(set(given) - known):
        near = get_close_matches(unknown[0], known, 1)
        raise SchemaError(
            f"{what} has the unknown key {unknown[0]!r}",
            expected=f"some of {', '.join(sorted(known))}",
            fix=f"did you mean {near[0]}?" if near else None,
        )


# --- SQLAlchemy


def _of_sqlalchemy(table: SqlAlchemyTable) -> TableSpec:
    from sqlalchemy import CheckConstraint, UniqueConstraint

    given: dict[str, Any] = {
        "name": table.name,
        "schema": table.schema,
        "columns": [_sqlalchemy_column(table, column) for column in table.columns],
        "primary_key": [column.name for column in table.primary_key.columns],
        "comment": table.comment,
        "foreign_keys": [
            {
                "name": key.name,
                "columns": list(key.column_keys),
                "references": {
                    "table": key.referred_table.fullname,
                    "columns": [element.column.name for element in key.elements],
                },
                "on_delete": key.ondelete,
                "on_update": key.onupdate,
            }
            for key in table.foreign_key_constraints
        ],
        "uniques": [
            {**({"name": str(one.name)} if one.name else {}), "columns": [column.name for column in one.columns]}
            for one in table.constraints
            if isinstance(one, UniqueConstraint)
        ],
        "checks": [
            {"name": str(one.name) if one.name else None, "expression": str(one.sqltext)}
            for one in table.constraints
            if isinstance(one, CheckConstraint)
        ],
        "indexes": [
            {"name": str(index.name), "columns": [column.name for column in index.columns], "unique": bool(index.unique)}
            for index in table.indexes
        ],
    }
    given["foreign_keys"].sort(key=lambda one: one["columns"])
    given["uniques"].sort(key=lambda one: one["columns"])
    given["indexes"].sort(key=lambda one: one["name"])
    return table_of(given)


def _sqlalchemy_column(table: SqlAlchemyTable, column: SqlAlchemyColumn[Any]) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": column.name,
        "type": _sqlalchemy_type(f"{table.name}.{column.name}", column.type),
        "nullable": bool(column.nullable),
        "comment": column.comment,
        "auto_increment": table.autoincrement_column is column and column.autoincrement is True,
    }
    if column.server_default is not None:
        argument = getattr(column.server_default, "arg", None)
        given["default"] = argument if isinstance(argument, str) else {"expression": str(argument)}
    elif column.default is not None and getattr(column.default, "is_scalar", False):
        given["default"] = getattr(column.default, "arg", None)
    return given


def _sqlalchemy_type(where: str, kind: Any) -> str:
    from sqlalchemy import types

    if isinstance(kind, types.Enum):
        return f"string({max(map(len, kind.enums), default=1)})"
    known: Sequence[tuple[type[Any], str]] = (
        (types.Uuid, "uuid"),
        (types.Text, "text"),
        (types.String, f"string({kind.length})" if getattr(kind, "length", None) else "string"),
        (types.Boolean, "boolean"),
        (types.SmallInteger, "smallint"),
        (types.BigInteger, "bigint"),
        (types.Integer, "integer"),
        (types.Float, "float"),
        (types.Numeric, _decimal(kind)),
        (types.DateTime, "datetime"),
        (types.Date, "date"),
        (types.Time, "time"),
        (types.LargeBinary, "binary"),
        (types.JSON, "json"),
    )
    if isinstance(kind, types.TypeDecorator):
        return _sqlalchemy_type(where, kind.impl)
    for own, name in known:
        if isinstance(kind, own):
            return name
    raise SchemaError(f"the type {kind!r} of {where} has no portable form", expected=f"one of {', '.join(PORTABLE_TYPES)}")


def _decimal(kind: Any) -> str:
    precision, scale = getattr(kind, "precision", None), getattr(kind, "scale", None)
    return f"decimal({precision}, {scale or 0})" if precision else "decimal"
