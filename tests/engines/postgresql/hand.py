"""The hand that draws random pieces of SQL: choices among texts that speak of the tables and views there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

TABLES = ["t", "u", 'app."x y"', '"Order"', "app.t"]
VIEWS = ["v0", "app.v1", "v2"]


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
