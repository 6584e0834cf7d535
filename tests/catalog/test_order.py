"""The sequence of changes: what must come first, what makes way, what comes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import permutations

import pytest

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import (
    AlterColumn,
    AlterObject,
    CatalogChange,
    ChangeSet,
    CreateObject,
    DropColumn,
    DropObject,
    column_ref,
    diff,
)
from dbops.catalog.model import CatalogObject, Column, ForeignKey, Generated, Index, IndexKey, PrimaryKey, Routine, Table, View
from dbops.catalog.order import arrange, dependents, needs_of, owner_of
from dbops.catalog.ref import Ref


def table(name: str, *columns: str | Column) -> Table:
    return Table(name=name, columns=tuple(c if isinstance(c, Column) else Column(name=c, type="int") for c in columns))


def view(name: str, definition: str = "q") -> View:
    return View(name=name, definition=definition)


def function(name: str, definition: str = "f") -> Routine:
    return Routine(name=name, flavour="function", signature="", definition=definition)


def column(owner: str, name: str) -> Ref:
    return column_ref(Ref("table", "", owner), name)


def catalog(*objects: CatalogObject, needs: Mapping[Ref, Iterable[Ref]] | None = None) -> Catalog:
    return Catalog.of(objects, needs)


def told(changes: Iterable[CatalogChange]) -> list[str]:
    words = {"CreateObject": "+", "DropObject": "-", "AlterObject": "~", "AddColumn": "+", "DropColumn": "-", "AlterColumn": "~"}
    return [f"{words[type(change).__name__]}{change.ref.name}" for change in changes]


def planned(before: Catalog, after: Catalog, **questions: object) -> list[str]:
    return told(arrange(ChangeSet(before, after, diff(before, after)), **questions))  # type: ignore[arg-type]


T, V, W, F = Ref("table", "", "t"), Ref("view", "", "v"), Ref("view", "", "w"), Ref("routine", "", "f")
CHAIN = {V: [T, column("t", "a")], W: [V]}


def retyping(change: CatalogChange) -> bool:
    return isinstance(change, DropObject | DropColumn) or (
        isinstance(change, AlterColumn) and change.before.type != change.after.type
    )


def test_nothing_to_do_is_nothing() -> None:
    assert arrange(ChangeSet(EMPTY, EMPTY, ())) == ()


@pytest.mark.parametrize("objects", list(permutations([table("t", "a"), view("v"), view("w")])))
def test_creation_follows_dependencies_and_dropping_goes_the_other_way(objects: tuple[CatalogObject, ...]) -> None:
    whole = catalog(*objects, needs=CHAIN)
    assert planned(EMPTY, whole) == ["+t", "+v", "+w"]
    assert planned(whole, EMPTY) == ["-w", "-v", "-t"]


def test_children_need_their_table_without_saying_so() -> None:
    key = PrimaryKey(name="k", parent="t", columns=("a",))
    whole = catalog(key, table("t", "a"))
    assert needs_of(whole, key.ref) == {T}
    assert planned(EMPTY, whole) == ["+t", "+k"]
    assert planned(whole, EMPTY) == ["-k", "-t"]


def test_children_of_views_belong_to_the_view() -> None:
    index = Index(name="i", parent="v", keys=(IndexKey(column="a"),))
    assert owner_of(catalog(view("v"), index), index.ref) == V


def test_foreign_keys_in_a_circle_come_after_both_tables() -> None:
    keys = [
        ForeignKey(name=f"k{one}", parent=one, columns=("x",), references=Ref("table", "", other), referenced_columns=("id",))
        for one, other in (("a", "b"), ("b", "a"))
    ]
    needs = {key.ref: [key.references, Ref("table", "", key.parent)] for key in keys}
    whole = catalog(*keys, table("a", "id", "x"), table("b", "id", "x"), needs=needs)
    assert sorted(planned(EMPTY, whole)[:2]) == ["+a", "+b"]
    assert sorted(planned(whole, EMPTY)[2:]) == ["-a", "-b"]


def test_dependents_of_a_retyped_column_make_way_and_come_back() -> None:
    wide = Column(name="a", type="bigint")
    before = catalog(table("t", "a"), view("v"), view("w"), needs=CHAIN)
    after = catalog(table("t", wide), view("v"), view("w"), needs=CHAIN)
    assert planned(before, after, disturbs=retyping) == ["-w", "-v", "~a", "+v", "+w"]
    assert planned(before, after) == ["~a"]


def test_a_survivor_stays() -> None:
    before = catalog(table("t", "a"), view("v"), needs=CHAIN)
    after = catalog(table("t", Column(name="a", type="bigint")), view("v"), needs=CHAIN)
    assert planned(before, after, disturbs=retyping, survives=lambda dependent, change: dependent.ref == V) == ["~a"]


def test_what_cannot_be_altered_is_replaced_with_its_dependents() -> None:
    before = catalog(table("t", "a"), view("v"), view("w"), needs=CHAIN)
    after = catalog(table("t", "a"), view("v", "other"), view("w"), needs=CHAIN)
    assert planned(before, after) == ["~v"]
    assert planned(before, after, replaces=lambda change: isinstance(change, AlterObject)) == ["-w", "-v", "+v", "+w"]


def test_an_alteration_that_moves_off_what_goes_comes_before_it() -> None:
    before = catalog(table("t", "a", "b"), view("v"), needs={V: [T, column("t", "a"), column("t", "b")]})
    after = catalog(table("t", "a"), view("v", "less"), needs={V: [T, column("t", "a")]})
    assert planned(before, after, disturbs=retyping) == ["~v", "-b"]


def test_an_alteration_comes_after_what_it_is_to_need() -> None:
    before = catalog(table("t", "a"), view("v"), needs={V: [T]})
    after = catalog(table("t", "a", "b"), view("v", "more"), function("f"), needs={V: [T, column("t", "b"), F]})
    assert planned(before, after)[-1] == "~v"


def test_a_column_stops_needing_a_function_before_that_goes() -> None:
    default, plain = Column(name="a", type="int", default="f()"), Column(name="a", type="int")
    before = catalog(table("t", default), function("f"), needs={column("t", "a"): [F], T: [F]})
    after = catalog(table("t", plain))
    survives = lambda dependent, change: isinstance(dependent, Table)  # noqa: E731
    assert planned(before, after, survives=survives) == ["~a", "-f"]


def test_computed_columns_give_way() -> None:
    computed = Column(name="g", type="int", generated=Generated("f(a)"))
    whole = [table("t", "a", computed), function("f")]
    needs = {column("t", "g"): [F, column("t", "a")]}
    before = catalog(*whole, needs=needs)
    after = catalog(whole[0], function("f", "other"), needs=needs)
    answers = {"replaces": lambda change: isinstance(change, AlterObject), "survives": lambda d, c: isinstance(d, Table)}
    assert planned(before, after, gives_way=lambda ref, column, change: column.generated is not None, **answers) == [
        "-g",
        "-f",
        "+f",
        "+g",
    ]


def test_columns_of_a_table_made_anew_are_part_of_it() -> None:
    before = catalog(table("t", "a"))
    after = catalog(replace(table("t", "a", "b"), options=(("x", "y"),)))
    assert planned(before, after, replaces=lambda change: isinstance(change, AlterObject)) == ["-t", "+t"]


def test_a_dependent_that_nobody_asked_to_drop_comes_back_as_it_was() -> None:
    before = catalog(table("t", "a"), view("v"), needs=CHAIN)
    after = catalog(table("t", Column(name="a", type="bigint")))
    changes = tuple(change for change in diff(before, after) if not isinstance(change, DropObject))
    found = arrange(ChangeSet(before, after, changes), disturbs=retyping)
    assert told(found) == ["-v", "~a", "+v"]
    assert found[-1] == CreateObject(view("v"))


def test_a_name_is_given_up_before_it_is_taken() -> None:
    before, after = catalog(table("x", "a")), catalog(view("x"))
    assert planned(before, after) == ["-x", "+x"]
    key, other = PrimaryKey(name="k", parent="t", columns=("a",)), PrimaryKey(name="k2", parent="t", columns=("b",))
    assert planned(catalog(table("t", "a", "b"), key), catalog(table("t", "a", "b"), other)) == ["-k", "+k2"]


def test_a_name_may_be_given_up_with_the_whole_table() -> None:
    old, new = Index(name="i", parent="t", keys=()), Index(name="i", parent="u", keys=())
    found = planned(catalog(table("t", "a"), old), catalog(table("u", "a"), new))
    assert found.index("-t") < found.index("+i")


def test_drops_of_children_wait_for_no_alteration_that_disturbs_nobody() -> None:
    schema = function("s"), function("s", "other")
    needs = {T: [schema[0].ref], V: [schema[0].ref]}
    before, after = catalog(table("t", "a"), schema[0], needs=needs), catalog(view("v"), schema[1], needs=needs)
    assert set(planned(before, after)) == {"-t", "~s", "+v"}


def test_a_circle_is_broken_rather_than_refused() -> None:
    whole = catalog(function("f"), function("g"), needs={F: [Ref("routine", "", "g")], Ref("routine", "", "g"): [F]})
    assert sorted(planned(EMPTY, whole)) == ["+f", "+g"]


def test_arrows_can_be_turned_round() -> None:
    assert dependents({V: frozenset({T}), W: frozenset({T, V})}) == {T: {V, W}, V: {W}}
