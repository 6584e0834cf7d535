"""What the names of migration files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import Mark, Problems
from dbops.resources.migrations.folder import migrations_of, overlooked, read_contents
from dbops.resources.migrations.model import Migration, Script
from dbops.resources.migrations.sql_files import meant, named, version_of
from dbops.usecases.migrate.naming import file_names, next_version


@pytest.mark.parametrize(
    ("file", "version", "name"),
    [
        ("0007_add.sql", "0007", "add"),
        ("7.sql", "7", ""),
        ("1.10-x.sql", "1.10", "x"),
        ("01.16.00_02_add_x.sql", "01.16.00.02", "add_x"),
        ("2026_01_31_120000_create_users.up.sql", "2026.01.31.120000", "create_users"),
        ("2026-01-31-add.sql", "2026.01.31", "add"),
        ("20260131_02_Xy7pQ-orders.sql", "20260131.02", "Xy7pQ-orders"),
        ("20260131120000_x.sql", "20260131120000", "x"),
        ("0007_2_factor.sql", "0007", "2_factor"),
        ("1.2_3d.sql", "1.2", "3d"),
        ("2024_01_15a_x.sql", "2024", "01_15a_x"),
        ("V1_2__x.sql", "1.2", "x"),
    ],
)
def test_a_version_is_the_number_the_date_or_the_release_in_front(file: str, version: str, name: str) -> None:
    found = named(file)
    assert found is not None
    assert found[1:3] == (version, name)


@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        ("0007_add.sql", "0008_x.sql"),
        ("9_add.sql", "10_x.sql"),
        ("0007_add.up.sql", "0008_x.up.sql"),
        ("V7__add.sql", "V8__x.sql"),
        ("V1_2__add.sql", "V1_3__x.sql"),
        ("V1.2.9__add.sql", "V1.2.10__x.sql"),
        ("1.09_add.sql", "1.10_x.sql"),
        ("01.16.00_02_add.sql", "01.16.00.03_x.sql"),
        ("2026_01_31_120000_add.up.sql", "2026_02_01_080910_x.up.sql"),
        ("2026-01-31-add.sql", "2026-02-01_x.sql"),
        ("2026_02_01_add.sql", "2026_02_01_080910_x.sql"),
        ("20260131_add.sql", "20260201_x.sql"),
        ("20260201_add.sql", "20260201080910_x.sql"),
        ("20260131_02_Xy7pQ-add.sql", "20260131.03_x.sql"),
        ("20260131120000_add.sql", "20260201080910_x.sql"),
        ("20260301120000_add.sql", "20260301120001_x.sql"),
        ("20260301_add.sql", "20260201080910_x.sql"),
        ("1706702400000_add.sql", "1706702400001_x.sql"),
    ],
)
def test_the_next_file_is_called_as_the_last_one(last: str, wanted: str) -> None:
    found = named(last)
    assert found is not None
    there = [Migration(version_of(found[1]), found[2], Mark(last), Script("", Mark(last)))]
    assert file_names(next_version(there, "20260201080910"), "x", there)[0] == wanted


def test_files_in_folders_below_are_told(tmp_path: Path) -> None:
    for name in ("2025/V2__b.sql", "2025/notes.txt", "hooks/each.sql", "_old/V3__c.sql", "V1__a.sql"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert overlooked(tmp_path, "sql", is_empty=False) == ["2025/V2__b.sql"]
    assert overlooked(tmp_path, "sql", is_empty=True) == ["2025/V2__b.sql", "V1__a.sql", "hooks/each.sql"]


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("V1_add.sql", "V1__add.sql"),
        ("v1.2__add_x.sql", "V1.2__add_x.sql"),
        ("r__views.sql", "R__views.sql"),
        ("20260131T120000_x.sql", "20260131120000_x.sql"),
        ("0001 add x.sql", "0001_add x.sql"),
        ("orders.sql", None),
    ],
)
def test_a_name_that_is_nearly_one_is_told_as_it_should_be(file: str, wanted: str | None) -> None:
    assert named(file) is None
    assert meant(file) == wanted


def test_what_flyway_runs_by_its_name_and_what_is_no_utf8_is_told(tmp_path: Path) -> None:
    (tmp_path / "afterEachMigrate__rights.sql").write_text("SELECT 1;\n")
    with pytest.raises(Problems) as caught:
        migrations_of(tmp_path, read_contents(tmp_path, "sql"), "sql")
    [problem] = caught.value.problems
    assert problem.fix is not None and "hooks: {each: [FILE]} of the manifest" in problem.fix
    (tmp_path / "0001_a.sql").write_bytes("SELECT 1;\n".encode("utf-16"))
    with pytest.raises(Problems) as caught:
        read_contents(tmp_path, "sql")
    assert "it begins as UTF-16 does" in str(caught.value.problems[0])
