"""Every broken environment of broken.yaml is refused with the words written there, and no secret is among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.errors import DbopsError, ManifestError, Problems
from dbops.manifests.environment import load_environment
from tests.manifests.kinds import KINDS, write

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "broken.yaml").read_text(encoding="utf-8"))


def test_there_are_enough_cases_and_each_has_its_name() -> None:
    assert len(CASES) == len({case["name"] for case in CASES}) >= 45


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "-"))
def test_broken_environment_is_explained(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, case.get("files", {}))
    for name, content in case.get("bytes", {}).items():
        Path(name).write_bytes(bytes.fromhex(content))
    for name, target in case.get("links", {}).items():
        Path(name).symlink_to(target)

    with pytest.raises((ManifestError, Problems)) as caught:
        load_environment(Path(case.get("load", ".")), KINDS, case.get("env", {}))

    error: DbopsError = caught.value
    assert error.explain().splitlines() == case["explained"].splitlines()
    shown = f"{error!r} {error} {error.explain()} {error.to_dict()} {error.__cause__!r}"
    assert not [secret for secret in case.get("hidden", []) if secret in shown]
