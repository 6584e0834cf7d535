"""Parts of pages that are written from the code, between `<!-- generated: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import os
import re
from pathlib import Path


def hold(page: Path, name: str, table: str) -> None:
    """Assert that a part of a page is `table`; with DBOPS_UPDATE=1 write it."""
    text = page.read_text(encoding="utf-8")
    part = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    assert part.search(text), f"{page.name} has no part {name}"
    written = part.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)
    if os.environ.get("DBOPS_UPDATE"):
        page.write_text(written, encoding="utf-8")
        return
    assert text == written
