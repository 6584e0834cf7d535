"""The server's text of EXCLUDE, taken apart."""

from __future__ import annotations

import pytest

from dbops.engines.postgresql.exclusions import Parts, parsed

CASES = {
    "EXCLUDE USING gist (r WITH &&)": ((("r", "&&"),), ""),
    'EXCLUDE USING gist (room WITH =, "a, (b" WITH &&) WHERE ((NOT gone))': ((("room", "="), ('"a, (b"', "&&")), "(NOT gone)"),
    "EXCLUDE USING gist (tsrange(a, b, '[)'::text) WITH &&) DEFERRABLE": ((("tsrange(a, b, '[)'::text)", "&&"),), ""),
    "EXCLUDE USING gist (((a + b)) gist_int4_ops WITH OPERATOR(public.=)) INCLUDE (c)": (
        (("((a + b))", "OPERATOR(public.=)"),),
        "",
    ),
    'EXCLUDE USING btree (public.f(a) COLLATE pg_catalog."C" text_pattern_ops WITH =, b COLLATE "C" WITH =)': (
        (('public.f(a) COLLATE pg_catalog."C"', "="), ('b COLLATE "C"', "=")),
        "",
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_an_exclusion_is_taken_apart(text: str) -> None:
    elements, predicate = CASES[text]
    assert parsed(text) == Parts(elements, predicate)


@pytest.mark.parametrize("text", ["", "CHECK (a > 0)", "EXCLUDE USING gist ()", "EXCLUDE USING gist (a)"])
def test_another_text_is_not_guessed_at(text: str) -> None:
    assert parsed(text) is None
