"""The generated parts of the README say what the code says; DBOPS_UPDATE=1 writes them anew."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops.cli.main import VERBS
from dbops.manifests.environment import load_environment
from dbops.sql.hazard import BLOCKING, HAZARDS
from dbops.usecases.runtime import specs

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def verbs() -> str:
    rows = [f"| `{verb}` | {line} |" for section in VERBS.values() for verb, line in section.items()]
    return "\n".join(["| verb | does |", "|---|---|", *rows])


def kinds() -> str:
    rows = [f"| `{kind}` | {(spec.__doc__ or '').splitlines()[0]} |" for kind, spec in specs().items()]
    return "\n".join(["| kind | says |", "|---|---|", *rows])


def hazards() -> str:
    names = sorted(HAZARDS, key=lambda code: (code not in BLOCKING, code))
    rows = [f"| {f'**{code}**' if code in BLOCKING else code} | {HAZARDS[code]} |" for code in names]
    return "\n".join(["| hazard | meaning |", "|---|---|", *rows])


GENERATED: dict[str, Callable[[], str]] = {"verbs": verbs, "kinds": kinds, "hazards": hazards}


@pytest.mark.parametrize("part", GENERATED)
def test_generated_parts_are_fresh(part: str) -> None:
    text = README.read_text(encoding="utf-8")
    block = re.compile(rf"(<!-- generated: {part} -->\n)(.*?)(<!-- end -->)", re.DOTALL)
    found = block.search(text)
    assert found is not None
    wanted = f"\n{GENERATED[part]()}\n\n"
    if os.environ.get("DBOPS_UPDATE"):
        README.write_text(block.sub(lambda match: match[1] + wanted + match[3], text), encoding="utf-8")
        return
    assert found[2] == wanted


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_commands_of_the_first_screen_are_targets_of_the_makefile() -> None:
    named = re.findall(r"^make (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert set(named) <= set(targets)


def test_the_manifests_shown_are_valid(tmp_path: Path) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    for number, text in enumerate(shown):
        file = "production/environment.yaml" if "kind: Environment" in text else f"shop/{number}.yaml"
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    for name in ("shop", "production"):
        environment = load_environment(tmp_path / name, specs(), {"SHOP_PASSWORD": "x"})
        assert {manifest.kind for manifest in environment.manifests} == set(specs())
    assert environment.name == "production"
