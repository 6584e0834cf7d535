"""The table of rules in specs/advice.md says what the code says; DBOPS_UPDATE=1 writes it anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dbops.usecases.advise import all_rules

PAGE = Path(__file__).parents[2] / "specs" / "advice.md"


def test_the_table_is_fresh() -> None:
    rows = [
        f"| {rule.id} | {rule.severity} | {rule.title} | {', '.join(f'{n} = {v:g}' for n, v in rule.thresholds.items())} |"
        f" {rule.remedy} |"
        for _, rule in all_rules()
    ]
    table = "\n".join(["| rule | severity | finds | thresholds | what to do |", "|---|---|---|---|---|", *rows])
    text = PAGE.read_text(encoding="utf-8")
    written = re.sub(
        r"(<!-- generated: rules -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{table}\n\n{found[2]}",
        text,
        flags=re.DOTALL,
    )
    if os.environ.get("DBOPS_UPDATE"):
        PAGE.write_text(written, encoding="utf-8")
        return
    assert text == written
