"""Rows about to be deleted are kept in tables of dbops's own schema, in a form that outlives the types they were made of.

A row is kept as JSON under the names of its columns: `json`, not `jsonb`, keeps numbers and texts as they are. What JSON has
another form for is kept as its text, which each type reads: an array of JSON begins at 1, a JSON null is none, and from what
extensions bring nothing leads back (hstore becomes an object, a geometry loses its SRID and digits; manual, row_to_json). Rows on
other servers are theirs: a foreign table that inherits a column loses none of its values with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from dbops.catalog.changes import column_ref
from dbops.catalog.model import Column, CompositeType, Domain, PrimaryKey, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.all_rows import seen, while_seen
from dbops.engines.postgresql.render.names import columns, literal, named, qualified, quote
from dbops.engines.postgresql.render.numbers import go_on_identity
from dbops.engines.postgresql.render.scene import Scene, Survey
from dbops.sql.statement import Statement

_SCHEMA = "dbops"
#: What a row is called; the bare name would be a column of that name first, and a whole row only then.
_ROW = "dbops_row"
#: Types whose null is a value.
_DOCUMENTS = ("json", "jsonb")


def name(token: str, number: int) -> str:
    return qualified(_SCHEMA, f"archive_{token}_{number}")


def keep_rows(item: Table, archive: str, scene: Scene) -> Iterator[Statement]:
    """Yield what copies the rows of a table, those of its heirs left to the heirs."""
    yield from seen(item)
    names = tuple(column.name for column in item.columns)
    wanted, rows = _readable(item, names, scene), f"ONLY {named(item.ref)}"
    rows = rows if wanted == columns(names) else f"(SELECT {wanted} FROM {rows})"
    yield from _keep(archive, f"SELECT row_to_json({_ROW}.*) AS row FROM {rows} AS {_ROW}", item.ref.qualified)


def _readable(table: Table, names: Iterable[str], scene: Scene) -> str:
    """Return columns in the form in which JSON gives them back."""
    strange = {column.name for column in table.columns if _is_kept_as_text(column.type, scene)}
    return ", ".join(f"{quote(name)}::text AS {quote(name)}" if name in strange else quote(name) for name in names)


def _is_kept_as_text(kind: str, scene: Scene) -> bool:
    """Tell whether values are arrays, rows or documents, or of a type that the server does not bring: these have a schema."""
    return any(base.endswith("[]") or base in _DOCUMENTS or "." in base for base in _bases(kind, scene))


def _bases(kind: str, scene: Scene) -> Iterator[str]:
    """Yield what a type is made of before and after: a domain may be made of something else by then."""
    for survey in (scene.old, scene.new):
        base = kind
        while base in survey.domains:
            base = survey.domains[base]
        yield base


def _keep(archive: str, query: str, what: str) -> Iterator[Statement]:
    yield Statement(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
    yield Statement(f"CREATE TABLE {archive} AS\n{query}")
    yield Statement(f"COMMENT ON TABLE {archive} IS {literal(f'rows of {what}')}")


def restore_rows(item: Table, archive: str, scene: Scene) -> Iterator[Statement]:
    """Yield what puts the rows back, computed columns left to the server."""
    stored = tuple(column.name for column in item.columns if column.generated is None)
    if stored:
        given = f"INSERT INTO {named(item.ref)} ({columns(stored)}) OVERRIDING SYSTEM VALUE"
        values = ", ".join(_old(item, name, scene) for name in stored)
        filling = Statement(f"{given}\nSELECT {values}\nFROM {archive} AS a, {_row_of(item, stored, scene)}")
        yield from while_seen(item, [filling], scene)
    else:
        yield Statement(f"INSERT INTO {named(item.ref)} SELECT FROM {archive}")
    yield from (go_on_identity(item.ref, column) for column in item.columns if column.identity)


def _row_of(table: Table, names: Iterable[str], scene: Scene) -> str:
    """Return the FROM item that makes an archived row, or a part of one, `old`; what is not in the archive is not spoken of.

    Nor are domains: one that is NOT VALID refuses values that are there.
    """
    known = {column.name: "text" if _is_document(column, scene) else _base(column, scene) for column in table.columns}
    record = ", ".join(f"{quote(name)} {known[name]}" for name in dict.fromkeys(names))
    return f"pg_catalog.json_to_record(a.row) AS old({record})"


def _old(table: Table, name: str, scene: Scene) -> str:
    """Return the value of a column of `old`: JSON that is null comes of text alone."""
    column = table.column(name)
    return f"old.{quote(name)}::{_base(column, scene)}" if column and _is_document(column, scene) else f"old.{quote(name)}"


def _is_document(column: Column, scene: Scene) -> bool:
    return any(base in _DOCUMENTS for base in _bases(column.type, scene))


def _base(column: Column, scene: Scene) -> str:
    return scene.domains.get(column.type, column.type)


def keep_values(table: Table, lost: tuple[Column, ...], archive: str, key: tuple[str, ...], scene: Scene) -> Iterator[Statement]:
    """Yield what copies the values of columns with the key that tells the rows apart."""
    kept = tuple(dict.fromkeys((*key, *(column.name for column in lost))))
    rows = f"SELECT {_readable(table, kept, scene)} FROM {_rows_of(table.ref, kept, scene)} ORDER BY tableoid, ctid"
    query = f"SELECT row_to_json({_ROW}.*) AS row FROM ({rows}) AS {_ROW}"
    yield from while_seen(table, _keep(archive, query, f"{table.ref.qualified}: {columns(kept)}"), scene)


def _rows_of(table: Ref, names: tuple[str, ...], scene: Scene) -> str:
    """Return where the columns of a table's rows on this server are read from, with the place of each row."""
    wanted = ", ".join(("tableoid", "ctid", *map(quote, names)))
    parts = [f"SELECT {wanted} FROM ONLY {named(ref)}" for ref in scene.stored_in(table)]
    return f"({' UNION ALL '.join(parts)}) AS stored" if parts else named(table)


