"""Entities, and the cardinalities of the relationships between them."""

from __future__ import annotations

import pytest

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Column, ForeignKey, Index, IndexKey, PartitionOf, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.usecases.entities import entities, relationships
from dbops.usecases.inspect import inspect
from tests.databases import Database

USERS = Ref("table", "", "users")


def table(name: str, *columns: Column, partition_of: PartitionOf | None = None) -> Table:
    return Table(name=name, columns=columns, partition_of=partition_of)


def required(name: str) -> Column:
    return Column(name=name, type="integer", nullable=False)


def optional(name: str) -> Column:
    return Column(name=name, type="integer")


def refers(child: str, *columns: str) -> ForeignKey:
    return ForeignKey(parent=child, name=f"{child}_users", columns=columns, references=USERS, referenced_columns=("id",))


def test_keys_are_marked_on_their_columns() -> None:
    catalog = Catalog.of(
        [
            table("users", required("id"), optional("email"), optional("a"), optional("b")),
            PrimaryKey(parent="users", name="k", columns=("id",)),
            Unique(parent="users", name="u", columns=("email",)),
            Index(parent="users", name="i", unique=True, keys=(IndexKey(column="a"), IndexKey(column="b"))),
            refers("users", "a"),
        ]
    )
    (users,) = entities(catalog)
    assert [attribute.keys for attribute in users.attributes] == [("PK",), ("UK",), ("FK",), ()]


@pytest.mark.parametrize(
    ("column", "key", "expected"),
    [
        (required("u"), None, (True, False, False)),
        (optional("u"), None, (False, False, False)),
        (optional("u"), Unique(parent="c", name="k", columns=("u",)), (False, True, False)),
        (required("u"), PrimaryKey(parent="c", name="k", columns=("u",)), (True, True, True)),
        (required("u"), PrimaryKey(parent="c", name="k", columns=("u", "n")), (True, False, True)),
        (required("u"), Index(parent="c", name="k", unique=True, keys=(IndexKey(column="u"),)), (True, True, False)),
        (
            required("u"),
            Index(parent="c", name="k", unique=True, keys=(IndexKey(column="u"),), predicate="n > 0"),
            (True, False, False),
        ),
    ],
)
def test_cardinality_comes_from_nullability_and_keys(
    column: Column, key: PrimaryKey | Unique | Index | None, expected: object
) -> None:
    parts = [key] if key else []
    (found,) = relationships(
        Catalog.of([table("users", required("id")), table("c", column, required("n")), refers("c", "u"), *parts])
    )
    assert (found.needs_parent, found.is_single, found.is_identifying) == expected


def test_partitions_stand_behind_their_table() -> None:
    part = table("users_1", required("id"), partition_of=PartitionOf(USERS, "FOR VALUES IN (1)"))
    catalog = Catalog.of([table("users", required("id")), part, refers("users_1", "id")])
    assert [entity.title for entity in entities(catalog)] == ["users"]
    assert relationships(catalog) == []


def test_real_databases_have_the_cardinalities_they_declare(database: Database) -> None:
    database.load(
        "CREATE TABLE users (id integer NOT NULL PRIMARY KEY);\n"
        "CREATE TABLE profiles (user_id integer NOT NULL PRIMARY KEY,"
        " CONSTRAINT one FOREIGN KEY (user_id) REFERENCES users (id));\n"
        "CREATE TABLE posts (id integer NOT NULL PRIMARY KEY, author integer,"
        " CONSTRAINT two FOREIGN KEY (author) REFERENCES users (id));\n"
    )
    found = relationships(inspect(database.url, None).catalog)
    told = {one.child.name: (one.needs_parent, one.is_single, one.is_identifying) for one in found}
    assert told == {"profiles": (True, True, True), "posts": (False, False, False)}
