"""New environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import PlanError
from dbops.usecases.migrate.files import new
from dbops.usecases.migrate.sets import one_set
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
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


def test_an_environment_of_migrations_begins_with_an_empty_folder(tmp_path: Path) -> None:
    assert {path.name for path in scaffold(tmp_path / "a", migrations=True)} == {
        "connection.yaml",
        "migrations.yaml",
        "migrations.lock",
    }
    with open_workspace(tmp_path / "a", {}) as workspace:
        assert [entry.change.address for entry in plan(workspace).entries] == ["connection/main"]
        new(one_set(workspace, None).desired, "first")
    (tmp_path / "b" / "migrations").mkdir(parents=True)
    (tmp_path / "b" / "migrations" / "0001_there.sql").write_text("SELECT 1;\n")
    assert len(scaffold(tmp_path / "b", migrations=True)) == 2, "files that are there were reviewed by nobody yet"
