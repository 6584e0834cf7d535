"""Differences between catalogs, without any database."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dbops.catalog import codec
from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CreateObject, DropColumn, DropObject, diff, inverse
from dbops.catalog.declared import as_declared
from dbops.catalog.model import Column, Extension, Grant, Index, IndexKey, Table, View
from dbops.catalog.ref import Ref
from dbops.catalog.scope import Scope, restrict


def users(*names: str, **changes: object) -> Table:
    return Table(schema="public", name="users", columns=tuple(Column(name=name, type="text", **changes) for name in names))  # type: ignore[arg-type]


def test_equal_catalogs_have_no_changes() -> None:
    catalog = Catalog.of([users("id", "email")])
    assert diff(catalog, catalog) == ()


def test_new_and_missing_objects_are_created_and_dropped() -> None:
    before, after = Catalog.of([users("id")]), Catalog.of([View(schema="public", name="v", definition="SELECT 1")])
    assert [type(change) for change in diff(before, after)] == [DropObject, CreateObject]


def test_columns_change_one_by_one() -> None:
    before, after = Catalog.of([users("id", "mail", "old")]), Catalog.of([users("id", "new", "mail")])
    after = Catalog.of(
        [replace(after.all(Table)[0], columns=(*after.all(Table)[0].columns[:2], Column(name="mail", type="varchar(9)")))]
    )
    changes = diff(before, after)
    assert [(type(change), str(change.ref)) for change in changes] == [
        (DropColumn, "table/public.users/column/old"),
        (AddColumn, "table/public.users/column/new"),
        (AlterColumn, "table/public.users/column/mail"),
    ]
    assert changes[2].attributes == ("type",)  # type: ignore[union-attr]


def test_table_attributes_change_apart_from_columns() -> None:
    before = Catalog.of([users("id")])
    after = Catalog.of([replace(users("id", "mail"), comment="people")])
    changes = diff(before, after)
    assert [type(change) for change in changes] == [AddColumn, AlterObject]
    assert changes[1].attributes == ("comment",)  # type: ignore[union-attr]


def test_column_order_counts_only_where_the_engine_manages_it() -> None:
    before, after = Catalog.of([users("a", "b", "c", "d")]), Catalog.of([users("a", "d", "b", "c")])
    assert diff(before, after) == ()
    (change,) = diff(before, after, column_order=True)
    assert isinstance(change, AlterColumn) and change.moved and change.after_column == "a" and change.after.name == "d"


@given(st.permutations(["a", "b", "c", "d", "e", "f"]))
def test_moving_the_named_columns_gives_the_desired_order(wanted: list[str]) -> None:
    before, after = Catalog.of([users("a", "b", "c", "d", "e", "f")]), Catalog.of([users(*wanted)])
    order = ["a", "b", "c", "d", "e", "f"]
    for change in diff(before, after, column_order=True):
        assert isinstance(change, AlterColumn)
        order.remove(change.after.name)
        order.insert(order.index(change.after_column) + 1 if change.after_column else 0, change.after.name)
    assert order == list(wanted)


def test_the_inverse_of_the_inverse_is_the_change() -> None:
    before, after = Catalog.of([users("id", "old")]), Catalog.of([replace(users("id"), comment="x")])
    for change in diff(before, after):
        if not isinstance(change, AddColumn | DropColumn):
            assert inverse(inverse(change)) == change
        else:
            assert inverse(inverse(change)).ref == change.ref


def test_owners_grants_and_versions_count_only_where_declared() -> None:
    grant = (Grant("alice", "SELECT"),)
    live = Catalog.of([replace(users("id"), owner="bob", grants=grant), Extension(name="citext", version="1.6", schema="public")])
    silent = Catalog.of([users("id"), Extension(name="citext", schema="public")])
    assert diff(as_declared(live, silent), silent) == ()
    outspoken = Catalog.of([replace(users("id"), owner="alice"), Extension(name="citext", version="1.5", schema="public")])
    assert [change.attributes for change in diff(as_declared(live, outspoken), outspoken)] == [("owner",), ("version",)]  # type: ignore[union-attr]


def test_a_catalog_survives_json() -> None:
    index = Index(
        schema="public",
        parent="users",
        name="users_mail",
        keys=(IndexKey(expression="lower(mail)", descending=True),),
        unique=True,
    )
    table = replace(users("id"), grants=(Grant("alice", "SELECT", column="id"),), options=(("fillfactor", "70"),))
    catalog = Catalog.of([table, index], {index.ref: [Ref("column", "public", "mail", "users")]}, options=(("encoding", "UTF8"),))
    again = codec.from_json(codec.to_json(catalog))
    assert again == catalog
    assert codec.digest(again) == codec.digest(catalog) != codec.digest(EMPTY)


def test_scope_follows_schemas_and_patterns() -> None:
    ref = Ref("index", "audit", "log_at", "log")
    assert not Scope(exclude=("audit.*",)).includes(ref)
    assert not Scope(exclude=("log",)).includes(ref)
    assert not Scope(schemas=("public",)).includes(ref)
    assert Scope(schemas=("audit",), exclude=("log_other",)).includes(ref)
    catalog = Catalog.of([users("id")])
    assert len(restrict(catalog, Scope(exclude=("public.us*",)))) == 0


def test_a_pattern_looks_at_what_it_names_only() -> None:
    table, key = Ref("table", "public", "people"), Ref("primary_key", "public", "people_pkey", "people")
    for pattern in ("t*", "public*", "prim*", "pub*", "view:*", "table:x*", "x.*"):
        assert Scope(exclude=(pattern,)).includes(table) and Scope(exclude=(pattern,)).includes(key), pattern
    for pattern in ("peo*", "public.*", "pub*.people", "*"):
        assert not Scope(exclude=(pattern,)).includes(table) and not Scope(exclude=(pattern,)).includes(key), pattern
    assert not Scope(exclude=("table:p*",)).includes(table) and Scope(exclude=("table:p*",)).includes(key)
    assert not Scope(exclude=("table:public.*",)).includes(table)
    assert not Scope(exclude=("people.people_pkey",)).includes(key) and Scope(exclude=("people.people_pkey",)).includes(table)
