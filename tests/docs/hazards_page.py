"""The page of hazards: one part says what the code says, the others what was measured on real servers.

DBOPS_UPDATE=1 writes a part anew. A part that was measured belongs to one version; on another it is not compared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from dbops.sql.hazard import ADVICE, BLOCKING, ENGINES, HAZARDS

PAGE = Path(__file__).parents[2] / "specs" / "hazards.md"
_NAMES = {"postgresql": "PostgreSQL", "mysql": "MySQL, MariaDB", "sqlite": "SQLite"}


def codes() -> str:
    """Return the table of codes."""
    rows = []
    for name, meaning in HAZARDS.items():
        told_by = ", ".join(_NAMES[engine] for engine in ENGINES[name]) or "text only"
        rows.append((f"**{name}**" if name in BLOCKING else name, told_by, meaning, ADVICE[name]))
    return table(("hazard", "told by", "means", "instead"), rows)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table of cells."""
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (tuple(head), *rows)]
    written = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([written[0], "|" + "---|" * len(lines[0]), *written[1:]])


def code(text: str) -> str:
    """Return SQL on one line, as code."""
    return f"`{' '.join(text.split())}`"


def check_part(part: str, text: str, version: str = "") -> None:
    """Compare a part of the page, or write it; a part of another version is left alone."""
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"<!-- generated: {part}(?: on (.*?))? -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert found is not None, part
    if os.environ.get("DBOPS_UPDATE"):
        mark = f"{part} on {version}" if version else part
        new = f"<!-- generated: {mark} -->\n\n{text}\n\n<!-- end -->"
        PAGE.write_text(page[: found.start()] + new + page[found.end() :], encoding="utf-8")
    elif (found[1] or "") == version:
        assert found[2] == f"\n{text}\n\n"


def part(name: str) -> str:
    """Return a part of the page as it stands."""
    found = re.search(rf"<!-- generated: {name}.*?-->\n(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return found[1] if found else ""
