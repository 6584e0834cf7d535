"""What of the errors that a newer pg_restore ends with is no fault of a dump."""

from __future__ import annotations

import pytest

from dbops.engines.base.backup import Exit
from dbops.engines.postgresql.backup.loading import wrong_beside_its_setting

UNKNOWN = 'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"\n'
ITS_OWN = f"pg_restore: while INITIALIZING:\n{UNKNOWN}Command was: SET transaction_timeout = 0;\n\n"
OF_A_FUNCTION = (
    "pg_restore: from TOC entry 215; 1255 16390 FUNCTION f() postgres\n"
    f"{UNKNOWN}Command was: CREATE FUNCTION public.f() RETURNS integer\n    SET transaction_timeout TO '5s'\n\n\n"
)


@pytest.mark.parametrize(
    ("said", "count", "wrong"),
    [
        (ITS_OWN, 1, ""),
        (ITS_OWN + OF_A_FUNCTION, 2, "transaction_timeout"),
        (ITS_OWN, 2, "errors ignored on restore: 2"),
        (ITS_OWN + "pg_restore: error: out of memory\n", 1, "out of memory"),
    ],
)
def test_only_the_error_of_its_own_first_statement_is_passed_over(said: str, count: int, wrong: str) -> None:
    found = wrong_beside_its_setting(
        Exit("pg_restore", 1, stderr=f"{said}pg_restore: warning: errors ignored on restore: {count}")
    )
    assert wrong in found
    assert bool(found) == bool(wrong)
