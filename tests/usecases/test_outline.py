"""The outline of a catalog."""

from __future__ import annotations

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import (
    Check,
    Column,
    Domain,
    Enum,
    ForeignKey,
    Generated,
    Identity,
    Index,
    IndexKey,
    PrimaryKey,
    Table,
    Trigger,
    View,
)
from dbops.catalog.ref import Ref
from dbops.usecases.outline import Line, outline

CATALOG = Catalog.of(
    [
        Trigger(schema="s", parent="t", name="audit", definition="..."),
        Index(
            schema="s",
            parent="t",
            name="t_both",
            unique=True,
            keys=(IndexKey(column="a", descending=True), IndexKey(expression="lower(b)")),
            predicate="a > 0",
        ),
        Table(
            schema="s",
            name="t",
            comment="things",
            columns=(
                Column(name="id", type="bigint", nullable=False, identity=Identity("by_default")),
                Column(name="a", type="integer", default="0", comment="how many"),
                Column(name="b", type="text", generated=Generated("a || ''")),
            ),
        ),
        Check(schema="s", parent="t", name="", is_named=False, expression="a >= 0"),
        ForeignKey(
            schema="s", parent="t", name="t_a", columns=("a",), references=Ref("table", "s", "u"), referenced_columns=("id",)
        ),
        PrimaryKey(schema="s", parent="t", name="t_pkey", columns=("id",)),
        View(schema="s", name="v", definition="SELECT 1"),
        Enum(schema="s", name="mood", labels=("sad", "ok")),
        Domain(schema="s", name="positive", base_type="integer"),
    ]
)


def test_a_table_holds_its_columns_then_keys_constraints_indexes_and_the_rest() -> None:
    assert outline(CATALOG)[0] == Line(
        "table",
        "s.t",
        "-- things",
        (
            Line("column", "id", "bigint not null identity by default"),
            Line("column", "a", "integer default 0 -- how many"),
            Line("column", "b", "text generated as (a || '')"),
            Line("primary key", "t_pkey", "(id)"),
            Line("foreign key", "t_a", "(a) to s.u (id)"),
            Line("check", "", "a >= 0"),
            Line("index", "t_both", "unique (a desc, lower(b)) where a > 0"),
            Line("trigger", "audit", ""),
        ),
    )


def test_free_standing_objects_have_a_line_each() -> None:
    assert outline(CATALOG)[1:] == [
        Line("view", "s.v", ""),
        Line("enum", "s.mood", "sad, ok"),
        Line("domain", "s.positive", "integer"),
    ]
