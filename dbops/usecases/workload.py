"""monitor queries: the statements that cost the databases of an environment most, now and over some time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.engines.base.workload import ORDERS as ORDERS  # these are what faces show
from dbops.engines.base.workload import Counted as Counted
from dbops.engines.base.workload import Order as Order
from dbops.engines.base.workload import SamplePlan as SamplePlan
from dbops.engines.base.workload import Tallies, Workload, costs_between, ranked, with_texts
from dbops.errors import DbopsError, MonitoringError, QueryError
from dbops.resources.monitoring.statements import Slower as Slower
from dbops.resources.monitoring.statements import Stretch as Stretch
from dbops.resources.monitoring.statements import counted_over, slower, stretches
from dbops.state.metrics import MetricsStore
from dbops.state.statements import StatementHistory, costliest_of
from dbops.usecases.runtime import Workspace

ASK_S = 30.0
EVERY_S = 300.0
"""Statements are counted into the history at most so often, whatever the pace of the looks."""
AT_ONCE_S = 1.0
"""When somebody asks for statements, what was counted that lately is new enough."""
DAY_S, WEEK_S = 86_400.0, 7 * 86_400.0
STRETCHES = 96
PLANS = 20
"""Of so many statements plans are asked for at most."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The workload of one connection, or why it could not be looked at.

    `since_s` is the time that the costs are of, None for all that the server counted; `course` how it went on over that time.
    `slower` are statements of the last `since_s` (a day where it is None) beside the week before. `plans` are by statement id.
    """

    connection: str
    engine: str
    workload: Workload = Workload()
    error: str | None = None
    since_s: float | None = None
    slower: Sequence[Slower] = ()
    course: Sequence[Stretch] = ()
    plans: Mapping[str, SamplePlan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: the costliest `limit` by `by`, of the last `since_s` where it is given, with sample plans or without."""

    by: Order = "total"
    limit: int = 20
    since_s: float | None = None
    plans: bool = False


def costliest(workspace: Workspace, store: MetricsStore, wish: Wish, *, only: Collection[str] = (), now: float) -> list[Asked]:
    """Return the costliest statements of each connection, and keep what was counted; one that fails does not hide the others.

    Raises:
        PlanError: `only` names a connection that is not there.
    """
    names = [workspace.require_connection(name) for name in only] or workspace.connection_names()
    return [_of_connection(workspace, store.statements, name, wish, now) for name in names]


def counted_now(workspace: Workspace, name: str, by: Order, limit: int) -> Workload:
    """Return the costliest statements that the server of a connection counted; nothing is kept.

    Raises:
        DbopsError: it cannot be looked at.
    """
    with _reader(workspace, name) as (engine, conn):
        return engine.workloads.costliest(conn, by=by, limit=limit)


@contextmanager
def _reader(workspace: Workspace, name: str) -> Iterator[tuple[Engine, Connection]]:
    conn = workspace.targets.reader(name)
    if conn is None:
        raise MonitoringError("the database does not exist")
    with conn.ending_statements_after(ASK_S):
        yield workspace.targets.engine(name), conn


def _of_connection(workspace: Workspace, kept: StatementHistory, name: str, wish: Wish, now: float) -> Asked:
    engine = workspace.targets.engine(name)
    try:
        with _reader(workspace, name) as (_, conn):
            keep_statements(engine, conn, kept, name, now, AT_ONCE_S)
            if wish.since_s is None:
                workload = engine.workloads.costliest(conn, by=wish.by, limit=wish.limit)
            else:
                workload = _of_history(engine, conn, kept, name, wish, now)
            plans = {one.id: engine.workloads.plan(conn, one) for one in workload.statements[:PLANS]} if wish.plans else {}
    except DbopsError as error:
        return Asked(name, engine.name, error=error.message)
    since_s = wish.since_s or DAY_S
    recent = kept.steps(name, now - since_s, now)
    before = kept.steps(name, now - since_s - WEEK_S, now - since_s)
    found = slower(before, recent)
    texts = kept.texts(name, {one.id for one in found})
    course = stretches(recent, now - since_s, now, STRETCHES) if recent else []
    told = [replace(one, text=texts.get(one.id, "")) for one in found]
    return Asked(name, engine.name, workload, since_s=wish.since_s, slower=told, course=course, plans=plans)


def _of_history(engine: Engine, conn: Connection, kept: StatementHistory, name: str, wish: Wish, now: float) -> Workload:
    steps = kept.steps(name, now - (wish.since_s or DAY_S), now)
    if not steps and (found := engine.workloads.tallies(conn)).why:
        return Workload(why=found.why, fix=found.fix)
    chosen = ranked(counted_over(steps), wish.by, wish.limit)
    return Workload(with_texts(chosen, kept.texts(name, {one.id for one in chosen})))


def keep_statements(
    engine: Engine, conn: Connection, kept: StatementHistory, name: str, now: float, every_s: float = EVERY_S
) -> None:
    """Add to the history what statements cost since the last time, unless that is less than `every_s` ago.

    Three queries at most, none where it is too early. A server that counts no statements adds nothing.
    """
    last = kept.last_look(name)
    if last is not None and 0 <= now - last < every_s:
        return
    tallies = engine.workloads.tallies(conn)
    if not tallies.why:
        _keep(engine, conn, kept, name, now, tallies)


def _keep(engine: Engine, conn: Connection, kept: StatementHistory, name: str, now: float, tallies: Tallies) -> None:
    before = kept.before(name)
    costs = costliest_of(costs_between(before, tallies.of)) if before is not None and before.at < now else {}
    texts: Mapping[str, str] = {}
    if missing := kept.without_text(name, costs):
        try:
            texts = engine.workloads.texts(conn, missing)
        except QueryError:  # they are asked for again the next time
            texts = {}
    kept.keep(name, now, costs, texts, tallies.of)
