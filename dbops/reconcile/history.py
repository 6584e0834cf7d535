"""What another migration runner remembers of a database, in the words that all of them share."""

from __future__ import annotations

from typing import Literal

from dbops.dataclass import dataclass

Tool = Literal["flyway", "alembic", "dbmate", "golang-migrate", "yoyo", "sqitch", "django"]


@dataclass(frozen=True, slots=True)
class Remembered:
    """One row of a history.

    `label` is what the tool calls it. `version` and `name` are None and empty where the tool keeps none. `part` is Django's app
    or sqitch's project. `checksum` is the tool's own. `at` is UTC in ISO 8601.
    """

    label: str
    version: str | None = None
    name: str = ""
    part: str = ""
    checksum: str | None = None
    is_repeatable: bool = False
    outcome: Literal["applied", "baseline", "failed", "undone"] = "applied"
    at: str | None = None
    who: str = ""
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """The table of one tool, `title` being its proper name; rows in the order of applying."""

    tool: Tool
    title: str
    table: str
    rows: tuple[Remembered, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """Apps or projects that the table speaks of, one empty name for tools that have none."""
        return tuple(dict.fromkeys(row.part for row in self.rows))
