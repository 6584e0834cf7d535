"""The PostgreSQL engine: one object that fills the port; every method lives in the module of its subject."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from dbops.catalog.scope import Scope
from dbops.engines.postgresql.features import FEATURES

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
    from dbops.sql.dialect import Dialect
    from dbops.sql.splitter import SourceStatement

EVERYTHING = Scope()


class PostgresEngine:
    """PostgreSQL 13 and newer."""

    name = "postgresql"

    @property
    def features(self) -> Features:
        return FEATURES

    @property
    def dialect(self) -> Dialect:
        from dbops.sql.dialect import POSTGRESQL

        return POSTGRESQL

    def connect(self, target: Target, *, readonly: bool = False) -> Connection:
        from dbops.engines.postgresql.connect import connect

        return connect(target, readonly=readonly)

    def create_database(self, target: Target) -> None:
        from dbops.engines.postgresql.connect import create_database

        create_database(target)

    def abilities(self, conn: Connection) -> Abilities:
        from dbops.engines.postgresql.connect import abilities

        return abilities(conn)

    def lock(self, conn: Connection, name: str, timeout_s: float) -> AbstractContextManager[None]:
        from dbops.engines.postgresql.lock import lock

        return lock(conn, name, timeout_s)

    def inspect(self, conn: Connection, scope: Scope = EVERYTHING, *, declared: bool = False) -> Catalog:
        from dbops.engines.postgresql.inspect import inspect

        return inspect(conn, scope, declared=declared)

    def capture(self, conn: Connection) -> str:
        from dbops.catalog import codec

        return codec.to_json(self.inspect(conn))

    def captured(self, text: str) -> Catalog:
        from dbops.catalog import codec

        return codec.from_json(text)

    def fingerprint(self, conn: Connection) -> str:
        from dbops.engines.postgresql.fingerprint import fingerprint

        return fingerprint(conn)

    def last_write(self, conn: Connection) -> str | None:
        from dbops.engines.postgresql.fingerprint import last_write

        return last_write(conn)

    def sizes(self, conn: Connection) -> Mapping[Ref, TableSize]:
        from dbops.engines.postgresql.sizes import sizes

        return sizes(conn)

    def scratch(self, target: Target) -> AbstractContextManager[Connection]:
        from dbops.engines.postgresql.scratch import scratch

        return scratch(target)

    def offline(self, target: Target, options: Options = (), flavour: str = "") -> AbstractContextManager[Connection]:
        from dbops.engines.postgresql.scratch import offline

        return offline(target)

    def load(self, conn: Connection, statements: Sequence[SourceStatement]) -> None:
        from dbops.engines.postgresql.load import load

        load(conn, statements)

    def syntax_error(self, statement: str) -> tuple[int, str] | None:
        from dbops.engines.postgresql.grammar import syntax_error

        return syntax_error(statement)

    @property
    def backups(self) -> Backups:
        from dbops.engines.postgresql.backup.port import PostgresBackups

        return PostgresBackups()

    @property
    def sessions(self) -> Sessions:
        from dbops.engines.postgresql.sessions import PostgresSessions

        return PostgresSessions()

    @property
    def activity(self) -> Activity:
        from dbops.engines.postgresql.activity import PostgresActivity

        return PostgresActivity()

    @property
    def advice(self) -> Advice:
        from dbops.engines.postgresql.advice.port import PostgresAdvice

        return PostgresAdvice()

    @property
    def metrics(self) -> Metrics:
        from dbops.engines.postgresql.metrics import PostgresMetrics

        return PostgresMetrics()

    @property
    def driver(self) -> Driver:
        from dbops.engines.postgresql.driver import PostgresDriver

        return PostgresDriver()

    @property
    def workloads(self) -> Workloads:
        from dbops.engines.postgresql.workload import PostgresWorkloads

        return PostgresWorkloads()

    @property
    def trials(self) -> Trials:
        from dbops.engines.postgresql.trial import PostgresTrials

        return PostgresTrials()

    @cached_property
    def scripts(self) -> Scripts:
        from dbops.engines.postgresql.scripts import PostgresScripts

        return PostgresScripts()

    def render(self, changes: ChangeSet, context: RenderContext) -> list[Act]:
        from dbops.engines.postgresql.render import render

        return render(changes, context)

    def questions(self, changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
        from dbops.engines.postgresql.questions import questions

        return questions(changes, live)

    def becomes(self, value: str, before: Column | None, after: Column, tables: tuple[Table, Table]) -> str | None:
        from dbops.engines.postgresql.becoming import becomes

        return becomes(value, before, after, tables)

    def merges(self, before: Column, after: Column) -> bool:
        from dbops.engines.postgresql.becoming import merges

        return merges(before, after)

    def folded(self, text: str, column: Column, table: Table) -> str | None:
        return None  # of collations that are not deterministic nobody can tell

    def lock_shortage(self, conn: Connection, changes: Sequence[CatalogChange]) -> str | None:
        from dbops.engines.postgresql.lock_table import lock_shortage

        return lock_shortage(conn, changes)

    def portable_type(self, name: str, arguments: tuple[int, ...]) -> str:
        from dbops.engines.postgresql.types import portable_type

        return portable_type(name, arguments)

    def portable_type_of(self, column: Column) -> str | None:
        from dbops.engines.postgresql.types import portable_type_of

        return portable_type_of(column)
