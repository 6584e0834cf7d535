"""The Python of the README about the service, lineage and monitoring, and of their pages, run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def blocks(page: str, word: str) -> list[str]:
    """Return the Python blocks of a page that hold a word."""
    return [text for text in re.findall(r"```py(?:thon)?\n(.*?)```", (ROOT / page).read_text(), re.DOTALL) if word in text]


@pytest.mark.parametrize(("page", "module"), [("README.md", "library"), ("specs/service.md", "shop")])
def test_the_first_example_of_the_service_runs(tmp_path: Path, page: str, module: str) -> None:
    models, program = blocks(page, "get_database_base")[0], blocks(page, "DatabaseService()")[0]
    (tmp_path / module).mkdir()
    (tmp_path / module / "db_models.py").write_text(models)
    if "asyncio.run" not in program:
        head, body = program.split("\n\n", 1)
        indented = "\n".join(f"    {line}" for line in body.splitlines())
        program = f"import asyncio\n{head}\n\nasync def main():\n{indented}\n    print(page['total'])\n\nasyncio.run(main())\n"
    done = run(program, tmp_path)
    assert done.stdout == ("1\n" if page == "specs/service.md" else "")
    assert (tmp_path / "data" / "database" / f"{module}.db").is_file()


def test_the_example_of_lineage_runs(tmp_path: Path) -> None:
    (program,) = blocks("specs/lineage.md", "LineageTracker")
    report = "\nprint(ImpactAnalyzer(tracker.graph).analyze_change('orders'), [node.id for node in tracker.get_origin('board')])"
    done = run(program + report, tmp_path)
    assert "'total_affected': 3" in done.stdout and done.stdout.endswith("['orders']\n")
    assert (tmp_path / "lineage.jsonl").read_text().startswith('{"format": "dbops.lineage/1"}\n')


def test_the_example_of_monitoring_runs(tmp_path: Path) -> None:
    (program,) = blocks("specs/monitoring.md", "DatabaseMonitor")
    (tmp_path / "shop.db").touch()
    run(program, tmp_path)


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done
