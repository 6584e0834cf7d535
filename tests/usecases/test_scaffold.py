"""New environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import PlanError
from dbops.usecases.scaffold import scaffold


def test_a_folder_of_other_files_becomes_an_environment(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("image: postgres\n")
    assert {path.name for path in scaffold(tmp_path)} == {"connection.yaml", "schema.yaml", "example.sql"}


def test_a_folder_below_which_manifests_are_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "shop.yml").write_text("# ours\napiVersion: dbops/v1\nkind: Connection\n")
    with pytest.raises(PlanError, match=r"already holds a/shop\.yml"):
        scaffold(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
