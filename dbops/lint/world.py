"""What the statements so far have made: tables with their keys and indexes, what is new, transactions and timeouts in force."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field, replace

from dbops.dataclass import dataclass
from dbops.lint.facts import (
    Action,
    AlterTable,
    Column,
    CommentOn,
    Constraint,
    Create,
    CreateIndex,
    CreateTable,
    Dml,
    Drop,
    Fact,
    Insert,
    Name,
    Reference,
    Rename,
    Setting,
    Transaction,
)
from dbops.lint.settings import LintSettings
from dbops.lint.statements import Read
from dbops.sql.dialect import Dialect

Key = tuple[str, str]
#: Kinds that share one set of names, so that ALTER TABLE may speak of any of them.
_RELATIONS = frozenset(("view", "materialized view", "sequence", "foreign table", "virtual table"))
_DEFAULT_SCHEMAS = ("public", "main")


@dataclass(frozen=True, slots=True)
class IndexState:
    """An index or what makes one; `columns` hold an empty name for an expression. `kind` is index, unique or primary_key."""

    kind: str
    name: str
    columns: tuple[str, ...]
    read: Read
    at: int
    is_partial: bool = False
    method: str = ""
    signature: str = ""
    is_constraint: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`is_new_table` when its table is made in the same unit."""

    columns: tuple[str, ...]
    references: Reference
    name: str
    read: Read
    at: int
    is_new_table: bool


@dataclass(slots=True)
class TableState:
    """A table as the statements so far leave it; `is_known` when its CREATE TABLE was seen."""

    name: Name
    read: Read
    at: int
    is_known: bool = False
    is_plain: bool = False
    is_temporary: bool = False
    columns: dict[str, Column] = field(default_factory=dict)
    places: dict[str, Read] = field(default_factory=dict)
    constraints: dict[str, Constraint] = field(default_factory=dict)
    indexes: list[IndexState] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    has_comment: bool = False
    is_partition: bool = False
    made_not_null: set[str] = field(default_factory=set)
    """Columns that a validated check keeps from being NULL."""

    @property
    def has_primary_key(self) -> bool:
        return any(index.kind == "primary_key" for index in self.indexes)


