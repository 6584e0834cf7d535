"""The main job on each engine: declare, plan, apply, drift, undo; rows stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops.engines.base.url import parse_url
from dbops.errors import ApplyError, DbopsError, HazardError, PlanError, StalePlanError
from dbops.reconcile import plan as plans
from dbops.reconcile.plan import Plan
from dbops.usecases.apply import Consent, apply, apply_saved
from dbops.usecases.drift import drift
from dbops.usecases.history import history, show_apply, undo
from dbops.usecases.importing import import_database
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from dbops.usecases.status import status
from tests.databases import Database

MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: {url}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec:
  connection: shop
  source: {{sql: [shop.sql]}}
"""

FIRST = """\
CREATE TABLE customers (id integer NOT NULL PRIMARY KEY, email varchar(100) NOT NULL);
CREATE TABLE orders (
  id integer NOT NULL PRIMARY KEY,
  customer_id integer NOT NULL,
  note varchar(50),
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
);
CREATE INDEX orders_customer_id ON orders (customer_id);
"""

SECOND = FIRST.replace("note varchar(50),", "note varchar(80) DEFAULT 'none',\n  total integer DEFAULT 0 NOT NULL,") + (
    "CREATE VIEW big AS SELECT id FROM orders WHERE total > 10;\n"
)

Write = Callable[..., Path]


def yes(_: Plan) -> bool:
    return True


ALL = Consent(yes, allow=frozenset({"all"}))
NOTHING_ALLOWED = Consent(yes)


@pytest.fixture
def environment(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the manifests and the schema source, and return the folder."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))

    def write(sql: str, more: str = "") -> Path:
        folder = tmp_path / "env"
        folder.mkdir(exist_ok=True)
        (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)) + more)
        (folder / "shop.sql").write_text(sql)
        return folder

    return write


def applied(folder: Path, consent: Consent = ALL) -> str | None:
    with open_workspace(folder) as workspace:
        return apply(workspace, consent).apply_id


def planned(folder: Path) -> Plan:
    with open_workspace(folder) as workspace:
        return plan(workspace)


def with_rows(database: Database) -> None:
    database.load("INSERT INTO customers (id, email) VALUES (1, 'a@b.c'), (2, 'd@e.f');")
    database.load("INSERT INTO orders (id, customer_id, note) VALUES (10, 1, 'first'), (11, 2, NULL);")


def test_after_apply_the_plan_is_empty(environment: Write) -> None:
    folder = environment(FIRST)
    first = planned(folder)
    assert first.summary["create"] >= 2 and first.rehearsal and first.rehearsal.ok
    assert applied(folder)
    assert planned(folder).is_empty
    assert applied(folder) is None


