"""monitor: look at databases, keep what was seen, and show how it went on."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.engines.base.activity import Session as Session  # what faces show
from dbops.engines.base.metrics import METRICS, Counters, Look, Metric, Unseen, Value, counters_of
from dbops.errors import DbopsError, LostConnectionError, MonitoringError
from dbops.resources.monitoring.figures import FIGURES, Figure, figures_of
from dbops.resources.monitoring.watching import LOOK_S, OBJECTS
from dbops.resources.monitoring.words import in_words as in_words  # what faces show
from dbops.state.metrics import MetricsStore, Point
from dbops.usecases.runtime import Workspace
from dbops.usecases.workload import keep_statements


@dataclass(frozen=True, slots=True)
class Number:
    """One figure of a look, with its unit, and what it is told of by the names of its labels."""

    figure: str
    unit: str
    labels: Mapping[str, str]
    number: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a connection, or why there was none.

    `figures` are what alerts speak about, `look` the numbers as they came. `blocked` are the sessions that wait for a lock, and
    those that they wait for.
    """

    connection: str
    engine: str
    at: float
    took_s: float = 0.0
    look: Look | None = None
    figures: Sequence[Value] = ()
    error: str | None = None
    blocked: Sequence[Session] = ()

    @property
    def unseen(self) -> Sequence[Unseen]:
        return self.look.unseen if self.look else ()

    @property
    def numbers(self) -> Sequence[Number]:
        """The figures, those of the whole database first."""
        found = [(FIGURES[value.metric], value) for value in sorted(self.figures, key=lambda one: bool(one.labels))]
        return [Number(f.name, f.unit, dict(zip(f.labels, v.labels, strict=True)), v.number) for f, v in found]

    @property
    def values(self) -> Sequence[tuple[Metric, Value]]:
        """The numbers as the database gave them, with what they mean."""
        return [(METRICS[value.metric], value) for value in self.look.values] if self.look else ()

    def of(self, figure: str) -> dict[tuple[str, ...], float]:
        """Return the numbers of a figure by its labels."""
        return {value.labels: value.number for value in self.figures if value.metric == figure}


@contextmanager
def metrics_store(workspace: Workspace, url: str | None) -> Iterator[MetricsStore]:
    """Open the history of an environment: its own file, unless a SQLAlchemy URL names another place."""
    store = MetricsStore(url) if url else MetricsStore.in_folder(workspace.environment.root)
    try:
        yield store
    finally:
        store.close()


def read(
    workspace: Workspace,
    store: MetricsStore,
    *,
    only: Collection[str] = (),
    objects: int = OBJECTS,
    clock: Callable[[], float] = time.time,
) -> list[Reading]:
    """Look at each connection once, and keep what was seen; one that fails does not hide the others.

    Raises:
        PlanError: `only` names a connection that is not there.
    """
    names = [workspace.require_connection(name) for name in only] or workspace.connection_names()
    return [_read(workspace, store, name, objects, clock()) for name in names]


def _read(workspace: Workspace, store: MetricsStore, name: str, objects: int, at: float) -> Reading:
    engine = workspace.targets.engine(name)
    before = store.counters(name)
    started = time.perf_counter()
    try:
        look, blocked = _look(workspace, name, objects, store, at)
    except DbopsError as error:
        workspace.targets.forget(name)
        down = [Value("up", 0.0)]
        store.keep(name, at, down, before or Counters(at))
        return Reading(name, engine.name, at, figures=down, error=error.message)
    took_s = time.perf_counter() - started
    figures = figures_of(look, at, before)
    store.keep(name, at, figures, counters_of(look, at))
    return Reading(name, engine.name, at, took_s, look, figures, blocked=blocked)


Seen = tuple[Look, Sequence[Session]]


def _look(workspace: Workspace, name: str, objects: int, store: MetricsStore, at: float) -> Seen:
    """Look through the reader; a session that was lost since the last look is opened anew."""
    try:
        return _look_once(workspace, name, objects, store, at)
    except LostConnectionError:
        workspace.targets.forget(name)
        return _look_once(workspace, name, objects, store, at)


def _look_once(workspace: Workspace, name: str, objects: int, store: MetricsStore, at: float) -> Seen:
    conn = workspace.targets.reader(name)
    if conn is None:
        raise MonitoringError("the database does not exist")
    engine = workspace.targets.engine(name)
    with conn.ending_statements_after(LOOK_S):
        look = engine.metrics.look(conn, objects=objects)
        keep_statements(engine, conn, store.statements, name, at)
        is_blocked = any(value.metric == "sessions_blocked" and value.number for value in look.values)
        return look, engine.activity.blocked(conn) if is_blocked else ()


@dataclass(frozen=True, slots=True)
class History:
    """How a figure of a connection went on, by the values of its labels, in the order of time (seconds since 1970)."""

    connection: str
    figure: str
    unit: str
    meaning: str
    labels: tuple[str, ...]
    series: Mapping[tuple[str, ...], Sequence[Point]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KnownFigure:
    """A word of the vocabulary, and the engines that have what it rests on."""

    name: str
    unit: str
    labels: tuple[str, ...]
    engines: tuple[str, ...]
    meaning: str


def figure_named(name: str) -> Figure:
    """Return the figure of that name.

    Raises:
        MonitoringError: there is none; names the nearest.
    """
    if name not in FIGURES:
        from dbops.manifests.spec import nearest

        raise MonitoringError(f"no figure {name!r}", expected="one that dbops monitor figures lists", fix=nearest(name, FIGURES))
    return FIGURES[name]


def history(
    workspace: Workspace, store: MetricsStore, figure: str, *, only: Collection[str] = (), since_s: float, now: float
) -> list[History]:
    """Return how a figure went on in the last `since_s` seconds, for each connection that has any of it."""
    wanted = figure_named(figure)
    names = [workspace.require_connection(name) for name in only] or workspace.connection_names()
    found = {name: store.series(name, figure, now - since_s, now) for name in names}
    own = (wanted.name, wanted.unit, wanted.meaning, wanted.labels)
    return [History(name, *own, series) for name, series in found.items() if series]


def all_figures() -> list[KnownFigure]:
    """Return every figure, by name."""
    from dbops.resources.monitoring.figures import sources_of
    from dbops.usecases.runtime import ENGINES, engine_named

    has = {engine: engine_named(engine).metrics.names for engine in ENGINES}
    return [
        KnownFigure(one.name, one.unit, one.labels, tuple(e for e in has if sources_of(one.name) <= has[e]), one.meaning)
        for one in sorted(FIGURES.values(), key=lambda one: one.name)
    ]
