"""SQLite behind the engine port."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from dbops.catalog.scope import Scope
from dbops.engines.sqlite.features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dbops.catalog.catalog import Catalog
    from dbops.catalog.changes import CatalogChange, ChangeSet
    from dbops.catalog.model import Column, Options, Table
    from dbops.catalog.ref import Ref
    from dbops.engines.base.activity import Activity
    from dbops.engines.base.advice import Advice
    from dbops.engines.base.backup import Backups
    from dbops.engines.base.connect import Abilities, Connection, TableSize, Target
    from dbops.engines.base.driver import Driver
    from dbops.engines.base.features import Features
    from dbops.engines.base.metrics import Metrics
    from dbops.engines.base.question import Question
    from dbops.engines.base.render import Act, RenderContext
    from dbops.engines.base.scripts import Scripts
    from dbops.engines.base.sessions import Sessions
    from dbops.engines.base.trial import Trials
    from dbops.engines.base.workload import Workloads
    from dbops.engines.sqlite.connect import SqliteConnection
    from dbops.sql.dialect import Dialect
    from dbops.sql.splitter import SourceStatement

EVERYTHING = Scope()


class SqliteEngine:
    """See the port; each method imports what it needs, so that a plan without changes loads little."""

    @property
    def name(self) -> str:
        return "sqlite"

    @property
    def features(self) -> Features:
        return FEATURES

    @property
    def dialect(self) -> Dialect:
        from dbops.sql.dialect import SQLITE

        return SQLITE

    def connect(self, target: Target, *, readonly: bool = False) -> SqliteConnection:
        from dbops.engines.sqlite.connect import connect

        return connect(target, readonly=readonly)

    def create_database(self, target: Target) -> None:
        from dbops.engines.sqlite.connect import create_database

        create_database(target)

    def abilities(self, conn: Connection) -> Abilities:
        from dbops.engines.sqlite.connect import abilities

        return abilities(_own(conn))

    def lock(self, conn: Connection, name: str, timeout_s: float) -> AbstractContextManager[None]:
        from dbops.engines.sqlite.lock import lock

        return lock(_own(conn), name, timeout_s)

    def inspect(self, conn: Connection, scope: Scope = EVERYTHING, *, declared: bool = False) -> Catalog:
        from dbops.engines.sqlite.inspect import inspect

        return inspect(_own(conn), scope)

    def capture(self, conn: Connection) -> str:
        from dbops.engines.sqlite.capture import capture

        return capture(_own(conn))

    def captured(self, text: str) -> Catalog:
        from dbops.engines.sqlite.capture import captured

        return captured(text)

    def fingerprint(self, conn: Connection) -> str:
        from dbops.engines.sqlite.fingerprint import fingerprint

        return fingerprint(_own(conn))

    def last_write(self, conn: Connection) -> str | None:
        from dbops.engines.sqlite.fingerprint import last_write

        return last_write(_own(conn))

    def sizes(self, conn: Connection) -> Mapping[Ref, TableSize]:
        from dbops.engines.sqlite.sizes import sizes

        return sizes(_own(conn))

    def scratch(self, target: Target) -> AbstractContextManager[SqliteConnection]:
        from dbops.engines.sqlite.scratch import scratch

        return scratch(target)

    def offline(self, target: Target, options: Options = (), flavour: str = "") -> AbstractContextManager[SqliteConnection]:
        return self.scratch(target)

    def load(self, conn: Connection, statements: Sequence[SourceStatement]) -> None:
        from dbops.engines.sqlite.load import load

        load(_own(conn), statements)

    def syntax_error(self, statement: str) -> tuple[int, str] | None:
        from dbops.engines.sqlite.grammar import syntax_error

        return syntax_error(statement)

    @property
    def backups(self) -> Backups:
        from dbops.engines.sqlite.backup.port import SqliteBackups

        return SqliteBackups()

    @property
    def sessions(self) -> Sessions:
        from dbops.engines.sqlite.sessions import SqliteSessions

        return SqliteSessions()

    @property
    def activity(self) -> Activity:
        from dbops.engines.sqlite.activity import SqliteActivity

        return SqliteActivity()

    @property
    def advice(self) -> Advice:
        from dbops.engines.sqlite.advice import SqliteAdvice

        return SqliteAdvice()

    @property
    def metrics(self) -> Metrics:
        from dbops.engines.sqlite.metrics import SqliteMetrics

        return SqliteMetrics()

    @property
    def driver(self) -> Driver:
        from dbops.engines.sqlite.driver import SqliteDriver

        return SqliteDriver()

    @property
    def workloads(self) -> Workloads:
        from dbops.engines.sqlite.workload import SqliteWorkloads

        return SqliteWorkloads()

    @property
    def trials(self) -> Trials:
        from dbops.engines.sqlite.trial import SqliteTrials

        return SqliteTrials()

    @cached_property
    def scripts(self) -> Scripts:
        from dbops.engines.sqlite.scripts import SqliteScripts

        return SqliteScripts()

    def render(self, changes: ChangeSet, context: RenderContext) -> list[Act]:
        from dbops.engines.sqlite.render import render

        return render(changes, context)

    def questions(self, changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
        from dbops.engines.sqlite.questions import questions

        return questions(changes, live)

    def becomes(self, value: str, before: Column | None, after: Column, tables: tuple[Table, Table]) -> str | None:
        from dbops.engines.sqlite.becoming import becomes

        return becomes(value, before, after, tables)

    def merges(self, before: Column, after: Column) -> bool:
        return True

    def folded(self, text: str, column: Column, table: Table) -> str | None:
        from dbops.engines.sqlite.becoming import folded

        return folded(text, column, table)

    def lock_shortage(self, conn: Connection, changes: Sequence[CatalogChange]) -> str | None:
        return None

    def portable_type(self, name: str, arguments: tuple[int, ...]) -> str:
        from dbops.engines.sqlite.types import portable_type

        return portable_type(name, arguments)

    def portable_type_of(self, column: Column) -> str | None:
        from dbops.engines.sqlite.types import portable_type_of

        return portable_type_of(column)


def _own(conn: Connection) -> SqliteConnection:
    """A connection given to this engine was opened by it."""
    return cast("SqliteConnection", conn)
