"""Plans built by hand and by Hypothesis, for the tests of views and formats."""

from __future__ import annotations

from hypothesis import strategies as st

from dbops.errors import Mark
from dbops.reconcile.change import ACTIONS, Change, Observation
from dbops.reconcile.plan import Entry, Plan, Rehearsal
from dbops.reconcile.step import Call, Step
from dbops.sql.hazard import HAZARDS, Hazard
from dbops.sql.statement import Statement


def plan_of(*entries: Entry, observations: tuple[Observation, ...] = (), rehearsal: Rehearsal | None = None) -> Plan:
    return Plan(
        dbops_version="1.2.3",
        environment="environments/shop",
        created_at="2026-01-31T12:00:00Z",
        fingerprints={"shop": "ab" * 32},
        entries=entries,
        observations=observations,
        rehearsal=rehearsal,
    )


CREATE = Entry(
    Change(address="schema/shop/table/orders", action="create", reason="not in the database", at=Mark("shop/schema.sql", 3, 1)),
    (
        Step(
            on="shop",
            title="create table orders",
            do=(Statement("CREATE TABLE orders (\n  id integer PRIMARY KEY\n)"),),
            undo=(Statement("DROP TABLE orders"),),
            order=0,
        ),
    ),
)
DROP = Entry(
    Change(address="schema/shop/table/users/column/email", action="delete", cause="drift", reason="not in the source"),
    (
        Step(
            on="shop",
            title="drop column email",
            do=(
                Statement(
                    "ALTER TABLE users DROP COLUMN email",
                    hazards=(
                        Hazard("LOCK_QUEUE", "users is locked"),
                        Hazard("DELETES_DATA", "email of about 12,000 rows is lost"),
                    ),
                ),
            ),
            order=1,
            estimate={"rows": 12000, "bytes": 3_300_000},
        ),
    ),
)
ALLOWED = Entry(
    Change(address="schema/shop/table/logs", action="delete", reason="not in the source"),
    (
        Step(
            on="archive",
            title="drop table logs",
            do=(Statement("DROP TABLE logs", hazards=(Hazard("DELETES_DATA", "logs is lost"),)),),
            undo=(),
            order=2,
            allowed=("DELETES_DATA",),
        ),
    ),
)
RUN = Entry(
    Change(address="connection/shop/database", action="run", reason="missing"),
    (Step(on="shop", title="create the database", do=Call("create_database", {"name": "shop"}), order=3),),
)

_names = st.text(st.characters(codec="utf-8"), max_size=300)
_words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
_hazards = st.builds(Hazard, st.sampled_from(sorted(HAZARDS)), _names)
_sizes = st.sampled_from([0, 1, 30, 3_000, 70_000])
_sql = st.builds(lambda text, size: text * (1 + size // len(text)), _words, _sizes)
_acts = st.tuples(st.builds(Statement, _sql, hazards=st.lists(_hazards, max_size=2).map(tuple))) | st.builds(
    Call, st.just("attach"), st.dictionaries(_names, _names, max_size=2)
)
_on = st.sampled_from(["a", "b"])
_steps = st.builds(Step, on=_on, title=_names, do=_acts, order=st.integers(0, 9), allowed=st.just(("RENAMES",)))
_changes = st.builds(
    Change,
    address=_names.map(lambda name: f"schema/shop/{name}"),
    action=st.sampled_from(ACTIONS),
    cause=st.sampled_from(["desired", "drift"]),
    reason=_names,
    at=st.none() | st.builds(Mark, _names, st.integers(0, 9), st.integers(0, 9)),
)
_entries = st.builds(Entry, _changes, st.lists(_steps, max_size=2).map(tuple))
_observations = st.builds(Observation, _names, _names, _names, st.sampled_from(["info", "warning", "error"]))


def _plans(times: list[int]) -> st.SearchStrategy[Plan]:
    return st.builds(
        lambda entries, times, observations: plan_of(*entries * times, observations=tuple(observations * times)),
        st.lists(_entries, max_size=4),
        st.sampled_from(times),
        st.lists(_observations, max_size=2),
    )


short_plans = _plans([1])
"""Any plan of a few changes: strange names, long SQL."""
plans = _plans([1, 1, 30, 400])
"""Any plan, also of many changes."""
