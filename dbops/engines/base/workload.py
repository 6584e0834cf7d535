"""The port of a workload: which statements a database is asked, how often, what they cost, and how they are carried out.

Servers count since they began to count, so two answers are compared to say what happened in between (`costs_between`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Literal, Protocol

from dbops.dataclass import dataclass

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection

#: What the most expensive statements are found by: all the time they took, the mean, the 95th part of a hundred, how often, rows
#: returned or changed, pages or rows read, pages that had to be asked of the system.
Order = Literal["total", "mean", "p95", "calls", "rows", "reads", "io"]
ORDERS: tuple[Order, ...] = ("total", "mean", "p95", "calls", "rows", "reads", "io")

#: Longer texts are cut off by the engines; `performance_schema` keeps less by itself.
TEXT_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What a statement cost over some time.

    `reads` are pages that were wanted on PostgreSQL, rows that were looked at on MySQL and MariaDB, None on SQLite. `io` are
    pages that had to be asked of the system or were spilled to it, None where the server does not tell them by statement. `p95_s`
    is what the server says of all its calls, None where it keeps no distribution.
    """

    calls: int
    total_s: float
    rows: int = 0
    reads: int | None = 0
    io: int | None = None
    p95_s: float | None = None

    @property
    def mean_s(self) -> float:
        return self.total_s / self.calls if self.calls else 0.0

    def plus(self, other: Cost) -> Cost:
        """Return both together; of two distributions nothing can be said but the worse."""
        p95 = None if self.p95_s is None or other.p95_s is None else max(self.p95_s, other.p95_s)
        return self._with(other, 1, p95)

    def less(self, before: Cost) -> Cost:
        """Return what came since `before`."""
        return self._with(before, -1, self.p95_s)

    def _with(self, other: Cost, sign: int, p95_s: float | None) -> Cost:
        io = None if self.io is None or other.io is None else self.io + sign * other.io
        reads = None if self.reads is None or other.reads is None else self.reads + sign * other.reads
        rows = self.rows + sign * other.rows
        return Cost(self.calls + sign * other.calls, self.total_s + sign * other.total_s, rows, reads, io, p95_s)


@dataclass(frozen=True, slots=True)
class Tally:
    """A statement as the server counts it: `key` names the counter, `id` the statement, which may have one for each account.

    `since` is a word that changes when the counter begins anew.
    """

    key: str
    id: str
    since: str
    cost: Cost
    most_s: float | None = None


@dataclass(frozen=True, slots=True)
class Tallies:
    """All statements of a database without their texts; where nothing can be seen, `why`, and the setting or grant that helps."""

    of: Sequence[Tally] = ()
    why: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """A statement without its values, and what it cost.

    `share` is its part of the time of all statements of the database. `p95_s` and `most_s` are None where nothing is known of
    them. `p95_from` says where the first is from: `server`, or `means` for an estimate from the means of short stretches of
    time, which hides single slow calls.
    """

    id: str
    text: str
    calls: int
    total_s: float
    mean_s: float
    most_s: float | None
    p95_s: float | None
    rows: int
    reads: int | None
    share: float
    io: int | None = None
    p95_from: Literal["", "server", "means"] = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """The statements that cost most; where nothing can be seen, `why`, and the setting or grant that helps."""

    statements: Sequence[Counted] = ()
    why: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """How the engine would carry a statement out, line by line; where it does not tell, `why`."""

    lines: Sequence[str] = ()
    why: str = ""


#: Statements that engines plan; of others nothing is to be told (a call, a setting, a change of the schema).
PLANNED = frozenset({"WITH", "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES", "TABLE"})
NOT_PLANNED = SamplePlan(why="a statement of this kind has no plan")


