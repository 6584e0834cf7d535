"""Where indexes are tried: made up on the live database for one session alone, or made on a scratch with a sample of the rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Protocol

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import ChangeSet, CreateObject, DropObject
from dbops.catalog.model import Index, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, TableSize, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.engines.base.trial import Explained, Hypothetical, Trials, Values
from dbops.errors import DbopsError, MonitoringError, QueryError
from dbops.resources.schema.copying import build, run

_FREE_STANDING = frozenset({"schema", "extension", "enum", "domain", "composite_type", "range_type", "collation"})
"""What the columns of tables may need."""


@dataclass(frozen=True, slots=True)
class Live:
    """The database that is asked: its session, what is in it, and about how many rows."""

    engine: Engine
    conn: Connection
    target: Target
    catalog: Catalog
    sizes: Mapping[Ref, TableSize]

    def rows(self, table: Ref) -> int:
        size = self.sizes.get(table)
        return max(0, size.rows) if size else 0


class Trial(Protocol):
    """A place where indexes can be put and statements explained. `how` says in words what it is.

    `denied` counts the explanations that were refused because this account may not read the tables.
    """

    denied: int

    @property
    def how(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def values(self) -> Values | None: ...

    def add(self, index: Index) -> bool:
        """Put an index there; False where the engine refuses it."""
        ...

    def remove(self, index: Index) -> None: ...

    def explain(self, sql: str) -> Explained | None:
        """Return the plan of a statement, with its indexes by their own names; None where it cannot be explained."""
        ...

    def size_bytes(self, index: Index) -> int: ...

    def remarks(self, sql: str, thresholds: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, str]]:
        """Return which of the engine's query rules the plan of a statement breaks, and what was seen."""
        ...


@contextmanager
def trial(live: Live, tables: Sequence[Table], sample: int) -> Iterator[Trial]:
    """Open the best place that there is: made up on the live database, else a scratch with `sample` rows of each table.

    Raises:
        MonitoringError: there is none, for `sample` is 0 and a scratch would be a database on the server.
    """
    trials = live.engine.trials
    made_up = trials.hypothetical(live.conn)
    if made_up is not None:
        try:
            yield _MadeUp(trials, live.conn, made_up)
        finally:
            with suppress(DbopsError):
                made_up.clear()
        return
    if trials.wants_server and not sample:
        install = f"{trials.how_to_have_hypothetical}; or " if trials.how_to_have_hypothetical else ""
        raise MonitoringError(
            "indexes cannot be tried without changing anything here",
            fix=f"{install}--sample 20000, which copies so many rows of each table to a scratch database beside this one",
        )
    with live.engine.scratch(live.target) as scratch:
        yield _filled(live, scratch, tables, sample)


class _MadeUp:
    def __init__(self, trials: Trials, conn: Connection, made_up: Hypothetical) -> None:
        self._trials, self._conn, self._made_up = trials, conn, made_up
        self._names: dict[str, str] = {}
        self.how, self.unit = "made up by HypoPG on the live database", trials.unit
        self.values, self.denied = None, 0

    def add(self, index: Index) -> bool:
        try:
            self._names[index.name] = self._made_up.add(index)
        except QueryError:  # a type without an order
            return False
        return True

    def remove(self, index: Index) -> None:
        self._made_up.remove(self._names.pop(index.name))

    def explain(self, sql: str) -> Explained | None:
        explained = _explained(self, self._trials, self._conn, sql)
        own = {made_up: name for name, made_up in self._names.items()}
        return explained and replace(explained, indexes=frozenset(own.get(name, name) for name in explained.indexes))

    def size_bytes(self, index: Index) -> int:
        return self._made_up.size_bytes(self._names[index.name])

    def remarks(self, sql: str, thresholds: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, str]]:
        return _remarks(self._trials, self._conn, sql, thresholds)


