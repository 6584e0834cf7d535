"""Which piece of a source's text speaks of which object of a catalog.

A guess where names are unknown (constraints without one): whoever edits by it proves the outcome.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dbops.catalog.model import CatalogObject, Check, Index, PrimaryKey
from dbops.catalog.ref import Ref
from dbops.engines.base.engine import Engine
from dbops.resources.schema.accept.goal import columns_of
from dbops.sql.subjects import Piece

#: The words of SQL for the kinds of a catalog, where they are others.
_WORDS: dict[str, tuple[str, ...]] = {
    "enum": ("type",),
    "composite_type": ("type",),
    "range_type": ("type",),
    "routine": ("function", "procedure", "aggregate", "routine"),
    "virtual_table": ("table",),
    "foreign_table": ("table",),
    "materialized_view": ("view", "table"),
    "view": ("view", "table"),
    "sequence": ("sequence", "table"),
    "event_trigger": ("trigger",),
}
_CONSTRAINTS = ("primary_key", "unique", "foreign_key", "check", "exclusion")


class Matcher:
    """Compares names as the engine does."""

    def __init__(self, engine: Engine) -> None:
        self._features, self._folds = engine.features, engine.dialect.caseless_words is not None

    def is_same(self, one: str, other: str) -> bool:
        return one == other or (self._folds and one.lower() == other.lower())

    def in_schema(self, written: str, schema: str) -> bool:
        """A name without a schema may be in any: which one depends on the session."""
        return not written or self.is_same(written, schema) or not self._features.has_schemas

    def is_column(self, piece: Piece, table: Ref, name: str) -> bool:
        is_there = self.is_same(piece.table, table.name) and self.in_schema(piece.schema, table.schema)
        return piece.kind == "column" and is_there and self.is_same(piece.name, name)

    def speaks_of(self, piece: Piece, item: CatalogObject) -> bool:
        """Tell whether a piece makes an object, or does something to it."""
        ref = item.ref
        if not self.in_schema(piece.schema, ref.schema):
            return False
        if ref.kind in _CONSTRAINTS or ref.kind == "index":
            return self._is_part(piece, item)
        if ref.kind == "routine":
            return piece.kind in _WORDS["routine"] and self.is_same(piece.name, ref.name.split("(", 1)[0])
        if piece.kind not in _WORDS.get(ref.kind, (ref.kind,)) or not self.is_same(piece.name, ref.name):
            return False
        if ref.parent:
            return self.is_same(piece.table, ref.parent)
        return piece.form != "clause" and (piece.form != "action" or piece.kind == "table")

    def _is_part(self, piece: Piece, item: CatalogObject) -> bool:
        is_named = bool(piece.name) and self.is_same(piece.name, item.name)
        if piece.kind == "constraint":
            return is_named and self.is_same(piece.table, item.parent)
        if piece.kind == "index" and not piece.table:
            return is_named and isinstance(item, Index)
        if not self.is_same(piece.table, item.parent) or not _is_of_kind(piece, item):
            return False
        if isinstance(item, PrimaryKey):
            return True
        return is_named or (not piece.name and (isinstance(item, Check) or self._same_columns(piece.columns, columns_of(item))))

    def _same_columns(self, one: Sequence[str], other: Sequence[str]) -> bool:
        return len(one) == len(other) and all(map(self.is_same, one, other))


def _is_of_kind(piece: Piece, item: CatalogObject) -> bool:
    if isinstance(item, Index):
        return piece.kind == "index" or (piece.kind == "unique" and item.unique)
    return piece.kind == item.ref.kind or (piece.kind == "index" and item.ref.kind == "unique")


def likeliest(texts: Iterable[str], expression: str) -> int:
    """Return the position of the text that shares the most words with an expression, and has the fewest others."""
    wanted = set(re.findall(r"\w+", expression.lower()))
    found = [set(re.findall(r"\w+", text.lower())) for text in texts]
    return max(range(len(found)), key=lambda place: (len(found[place] & wanted), -len(found[place] - wanted)))