class Workloads(Protocol):
    """What an engine knows of the statements it was asked."""

    def tallies(self, conn: Connection) -> Tallies:
        """Return what every statement of this database cost until now, in a constant number of queries, without texts."""
        ...

    def texts(self, conn: Connection, ids: Collection[str]) -> Mapping[str, str]:
        """Return the texts of statements by id, without values, those that the server still has."""
        ...

    def plan(self, conn: Connection, statement: Counted) -> SamplePlan:
        """Return how the engine would carry a statement out. Nothing is run, and nothing stays of it."""
        ...

    def costliest(self, conn: Connection, *, by: Order, limit: int) -> Workload:
        """Return the statements of this database that cost most, the costliest first; texts are fetched for these alone."""
        ...


def costliest(workloads: Workloads, conn: Connection, by: Order, limit: int) -> Workload:
    """Fill `Workloads.costliest` from what the other methods tell."""
    found = workloads.tallies(conn)
    if found.why:
        return Workload(why=found.why, fix=found.fix)
    costs: dict[str, Cost] = {}
    most: defaultdict[str, list[float]] = defaultdict(list)
    for one in found.of:
        costs[one.id] = costs[one.id].plus(one.cost) if one.id in costs else one.cost
        if one.most_s is not None:
            most[one.id].append(one.most_s)
    total_s = sum(cost.total_s for cost in costs.values())
    shown = [counted(id_, cost, total_s, max(most[id_], default=None)) for id_, cost in costs.items()]
    chosen = ranked(shown, by, limit)
    return Workload(with_texts(chosen, workloads.texts(conn, [one.id for one in chosen])))


def with_texts(statements: Sequence[Counted], texts: Mapping[str, str]) -> list[Counted]:
    """Return statements with their texts."""
    from dataclasses import replace

    return [replace(one, text=texts.get(one.id, "")) for one in statements]


def counted(id_: str, cost: Cost, of_s: float, most_s: float | None = None) -> Counted:
    """Return a statement without its text, with its share of the time that all of them took."""
    share = cost.total_s / of_s if of_s else 0.0
    p95_from: Literal["", "server"] = "" if cost.p95_s is None else "server"
    return Counted(
        id_,
        "",
        cost.calls,
        cost.total_s,
        cost.mean_s,
        most_s,
        cost.p95_s,
        cost.rows,
        cost.reads,
        share,
        cost.io,
        p95_from,
    )


def ranked(statements: Iterable[Counted], by: Order, limit: int) -> list[Counted]:
    """Return the costliest; what nothing is known of stands last."""
    return sorted(statements, key=lambda one: (-_weight(one, by), -one.total_s, one.id))[:limit]


def _weight(one: Counted, by: Order) -> float:
    match by:
        case "total":
            return one.total_s
        case "mean":
            return one.mean_s
        case "p95":
            return -1.0 if one.p95_s is None else one.p95_s
        case "calls":
            return one.calls
        case "rows":
            return one.rows
        case "reads":
            return -1.0 if one.reads is None else one.reads
        case "io":
            return -1.0 if one.io is None else one.io


@dataclass(frozen=True, slots=True)
class Before:
    """The tallies of an earlier moment (seconds since 1970), by their keys."""

    at: float
    of: Mapping[str, Tally] = field(default_factory=dict)


def costs_between(before: Before, now: Iterable[Tally]) -> dict[str, Cost]:
    """Return what each statement cost since `before`, by id; those that were not run are left out.

    A counter that began anew (another `since`, or smaller numbers) was at nothing some time in between: what it says now came
    since, and what came before that is lost.
    """
    found: dict[str, Cost] = {}
    for tally in now:
        last = before.of.get(tally.key)
        is_older = last is not None and last.since == tally.since and last.cost.calls <= tally.cost.calls
        cost = tally.cost.less(last.cost) if last is not None and is_older else tally.cost
        if cost.calls > 0 and cost.total_s >= 0:
            found[tally.id] = found[tally.id].plus(cost) if tally.id in found else cost
    return found


OTHERS = ""
"""The id of all statements together that are not kept by themselves."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a statement cost in the time that ended at `at`, or, with `step_s` over 0, that began there and took so long."""

    at: float
    cost: Cost
    step_s: int = 0
