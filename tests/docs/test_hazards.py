"""Every hazard is explained, and every engine that is said to tell it is made to tell it somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dbops.sql.hazard import ADVICE, ENGINES, HAZARDS
from tests.docs.hazards_page import check_part, codes, part

_CASES = Path(__file__).parents[1] / "engines"
#: What needs more than two schemas: where it is provoked.
_ELSEWHERE = {
    "AMBIGUOUS_RENAME": "conformance/test_main_job.py",
    "RENAMES": "conformance/test_hazards.py",
    "IMPLICIT_COMMIT": "conformance/test_hazards.py",
    "RUNS_AGAIN": "resources/migrations/test_adoption.py",
    "INVALID_INDEX": "engines/postgresql/test_locks.py",
    ("mysql", "REPLICATION_IMPACT"): "engines/mysql/test_locks.py",
}


def test_the_table_of_hazards_is_fresh() -> None:
    check_part("codes", codes())


def test_every_hazard_is_explained() -> None:
    assert set(HAZARDS) == set(ADVICE) == set(ENGINES)


def _provoked(engine: str) -> set[str]:
    """The codes that case rows expect, and those that were seen when statements were measured."""
    rows = [row for file in (_CASES / engine / "cases").rglob("*.yaml") for row in yaml.safe_load(file.read_text())]
    expected = {code for row in rows if isinstance(row, dict) for key in ("hazards", "has") for code in row.get(key) or ()}
    return expected | {code for code in HAZARDS if f"{code}," in part(engine) or f"{code} |" in part(engine)}


@pytest.mark.parametrize(("code", "engine"), [(code, engine) for code, engines in ENGINES.items() for engine in engines])
def test_every_hazard_is_provoked_on_every_engine_that_tells_it(code: str, engine: str) -> None:
    place = _ELSEWHERE.get(code) or _ELSEWHERE.get((engine, code))
    if place:
        assert code in (_CASES.parent / place).read_text()
    else:
        assert code in _provoked(engine)
