"""Numbers of figures as people read them."""

from __future__ import annotations

import pytest

from dbops.resources.monitoring.words import in_words


@pytest.mark.parametrize(
    ("number", "unit", "words"),
    [
        (0, "seconds", "0 s"),
        (0.000199, "seconds", "0.199 ms"),
        (0.25, "seconds", "250 ms"),
        (90, "seconds", "1.5 min"),
        (259_200, "seconds", "3 d"),
        (1536, "bytes", "1.5 KiB"),
        (1 << 40, "bytes", "1 TiB"),
        (2048, "bytes/s", "2 KiB/s"),
        (0.985, "ratio", "98.5%"),
        (12_345, "1", "12,345"),
        (0.0833, "1/s", "0.0833/s"),
    ],
)
def test_a_number_in_the_words_of_its_unit(number: float, unit: str, words: str) -> None:
    assert in_words(number, unit) == words
