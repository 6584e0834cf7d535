"""YAML read with places: what words mean, and where they stand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dbops.errors import Mark
from dbops.manifests.loader import parse_documents, plain_value

PLAIN: list[tuple[str, Any]] = [
    ("yes", True),
    ("Off", False),
    ("TRUE", True),
    ("~", None),
    ("null", None),
    ("", None),
    ("y", "y"),
    ("12", 12),
    ("-7", -7),
    ("0x1F", 31),
    ("0o17", 15),
    ("1.10", 1.1),
    ("1.5e+3", 1500.0),
    ("12e5", "12e5"),
    (".5", 0.5),
    ("0042", "0042"),
    ("22:15", "22:15"),
    ("1_000", "1_000"),
    ("2027-01-01", "2027-01-01"),
    ("2027-01-01T10:00:00Z", "2027-01-01T10:00:00Z"),
    ("1.2.3", "1.2.3"),
    ("-", "-"),
    ("=", "="),
    (".inf", ".inf"),
    ("9" * 400, "9" * 400),
]


@pytest.mark.parametrize(("text", "value"), PLAIN)
def test_unquoted_words_mean_what_yaml_says_unless_that_surprises(text: str, value: Any) -> None:
    assert plain_value(text) == value
    assert type(plain_value(text)) is type(value)


def test_quoted_words_and_tagged_ones_are_text() -> None:
    (document,) = parse_documents("""a: "12"\nb: 'yes'\nc: !!str 12\nd: |\n  12\n""", "a.yaml")
    assert document.value == {"a": "12", "b": "yes", "c": "12", "d": "12\n"}


def test_every_key_and_value_has_its_place() -> None:
    (document,) = parse_documents("kind: A\nspec:\n  ports: [80, 443]\n  name:\n    first: x\n", "a.yaml")
    marks = document.marks
    assert marks.key(("spec", "ports")) == Mark("a.yaml", 3, 3)
    assert marks.value(("spec", "ports")) == Mark("a.yaml", 3, 10)
    assert marks.value(("spec", "ports", 1)) == Mark("a.yaml", 3, 15)
    assert marks.value(("spec", "name", "first")) == Mark("a.yaml", 5, 12)
    assert marks.text(("spec", "ports", 1)) == "443"
    assert marks.text(("spec", "ports")) is None


def test_what_is_not_there_is_placed_at_what_is_around_it() -> None:
    (document,) = parse_documents("kind: A\nspec:\n  name: x\n", "a.yaml")
    assert document.marks.value(("spec", "other", 3)) == Mark("a.yaml", 3, 3)


def test_several_documents_and_empty_ones() -> None:
    documents = parse_documents("# first\n---\na: 1\n---\n---\nb: 2\n...\n", "a.yaml")
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]
    assert documents[1].marks.key(("b",)) == Mark("a.yaml", 6, 1)


def test_merge_keys_give_way_to_what_is_written() -> None:
    (document,) = parse_documents("base: &b {x: 1, y: 1}\nmore: &m {y: 2, z: 2}\nall: {z: 3, <<: [*b, *m]}\n", "a.yaml")
    assert document.value["all"] == {"z": 3, "x": 1, "y": 1}
    assert document.marks.value(("all", "x")) == Mark("a.yaml", 1, 14)
    assert document.marks.value(("all", "z")) == Mark("a.yaml", 3, 10)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30) + 1, 10**30 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=4))
def test_what_yaml_writes_is_read_back(value: dict[str, Any]) -> None:
    (document,) = parse_documents(yaml.safe_dump(value), "a.yaml")
    assert document.value == value
