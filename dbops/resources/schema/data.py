"""Reference rows: tables kept as in a CSV file, row by row, by key.

The file's values are put into a copy of the table on the scratch database and read back as text, the way the live rows are
read: `1.0`, `1` and `01` are equal exactly where the column's type says so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeVar

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import RenameColumn
from dbops.catalog.model import CatalogObject, Check, Exclusion, Index, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError, Mark, Problems, QueryError, SchemaError
from dbops.resources.schema.cache import CatalogCache
from dbops.resources.schema.copying import build
from dbops.resources.schema.data_file import Row, parsed_rows
from dbops.resources.schema.model import ReferenceFile
from dbops.resources.schema.observed import Renaming
from dbops.resources.schema.renames import former_ref
from dbops.resources.schema.sources import read_text, shown
from dbops.sql.rows import insert_row, select_text

#: The database of a scratch before the name of a table, which MySQL puts there.
_SCRATCH = re.compile(r"`?dbops_scratch_\w+`?\.")

Rows = Mapping[Row, Row]
Folded = Mapping[Row, Row]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReferenceRows:
    """The rows of one table, wanted and live, by key; each row holds the values of `columns`, the key's included."""

    table: Ref
    file: str
    at: Mark
    key: tuple[str, ...]
    columns: tuple[str, ...]
    wanted: Rows
    live: Rows
    coming: tuple[str, ...] = ()
    """Columns that the live table has not yet, whose values count as NULL."""

    @property
    def digest(self) -> str:
        """A hash of the wanted rows."""
        return _hash(json.dumps([self.columns, sorted(self.wanted.values(), key=str)]))

    @property
    def live_digest(self) -> str:
        return _hash(json.dumps(sorted(self.live.values(), key=str)))

    @property
    def missing(self) -> list[Row]:
        """Wanted rows whose key is not live."""
        return [row for key, row in self.wanted.items() if key not in self.live]

    @property
    def changed(self) -> list[tuple[Row, Row]]:
        """Live and wanted rows of one key that differ."""
        return [(self.live[key], row) for key, row in self.wanted.items() if key in self.live and self.live[key] != row]

    @property
    def surplus(self) -> list[Row]:
        """Live rows whose key is not wanted."""
        return [row for key, row in self.live.items() if key not in self.wanted]

    def named(self, row: Row) -> dict[str, str | None]:
        return dict(zip(self.columns, row, strict=True))

    def key_of(self, row: Row) -> dict[str, str | None]:
        named = self.named(row)
        return {name: named[name] for name in self.key}


def qualified(ref: Ref, engine: Engine) -> str:
    """Return the quoted name of a table."""
    quote = engine.dialect.identifier
    return f"{quote(ref.schema)}.{quote(ref.name)}" if ref.schema else quote(ref.name)


def reference_rows(
    files: Sequence[ReferenceFile],
    desired: Catalog,
    live: Catalog | None,
    renames: Sequence[Renaming],
    reader: Connection | None,
    engine: Engine,
    target: Target,
    cache: CatalogCache,
) -> tuple[ReferenceRows, ...]:
    """Return wanted and live rows of every table that has a file.

    Raises:
        Problems: of SchemaError: unreadable files, unknown tables or columns, values the table refuses, keys that stand twice.
    """
    return tuple(_of_each(files, lambda file: _one(file, desired, live, renames, reader, engine, target, cache)))


def check_files(files: Sequence[ReferenceFile], desired: Catalog | None, engine: Engine) -> None:
    """Read every file, and hold it against its table as far as no database is needed; `desired` is None where it is not known.

    Raises:
        Problems: of SchemaError: unreadable files, unknown tables or columns, lines that do not fit, keys that stand twice.
    """

    def check(file: ReferenceFile) -> None:
        table = None if desired is None else _table_of(file, desired, engine)
        text = read_text(file.path, at=file.at)
        if table is not None:
            parsed_rows(text, file, table)

    _of_each(files, check)


def _of_each(files: Sequence[ReferenceFile], ask: Callable[[ReferenceFile], T]) -> list[T]:
    """Return the answers for all files, or raise all their problems together."""
    found: list[T] = []
    problems: list[DbopsError] = []
    for file in files:
        try:
            found.append(ask(file))
        except Problems as error:
            problems += error.problems
        except SchemaError as error:
            problems.append(error)
    if problems:
        raise Problems(problems)
    return found


