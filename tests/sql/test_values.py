"""Statements are shown without their values."""

from __future__ import annotations

import pytest

from dbops.sql.dialect import MYSQL, POSTGRESQL, Dialect
from dbops.sql.values import without_values


@pytest.mark.parametrize(
    ("sql", "dialect", "shown"),
    [
        ("SELECT * FROM t1 WHERE a = 'x''y' AND b = -1.5e3 -- secret", POSTGRESQL, "SELECT * FROM t1 WHERE a = ? AND b = -?"),
        ("ALTER ROLE me\n  PASSWORD $$secret$$ /* secret */", POSTGRESQL, "ALTER ROLE me PASSWORD ?"),
        ("UPDATE t SET a = 'cut off he", POSTGRESQL, "UPDATE t SET a = ?"),
        ('SELECT "name" FROM "t 1" WHERE id = $1', POSTGRESQL, 'SELECT "name" FROM "t 1" WHERE id = $1'),
        ('SELECT `a` FROM t WHERE b = "secret" # secret', MYSQL, "SELECT `a` FROM t WHERE b = ?"),
    ],
)
def test_values_and_comments_are_left_out(sql: str, dialect: Dialect, shown: str) -> None:
    assert without_values(sql, dialect) == shown
