"""The objects of a database, one vocabulary for all engines.

Types, defaults and expressions are text in the engine's own canonical spelling: two objects are equal when the engine
itself writes them the same way. `options` hold engine-specific attributes (storage parameters, ENGINE, STRICT, ...) as
sorted `(name, value)` pairs. `owner` and `grants` are None where nobody declared them: such an object is left alone.
"""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One privilege of one grantee; `column` is empty for the whole object; grantee `public` is everybody."""

    grantee: str
    privilege: str
    grantable: bool = False
    column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogObject:
    """What every object has. `parent` is the table that contains it, empty for free-standing objects.

    `spelling` is the statement as its author wrote it, where the engine keeps it (SQLite), or the names of storage parameters in
    their order (PostgreSQL): no part of what an object is, two objects that differ in nothing else are equal.
    """

    kind: ClassVar[str] = ""
    schema: str = ""
    parent: str = ""
    name: str
    comment: str | None = None
    owner: str | None = None
    grants: tuple[Grant, ...] | None = None
    spelling: str | None = field(default=None, compare=False, repr=False)

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.schema, self.name, self.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema(CatalogObject):
    """A namespace (PostgreSQL)."""

    kind: ClassVar[str] = "schema"

    @property
    def ref(self) -> Ref:
        return Ref("schema", "", self.name)


# --- tables ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SequenceOptions:
    """Numbers of a sequence or identity column; `data_type` is the engine's integer type."""

    data_type: str = "bigint"
    start: int = 1
    increment: int = 1
    minimum: int | None = None
    maximum: int | None = None
    cache: int = 1
    cycle: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """A column numbered by the engine: `mode` is always, by_default, auto_increment (MySQL) or autoincrement (SQLite)."""

    mode: str
    sequence: SequenceOptions | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """A computed column."""

    expression: str
    is_stored: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; its place among its neighbours is its place in `Table.columns`."""

    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    identity: Identity | None = None
    generated: Generated | None = None
    collation: str | None = None
    comment: str | None = None
    options: Options = ()


@dataclass(frozen=True, slots=True)
class PartitionBy:
    """How a table is divided: the engine's `strategy`, the key's `expression`, `partitions` where they are no tables (MySQL)."""

    strategy: str
    expression: str
    partitions: tuple[Options, ...] = ()


@dataclass(frozen=True, slots=True)
class PartitionOf:
    """The partitioned table this table belongs to, and its bound in the engine's words."""

    parent: Ref
    bound: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(CatalogObject):
    """A base table; keys, constraints, indexes, triggers and policies are objects of their own with `parent` set."""

    kind: ClassVar[str] = "table"
    columns: tuple[Column, ...]
    persistence: str = "permanent"
    options: Options = ()
    partition_by: PartitionBy | None = None
    partition_of: PartitionOf | None = None
    inherits: tuple[Ref, ...] = ()
    row_security: bool = False
    force_row_security: bool = False
    replica_identity: str | None = None
    access_method: str | None = None
    of_type: str | None = None

    def column(self, name: str) -> Column | None:
        """Return the column of that name, None when there is none."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualTable(CatalogObject):
    """A table kept by a module (SQLite FTS5, R*Tree): known by its whole statement."""

    kind: ClassVar[str] = "virtual_table"
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTable(CatalogObject):
    """A table of a foreign server (PostgreSQL)."""

    kind: ClassVar[str] = "foreign_table"
    columns: tuple[Column, ...]
    server: str
    options: Options = ()
    inherits: tuple[Ref, ...] = ()
    partition_of: PartitionOf | None = None

    def column(self, name: str) -> Column | None:
        """Return the column of that name, None when there is none."""
        return next((column for column in self.columns if column.name == name), None)


# --- constraints: `is_named` is False where the engine keeps no name of the source's choosing (SQLite, unnamed) ----------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint(CatalogObject):
    """A rule on the rows of its parent table."""

    is_named: bool = True
    deferrable: bool = False
    initially_deferred: bool = False
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryKey(Constraint):
    kind: ClassVar[str] = "primary_key"
    columns: tuple[str, ...]
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique(Constraint):
    kind: ClassVar[str] = "unique"
    columns: tuple[str, ...]
    include: tuple[str, ...] = ()
    nulls_not_distinct: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey(Constraint):
    """`references` is the referenced table; actions are upper-case SQL words, NO ACTION the default."""

    kind: ClassVar[str] = "foreign_key"
    columns: tuple[str, ...]
    references: Ref
    referenced_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    match: str = "SIMPLE"
    set_columns: tuple[str, ...] = ()
    is_valid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Constraint):
    kind: ClassVar[str] = "check"
    expression: str
    no_inherit: bool = False
    is_valid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion(Constraint):
    """An EXCLUDE constraint, known by the engine's own text of it."""

    kind: ClassVar[str] = "exclusion"
    definition: str


