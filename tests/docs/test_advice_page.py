"""The table of rules in specs/advice.md says what the code says; DBOPS_UPDATE=1 writes it anew."""

from __future__ import annotations

from pathlib import Path

from dbops.usecases.advise import all_rules
from tests.docs.generated import hold

PAGE = Path(__file__).parents[2] / "specs" / "advice.md"


def test_the_table_is_fresh() -> None:
    rows = [
        f"| {rule.id} | {rule.severity} | {rule.title} | {', '.join(f'{n} = {v:g}' for n, v in rule.thresholds.items())} |"
        f" {rule.remedy} |"
        for _, rule in all_rules()
    ]
    table = "\n".join(["| rule | severity | finds | thresholds | what to do |", "|---|---|---|---|---|", *rows])
    hold(PAGE, "rules", table)