def _table_of(file: ReferenceFile, desired: Catalog, engine: Engine) -> Table:
    namespace, _, name = file.table.rpartition(".")
    table = desired.table(namespace or engine.features.default_schema, name)
    if table is None:
        tables = [item.ref.qualified for item in desired.all(Table)]
        raise SchemaError(
            f"there is no table {file.table!r} for the rows of {file.path.name}",
            at=file.at,
            expected="a table of the source"
            + (f"; did you mean {near[0]!r}?" if (near := get_close_matches(file.table, tables, 1)) else ""),
        )
    return table


def _one(
    file: ReferenceFile,
    desired: Catalog,
    live: Catalog | None,
    renames: Sequence[Renaming],
    reader: Connection | None,
    engine: Engine,
    target: Target,
    cache: CatalogCache,
) -> ReferenceRows:
    table = _table_of(file, desired, engine)
    text = read_text(file.path, at=file.at)
    columns, lines = parsed_rows(text, file, table)
    wanted, folded = _canonical(text, columns, lines, file, table, desired, engine, target, cache)
    rows, live_folded = _live_rows(reader, table.ref, live, renames, columns, file.key, engine) if reader and live else ((), {})
    _refuse_alike(folded, live_folded, file)
    return ReferenceRows(
        table.ref,
        shown(file.path),
        file.at,
        file.key,
        columns,
        _by_key(wanted, columns, file),
        _by_key(rows, columns, file),
        _coming(table.ref, live, renames, columns) if live else (),
    )


def _coming(ref: Ref, live: Catalog, renames: Sequence[Renaming], columns: Sequence[str]) -> tuple[str, ...]:
    old = former_ref(ref, renames)
    table = live.table(old.schema, old.name)
    renamed = {item.after for item in renames if isinstance(item, RenameColumn) and item.table == ref}
    return tuple(name for name in columns if table and name not in renamed and table.column(name) is None)


def _canonical(
    text: str,
    columns: tuple[str, ...],
    lines: Sequence[tuple[int, Row]],
    file: ReferenceFile,
    table: Table,
    desired: Catalog,
    engine: Engine,
    target: Target,
    cache: CatalogCache,
) -> tuple[list[Row], Folded]:
    rules = _rules(table.ref, {*columns}, {*file.key}, desired)
    told = [codec.encode(item) for item in (table, *rules)]
    key = _hash(json.dumps([text, told, engine.name, str(target.url), file.key, "rows/4"]))
    known = cache.get_text(key)
    if known is not None:
        stored, folds = json.loads(known)
        return [tuple(row) for row in stored], {tuple(own): tuple(fold) for own, fold in folds}
    alone = desired.only(_alone(table.ref, desired) | {item.ref for item in rules})
    line = 1
    with engine.scratch(target) as conn:
        build(replace(alone, objects={**alone.objects, table.ref: _unnumbered(table, columns)}), engine, conn)
        try:
            with conn.transaction():
                for at, row in lines:
                    values, line = dict(zip(columns, row, strict=True)), at
                    conn.execute(insert_row(qualified(table.ref, engine), values, engine.dialect))
                line = 1  # what is checked at the end is about all of them
        except QueryError as error:
            message = _SCRATCH.sub("", error.message)
            raise SchemaError(message, at=Mark(shown(file.path), line)) from error
        rows, folded = _read(conn, table, columns, engine), _folded(conn, table, file.key, engine)
    cache.put_text(key, json.dumps([rows, list(folded.items())]))
    return list(rows), folded


def overriding_clause(table: Table) -> str:
    """Return what an INSERT must say to give values to a column that the engine always numbers."""
    return "OVERRIDING SYSTEM VALUE" if any(c.identity and c.identity.mode == "always" for c in table.columns) else ""


def _unnumbered(table: Table, given: Collection[str]) -> Table:
    """Return the table with plain columns for those the engine numbers: MySQL numbers none without a key.

    Nor does it want the key that SQLite stores its rows by, or partitions, where these are tables of their own.
    """
    plain = (
        replace(column, identity=None, nullable=column.nullable or column.name not in given) if column.identity else column
        for column in table.columns
    )
    divided = table.partition_by if table.partition_by and table.partition_by.partitions else None
    options = tuple(option for option in table.options if option[0] != "without_rowid")
    return replace(table, columns=tuple(plain), partition_by=divided, options=options)


def _rules(table: Ref, given: Set[str], key: Set[str], desired: Catalog) -> list[CatalogObject]:
    """Return what the rows have to keep among themselves: checks, and keys whose values the file has, but for its own `key`.

    What calls a function is left out: it may read other tables, which are not there.
    """
    found: list[CatalogObject] = []
    for item in desired:
        if item.ref.table != table or item.ref == table:
            continue
        match item:
            case PrimaryKey(columns=columns) | Unique(columns=columns):
                is_rule = {*columns} <= given and {*columns} != key
            case Index(unique=True, keys=keys):
                is_rule = {part.column for part in keys} <= given and {part.column for part in keys} != key
            case Check() | Exclusion():
                is_rule = True
            case _:
                is_rule = False
        if is_rule and all(need.kind != "routine" for need in desired.dependencies.get(item.ref, ())):
            found.append(item)
    return found


