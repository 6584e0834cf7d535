"""The table of figures in specs/monitoring.md says what the code says; DBOPS_UPDATE=1 writes it anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dbops.usecases.monitor import all_figures

PAGE = Path(__file__).parents[2] / "specs" / "monitoring.md"


def test_the_table_is_fresh() -> None:
    rows = [f"| `{f.name}` | {f.unit} | {', '.join(f.labels)} | {', '.join(f.engines)} | {f.meaning} |" for f in all_figures()]
    table = "\n".join(["| figure | unit | of each | engines | meaning |", "|---|---|---|---|---|", *rows])
    text = PAGE.read_text(encoding="utf-8")
    written = re.sub(
        r"(<!-- generated: figures -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{table}\n\n{found[2]}",
        text,
        flags=re.DOTALL,
    )
    if os.environ.get("DBOPS_UPDATE"):
        PAGE.write_text(written, encoding="utf-8")
        return
    assert text == written
