"""Databases that files of models name, read without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import Problems, SchemaError
from dbops.resources.schema.discovery import by_database, discover, model_file


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "db_models.py"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('DATABASE_NAME = "shop"', "shop"),
        ('DATABASE_NAME: str = "shop"', "shop"),
        ('OTHER = DATABASE_NAME = "shop"', "shop"),
        ('# DATABASE_NAME = "shop"', None),
        ('"""\nDATABASE_NAME = "shop"\n"""', None),
        ('DATABASE_NAME = "sh" + "op"', None),
        ('DATABASE_NAME = os.environ["X"]', None),
        ("DATABASE_NAME: str", None),
        ('def f():\n    DATABASE_NAME = "shop"', None),
        ("DATABASE_NAME = 5", None),
    ],
)
def test_a_name_is_what_stands_there_in_plain_text(tmp_path: Path, text: str, name: str | None) -> None:
    found = model_file(write(tmp_path, text))
    assert (found.database if found else None) == name


def test_nothing_of_a_file_runs(tmp_path: Path) -> None:
    write(tmp_path, 'DATABASE_NAME = "shop"\nraise SystemExit(7)\nimport no_such_module')
    assert [item.database for item in discover(tmp_path)] == ["shop"]


@pytest.mark.parametrize(
    "name", ["../shop", "a/b", "a\\\\b", "", ".hidden", "con", "Nul.db", "a" * 64, "a\\0b", "shop.", "a b", "ü"]
)
def test_a_name_that_is_no_plain_file_name_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, f'x = 1\nDATABASE_NAME = "{name}"')
    with pytest.raises(Problems) as caught:
        discover(tmp_path)
    assert "db_models.py:2:17" in caught.value.explain() and "expected letters" in caught.value.explain()


def test_modules_may_share_a_database_but_not_by_case_alone(tmp_path: Path) -> None:
    write(tmp_path / "b", 'DATABASE_NAME = "shop"')
    write(tmp_path / "a", 'DATABASE_NAME = "shop"\nclass A(Base):\n    __tablename__ = "a"')
    (files,) = by_database(discover(tmp_path)).values()
    assert [(item.file.parent.name, item.tables) for item in files] == [("a", ("a",)), ("b", ())]
    write(tmp_path / "c", 'DATABASE_NAME = "Shop"')
    with pytest.raises(Problems, match="case alone"):
        discover(tmp_path)


def test_installed_packages_and_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    for folder in ("venv/lib/site-packages/x", ".git", "node_modules/y", "env/src"):
        write(tmp_path / folder, 'DATABASE_NAME = "x"')
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert discover(tmp_path) == []


def test_two_names_and_broken_python_are_told_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as two:
        model_file(write(tmp_path, 'DATABASE_NAME = "a"\nDATABASE_NAME = "b"'))
    assert str(two.value.at).endswith("db_models.py:2:17")
    with pytest.raises(SchemaError, match="no Python") as broken:
        model_file(write(tmp_path, "x = 1\nclass :"))
    assert broken.value.at is not None and broken.value.at.line == 2
