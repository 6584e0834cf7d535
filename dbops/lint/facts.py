"""What a statement does, as far as its text says: frozen facts that rules look at.

Names are as the engine reads them. `at` is the offset in the statement's text of the word that a finding about the fact points
to. A statement that is read as none of these is `Other`, which only the rules about text look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.sql.tokens import Token


@dataclass(frozen=True, slots=True)
class Name:
    """A name with the schema that was written before it, empty when none was."""

    schema: str
    name: str
    at: int = 0

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class Type:
    """A column type: its words in lower case, its arguments as written, and what MySQL writes behind it."""

    words: str
    arguments: tuple[str, ...] = ()
    at: int = 0
    is_array: bool = False
    is_unsigned: bool = False
    is_zerofill: bool = False
    charset: str = ""

    def __str__(self) -> str:
        return f"{self.words}({','.join(self.arguments)})" if self.arguments else self.words


@dataclass(frozen=True, slots=True)
class Reference:
    """What a foreign key points to; no columns are the primary key."""

    table: Name
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column definition; `generated` is stored, virtual or empty; `default` are its tokens, None when there is none."""

    name: str
    type: Type | None
    at: int
    end: int
    is_not_null: bool = False
    default: tuple[Token, ...] | None = None
    generated: str = ""
    is_identity: bool = False
    counts_up: bool = False
    """AUTO_INCREMENT, AUTOINCREMENT or a serial type."""
    is_primary: bool = False
    is_unique: bool = False
    references: Reference | None = None
    has_check: bool = False
    comment: str | None = None
    collation: str = ""
    is_placed: bool = False
    """FIRST or AFTER is written."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A table constraint, or an index inside CREATE TABLE; `kind` is primary_key, unique, foreign_key, check, exclude, not_null,
    index, fulltext or spatial. The columns of a check are those that it keeps from being NULL, and nothing else."""

    kind: str
    name: str
    columns: tuple[str, ...]
    at: int
    end: int
    references: Reference | None = None
    is_validated: bool = True
    using_index: bool = False
    has_expressions: bool = False


@dataclass(frozen=True, slots=True)
class CreateTable:
    """`options` are what stands behind the parentheses, by name in lower case (engine, charset, strict, ...)."""

    table: Name
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    is_temporary: bool = False
    is_guarded: bool = False
    """IF NOT EXISTS is written."""
    is_plain: bool = True
    """The columns are written out: no AS SELECT, LIKE, OF, PARTITION OF, INHERITS, virtual or foreign table."""
    parent: Name | None = None


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """`columns` are the keys, an empty text for an expression."""

    name: Name | None
    table: Name
    columns: tuple[str, ...]
    at: int
    is_unique: bool = False
    is_concurrent: bool = False
    is_guarded: bool = False
    is_partial: bool = False
    method: str = ""
    has_include: bool = False
    is_on_only: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    signature: str = ""
    """All that tells it from another index of its table, in normal form."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action of ALTER TABLE. `kind` names it (add_column, drop_column, alter_type, ...); `other` is any not known here."""

    kind: str
    at: int
    name: str = ""
    to: str = ""
    column: Column | None = None
    constraint: Constraint | None = None
    type: Type | None = None
    is_guarded: bool = False
    is_concurrent: bool = False
    has_using: bool = False
    using: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlterTable:
    """`options` are MySQL's ALGORITHM and LOCK."""

    table: Name
    actions: tuple[Action, ...]
    is_guarded: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """DROP of objects of one kind, in the words SQL has for it; `table` is what an index, trigger or policy stands on."""

    kind: str
    names: tuple[Name, ...]
    is_guarded: bool = False
    is_concurrent: bool = False
    is_temporary: bool = False
    table: Name | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rename:
    """A rename of an object that is no column; `kind` is SQL's word. `more` are further pairs of the same statement."""

    kind: str
    old: Name
    new: str
    at: int
    more: tuple[tuple[Name, str], ...] = ()

    @property
    def pairs(self) -> tuple[tuple[Name, str], ...]:
        return ((self.old, self.new), *self.more)


@dataclass(frozen=True, slots=True)
class Truncate:
    tables: tuple[Name, ...]
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Dml:
    """UPDATE or DELETE of rows; `is_bounded` when WHERE or LIMIT is written."""

    verb: str
    table: Name
    is_bounded: bool
    has_cte: bool = False


@dataclass(frozen=True, slots=True)
class Insert:
    """`is_query` when the rows come out of a query."""

    table: Name
    is_query: bool = False


@dataclass(frozen=True, slots=True)
class AlterType:
    """`action` is add value, rename value, rename, or what else stands there; `is_placed` with BEFORE or AFTER."""

    type: Name
    action: str
    value: str = ""
    is_placed: bool = False
    is_guarded: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE of anything but tables and indexes; `table` is what a trigger, policy or rule stands on."""

    kind: str
    name: Name
    table: Name | None = None
    is_guarded: bool = False
    """IF NOT EXISTS or OR REPLACE is written."""
    is_temporary: bool = False
    words: tuple[str, ...] = ()
    """The words behind the name in upper case, bodies left out."""
    body: str = ""
    elements: tuple[CreateTable | CreateIndex | Create, ...] = ()
    """What CREATE SCHEMA creates in it at once."""


@dataclass(frozen=True, slots=True)
class Alter:
    """ALTER of anything but tables and types; `words` are what stands behind the name in upper case."""

    kind: str
    name: Name
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    verb: str
    what: str


@dataclass(frozen=True, slots=True)
class Setting:
    """SET name = value; also PRAGMA name = value and set_config('name', 'value', ...)."""

    name: str
    value: str
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """`step` is begin, commit or rollback; `commits` marks what begins another transaction at once (COMMIT AND CHAIN)."""

    step: str


@dataclass(frozen=True, slots=True)
class CommentOn:
    kind: str
    name: Name
    table: Name | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Maintenance:
    """VACUUM, REINDEX, CLUSTER, REFRESH MATERIALIZED VIEW, LOCK TABLE, OPTIMIZE TABLE: `verb` with what it works on."""

    verb: str
    kind: str
    name: Name | None
    is_concurrent: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Other:
    """Any other statement; `words` are its first words in upper case."""

    words: tuple[str, ...]


Fact = (
    CreateTable
    | CreateIndex
    | AlterTable
    | Drop
    | Rename
    | Truncate
    | Dml
    | Insert
    | AlterType
    | Create
    | Alter
    | Grant
    | Setting
    | Transaction
    | CommentOn
    | Maintenance
    | Other
)
