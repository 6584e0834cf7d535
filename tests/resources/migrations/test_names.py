"""What the names of migration files say."""

from __future__ import annotations

import pytest

from dbops.resources.migrations.sql_files import named


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
