"""How the annotations of a spec are read: numbers and booleans in quotes, choices, and what cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest

from dbops.manifests.annotations import Alias, Limit, Prepared
from dbops.manifests.fields import fields_of
from dbops.manifests.spec import NOTHING, Spec, Text, complain


class Leaf(Spec):
    """A part."""

    size: Annotated[int, Limit(least=1, most=9)] = 3
    is_on: bool = False


class Tree(Spec):
    """A whole."""

    name: Text
    leaf: Annotated[Leaf, Prepared(lambda value: {"size": value} if isinstance(value, str) else value, dict)] = Leaf()
    leaves: tuple[Leaf, ...] = ()
    order: Literal["up"] | bool = False
    options: Mapping[str, str | int | bool] = NOTHING
    from_: Annotated[str | None, Alias("from")] = None

    def check_whole(self) -> None:
        if self.name == "wrong":
            raise complain("the name is wrong", expected="another", path=("name",))


def test_a_spec_holds_what_is_written_and_knows_defaults() -> None:
    tree = Tree.of({"name": "a", "leaf": {"size": "4", "isOn": "yes"}, "leaves": [{}], "from": "b"})
    assert (tree.leaf.size, tree.leaf.is_on, tree.leaves[0].size, tree.order, tree.from_) == (4, True, 3, False, "b")
    assert set(tree.given()) == {"name", "leaf", "leaves", "from_"}
    assert Tree.of({"name": "a"}) == Tree.of({"name": "a", "leaf": {"size": 3}})
    assert Tree.of({"name": "a", "leaf": "5"}).leaf == Leaf.of({"size": 5})


@pytest.mark.parametrize(("value", "means"), [("up", "up"), (True, True), ("yes", True), ("0", False)])
def test_a_choice_takes_the_first_that_fits(value: Any, means: Any) -> None:
    assert Tree.of({"name": "a", "order": value}).order is means


def test_values_of_a_choice_keep_their_type() -> None:
    options = {"text": "1", "number": 1, "truth": True}
    assert {name: type(value) for name, value in Tree.of({"name": "a", "options": options}).options.items()} == {
        "text": str,
        "number": int,
        "truth": bool,
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "expected a mapping"),
        ({}, "name: missing field"),
        ({"name": ""}, "name: expected at least 1 characters"),
        ({"name": "a", "nam": 1}, "nam: unknown field"),
        ({"name": "a", "leaf": {"size": True}}, "leaf.size: expected a whole number"),
        ({"name": "a", "leaf": {"size": 2.5}}, "leaf.size: expected a whole number"),
        ({"name": "a", "leaves": [{}, {"size": "10"}]}, "leaves.1.size: expected a number not above 9"),
        ({"name": "a", "leaves": {}}, "leaves: expected a list"),
        ({"name": "a", "options": {"x": None}}, "options.x: expected true or false"),
        ({"name": "wrong"}, "the name is wrong"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(data: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Tree.of(data)


def test_an_annotation_that_no_manifest_can_hold_is_refused() -> None:
    class Odd(Spec):
        """With a set, which YAML has not."""

        names: set[str]

    with pytest.raises(TypeError, match="set"):
        fields_of(Odd)
