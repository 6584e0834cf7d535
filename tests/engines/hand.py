"""The hand that draws random schemas: choices among texts that speak of the tables and views there are, and pieces of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn


@dataclass(frozen=True, slots=True)
class Piece:
    """One object: `key` says which, `text` how it is made, several statements where one is not enough."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class TablePiece:
    """A table whose columns and rules can be changed one by one; both map names to texts. Column `g` needs the others."""

    key: str
    columns: tuple[tuple[str, str], ...]
    rules: tuple[tuple[str, str], ...]
    tail: str
    persistence: str = ""

    @property
    def text(self) -> str:
        return f"CREATE {self.persistence}TABLE {self.key} ({', '.join(self.column_texts)}){self.tail}"

    @property
    def column_texts(self) -> list[str]:
        """The columns that need no other."""
        return [text for name, text in self.columns if name != "g"]

    @property
    def rule_texts(self) -> list[str]:
        """The statements that add constraints and a computed column, each of which may be refused by itself."""
        computed = [item for item in self.columns if item[0] == "g"]
        return [f"ALTER TABLE {self.key} ADD {text}" for _, text in (*computed, *self.rules)]


@dataclass(frozen=True, slots=True)
class Hand:
    """Draws texts that speak of the tables and views there are."""

    draw: DrawFn
    tables: Sequence[str] = ()
    views: Sequence[str] = ()

    def one(self, options: Sequence[str]) -> str:
        return self.draw(st.sampled_from(options))

    def some(self, options: Sequence[str], most: int, least: int = 0) -> list[str]:
        return self.draw(st.lists(st.sampled_from(options), min_size=least, max_size=most, unique=True))

    def maybe(self, *texts: str) -> str:
        """Each of the texts or not, joined."""
        return "".join(self.one(["", "", text]) for text in texts)

    def table(self) -> str:
        return self.one(self.tables)

    def relation(self) -> str:
        return self.one([*self.tables, *self.tables, *self.views])

    def view(self) -> str:
        return self.one(self.views or self.tables)

    def happens(self, one_in: int) -> bool:
        return self.draw(st.integers(1, one_in)) == 1
