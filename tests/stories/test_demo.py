"""`make demo` ends well, and shows what it says it shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.stories.story import ROOT, environment_of


def test_the_demo_shows_two_plans_and_the_drift(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    done = subprocess.run(
        ["sh", str(ROOT / "examples/demo/run.sh")],
        cwd=folder,
        env={**environment_of(folder), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("$ dbops plan shop") == 3
    assert "customers: ['Ada', 'Grace']" in done.stdout
    assert "Drift: 2 objects in 1 database left what was last applied.\n(exit code 2)" in done.stdout
    assert list(folder.iterdir()) == [], "the demo leaves nothing behind"
