"""What differs between two schemas that a program describes, in lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def report(current: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """Count what differs, and say what to do about it; the keys are those of `SchemaGenerator.get_schema_drift_report`."""
    found = compare(current, target)
    is_drifting = any(found.values())
    changed = {
        part: sum(len(found[f"{part}_to_{act}"]) for act in ("add", "remove", "modify")) for part in ("indexes", "constraints")
    }
    return {
        "drift_detected": is_drifting,
        "tables_added": len(found["tables_to_add"]),
        "tables_removed": len(found["tables_to_remove"]),
        "columns_added": len(found["columns_to_add"]),
        "columns_removed": len(found["columns_to_remove"]),
        "columns_modified": len(found["columns_to_modify"]),
        "indexes_changed": changed["indexes"],
        "constraints_changed": changed["constraints"],
        "recommendations": list(_recommendations(found)),
        "migration_needed": is_drifting,
        "differences": found,
    }


def _recommendations(found: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for name in found["tables_to_add"]:
        yield f"create the table {name}"
    for name in found["tables_to_remove"]:
        yield f"drop the table {name}, once nothing reads it; its rows go with it"
    for one in found["columns_to_add"]:
        is_required = not one["definition"]["nullable"] and one["definition"]["default"] is None
        yield f"add the column {one['table']}.{one['column']}" + (
            ", with a default for the rows that exist" if is_required else ""
        )
    for one in found["columns_to_remove"]:
        yield f"drop the column {one['table']}.{one['column']}, once nothing reads it; its values go with it"
    for one in found["columns_to_modify"]:
        yield f"change the column {one['table']}.{one['column']}; look whether all values fit"
    for part, word in (("indexes", "index"), ("constraints", "constraint")):
        for act, verb in (("add", "add"), ("remove", "drop"), ("modify", "change")):
            for one in found[f"{part}_to_{act}"]:
                yield f"{verb} the {word} {one[word]} of {one['table']}"
