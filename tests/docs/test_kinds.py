"""The page of manifest kinds shows every kind with its example; DBOPS_UPDATE=1 writes it anew."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dbops.usecases.runtime import specs

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "specs" / "kinds.md"

HEAD = """\
# Manifest kinds

One example of each kind, the smallest that shows what it is for; every one is planned and applied on each engine in the tests.
All fields are in the [JSON Schemas](schemas), which `dbops schema KIND` prints. `${NAME:-default}` reads a variable.
"""


def page() -> str:
    parts = [HEAD]
    for kind, spec in sorted(specs().items()):
        example = Path(str(sys.modules[spec.__module__].__file__)).with_name("example.yaml")
        parts.append(
            f"## {kind}\n\n{(spec.__doc__ or '').splitlines()[0]}\n\n```yaml\n{example.read_text(encoding='utf-8')}```\n"
        )
    return "\n".join(parts)


def test_the_page_of_kinds_is_fresh() -> None:
    if os.environ.get("DBOPS_UPDATE"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_page_of_kinds_is_found_from_the_readme() -> None:
    assert "(specs/kinds.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
