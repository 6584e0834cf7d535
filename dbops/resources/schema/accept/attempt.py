"""One attempt at editing a source: its texts, what they must mean, and where in them the engine's objects stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path

from dbops.catalog.model import CatalogObject, Check, Routine
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.resources.schema.accept.goal import Goal
from dbops.resources.schema.accept.matching import Matcher, likeliest
from dbops.resources.schema.accept.rendered import Rendered
from dbops.resources.schema.accept.texts import Found, SourceTexts
from dbops.sql.subjects import Piece


@dataclass(frozen=True, slots=True)
class Way:
    """How an attempt edits: new constraints as statements rather than in their table's, and which tables it writes anew."""

    constraints_apart: bool = False
    whole_tables: frozenset[Ref] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new object goes: `folder` is the source's first folder, `single` the file that takes all there is."""

    folder: Path | None
    single: Path | None
    path_of: Callable[[Ref, set[str]], str]


@dataclass(slots=True)
class Attempt:
    """`before` and `after` are what the engine writes for the two sides of the goal. `done` came or went with another object."""

    texts: SourceTexts
    goal: Goal
    before: Rendered
    after: Rendered
    place: Place
    way: Way
    done: set[Ref] = field(default_factory=set)
    match: Matcher = field(init=False)

    def __post_init__(self) -> None:
        self.match = Matcher(self.after.engine)

    def source(self, is_wanted: Callable[[Piece], bool]) -> list[Found]:
        """Return the pieces of the source that are wanted, in order."""
        return [item for item in self.texts.found() if is_wanted(item.piece)]

    def speaks_of(self, item: CatalogObject) -> Callable[[Piece], bool]:
        """Match the pieces about an object."""
        return lambda piece: self.match.speaks_of(piece, item)

    def defining(self, found: Sequence[Found], item: CatalogObject) -> Found | None:
        """Return the piece that makes an object: one with its name before one without, the likeliest of several."""
        made = [one for one in found if one.piece.role == "define"]
        named = [one for one in made if one.piece.name and self.match.is_same(one.piece.name, item.name.split("(", 1)[0])] or made
        if len(named) < 2:
            return named[0] if named else None
        if isinstance(item, Check):
            return named[likeliest((one.text for one in named), item.expression)]
        if isinstance(item, Routine):
            return named[likeliest((one.piece.arguments for one in named), item.name.partition("(")[2])]
        in_schema = [one for one in named if one.piece.schema == item.schema]
        return (in_schema or named)[0]

    def of_table(self, ref: Ref) -> Callable[[Piece], bool]:
        """Match the statements and actions about a table, its columns and constraints."""

        def is_of(piece: Piece) -> bool:
            name = piece.name if piece.kind == "table" else piece.table
            return self.match.is_same(name, ref.name) and self.match.in_schema(piece.schema, ref.schema)

        return is_of

    def create_of(self, ref: Ref) -> Found | None:
        """Return the CREATE TABLE of a table in the source."""
        is_of = self.of_table(ref)
        return next(
            iter(self.source(lambda p: p.form == "statement" and p.kind == "table" and p.role == "define" and is_of(p))), None
        )

    def is_definition(self, table: Ref, name: str) -> Callable[[Piece], bool]:
        """Match what makes a column."""
        return lambda piece: piece.role == "define" and self.match.is_column(piece, table, name)
