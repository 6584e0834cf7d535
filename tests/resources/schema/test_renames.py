"""What looks like a rename is said in the words that make it one."""

from __future__ import annotations

from dbops.catalog.changes import AddColumn, CreateObject, DropColumn, DropObject
from dbops.catalog.model import Column, Domain, Enum
from dbops.catalog.ref import Ref
from dbops.resources.schema.renames import ambiguous


def test_an_offered_rename_names_the_schemas_that_it_needs() -> None:
    old, new = Enum(schema="a", name="mood", labels=("ok",)), Enum(schema="b", name="mood", labels=("ok",))
    (hazard,) = ambiguous([DropObject(old), CreateObject(new)]).values()
    assert hazard.message.endswith("renames: [{enum: a.mood, to: b.mood}]")
    table = Ref("table", "a", "t")
    x, y = (Column(name=name, type="text") for name in "xy")
    (hazard,) = ambiguous([DropColumn(table, x), AddColumn(table, y, None)]).values()
    assert hazard.message.endswith("renames: [{column: a.t.x, to: y}]")


def test_no_rename_is_offered_of_what_none_can_be_said() -> None:
    old, new = (Domain(schema="a", name=name, base_type="text") for name in ("code", "key"))
    assert ambiguous([DropObject(old), CreateObject(new)]) == {}
