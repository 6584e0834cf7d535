"""A schema that changes: from what a program wants of it to the SQL there and back, as the engine writes it.

Tables that are not known stand in by what is said of them; where their SQL would need more, that is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import ChangeSet, diff
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Server
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.errors import SchemaError
from dbops.resources.schema.table_spec import TableSpec
from dbops.sql.dialect import Dialect
from dbops.sql.statement import Statement
from dbops.sql.tokens import tokens
from dbops.usecases.runtime import engine_named
from dbops.usecases.schemas.catalogs import catalog_of
from dbops.usecases.schemas.tables import as_dict, table_of

#: The oldest version of each that is supported: what runs there runs on later ones.
_SERVERS = {
    "sqlite": ("sqlite", Server("sqlite", (3, 37, 0), "", "")),
    "postgresql": ("postgresql", Server("postgresql", (13, 0), "", "")),
    "postgres": ("postgresql", Server("postgresql", (13, 0), "", "")),
    "mysql": ("mysql", Server("mysql", (8, 0, 19), "", "")),
    "mariadb": ("mysql", Server("mariadb", (10, 6, 0), "", "")),
}
#: What may be changed, in the order in which it is done.
KEYS = (
    "create_tables",
    "drop_indexes",
    "add_columns",
    "modify_columns",
    "drop_columns",
    "create_indexes",
    "drop_tables",
    "raw_sql",
)
_STAND_IN = "dbops_unknown"
_REBUILT = "dbops_new_"
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changed:
    """The statements there and back, and the tables afterwards; `lost` says why there is no way back, empty when there is."""

    up: tuple[Statement, ...]
    down: tuple[Statement, ...]
    tables: Mapping[str, TableSpec]
    lost: tuple[str, ...] = ()


def speaker_of(dialect: str) -> tuple[Engine, Server]:
    """Return the engine of a dialect, and the server that SQL is written for.

    Raises:
        SchemaError: no such dialect.
    """
    if dialect.lower() not in _SERVERS:
        raise SchemaError(f"unknown dialect {dialect!r}", expected=f"one of {', '.join(_SERVERS)}")
    name, server = _SERVERS[dialect.lower()]
    return engine_named(name), server


def creating(tables: Sequence[TableSpec], dialect: str) -> tuple[Statement, ...]:
    """Return the statements that make tables, in an order that foreign keys allow, wherever they lead."""
    engine, server = speaker_of(dialect)
    return _rendered(Catalog(), catalog_of(tables, engine), engine, server)


def changing(known: Mapping[str, TableSpec], changes: Mapping[str, Any], engine: Engine, server: Server) -> Changed:
    """Return the way there and back; see `dbops.api.schema_generator.SchemaGenerator.generate_migration` for `changes`.

    Raises:
        SchemaError: an unknown kind of change, table, column or index, or SQL that needs to know more of a table.
    """
    if unknown := [key for key in changes if key not in KEYS]:
        from difflib import get_close_matches

        near = get_close_matches(str(unknown[0]), KEYS, 1)
        raise SchemaError(
            f"unknown change {unknown[0]!r}",
            expected=f"some of {', '.join(KEYS)}",
            fix=f"did you mean {near[0]}?" if near else None,
        )
    work = _Work(known)
    for key in KEYS[:-1]:
        act: Callable[[Any], None] = getattr(work, key)
        for one in _listed(changes.get(key)):
            act(one)
    before, after = (catalog_of([table_of(data) for data in side.values()], engine) for side in (work.before, work.after))
    up, down = _rendered(before, after, engine, server), _rendered(after, before, engine, server)
    raw_up, raw_down, lost = _raw(_listed(changes.get("raw_sql")))
    lost = [*work.lost, *lost]
    _must_be_known(up if lost else (*up, *down), work.unknown, engine)
    tables = {name: table_of(data) for name, data in work.after.items() if name not in work.unknown}
    return Changed((*up, *raw_up), () if lost else (*raw_down, *down), tables, tuple(lost))


def script_of(statements: Iterable[Statement], dialect: Dialect, default_schema: str = "") -> str:
    """Return statements as a script, names in quotes only where they need them."""
    return "\n".join(dialect.terminated(plainly(one.sql, dialect, default_schema)) for one in statements)


def plainly(sql: str, dialect: Dialect, default_schema: str = "") -> str:
    """Return a statement without quotes around names that need none, and without the schema that is meant anyway."""
    parts, at = list[str](), 0
    found = list(tokens(sql, dialect))
    for place, token in enumerate(found):
        follows = found[place + 1].text if place + 1 < len(found) else ""
        if default_schema and token.text == default_schema and follows == "." and (not place or found[place - 1].text != "."):
            parts.append(sql[at : token.offset])
            at = found[place + 1].offset + 1
        elif token.kind == "name" and dialect.is_plain(token.text[1:-1]):
            parts += (sql[at : token.offset], token.text[1:-1])
            at = token.offset + len(token.text)
    return "".join([*parts, sql[at:]])


def _rendered(before: Catalog, after: Catalog, engine: Engine, server: Server) -> tuple[Statement, ...]:
    features = engine.features
    changes = diff(before, after, constraint_renames=features.renames_constraints)
    if not changes:
        return ()
    acts = engine.render(ChangeSet(before, after, changes), RenderContext(server, online=False))
    return tuple(statement for act in acts for statement in act.do)


def _must_be_known(statements: Iterable[Statement], unknown: Iterable[str], engine: Engine) -> None:
    for statement in statements:
        if _STAND_IN in statement.sql or any(f"{_REBUILT}{name}" in statement.sql for name in unknown):
            raise SchemaError(
                f"{engine.name} has to build a table anew for this, and its other columns are not known",
                fix="define the whole table first: create_table or create_table_from_dict",
            )


def _raw(given: Sequence[Any]) -> tuple[list[Statement], list[Statement], list[str]]:
    up, down, lost = list[Statement](), list[Statement](), list[str]()
    for one in given:
        if isinstance(one, Mapping):
            up.append(Statement(str(one.get("up") or one.get("sql"))))
            back = one.get("down") or one.get("rollback_sql")
        else:
            up.append(Statement(str(one)))
            back = None
        if back:
            down.insert(0, Statement(str(back)))
        else:
            lost.append("raw SQL without down")
    return up, down, lost


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


class _Work:
    """The tables before and after, as dictionaries, while changes are read; each method reads one change of its kind."""

    def __init__(self, known: Mapping[str, TableSpec]) -> None:
        self.before: dict[str, Data] = {name: as_dict(spec) for name, spec in known.items()}
        self.after: dict[str, Data] = {name: as_dict(spec) for name, spec in known.items()}
        self.unknown: set[str] = set()
        self.lost: list[str] = []

    def create_tables(self, given: Mapping[str, Any]) -> None:
        data = as_dict(table_of(given))
        if data["name"] in self.after:
            raise SchemaError(f"there is a table {data['name']} already")
        self.after[data["name"]] = data

    def drop_tables(self, given: Any) -> None:
        if isinstance(given, Mapping) and given.get("columns"):
            data = as_dict(table_of(given))
            self.before.setdefault(data["name"], data)
            self.after.pop(data["name"], None)
            return
        name = given["name"] if isinstance(given, Mapping) else str(given)
        if name not in self.after:
            self._stand_in(name)
        if name in self.unknown:
            self.lost.append(f"the definition of the table {name} is not known")
        del self.after[name]

    def add_columns(self, given: Mapping[str, Any]) -> None:
        table, column = self._table(given), _definition(given)
        self._must_lack(table, column["name"])
        self._add(self.after[table], column)

    def drop_columns(self, given: Mapping[str, Any]) -> None:
        table, column = self._table(given), given.get("column")
        name = column["name"] if isinstance(column, Mapping) else str(column)
        if table in self.unknown and self._column(self.before, table, name) is None:
            if isinstance(column, Mapping) and (column.get("type") or column.get("data_type")):
                self._add(self.before[table], column)
            else:
                self._add(self.before[table], {"name": name, "type": "integer"})
                self.lost.append(f"the definition of the column {table}.{name} is not known")
        elif self._column(self.after, table, name) is None:
            raise self._no_column(table, name)
        self.after[table]["columns"] = [one for one in self.after[table]["columns"] if one["name"] != name]
        for part in ("indexes", "uniques", "foreign_keys"):
            self.after[table][part] = [one for one in self.after[table].get(part, ()) if name not in one.get("columns", ())]

    def modify_columns(self, given: Mapping[str, Any]) -> None:
        table, column = self._table(given), _definition(given, "to")
        name = given["column"] if isinstance(given.get("column"), str) else column["name"]
        column = {**column, "name": column.get("name") or name}
        before = self._column(self.after, table, name)
        if before is None:
            if table not in self.unknown:
                raise self._no_column(table, name)
            old = given.get("from")
            if not isinstance(old, Mapping):
                old = {"name": name, "type": "text" if column["type"] != "text" else "string(255)"}
                self.lost.append(f"what the column {table}.{name} was before is not known")
            for side in (self.before, self.after):
                self._add(side[table], {**old, "name": name})
            before = self._column(self.after, table, name)
        place = self.after[table]["columns"].index(before)
        kept = [one for one in self.after[table]["foreign_keys"] if one["columns"] != [name] or "references" not in column]
        self.after[table]["foreign_keys"] = kept
        merged = {**{key: value for key, value in (before or {}).items() if key not in ("type", "data_type")}, **column}
        normal = as_dict(table_of({"name": table, "columns": [merged]}))
        self.after[table]["columns"][place] = normal["columns"][0]
        self.after[table]["foreign_keys"] += normal["foreign_keys"]

    def create_indexes(self, given: Mapping[str, Any]) -> None:
        table = self._table(given)
        self._stand_in_columns(table, given.get("columns") or ())
        index = {name: value for name, value in given.items() if name != "table"}
        self.after[table].setdefault("indexes", []).append(index)

    def drop_indexes(self, given: Any) -> None:
        name = given["name"] if isinstance(given, Mapping) else str(given)
        table = given.get("table") if isinstance(given, Mapping) else None
        if table is None:
            table = next((one for one, data in self.after.items() if any(i["name"] == name for i in data["indexes"])), None)
        if table is None:
            raise SchemaError(f"there is no index {name} in the tables that are known", fix="say its table: {table, name}")
        if table not in self.after:
            self._stand_in(table)
        if table in self.unknown and not any(one["name"] == name for one in self.before[table].get("indexes", ())):
            columns = list(given.get("columns") or ()) if isinstance(given, Mapping) else []
            if not columns:
                self.lost.append(f"the columns of the index {name} are not known")
            self._stand_in_columns(table, columns)
            index = {"name": name, "columns": columns or [_STAND_IN], "unique": bool(columns) and bool(given.get("unique"))}
            for side in (self.before, self.after):
                side[table].setdefault("indexes", []).append(dict(index))
        if not any(one["name"] == name for one in self.after[table]["indexes"]):
            raise SchemaError(f"the table {table} has no index {name}")
        self.after[table]["indexes"] = [one for one in self.after[table]["indexes"] if one["name"] != name]

    # --- tables and columns

    def _table(self, given: Any) -> str:
        if not isinstance(given, Mapping) or not isinstance(given.get("table"), str):
            raise SchemaError(f"the change {given!r} names no table", expected="{table, column} or {table, name, columns}")
        if given["table"] not in self.after:
            self._stand_in(given["table"])
        return str(given["table"])

    def _stand_in(self, name: str) -> None:
        self.unknown.add(name)
        for side in (self.before, self.after):
            side[name] = as_dict(table_of({"name": name, "columns": [{"name": _STAND_IN, "type": "integer"}]}))

    def _stand_in_columns(self, table: str, names: Iterable[str]) -> None:
        for name in names:
            if table in self.unknown and self._column(self.after, table, name) is None:
                for side in (self.before, self.after):
                    self._add(side[table], {"name": name, "type": "string(255)"})

    @staticmethod
    def _add(data: Data, column: Mapping[str, Any]) -> None:
        normal = as_dict(table_of({"name": data["name"], "columns": [column]}))
        data["columns"].append(normal["columns"][0])
        data["foreign_keys"] += normal["foreign_keys"]

    @staticmethod
    def _column(side: Mapping[str, Data], table: str, name: str) -> Data | None:
        return next((one for one in side[table]["columns"] if one["name"] == name), None)

    def _must_lack(self, table: str, name: str) -> None:
        if self._column(self.after, table, name) is not None:
            raise SchemaError(f"the table {table} has a column {name} already")

    def _no_column(self, table: str, name: str) -> SchemaError:
        names = [one["name"] for one in self.after[table]["columns"]]
        return SchemaError(f"the table {table} has no column {name}", expected=f"one of {', '.join(names)}")


def _definition(given: Mapping[str, Any], key: str = "column") -> Mapping[str, Any]:
    found = given.get(key)
    if not isinstance(found, Mapping):
        found = given.get("column")
    if not isinstance(found, Mapping):
        raise SchemaError(f"the change of the table {given.get('table')} defines no column", expected="column: {name, type, ...}")
    return found