# --- indexes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexKey:
    """One key part: a column name or an expression; `prefix` is a length in characters (MySQL)."""

    column: str | None = None
    expression: str | None = None
    descending: bool = False
    nulls_first: bool | None = None
    collation: str | None = None
    operator_class: str | None = None
    prefix: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(CatalogObject):
    """An index that no constraint owns."""

    kind: ClassVar[str] = "index"
    keys: tuple[IndexKey, ...]
    method: str = "btree"
    unique: bool = False
    nulls_not_distinct: bool = False
    predicate: str | None = None
    include: tuple[str, ...] = ()
    options: Options = ()
    is_valid: bool = True
    partition_of: Ref | None = None


# --- views, sequences, types ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class View(CatalogObject):
    """`definition` is the query in the engine's canonical text; `columns` its output, with types where the engine knows them."""

    kind: ClassVar[str] = "view"
    definition: str
    columns: tuple[tuple[str, str], ...] = ()
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterializedView(CatalogObject):
    """`is_populated` says how to make it; later it is a state of the data, so it is no difference."""

    kind: ClassVar[str] = "materialized_view"
    definition: str
    columns: tuple[tuple[str, str], ...] = ()
    options: Options = ()
    is_populated: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence(CatalogObject):
    """`owned_by` is the column whose life it shares."""

    kind: ClassVar[str] = "sequence"
    numbers: SequenceOptions
    owned_by: Ref | None = None
    persistence: str = "permanent"
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Enum(CatalogObject):
    kind: ClassVar[str] = "enum"
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain(CatalogObject):
    """`checks` are `(name, expression)` pairs, sorted by name; `check_comments` those with a comment and what it says."""

    kind: ClassVar[str] = "domain"
    base_type: str
    nullable: bool = True
    default: str | None = None
    collation: str | None = None
    checks: tuple[tuple[str, str], ...] = ()
    not_null_name: str | None = None
    check_comments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeType(CatalogObject):
    kind: ClassVar[str] = "composite_type"
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeType(CatalogObject):
    kind: ClassVar[str] = "range_type"
    options: Options


# --- code -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Routine(CatalogObject):
    """A function, procedure or aggregate.

    `name` carries the identity arguments, `total(integer, text)`, where overloading is possible. `signature` is what
    a replacement must keep (result type, argument names); `definition` the engine's canonical statement.
    """

    kind: ClassVar[str] = "routine"
    flavour: str
    signature: str
    definition: str
    language: str = "sql"
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger(CatalogObject):
    """`definition` is the canonical statement; `enabled` as the engine says (`origin`, `disabled`, `replica`, `always`)."""

    kind: ClassVar[str] = "trigger"
    definition: str
    enabled: str = "origin"
    order: int = 0
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(CatalogObject):
    kind: ClassVar[str] = "rule"
    definition: str
    enabled: str = "origin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(CatalogObject):
    """A row security policy; `command` is all, select, insert, update or delete."""

    kind: ClassVar[str] = "policy"
    command: str
    permissive: bool = True
    roles: tuple[str, ...] = ()
    using: str | None = None
    check: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(CatalogObject):
    """A scheduled event (MySQL)."""

    kind: ClassVar[str] = "event"
    definition: str
    options: Options = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension(CatalogObject):
    """`version` is None where the source names none; `schema` is where its objects live, and can be changed if relocatable."""

    kind: ClassVar[str] = "extension"
    version: str | None = None
    is_relocatable: bool = field(default=True, compare=False)

    @property
    def ref(self) -> Ref:
        return Ref("extension", "", self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined(CatalogObject):
    """Any other object, known by the statement that makes it: cast, operator, collation, publication, statistics, ...

    `what` is its kind. Replaced as a whole when `definition` differs, unless the engine knows better.
    """

    what: str
    definition: str
    options: Options = ()

    @property
    def ref(self) -> Ref:
        return Ref(self.what, self.schema, self.name, self.parent)


@dataclass(frozen=True, slots=True, order=True)
class Unmanaged:
    """Something seen in a database that dbops does not manage, with the reason: never passed over in silence."""

    kind: str
    name: str
    reason: str


UNREADABLE_GRANTS = "grants"
"""The kind of what is unmanaged because the account may not read who may do what: no matter where a source names no grants."""