@dataclass(slots=True)
class World:
    """State between statements. `unit` is what is applied at once: a file of migrations, or a whole schema source."""

    dialect: Dialect
    settings: LintSettings
    is_schema: bool = False
    tables: dict[Key, TableState] = field(default_factory=dict)
    fresh: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """What the unit made: the schemas by kind and name."""
    named: dict[str, set[Key]] = field(default_factory=dict)
    """The keys of tables by their name alone."""
    rebuilt: set[Key] = field(default_factory=set)
    triggers: dict[str, tuple[str, Key]] = field(default_factory=dict)
    """The triggers that stay with the database, by their folded names: the name as written, and the table."""
    in_transaction: bool = False
    has_timeout: bool = False
    changed_rows: bool = False
    """Rows of existing tables were changed in this file since the last commit."""
    script: tuple[Read, ...] = ()

    # --- asking

    def fold(self, name: str) -> str:
        """Return a name as it compares."""
        return name if self.dialect.name == "postgresql" else name.lower()

    def key(self, name: Name) -> Key:
        schema = "" if name.schema.lower() in _DEFAULT_SCHEMAS else self.fold(name.schema)
        return schema, self.fold(name.name)

    def table(self, name: Name) -> TableState | None:
        """Return a table; a name without a schema finds the only one of that name, and one with a schema one without."""
        key = self.key(name)
        if key in self.tables:
            return self.tables[key]
        if key[0]:
            return self.tables.get(("", key[1]))
        found = self.named.get(key[1], set())
        return self.tables[next(iter(found))] if len(found) == 1 else None

    def column(self, table: Name, name: str) -> Column | None:
        state = self.table(table)
        return state.columns.get(self.fold(name)) if state else None

    def triggers_of(self, table: Name) -> list[str]:
        return [name for name, on in self.triggers.values() if on == self.key(table)]

    def is_new(self, name: Name, kind: str = "table") -> bool:
        """Return whether the object is made in the same unit."""
        schema, own = self.key(name)
        schemas = self.fresh.get(("table" if kind in _RELATIONS else kind, own), ())
        return bool(schemas) and (not schema or schema in schemas or "" in schemas)

    def is_new_constraint(self, table: Name, name: str) -> bool:
        """Return whether a constraint was added in the same unit, and not in place of one that was there."""
        schema, own = self._key_of_constraint(table, name)
        return bool(name) and schema in self.fresh.get(("constraint", own), ())

    def _key_of_constraint(self, table: Name, name: str) -> Key:
        schema, own = self.key(table)
        return schema, f"{own}.{self.fold(name)}"

    def exists(self, name: Name | None) -> bool:
        """Return whether a table was there before the unit, as far as can be told; without a name some table was."""
        return name is None or not name.name or not self.is_new(name)

    # --- units and files

    def enter(self, script: tuple[Read, ...], *, starts_unit: bool) -> None:
        """Begin a file."""
        self.script = script
        self.in_transaction = self.has_timeout = self.changed_rows = False
        if starts_unit:
            self.fresh = {}
        self.rebuilt = set(self._rebuilt(script))

    def foresee(self, scripts: list[tuple[Read, ...]]) -> None:
        """Know beforehand what a schema source makes, whose statements may stand in any order."""
        for script in scripts:
            for read in script:
                self._note_new(read.fact)

    def _rebuilt(self, script: tuple[Read, ...]) -> Iterator[Key]:
        """Yield the tables that the file makes anew, SQLite's way of changing a table: their rows are copied before they go."""
        made = {self.key(read.fact.table) for read in script if isinstance(read.fact, CreateTable)}
        copies = [read for read in script if _copies(read, made, self)]
        for read in script:
            if isinstance(read.fact, Drop) and read.fact.kind == "table":
                yield from (self.key(name) for name in read.fact.names if any(_reads(copy, name, read) for copy in copies))
            match read.fact:
                case AlterTable(table, actions) if self.key(table) in made:
                    yield from (self.key(Name(table.schema, action.to)) for action in actions if action.kind == "rename_table")
                case Rename("table"):
                    yield from (self.key(Name(old.schema, new)) for old, new in read.fact.pairs if self.key(old) in made)

    # --- effects

    @contextmanager
    def going_back(self) -> Iterator[None]:
        """Hold while parts that undo are read: they run later, on what the file has made, and not what the next file finds."""
        fresh = self.fresh
        self.fresh = {}
        self.in_transaction = self.has_timeout = self.changed_rows = False
        try:
            yield
        finally:
            self.fresh = fresh

    def take_back(self, read: Read) -> None:
        """Let a statement that undoes have its effect on those behind it alone."""
        self._note_new(read.fact)
        match read.fact:
            case Setting():
                self._set(read.fact)
            case Transaction(step):
                self.in_transaction = step == "begin"
            case _:
                pass

    def take(self, read: Read) -> None:
        """Let a statement have its effect."""
        self._take(read.fact, read)

    def _take(self, fact: Fact, read: Read) -> None:
        self._note_new(fact)
        match fact:
            case Create("schema"):
                for element in fact.elements:
                    self._take(element, read)
            case CreateTable():
                self._create_table(fact, read)
            case CreateIndex():
                self._add_index(fact, read)
            case Create("trigger", name, Name() as table) if not fact.is_temporary:
                self.triggers[self.fold(name.name)] = (name.name, self.key(table))
            case AlterTable():
                for action in fact.actions:
                    self._act(action, fact.table, read)
            case Drop():
                self._drop(fact)
            case Rename("table"):
                for old, new in fact.pairs:
                    self._rename_table(old, new)
            case CommentOn("table", name, _, text):
                if state := self.table(name):
                    state.has_comment = text is not None
            case Setting():
                self._set(fact)
            case Transaction(step):
                self.in_transaction = step == "begin"
                self.changed_rows = False
            case Dml(_, table) | Insert(table):
                self.changed_rows = self.changed_rows or not self.is_new(table)
            case _:
                pass
        if self.dialect.name == "mysql" and isinstance(fact, CreateTable | CreateIndex | AlterTable | Drop | Rename):
            self.in_transaction = self.changed_rows = False

    def _note_new(self, fact: object) -> None:
        match fact:
            case CreateTable(table):
                self._make_new("table", self.key(table))
            case Create(kind, name):
                self._make_new("table" if kind in _RELATIONS else kind, self.key(name))
                for element in fact.elements:
                    self._note_new(element)
            case CreateIndex(Name() as name, table):
                self._make_new("index", (self.key(table)[0] if not name.schema else self.key(name)[0], self.fold(name.name)))
            case AlterTable(table, actions):
                replaced = {action.name for action in actions if action.kind.startswith("drop_") and not action.is_guarded}
                for action in actions:
                    if action.kind == "add_constraint" and action.constraint and action.constraint.name not in replaced:
                        self._make_new("constraint", self._key_of_constraint(table, action.constraint.name))
            case _:
                pass

    def _make_new(self, kind: str, key: Key) -> None:
        self.fresh.setdefault((kind, key[1]), set()).add(key[0])

    def _unmake(self, kind: str, key: Key) -> None:
        self.fresh.get((kind, key[1]), set()).discard(key[0])

    def _put(self, key: Key, state: TableState) -> None:
        self.tables[key] = state
        self.named.setdefault(key[1], set()).add(key)

    def _take_out(self, key: Key) -> TableState | None:
        self.named.get(key[1], set()).discard(key)
        return self.tables.pop(key, None)

    def _create_table(self, fact: CreateTable, read: Read) -> None:
        if fact.is_guarded and self.key(fact.table) in self.tables:
            return
        state = TableState(fact.table, read, fact.table.at, True, fact.is_plain, fact.is_temporary)
        state.options = dict(fact.options)
        state.has_comment = "comment" in fact.options
        state.is_partition = fact.parent is not None
        self._put(self.key(fact.table), state)
        for column in fact.columns:
            self._add_column(state, column, read, is_new=True)
        for constraint in fact.constraints:
            self._add_constraint(state, constraint, read, is_new=True)

    def _state(self, name: Name, read: Read) -> TableState:
        """Return a table, one that was not seen before as far as statements tell of it."""
        found = self.table(name)
        if found is None:
            found = TableState(name, read, name.at)
            self._put(self.key(name), found)
        return found

    def _add_column(self, state: TableState, column: Column, read: Read, *, is_new: bool) -> None:
        state.columns[self.fold(column.name)] = column
        state.places[self.fold(column.name)] = read
        if column.is_primary:
            state.indexes.append(IndexState("primary_key", "", (self.fold(column.name),), read, column.at, is_constraint=True))
        if column.is_unique:
            state.indexes.append(IndexState("unique", "", (self.fold(column.name),), read, column.at, is_constraint=True))
        if column.references is not None:
            state.foreign_keys.append(ForeignKey((self.fold(column.name),), column.references, "", read, column.at, is_new))

    def _add_constraint(self, state: TableState, constraint: Constraint, read: Read, *, is_new: bool) -> None:
        if constraint.name:
            state.constraints[self.fold(constraint.name)] = constraint
        columns = tuple(self.fold(name) for name in constraint.columns)
        if constraint.kind in ("check", "not_null") and constraint.is_validated:
            state.made_not_null |= set(columns)
        if constraint.kind in ("primary_key", "unique", "index") and not constraint.using_index:
            kind = "index" if constraint.kind == "index" else constraint.kind
            is_constraint = constraint.kind != "index"
            index = IndexState(kind, constraint.name, columns, read, constraint.at, is_constraint=is_constraint)
            state.indexes.append(index)
        elif constraint.using_index and constraint.kind == "primary_key":
            state.indexes.append(IndexState("primary_key", constraint.name, ("",), read, constraint.at, is_constraint=True))
        if constraint.references is not None:
            found = ForeignKey(columns, constraint.references, constraint.name, read, constraint.at, is_new)
            state.foreign_keys.append(found)

    def _add_index(self, fact: CreateIndex, read: Read) -> None:
        state = self._state(fact.table, read)
        name = fact.name.name if fact.name else ""
        if fact.is_guarded and name and any(self.fold(index.name) == self.fold(name) for index in state.indexes):
            return
        state.indexes.append(
            IndexState(
                "unique" if fact.is_unique else "index",
                name,
                tuple(self.fold(column) for column in fact.columns),
                read,
                fact.at,
                fact.is_partial or fact.is_on_only,
                fact.method,
                fact.signature,
            )
        )

    def _act(self, action: Action, table: Name, read: Read) -> None:
        state = self._state(table, read)
        is_new = self.is_new(table)
        name = self.fold(action.name)
        match action.kind:
            case "add_column" if action.column:
                self._add_column(state, action.column, read, is_new=is_new)
            case "add_constraint" | "add_index" if action.constraint:
                self._add_constraint(state, action.constraint, read, is_new=is_new)
            case "drop_column":
                state.columns.pop(name, None)
                state.indexes = [index for index in state.indexes if name not in index.columns]
                state.foreign_keys = [key for key in state.foreign_keys if name not in key.columns]
            case "modify_column" if action.column:
                state.columns.pop(name, None)
                self._add_column(state, action.column, read, is_new=is_new)
            case "alter_type":
                if known := state.columns.get(name):
                    state.columns[name] = replace(known, type=action.type)
            case "rename_column":
                self._rename_column(state, name, action.to)
            case "rename_table":
                self._rename_table(table, action.to)
            case "drop_constraint" | "drop_index" | "drop_foreign_key":
                self._forget(state, name)
            case "validate" if (known_check := state.constraints.get(name)) and known_check.kind in ("check", "not_null"):
                state.made_not_null |= {self.fold(column) for column in known_check.columns}
            case "drop_primary_key":
                state.indexes = [index for index in state.indexes if index.kind != "primary_key"]
            case "add_partition" | "attach":
                attached = self.table(Name(table.schema, action.name))
                if attached:
                    attached.is_partition = True
            case _:
                pass
        if action.words[:1] == ("COMMENT",):
            state.has_comment = True

    def _rename_column(self, state: TableState, old: str, new: str) -> None:
        column = state.columns.pop(old, None)
        if column is not None:
            state.columns[self.fold(new)] = replace(column, name=new)
            state.places[self.fold(new)] = state.places.get(old, state.read)

        def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(self.fold(new) if name == old else name for name in names)

        state.indexes = [replace(index, columns=renamed(index.columns)) for index in state.indexes]
        state.foreign_keys = [replace(key, columns=renamed(key.columns)) for key in state.foreign_keys]

    def _rename_table(self, old: Name, new: str) -> None:
        target = Name(old.schema, new)
        state = self._take_out(self.key(old))
        for key, (own, on) in self.triggers.items():
            if on == self.key(old):
                self.triggers[key] = (own, self.key(target))
        if self.is_new(old):
            self._unmake("table", self.key(old))
            self._make_new("table", self.key(target))
        if state is not None:
            state.name = replace(target, at=state.name.at)
            self._put(self.key(target), state)

    def _forget(self, state: TableState, name: str) -> None:
        state.constraints.pop(name, None)
        state.indexes = [index for index in state.indexes if self.fold(index.name) != name]
        state.foreign_keys = [key for key in state.foreign_keys if self.fold(key.name) != name or not name]

    def _drop(self, fact: Drop) -> None:
        for name in fact.names:
            if fact.kind in ("table", "foreign table"):
                self._take_out(self.key(name))
                self._unmake("table", self.key(name))
                self.triggers = {key: found for key, found in self.triggers.items() if found[1] != self.key(name)}
            elif fact.kind == "trigger":
                self.triggers.pop(self.fold(name.name), None)
            elif fact.kind == "index":
                for state in self.tables.values():
                    if fact.table is None or self.key(fact.table) == self.key(state.name):
                        self._forget(state, self.fold(name.name))

    def _set(self, fact: Setting) -> None:
        if fact.name in ("lock_timeout", "statement_timeout", "lock_wait_timeout", "max_statement_time"):
            value = fact.value.strip("'\" ").lower()
            self.has_timeout = value not in ("0", "0s", "0ms", "default") or self.has_timeout
        if fact.name == "autocommit":
            self.in_transaction = fact.value.strip("'\"").lower() in ("0", "off", "false")


def _copies(read: Read, made: set[Key], world: World) -> bool:
    """Return whether a statement fills a table that the same file makes."""
    match read.fact:
        case CreateTable():
            return not read.fact.is_plain
        case Insert(table, True):
            return world.key(table) in made
    return False


def _reads(copy: Read, name: Name, drop: Read) -> bool:
    """Return whether a copy, which stands before the drop, takes its rows from the table."""
    pattern = rf"\bFROM\s+(?:/\*.*?\*/\s*)?(?:[\w\"`\[\]]+\.)?[\"`\[]?{re.escape(name.name)}(?![\w$])"
    return copy.number < drop.number and re.search(pattern, copy.source.text, re.IGNORECASE) is not None