def key_of(table: Table, column: Column, gone: Collection[str], scene: Scene) -> tuple[str, ...]:
    """Return what tells rows apart when a column goes: the primary key, or else all columns that are not `gone` by then.

    Values that change their type do not come back as the text they were.
    """
    names = tuple(other.name for other in table.columns if other.name not in gone and other.name != column.name)
    found = _primary_key(table, scene.old)
    if found and set(found) <= set(names):
        return found
    others = (other for other in table.columns if other.name in names and not other.generated)
    return tuple(other.name for other in others if not _changes_type(table.ref, other, scene))


def _changes_type(table: Ref, column: Column, scene: Scene) -> bool:
    """Tell whether a column gets another type, or one that it is made of does: a domain, or attributes of a composite type."""
    now = scene.after.objects.get(table)
    new = now.column(column.name) if isinstance(now, Table) else None
    is_rebuilt = any(_holds_others(ref, scene) for ref in _types_of(column_ref(table, column.name), scene))
    return is_rebuilt or (new is not None and (new.type, new.collation) != (column.type, column.collation))


def _holds_others(kind: Ref, scene: Scene) -> bool:
    match scene.before.objects[kind], scene.after.objects.get(kind):
        case Domain() as old, Domain() as new:
            return old.base_type != new.base_type
        case old, new:
            return old != new


def _types_of(column: Ref, scene: Scene) -> set[Ref]:
    """Return the domains and composite types that values of a column are made of."""
    found, asked = set[Ref](), [column]
    while asked:
        needs = scene.before.dependencies.get(asked.pop(), frozenset[Ref]()) - found
        types = {need for need in needs if isinstance(scene.before.objects.get(need), CompositeType | Domain)}
        found |= types
        asked += types
    return found


def _primary_key(table: Table, survey: Survey) -> tuple[str, ...]:
    return next((item.columns for item in survey.children(table.ref) if isinstance(item, PrimaryKey)), ())


def restore_values(table: Table, column: Column, archive: str, key: tuple[str, ...], scene: Scene) -> Iterator[Statement]:
    """Yield what puts the values back, of rows that row security hides, too."""
    return while_seen(table, _restore_values(table, column, archive, key, scene), scene)


def _restore_values(table: Table, column: Column, archive: str, key: tuple[str, ...], scene: Scene) -> Iterator[Statement]:
    """Rows that look alike in everything kept are told apart by their place.

    Rows that came since get the default in the same statement, which sees all rows where they were; where there are none, the
    default is not so much as planned: a constant that does not fit the type would fail then.
    """
    value, found = quote(column.name), _found(table, column.name, archive, key, scene)
    for target in [f"ONLY {named(ref)}" for ref in scene.stored_in(table.ref)] or [named(table.ref)]:
        update, new = f"UPDATE {target} AS live SET {value} =", f"WHERE NOT EXISTS (SELECT\n{found})"
        restore = f"{update} {_old(table, column.name, scene)}\n{found}"
        if _fills(column):
            yield Statement(
                f"DO $$\nBEGIN\nIF EXISTS (SELECT FROM {target} AS live {new}) THEN\n"
                f"WITH came_since AS ({update} DEFAULT {new})\n{restore};\nELSE\n{restore};\nEND IF;\nEND\n$$"
            )
        else:
            yield Statement(restore)


