"""What a Schema manifest means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dbops.catalog.scope import Scope
from dbops.dataclass import dataclass
from dbops.errors import Mark

if TYPE_CHECKING:
    from dbops.manifests.lint_spec import LintSpec
    from dbops.resources.schema.table_spec import TableSpec


@dataclass(frozen=True, slots=True)
class SqlSource:
    """SQL files and folders, absolute, in the order the manifest names them."""

    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """SQLAlchemy metadata: files to scan, or `module:attribute` to import, both seen from `root`.

    `database` keeps of the files those that say `DATABASE_NAME` is this; None keeps all.
    """

    root: Path
    paths: tuple[str, ...] = ()
    imports: str | None = None
    database: str | None = None


@dataclass(frozen=True, slots=True)
class TableSource:
    """Portable tables as the manifest's validated models, each with its place."""

    tables: tuple[TableSpec, ...]
    places: tuple[Mark, ...]


Source = SqlSource | ModelSource | TableSource


@dataclass(frozen=True, slots=True)
class TolerateDrift:
    """One `ignoreDrift` rule; `field` None tolerates the whole object; it ends after `until`."""

    object: str
    field: str | None
    reason: str
    until: date | None


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """Rows of one table kept in a CSV file; `key` are the columns that tell rows apart."""

    table: str
    key: tuple[str, ...]
    path: Path
    at: Mark


Unmanaged = Literal["ignore", "report", "drop"]

_GROUPS = {
    "constraint": ("primary_key", "unique", "foreign_key", "check", "exclusion"),
    "type": ("enum", "domain", "composite_type", "range_type"),
    "routine": ("function", "procedure", "aggregate", "window"),
}
_ALONE = (
    *("schema", "table", "column", "view", "materialized_view", "foreign_table", "virtual_table", "index", "trigger", "rule"),
    *("policy", "sequence", "event", "extension"),
)
_GROUP_OF = {kind: group for group, kinds in _GROUPS.items() for kind in kinds} | dict.fromkeys(_ALONE, "")


@dataclass(frozen=True, slots=True)
class UnmanagedPolicy:
    """What happens to objects that no source names: `kinds` are words for kinds, and for the groups of them."""

    default: Unmanaged = "drop"
    kinds: Mapping[str, Unmanaged] = field(default_factory=dict)

    @property
    def drops_all(self) -> bool:
        """Whether nothing is left alone."""
        return {self.default, *self.kinds.values()} == {"drop"}

    def of(self, kind: str) -> Unmanaged:
        """Return what is said of a kind; routines are told apart as function, procedure and aggregate."""
        return self.kinds.get(kind) or self.kinds.get(_GROUP_OF.get(kind, "other")) or self.default


@dataclass(frozen=True, slots=True)
class Rename:
    """A rename the manifest, or a remark in its sources, asks for: `old` and `new` dotted, `kind` in the manifest's words.

    `at` is the place of the remark.
    """

    kind: str
    old: str
    new: str
    at: Mark | None = None


@dataclass(frozen=True, slots=True)
class DesiredSchema:
    """One Schema manifest bound to one connection."""

    name: str
    connection: str
    at: Mark
    source: Source
    scope: Scope
    renames: tuple[Rename, ...] = ()
    data: tuple[ReferenceFile, ...] = ()
    tolerated: tuple[TolerateDrift, ...] = ()
    unmanaged: UnmanagedPolicy = UnmanagedPolicy()
    allow: tuple[str, ...] = ()
    online: bool = True
    lint: LintSpec | None = None

    @property
    def address(self) -> str:
        return f"schema/{self.name}"

    @property
    def connections(self) -> tuple[str, ...]:
        return (self.connection,)