def _alone(table: Ref, desired: Catalog) -> set[Ref]:
    """Return the table and what its columns need: types, sequences, functions, but no other table."""
    wanted: set[Ref] = set()
    queue = [table]
    while queue:
        ref = queue.pop()
        if ref in wanted or ref not in desired.objects or (ref != table and (ref.kind == "table" or ref.parent)):
            continue
        wanted.add(ref)
        queue += desired.dependencies.get(ref, ())
    return wanted | {ref for ref in desired.objects if ref.kind in ("schema", "extension")}


def _live_rows(
    reader: Connection,
    ref: Ref,
    live: Catalog,
    renames: Sequence[Renaming],
    columns: Sequence[str],
    key: Sequence[str],
    engine: Engine,
) -> tuple[tuple[Row, ...], Folded]:
    """Return the live rows, also while the table or a column still has the name it is to be renamed from."""
    old = former_ref(ref, renames)
    names = {item.after: item.before for item in renames if isinstance(item, RenameColumn) and item.table == ref}
    table = live.table(old.schema, old.name)
    if table is None:
        return (), {}
    rows = _read(reader, table, [names.get(name, name) for name in columns], engine)
    return rows, _folded(reader, table, [names.get(name, name) for name in key], engine)


def _read(conn: Connection, table: Table, columns: Sequence[str], engine: Engine) -> tuple[Row, ...]:
    """Return all rows as text; columns that the table does not have yet count as NULL."""
    there = [name for name in columns if table.column(name) is not None]
    if not there:
        return ()
    sql = select_text(qualified(table.ref, engine), there, engine.features.text_cast, engine.dialect)
    found = [dict(zip(there, row, strict=True)) for row in conn.query(sql)]
    return tuple(tuple(row.get(name) for name in columns) for row in found)


def _folded(conn: Connection, table: Table, key: Sequence[str], engine: Engine) -> Folded:
    """Return the keys of all rows with what they are compared by; empty where they are compared letter by letter."""
    columns = [table.column(name) for name in key]
    quoted = [engine.dialect.identifier(name) for name in key]
    folds = [engine.folded(text, column, table) if column else None for text, column in zip(quoted, columns, strict=True)]
    if not all(columns) or not any(folds):
        return {}
    listed = [f"CAST({text} AS {engine.features.text_cast})" for text in quoted]
    compared = [fold or text for fold, text in zip(folds, listed, strict=True)]
    found = conn.query(f"SELECT {', '.join([*listed, *compared])} FROM {qualified(table.ref, engine)}")
    return {tuple(row[: len(key)]): tuple(row[len(key) :]) for row in found}


def _refuse_alike(wanted: Folded, live: Folded, file: ReferenceFile) -> None:
    """Refuse keys that are spelled in two ways and are one key to the database, which would refuse the second row.

    Raises:
        SchemaError: two keys of the file, or one of the file and one that is live.
    """
    known: dict[Row, Row] = {}
    for key, fold in wanted.items():
        if (twin := known.setdefault(fold, key)) != key:
            raise _alike(f"{_shown(twin)} and {_shown(key)}", "each key once", None, file)
    for key, fold in live.items():
        if key not in wanted and (twin := known.get(fold, key)) != key:
            fix = "spell it in the file as it is there, or change the row first"
            raise _alike(f"{_shown(twin)} and the live key {_shown(key)}", "keys spelled as they are there", fix, file)


def _alike(keys: str, expected: str, fix: str | None, file: ReferenceFile) -> SchemaError:
    message = f"{keys} of {file.table} are the same to the database, by the collation of the column"
    return SchemaError(message, at=file.at, expected=expected, fix=fix)


def _shown(key: Row) -> str:
    return ", ".join(str(part) for part in key)


def _by_key(rows: Sequence[Row], columns: tuple[str, ...], file: ReferenceFile) -> Rows:
    places = [columns.index(name) for name in file.key]
    result: dict[Row, Row] = {}
    for row in rows:
        key = tuple(row[place] for place in places)
        if key in result:
            raise SchemaError(
                f"two rows of {file.table} have the key {', '.join(str(part) for part in key)}",
                at=file.at,
                expected=f"columns that tell rows apart, not ({', '.join(file.key)})",
            )
        result[key] = row
    return result


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
