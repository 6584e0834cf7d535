"""The laws of every manifest kind, on each engine: what is registered is tried with the example in its own folder, unasked."""

from __future__ import annotations

import copy
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.errors import DbopsError, PlanError
from dbops.reconcile import plan as plans
from dbops.reconcile.plan import Plan
from dbops.usecases.apply import Consent, apply
from dbops.usecases.history import undo
from dbops.usecases.plan import plan
from dbops.usecases.runtime import Workspace, open_workspace, specs
from dbops.usecases.validate import validate
from tests.databases import Database

YES = Consent(lambda _: True, allow=frozenset({"all"}))
ROOMS = {kind: Path(str(sys.modules[spec.__module__].__file__)).parent for kind, spec in specs().items()}

Write = Callable[[list[Any]], Path]


@pytest.fixture(params=sorted(ROOMS))
def documents(request: pytest.FixtureRequest) -> list[Any]:
    """The documents of a kind's example, for each kind in turn; the last one is of the kind itself."""
    found = list(yaml.safe_load_all((ROOMS[request.param] / "example.yaml").read_text(encoding="utf-8")))
    assert found[-1]["kind"] == request.param
    return found


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database) -> Write:
    """Write documents as an environment; every variable that names a database names the test's."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SHOP_DATABASE_URL", database.url)
    folder = tmp_path / "env"
    folder.mkdir()
    for room in ROOMS.values():
        if (room / "example").is_dir():  # files that an example speaks of
            shutil.copytree(room / "example", folder, dirs_exist_ok=True)

    def write(documents: list[Any]) -> Path:
        (folder / "env.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
        return folder

    return write


def planned(folder: Path) -> Plan:
    with open_workspace(folder) as workspace:
        return plan(workspace)


def applied(folder: Path) -> str | None:
    with open_workspace(folder) as workspace:
        return apply(workspace, YES).apply_id


def differences(workspace: Workspace) -> list[str]:
    return [
        change.address
        for work in workspace.work
        for change in work.resource.diff(work.desired, work.resource.observe(work.desired, workspace.targets))
    ]


def test_the_example_is_valid(documents: list[Any], write: Write) -> None:
    assert validate(write(documents)).kinds[documents[-1]["kind"]] == 1


def test_after_apply_the_plan_is_empty(documents: list[Any], write: Write) -> None:
    folder = write(documents)
    assert (rehearsal := planned(folder).rehearsal) is None or rehearsal.ok
    applied(folder)
    assert planned(folder).is_empty
    assert applied(folder) is None


def test_what_is_as_desired_gives_no_change(documents: list[Any], write: Write) -> None:
    folder = write(documents)
    applied(folder)
    with open_workspace(folder) as workspace:
        assert differences(workspace) == []


def test_observing_changes_nothing(documents: list[Any], write: Write, database: Database) -> None:
    folder = write(documents)
    database.load("CREATE TABLE other (id integer PRIMARY KEY, n integer);")
    before = database.dump()
    for _ in range(2):
        with open_workspace(folder) as workspace:
            found = differences(workspace)
    assert found == differences_of(folder)
    assert database.dump() == before


def differences_of(folder: Path) -> list[str]:
    with open_workspace(folder) as workspace:
        return differences(workspace)


def test_steps_survive_json(documents: list[Any], write: Write, database: Database) -> None:
    if database.engine == "sqlite":
        Path(str(database.url).removeprefix("sqlite:///")).unlink(missing_ok=True)  # so that the connection has a step too
    first = planned(write(documents))
    read = plans.from_json(plans.to_json(first), "plan.json")
    assert read.steps == first.steps
    assert plans.digest(read) == plans.digest(first)


def test_undo_restores_what_was_observed_or_says_that_it_cannot(documents: list[Any], write: Write, database: Database) -> None:
    folder = write(documents)
    database.load("CREATE TABLE other (id integer PRIMARY KEY, n integer); INSERT INTO other VALUES (1, 2);")
    before, had = database.dump(), differences_of(folder)
    steps = planned(folder).steps
    apply_id = applied(folder)
    if apply_id is None:
        assert steps == []
        return
    with open_workspace(folder) as workspace:
        if any(step.undo is None for step in steps) or not any(step.undo for step in steps):  # nothing can lead back, or has to
            with pytest.raises(PlanError):
                undo(workspace, apply_id, YES)
            return
        undo(workspace, apply_id, YES)
    assert sorted(before.split()) == sorted(database.dump().split())
    assert database.rows("SELECT id, n FROM other") == [(1, 2)]
    assert differences_of(folder) == had


def test_whatever_deletes_carries_a_hazard(documents: list[Any], write: Write) -> None:
    applied(write(documents))
    for less in shrunk(documents):
        folder = write(less)
        try:
            entries = planned(folder).entries
        except DbopsError:
            continue  # what is left is no valid manifest, or no schema that loads
        for entry in entries:
            steps = entry.steps
            assert entry.change.action != "delete" or not steps or any(step.hazards for step in steps), entry.change.address


def shrunk(documents: list[Any]) -> Iterator[list[Any]]:
    """Yield the documents without one item of one list of the last one's spec, wherever that list is."""
    for path in list_paths(documents[-1]["spec"]):
        less = copy.deepcopy(documents)
        item = less[-1]["spec"]
        for part in path[:-1]:
            item = item[part]
        del item[path[-1]]
        yield less


def list_paths(item: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every item of every list."""
    pairs: Any = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, value in pairs:
        if isinstance(item, list):
            yield (*path, key)
        yield from list_paths(value, (*path, key))
