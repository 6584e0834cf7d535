"""The table of figures in specs/monitoring.md says what the code says; DBOPS_UPDATE=1 writes it anew."""

from __future__ import annotations

from pathlib import Path

from dbops.usecases.monitor import all_figures
from tests.docs.generated import hold

PAGE = Path(__file__).parents[2] / "specs" / "monitoring.md"


def test_the_table_is_fresh() -> None:
    rows = [f"| `{f.name}` | {f.unit} | {', '.join(f.labels)} | {', '.join(f.engines)} | {f.meaning} |" for f in all_figures()]
    table = "\n".join(["| figure | unit | of each | engines | meaning |", "|---|---|---|---|---|", *rows])
    hold(PAGE, "figures", table)
