"""Paths of source files: readable where names allow it, and taken by every file system."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.model import Column, Routine, Sequence, SequenceOptions, Table, Trigger, View
from dbops.catalog.ref import Ref
from dbops.usecases.source_files import file_name, file_owners, file_paths, free_path


def tables(*names: str) -> list[Ref]:
    return [Ref("table", "", name) for name in names]


def test_folders_are_schemas_and_kinds() -> None:
    function = Routine(schema="public", name="total(integer)", flavour="function", signature="", definition="")
    catalog = Catalog.of([function])
    refs = [
        Ref("table", "public", "users"),
        function.ref,
        Ref("enum", "a b", "mood"),
        Ref("schema", "", "public"),
        Ref("view", "", "v"),
    ]
    assert list(file_paths(refs, catalog).values()) == [
        "public/tables/users.sql",
        "public/functions/total.sql",
        "a_b/types/mood.sql",
        "schemas/public.sql",
        "views/v.sql",
    ]


def test_overloads_share_a_file() -> None:
    refs = [Ref("routine", "s", name) for name in ("total(integer)", "total(text, text)")]
    assert set(file_paths(refs, EMPTY).values()) == {"s/routines/total.sql"}


def test_what_belongs_to_a_table_stands_with_it() -> None:
    owned = Sequence(schema="s", name="users_id_seq", numbers=SequenceOptions(), owned_by=Ref("column", "s", "id", "users"))
    table = Table(schema="s", name="users", columns=(Column(name="id", type="integer"),))
    view = View(schema="s", name="v", definition="")
    trigger = Trigger(schema="s", parent="v", name="t", definition="")
    catalog = Catalog.of([owned, table, view, trigger])
    found = file_owners([item.ref for item in catalog], catalog)
    assert found == {owned.ref: table.ref, table.ref: table.ref, view.ref: view.ref, trigger.ref: view.ref}


def test_names_that_meet_get_a_mark_of_their_own() -> None:
    paths = file_paths(tables("Users", "users", "a/b", "a:b", "plain"), EMPTY)
    assert len({path.casefold() for path in paths.values()}) == 5
    assert paths[tables("plain")[0]] == "tables/plain.sql"
    alone = file_paths(tables("Users", "users"), EMPTY)
    assert alone[tables("users")[0]] == paths[tables("users")[0]]  # whatever else there is
    assert free_path(tables("USERS")[0], {"tables/users.sql"}, EMPTY).startswith("tables/USERS-")


def test_names_of_devices_hidden_files_and_folders_are_no_file_names() -> None:
    assert [file_name(name) for name in ("con", "AUX.log", "console", ".hidden", "..", "a.", "", "/", "x/../y")] == [
        *("con_", "AUX_.log", "console", "_hidden", "_", "a", "_", "_", "x_.._y"),
    ]


@settings(max_examples=100)
@example(["e\u0301", "é", "É"])
@example(["ß", "SS", "ss"])
@example(["x" * 300, "x" * 299 + "y"])
@example(["表" * 63, "表" * 62 + "示"])
@given(st.lists(st.text(min_size=1, max_size=64), min_size=1, max_size=6, unique=True))
def test_any_names_get_paths_of_their_own_that_stay_inside_the_folder(names: list[str]) -> None:
    paths = list(file_paths(tables(*names), EMPTY).values())
    folded = {unicodedata.normalize("NFD", path).casefold() for path in paths}
    assert len(folded) == len(names)
    for path in paths:
        folder, name = path.split("/")
        assert folder == "tables" and name.endswith(".sql") and not name.startswith(".") and len(name.encode()) <= 220
        assert not set(name) & set('<>:"|?*\\\0') and name.isprintable()