def keep_own_rows(whole: Ref, parts: Iterable[Table], archive: str, scene: Scene) -> Iterator[Statement]:
    """Yield what copies what tells apart the rows of tables that became partitions, before others come to them."""
    rows = (
        f"SELECT {literal(named(part.ref))} AS part, row_to_json({_ROW}.*) AS row"
        f" FROM (SELECT {_readable(part, _own_key(part, scene), scene)} FROM {named(part.ref)} ORDER BY ctid) AS {_ROW}"
        for part in parts
    )
    yield from _keep(archive, "\nUNION ALL ".join(rows), f"partitions of {whole.qualified} before rows moved to them")


def take_strangers(part: Table, before: Table, archive: str, target: str, scene: Scene) -> Iterator[Statement]:
    """Yield what moves the rows of a partition that are not its own into a table with the columns that `before` has, too."""
    key, names = _own_key(part, scene), columns(tuple(column.name for column in part.columns if before.column(column.name)))
    own = f"(SELECT ctid, row FROM {archive} WHERE part = {literal(named(part.ref))})"
    found = _found(part, key[0], own, key, scene)
    yield Statement(
        f"WITH moved AS (DELETE FROM {named(part.ref)} AS live WHERE NOT EXISTS (SELECT\n{found}) RETURNING {names})\n"
        f"INSERT INTO {target} ({names})\nSELECT {names} FROM moved"
    )


def _own_key(part: Table, scene: Scene) -> tuple[str, ...]:
    return _primary_key(part, scene.new) or tuple(column.name for column in part.columns if not column.generated)


def _fills(column: Column) -> bool:
    return column.default is not None and not column.default.startswith("NULL")


def values_of(column: Column, archive: str) -> str:
    """Return the FROM item that gives the numbers kept of a column."""
    return f"(SELECT (row ->> {literal(column.name)})::bigint AS {quote(column.name)} FROM {archive}) AS kept"


def _found(table: Table, value: str, archive: str, key: tuple[str, ...], scene: Scene) -> str:
    """Return the FROM and WHERE that join each row `live` with what it was, `old`, of which the column `value` is wanted."""
    row = f"{archive} AS a, {_row_of(table, (*key, value), scene)}"
    if key and key == _primary_key(table, scene.new):
        same = " AND ".join(f"live.{quote(name)} = {_old(table, name, scene)}" for name in key)
        return f"FROM {row}\nWHERE {same}"
    here = f"row({', '.join(f'{quote(name)}::text' for name in key)})::text"
    kept = f"row({', '.join(f'old.{quote(name)}::text' for name in key)})::text"
    return (
        f"FROM (SELECT tableoid AS dbops_table, ctid AS dbops_place, {here} AS dbops_key,"
        f" row_number() OVER (PARTITION BY {here} ORDER BY tableoid, ctid) AS dbops_nth"
        f" FROM {_rows_of(table.ref, key, scene)}) AS here,\n"
        f"     (SELECT old.{quote(value)}, {kept} AS dbops_key,"
        f" row_number() OVER (PARTITION BY {kept} ORDER BY a.ctid) AS dbops_nth FROM {row}) AS old\n"
        f"WHERE live.tableoid = here.dbops_table AND live.ctid = here.dbops_place\n"
        f"  AND here.dbops_key = old.dbops_key AND here.dbops_nth = old.dbops_nth"
    )


def rows_with_lost(table: Table, lost: tuple[Column, ...], archive: str, key: tuple[str, ...], aside: str, scene: Scene) -> str:
    """Return the FROM items that give `move_rows` the rows waiting aside with the values that the columns `lost` had."""
    here = f"row({', '.join(f'{quote(name)}::text' for name in key)})::text"
    kept = f"row({', '.join(f'old.{quote(name)}::text' for name in key)})::text"
    known = [column.name for column in table.columns if column.name in key or column in lost]
    values = ", ".join(f"{_old(table, column.name, scene)} AS {quote(column.name)}" for column in lost)
    return (
        f"(SELECT *, {here} AS dbops_key, row_number() OVER (PARTITION BY {here} ORDER BY ctid) AS dbops_nth"
        f" FROM {aside}) AS here\n"
        f"LEFT JOIN (SELECT {values}, {kept} AS dbops_key, row_number() OVER (PARTITION BY {kept} ORDER BY a.ctid) AS dbops_nth"
        f" FROM {archive} AS a, {_row_of(table, known, scene)}) AS lost USING (dbops_key, dbops_nth)"
    )
