"""What differs between two schemas that a program describes, in lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dbops.errors import SchemaError
from dbops.usecases.schemas.tables import as_dict, table_of

Data = dict[str, Any]
_CONSTRAINTS = (("unique", "uniques"), ("foreign_key", "foreign_keys"), ("check", "checks"))


def tables_in(schema: Mapping[str, Any]) -> dict[str, Data]:
    """Return the tables of a schema by name: `{tables: [table]}`, `{tables: {name: table}}`, or `{name: table}`.

    Raises:
        SchemaError: it is none of these, or a table is wrong.
    """
    given: Any = schema.get("tables", schema) if isinstance(schema, Mapping) else schema
    if isinstance(given, Mapping):
        given = [{**table, "name": table.get("name", name)} for name, table in given.items() if _is_table(name, table)]
    found = {}
    for table in given:
        data = as_dict(table_of({**table, "columns": _columns(table.get("columns"))}))
        found[data["name"]] = data
    return found


def _is_table(name: str, table: Any) -> bool:
    if isinstance(table, Mapping):
        return True
    if name in ("name", "version", "created_at"):
        return False
    raise SchemaError(f"the table {name} is no dictionary", expected="{columns: [...]}")


def _columns(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return [{"name": name, **(one if isinstance(one, Mapping) else {"type": one})} for name, one in given.items()]
    return list(given or ())


def compare(current: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what leads from one schema to the other, each list in the order of names."""
    before, after = tables_in(current), tables_in(target)
    result: dict[str, list[Any]] = {
        "tables_to_add": sorted(after.keys() - before.keys()),
        "tables_to_remove": sorted(before.keys() - after.keys()),
        **{f"{part}_to_{act}": [] for part in ("columns", "indexes", "constraints") for act in ("add", "remove", "modify")},
    }
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        _compare(result, "columns", name, _by_name(old["columns"]), _by_name(new["columns"]), "column")
        _compare(result, "indexes", name, _by_name(old["indexes"]), _by_name(new["indexes"]), "index")
        _compare(result, "constraints", name, dict(_constraints(old)), dict(_constraints(new)), "constraint")
    return result


def _by_name(items: Iterable[Data]) -> dict[str, Data]:
    return {item["name"]: item for item in items}


def _constraints(table: Data) -> Iterable[tuple[str, Data]]:
    """Yield the keys and rules of a table by name; what has none is known by what it says."""
    key = table.get("primary_key") or [one["name"] for one in table["columns"] if one["primary_key"]]
    if key:
        yield "primary_key", {"type": "primary_key", "columns": list(key)}
    for kind, part in _CONSTRAINTS:
        for one in table.get(part, ()):
            about = ", ".join(one["columns"]) if "columns" in one else one["expression"]
            yield one.get("name") or f"{kind} ({about})", {"type": kind, **one}


def _compare(
    result: dict[str, list[Any]], part: str, table: str, before: Mapping[str, Data], after: Mapping[str, Data], word: str
) -> None:
    for name in sorted(after.keys() - before.keys()):
        result[f"{part}_to_add"].append({"table": table, word: name, "definition": after[name]})
    for name in sorted(before.keys() - after.keys()):
        result[f"{part}_to_remove"].append({"table": table, word: name, "definition": before[name]})
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        if part == "columns":  # the primary key is a constraint, told as one
            old, new = ({key: value for key, value in one.items() if key != "primary_key"} for one in (old, new))
        if old != new:
            result[f"{part}_to_modify"].append({"table": table, word: name, "from": before[name], "to": after[name]})