def test_rows_stay_when_the_schema_changes(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    with_rows(database)
    applied(environment(SECOND), NOTHING_ALLOWED)
    assert sorted(database.rows("SELECT id, customer_id, note, total FROM orders")) == [(10, 1, "first", 0), (11, 2, None, 0)]
    assert planned(environment(SECOND)).is_empty


def test_a_drop_is_gated_and_nothing_happens(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    with_rows(database)
    before = database.dump()
    with pytest.raises(HazardError) as caught:
        applied(environment(FIRST.replace("  note varchar(50),\n", "")), NOTHING_ALLOWED)
    assert "DELETES_DATA" in caught.value.explain()
    assert database.dump() == before


def test_what_was_dropped_comes_back_with_its_rows(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    with_rows(database)
    before, rows = database.dump(), sorted(database.rows("SELECT id, customer_id, note FROM orders"), key=str)
    folder = environment(FIRST.split("CREATE TABLE orders")[0])
    apply_id = applied(folder)
    assert apply_id
    with open_workspace(folder) as workspace:
        undo(workspace, apply_id, ALL)
    assert sorted(database.rows("SELECT id, customer_id, note FROM orders"), key=str) == rows
    assert planned(environment(FIRST)).is_empty
    assert sorted(before.split()) == sorted(database.dump().split())


def test_an_undone_apply_leaves_what_was_before(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    with_rows(database)
    apply_id = applied(environment(SECOND))
    assert apply_id
    with open_workspace(environment(FIRST)) as workspace:
        undo(workspace, apply_id, ALL)
    assert planned(environment(FIRST)).is_empty
    assert len(database.rows("SELECT id FROM orders")) == 2


def test_tampering_is_drift_and_the_manifests_going_ahead_is_not(environment: Write, database: Database) -> None:
    folder = environment(FIRST)
    applied(folder)
    with open_workspace(folder) as workspace:
        assert drift(workspace).is_clean
    database.load("ALTER TABLE orders ADD COLUMN tampered integer;")
    with open_workspace(folder) as workspace:
        report = drift(workspace)
    assert [item.mover for item in report.items] == ["database"] and report.has_drift
    assert report.items[0].address.endswith("/column/tampered")
    database.load("ALTER TABLE orders DROP COLUMN tampered;")
    with open_workspace(environment(SECOND)) as workspace:
        report = drift(workspace)
    assert {item.mover for item in report.items} == {"manifests"} and not report.has_drift


def test_a_saved_plan_runs_once_and_is_stale_afterwards(environment: Write, tmp_path: Path, database: Database) -> None:
    applied(environment(FIRST))
    folder = environment(SECOND)
    saved = plans.from_json(plans.to_json(planned(folder)), "plan.json")
    with open_workspace(folder) as workspace:
        assert apply_saved(saved, workspace, ALL).state == "done"
    with open_workspace(folder) as workspace, pytest.raises(StalePlanError):
        apply_saved(saved, workspace, ALL)


def test_a_plan_for_one_address_leaves_the_rest(environment: Write) -> None:
    folder = environment(FIRST)
    applied(folder)
    folder = environment(SECOND)
    everything = planned(folder)
    address = next(entry.change.address for entry in everything.entries if entry.change.address.endswith("/column/total"))
    with open_workspace(folder) as workspace:
        result = apply(workspace, ALL, only=[address])
        assert [entry.change.address for entry in result.plan.entries] == [address]
    left = {entry.change.address for entry in planned(folder).entries}
    assert address not in left and left


def test_a_failing_step_says_what_stands_and_apply_goes_on(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    with_rows(database)

    def while_read(_: Plan) -> bool:
        database.load("INSERT INTO orders (id, customer_id, note) VALUES (12, 1, 'first');")
        return True

    folder = environment(
        FIRST + "CREATE UNIQUE INDEX orders_note ON orders (note);\nCREATE TABLE later (id integer NOT NULL PRIMARY KEY);\n"
    )
    with pytest.raises(ApplyError):
        applied(folder, Consent(while_read))
    with open_workspace(folder) as workspace:
        latest = history(workspace)[0]
        states = {step.state for step in show_apply(workspace, latest.record.id)[0].steps}
    assert latest.record.state == "failed" and "failed" in states
    database.load("DELETE FROM orders WHERE id = 12;")
    assert applied(folder)
    assert planned(folder).is_empty


def test_what_only_the_way_back_needs_is_run_there(
    pg_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another index takes the place of the clustered one by itself, and does not give it back."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    pg_database.load("CREATE TABLE r (id int NOT NULL, k int CONSTRAINT r_k UNIQUE); ALTER TABLE r CLUSTER ON r_k;")
    before = pg_database.dump()
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url)))
    (tmp_path / "shop.sql").write_text(
        "CREATE TABLE r (id int PRIMARY KEY, k int CONSTRAINT r_k UNIQUE); ALTER TABLE r CLUSTER ON r_pkey;"
    )
    apply_id = applied(tmp_path)
    assert apply_id is not None and "CLUSTER ON r_pkey" in pg_database.dump()
    with open_workspace(tmp_path) as workspace:
        undo(workspace, apply_id, ALL)
    assert pg_database.dump() == before


def test_history_and_status_tell_what_happened(environment: Write, database: Database) -> None:
    folder = environment(FIRST)
    apply_id = applied(folder)
    with open_workspace(folder) as workspace:
        (entry,) = history(workspace)
        assert (entry.record.id, entry.record.state, entry.connection) == (apply_id, "done", "shop")
        (state,) = status(workspace)
        assert (state.state, state.pending, state.drifted) == ("in sync", 0, 0)


def test_renames_keep_rows(environment: Write, database: Database) -> None:
    applied(environment(FIRST + "CREATE VIEW notes AS SELECT note FROM orders;\n"))
    with_rows(database)
    renamed = (
        FIRST.replace("note varchar", "remark varchar").replace("customers", "clients")
        + "CREATE VIEW notes AS SELECT remark FROM orders;\n"
    )
    folder = environment(renamed, "  renames: [{table: customers, to: clients}, {column: orders.note, to: remark}]\n")
    applied(folder)
    assert sorted(database.rows("SELECT remark FROM orders"), key=str) == [("first",), (None,)]
    assert len(database.rows("SELECT id FROM clients")) == 2
    assert planned(folder).is_empty


def test_what_looks_like_a_rename_is_asked(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    with pytest.raises(HazardError) as caught:
        applied(environment(FIRST.replace("note varchar", "remark varchar")), Consent(yes, allow=frozenset({"DELETES_DATA"})))
    assert "AMBIGUOUS_RENAME" in caught.value.explain()


def test_an_import_plans_clean_and_builds_the_same(environment: Write, database: Database, tmp_path: Path) -> None:
    database.load(SECOND)
    report = import_database(database.url, tmp_path / "imported")
    assert report.variable is None and not report.observations
    assert planned(tmp_path / "imported").is_empty


def test_a_database_that_is_not_there_is_planned_and_made(environment: Write, database: Database) -> None:
    folder = environment(FIRST)
    url = parse_url(database.url)
    absent = url.with_database(f"{url.database}_new")
    (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(absent.reveal())))
    plan_before = planned(folder)
    assert plan_before.entries[0].change.address == "connection/shop"
    try:
        assert applied(folder)
        assert planned(folder).is_empty
    finally:
        if database.engine != "sqlite":
            database.rows(f"DROP DATABASE {absent.database}")


def test_unmanaged_objects_may_stay(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    database.load("CREATE TABLE scratchpad (id integer);")
    folder = environment(FIRST, "  policy: {unmanaged: report}\n")
    found = planned(folder)
    assert found.is_empty and [o.code for o in found.observations] == ["NOT_IN_SOURCE"]
    assert planned(environment(FIRST, "  policy: {unmanaged: ignore}\n")).observations == ()
    assert planned(environment(FIRST)).summary["delete"] == 1


def test_steps_survive_json(environment: Write) -> None:
    made = planned(environment(SECOND))
    assert plans.from_json(plans.to_json(made), "plan.json").steps == made.steps


def test_an_apply_with_nothing_to_do_remembers_the_baseline(environment: Write, database: Database) -> None:
    database.load(FIRST)
    folder = environment(FIRST)
    assert applied(folder) is None
    database.load("ALTER TABLE orders ADD COLUMN tampered integer;")
    with open_workspace(folder) as workspace:
        assert drift(workspace).has_drift


def test_any_text_goes_through_the_journal(environment: Write, database: Database) -> None:
    folder = environment(
        "CREATE TABLE t (id integer NOT NULL PRIMARY KEY, name varchar(20) DEFAULT '都道府県 ✓ 100% ?' NOT NULL);\n"
    )
    apply_id = applied(folder)
    assert apply_id
    with open_workspace(folder) as workspace:
        steps = show_apply(workspace, apply_id)[0].steps
    assert any("都道府県 ✓ 100% ?" in step.sql for step in steps)


DATA = """\
  data:
    - {table: countries, key: [code], file: countries.csv}
    - {table: cities, key: [id], file: cities.csv}
"""

GEOGRAPHY = """\
CREATE TABLE cities (
  id integer NOT NULL PRIMARY KEY,
  country varchar(2) NOT NULL,
  area decimal(8, 2),
  CONSTRAINT cities_country FOREIGN KEY (country) REFERENCES countries (code)
);
CREATE TABLE countries (code varchar(2) NOT NULL PRIMARY KEY, name varchar(50) NOT NULL);
"""


def test_reference_rows_are_kept_as_in_their_files(environment: Write, database: Database) -> None:
    folder = environment(GEOGRAPHY, DATA)
    (folder / "countries.csv").write_text('code,name\nDE,Germany\nCI,"Côte d\'Ivoire"\nXX,gone soon\n')
    (folder / "cities.csv").write_text("id,country,area\n1,DE,891.7\n2,CI,\n3,XX,1\n")
    applied(folder)
    assert sorted(database.rows("SELECT code, name FROM countries")) == [
        ("CI", "Côte d'Ivoire"),
        ("DE", "Germany"),
        ("XX", "gone soon"),
    ]
    assert planned(folder).is_empty
    database.load("UPDATE countries SET name = 'Tampered' WHERE code = 'DE';")
    with open_workspace(folder) as workspace:
        assert [item.mover for item in drift(workspace).items] == ["database"]
    (folder / "countries.csv").write_text('code,name\nDE,Deutschland\nCI,"Côte d\'Ivoire"\nFR,France\n')
    (folder / "cities.csv").write_text("id,country,area\n1,DE,891.70\n2,FR,\n")
    with pytest.raises(HazardError):
        applied(folder, NOTHING_ALLOWED)
    apply_id = applied(folder)
    assert sorted(database.rows("SELECT code, name FROM countries")) == [
        ("CI", "Côte d'Ivoire"),
        ("DE", "Deutschland"),
        ("FR", "France"),
    ]
    assert sorted(database.rows("SELECT id, country FROM cities")) == [(1, "DE"), (2, "FR")]
    assert planned(folder).is_empty
    assert apply_id
    with open_workspace(folder) as workspace:
        undo(workspace, apply_id, ALL)
    assert len(database.rows("SELECT id FROM cities")) == 3


def test_wrong_rows_are_told_with_their_line(environment: Write) -> None:
    folder = environment(GEOGRAPHY, "  data: [{table: countries, key: [code], file: countries.csv}]\n")
    for text, place, words in (
        ("code,nam\nDE,x\n", "countries.csv:1:2", "did you mean 'name'"),
        ("code,name\nDE\n", "countries.csv:2", "expected 2 fields"),
        ("code,name\nDE,a\nDE,b\n", "countries.csv", ""),
        ("name\nx\n", "countries.csv:1", "part of the key"),
    ):
        (folder / "countries.csv").write_text(text)
        with pytest.raises(DbopsError) as caught:
            planned(folder)
        assert place in caught.value.explain() and words in caught.value.explain()


def test_an_apply_is_taken_back_once_and_the_latest_first(environment: Write, database: Database) -> None:
    first = applied(environment(FIRST))
    with_rows(database)
    second = applied(environment(SECOND))
    assert first and second
    with open_workspace(environment(SECOND)) as workspace:
        with pytest.raises(PlanError) as caught:
            undo(workspace, first, ALL)
        assert second in caught.value.explain()
        undo_id = undo(workspace, second, ALL).apply_id
        assert undo_id
        for taken in (second, undo_id):
            with pytest.raises(PlanError):
                undo(workspace, taken, ALL)
    assert len(database.rows("SELECT id FROM orders")) == 2
    assert applied(environment(SECOND))
    with open_workspace(environment(SECOND)) as workspace, pytest.raises(PlanError):
        undo(workspace, second, ALL)


def test_an_index_is_renamed_and_not_built_anew(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    folder = environment(
        FIRST.replace("INDEX orders_customer_id", "INDEX orders_by_customer"),
        "  renames: [{index: orders_customer_id, to: orders_by_customer}]\n",
    )
    assert applied(folder, NOTHING_ALLOWED)
    assert planned(folder).is_empty
