"""Every metric and every rule has a case that provokes it on a real server and one where it stays silent; specs/ show the count.

What the cases of a folder name is asserted by the test that runs them; what other tests provoke or find quiet is named in
`elsewhere` and `quiet_elsewhere` there, and must stand in their text.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.usecases.runtime import ENGINES, engine_named
from tests.conformance import test_metric_cases, test_replicas
from tests.docs.generated import hold
from tests.engines.mysql import test_quiet_server as mysql_quiet
from tests.engines.postgresql import test_quiet_server as postgresql_quiet

HERE = Path(__file__).parent
SPECS = HERE.parents[1] / "specs"
QUIET: Mapping[str, Any] = {"postgresql": postgresql_quiet, "mysql": mysql_quiet}


def read(folder: str, engine: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((HERE / folder / f"{engine}.yaml").read_text(encoding="utf-8"))
    return found


def moved(engine: str) -> set[str]:
    """Return the metrics of an engine that some test provokes."""
    keys = [*read("metrics", engine)["grows"], *test_replicas.TOLD.get(engine, ())]
    if engine in QUIET:
        keys += [key for keys_of in QUIET[engine].PROVOKED.values() for key in keys_of] + [*QUIET[engine].TOLD]
    else:
        keys += test_metric_cases.TOLD
    return {str(key).split()[0] for key in keys}


def still(engine: str) -> set[str]:
    """Return the metrics of an engine that are looked at where nothing happens, or of which there is then nothing to tell."""
    return set(read("metrics", engine)["quiet"]) | set(QUIET.get(engine, test_metric_cases).NOTHING)


def rules_of(engine: str) -> set[str]:
    advice = engine_named(engine).advice
    return {rule.id for rule in (*advice.rules, *advice.query_rules, advice.index_rule)}


def elsewhere(engine: str, place: str) -> set[str]:
    """Return the rules that the tests named in a case file tell; each names them, or a setting behind `PG-SET-`."""
    found: set[str] = set()
    named: Mapping[str, Sequence[str]] = read("advice", engine).get(place, {})
    for test, ids in named.items():
        module, name = test.split("::")
        source = inspect.getsource(importlib.import_module(module))
        assert f"def {name}(" in source, test
        for id_ in ids:
            assert f'"{id_}"' in source or f'"{id_[7:]}"' in source or f'"{id_[:7]}"' in source, (test, id_)
        found |= set(ids)
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_every_metric_is_moved_and_is_seen_still(engine: str) -> None:
    names = engine_named(engine).metrics.names
    assert names - moved(engine) == set()
    assert names - still(engine) == set()
    assert (moved(engine) | still(engine)) - names == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_rule_is_provoked_and_is_heard_to_be_silent(engine: str) -> None:
    """Rules that are asked of a database are all heard to pass, by test_every_rule_passes_on_a_database_that_is_kept_well."""
    provoked = set(read("advice", engine)["finds"]) | elsewhere(engine, "elsewhere")
    asked = {rule.id for rule in engine_named(engine).advice.rules}
    assert rules_of(engine) - provoked == set()
    assert rules_of(engine) - asked - elsewhere(engine, "quiet_elsewhere") == set()
    assert provoked - rules_of(engine) == set()


def test_the_counts_of_the_pages_are_fresh() -> None:
    metrics = {engine: engine_named(engine).metrics.names for engine in ENGINES}
    rows = []
    for engine, names in metrics.items():
        numbers = (names, read("metrics", engine)["own"], names & moved(engine), names & still(engine))
        rows.append(f"| {engine} | {' | '.join(str(len(one)) for one in numbers)} |")
    head = ["| engine | metrics | compared with the server's own | moved | still |", "|---|---|---|---|---|"]
    hold(SPECS / "monitoring.md", "cases", "\n".join([*head, *rows]))
    counts = {engine: len(rules_of(engine)) for engine in ENGINES}
    rows = [f"| {engine} | {number} | {number} | {number} |" for engine, number in counts.items()]
    total = sum(counts.values())
    rows.append(f"| all | {total} | {total} | {total} |")
    hold(SPECS / "advice.md", "counts", "\n".join(["| engine | rules | provoked | silent |", "|---|---|---|---|", *rows]))