class _OnScratch:
    def __init__(self, live: Live, scratch: Connection, copied: Mapping[Ref, tuple[Table, int]]) -> None:
        self._live, self._scratch, self._copied = live, scratch, copied
        self._trials = live.engine.trials
        self._context = RenderContext(scratch.server, online=False)
        self.unit, self.values, self.denied = self._trials.unit, self._trials.values(scratch), 0
        whole = sum(max(live.rows(ref), number) for ref, (_, number) in copied.items())
        self.how = f"on a scratch with {sum(number for _, number in copied.values()):,} of about {whole:,} rows"

    def add(self, index: Index) -> bool:
        try:
            self._run(CreateObject(index), index)
        except QueryError:  # a type without an order, a text without a length
            return False
        return True

    def remove(self, index: Index) -> None:
        self._run(DropObject(index), index)

    def explain(self, sql: str) -> Explained | None:
        return _explained(self, self._trials, self._scratch, sql)

    def size_bytes(self, index: Index) -> int:
        _, copied = self._copied[index.ref.table]
        return self._trials.index_bytes(self._scratch, index, max(self._live.rows(index.ref.table), copied))

    def remarks(self, sql: str, thresholds: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, str]]:
        return _remarks(self._trials, self._scratch, sql, thresholds)

    def _run(self, change: CreateObject | DropObject, index: Index) -> None:
        table = Catalog.of([self._copied[index.ref.table][0]])
        both = Catalog.of([*table, index])
        before, after = (table, both) if isinstance(change, CreateObject) else (both, table)
        acts = self._live.engine.render(ChangeSet(before, after, (change,)), self._context)
        run((statement for act in acts for statement in act.do), self._live.engine, self._scratch)
        if self._trials.counts_indexes:
            own, copied = self._copied[index.ref.table]
            self._trials.count(self._scratch, [(own, copied, self._live.rows(own.ref))])


def _explained(place: Trial, trials: Trials, conn: Connection, sql: str) -> Explained | None:
    try:
        return trials.explain(conn, sql)
    except QueryError as error:
        place.denied += trials.is_denied(error)
        return None


def _remarks(
    trials: Trials, conn: Connection, sql: str, thresholds: Mapping[str, Mapping[str, float]]
) -> Sequence[tuple[str, str]]:
    try:
        return trials.remarks(conn, sql, thresholds)
    except QueryError:
        return ()


def _filled(live: Live, scratch: Connection, tables: Sequence[Table], sample: int) -> _OnScratch:
    trials = live.engine.trials
    copy = _copy_of(live.catalog, {table.ref: trials.simplified(table) for table in tables})
    try:
        build(copy, live.engine, scratch)
        copied = {}
        for table in tables:
            plain = trials.simplified(table)
            number = trials.fill(live.conn, scratch, plain, live.target, live.rows(table.ref), sample)
            copied[table.ref] = plain, number
    except QueryError as error:
        raise MonitoringError(
            f"the tables cannot be copied to a scratch: {error.message}", fix=trials.grant_to_read(live.conn)
        ) from error
    trials.count(scratch, [(table, number, live.rows(ref)) for ref, (table, number) in copied.items()])
    return _OnScratch(live, scratch, copied)


def _copy_of(catalog: Catalog, tables: Mapping[Ref, Table]) -> Catalog:
    """Return tables with their keys and plain indexes, and the types that their columns may need."""
    kept: list[Ref] = [item.ref for item in catalog if item.kind in _FREE_STANDING]
    for item in catalog:
        needs = catalog.dependencies.get(item.ref, ())
        is_own = all(ref == item.ref.table or ref.table == item.ref.table or ref in kept for ref in needs)
        if item.ref.table in tables and (
            isinstance(item, PrimaryKey | Unique) or _is_plain(item) or (_is_special(item) and is_own)
        ):
            kept.append(item.ref)
    return Catalog.of(
        [*(catalog.objects[ref] for ref in kept), *tables.values()],
        {ref: needs for ref, needs in catalog.dependencies.items() if _is_within(ref, kept, tables)},
        (),
        catalog.options,
    ).in_order()


def _is_plain(item: object) -> bool:
    return isinstance(item, Index) and item.is_valid and item.predicate is None and all(key.column for key in item.keys)


def _is_special(item: object) -> bool:
    return isinstance(item, Index) and item.is_valid and item.method.lower() == "btree" and item.partition_of is None


def _is_within(ref: Ref, kept: Collection[Ref], tables: Mapping[Ref, Table]) -> bool:
    return ref in tables or ref.table in tables or ref in kept
