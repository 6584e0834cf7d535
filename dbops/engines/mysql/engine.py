"""The engine MySQL and MariaDB, put together from its rooms."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from dbops.catalog.scope import Scope
from dbops.engines.mysql.features import FEATURES

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
    from dbops.engines.mysql.connect import MysqlConnection
    from dbops.sql.dialect import Dialect
    from dbops.sql.splitter import SourceStatement

_SIZES = """
SELECT table_name, COALESCE(table_rows, 0), COALESCE(data_length, 0) + COALESCE(index_length, 0)
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type <> 'VIEW'"""


class MysqlEngine:
    """MySQL 8 and MariaDB; see the port for what callers may rely on."""

    @property
    def name(self) -> str:
        return "mysql"

    @property
    def features(self) -> Features:
        return FEATURES

    @property
    def dialect(self) -> Dialect:
        from dbops.sql.dialect import MYSQL

        return MYSQL

    def connect(self, target: Target, *, readonly: bool = False) -> Connection:
        from dbops.engines.mysql.connect import connect

        return connect(target, readonly=readonly)

    def create_database(self, target: Target) -> None:
        from dbops.engines.mysql.connect import create_database

        create_database(target)

    def abilities(self, conn: Connection) -> Abilities:
        from dbops.engines.mysql.connect import abilities

        return abilities(_own(conn))

    def lock(self, conn: Connection, name: str, timeout_s: float) -> AbstractContextManager[None]:
        from dbops.engines.mysql.lock import lock

        return lock(_own(conn), name, timeout_s)

    def inspect(self, conn: Connection, scope: Scope = Scope(), *, declared: bool = False) -> Catalog:  # noqa: B008  frozen
        from dbops.engines.mysql.inspect import inspect

        return inspect(_own(conn), scope, declared=declared)

    def capture(self, conn: Connection) -> str:
        from dbops.catalog import codec

        return codec.to_json(self.inspect(conn))

    def captured(self, text: str) -> Catalog:
        from dbops.catalog import codec

        return codec.from_json(text)

    def fingerprint(self, conn: Connection) -> str:
        from dbops.engines.mysql.fingerprint import fingerprint

        return fingerprint(_own(conn))

    def last_write(self, conn: Connection) -> str | None:
        return None  # no counter of the server's covers every change

    def sizes(self, conn: Connection) -> Mapping[Ref, TableSize]:
        from dbops.catalog.ref import Ref
        from dbops.engines.base.connect import TableSize

        return {Ref("table", "", name): TableSize(int(rows), int(size)) for name, rows, size in conn.query(_SIZES)}

    def scratch(self, target: Target) -> AbstractContextManager[Connection]:
        from dbops.engines.mysql.scratch import scratch

        return scratch(target)

    def offline(self, target: Target, options: Options = (), flavour: str = "") -> AbstractContextManager[Connection]:
        from dbops.engines.mysql.scratch import offline

        return offline(target, options, flavour)

    def load(self, conn: Connection, statements: Sequence[SourceStatement]) -> None:
        from dbops.engines.mysql.load import load

        load(_own(conn), statements)

    def syntax_error(self, statement: str) -> tuple[int, str] | None:
        return None  # its parser lives in the server alone

    @property
    def backups(self) -> Backups:
        from dbops.engines.mysql.backup.port import MysqlBackups

        return MysqlBackups()

    @property
    def sessions(self) -> Sessions:
        from dbops.engines.mysql.sessions import MysqlSessions

        return MysqlSessions()

    @property
    def activity(self) -> Activity:
        from dbops.engines.mysql.activity import MysqlActivity

        return MysqlActivity()

    @property
    def advice(self) -> Advice:
        from dbops.engines.mysql.advice import MysqlAdvice

        return MysqlAdvice()

    @property
    def metrics(self) -> Metrics:
        from dbops.engines.mysql.metrics import MysqlMetrics

        return MysqlMetrics()

    @property
    def driver(self) -> Driver:
        from dbops.engines.mysql.driver import MysqlDriver

        return MysqlDriver()

    @property
    def workloads(self) -> Workloads:
        from dbops.engines.mysql.workload import MysqlWorkloads

        return MysqlWorkloads()

    @property
    def trials(self) -> Trials:
        from dbops.engines.mysql.trial import MysqlTrials

        return MysqlTrials()

    @cached_property
    def scripts(self) -> Scripts:
        from dbops.engines.mysql.scripts import MysqlScripts

        return MysqlScripts()

    def render(self, changes: ChangeSet, context: RenderContext) -> list[Act]:
        from dbops.engines.mysql.render import render

        return render(changes, context)

    def questions(self, changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
        from dbops.engines.mysql.questions import questions

        return questions(changes, live)

    def becomes(self, value: str, before: Column | None, after: Column, tables: tuple[Table, Table]) -> str | None:
        from dbops.engines.mysql.becoming import becomes

        return becomes(value, before, after, tables)

    def merges(self, before: Column, after: Column) -> bool:
        return True

    def folded(self, text: str, column: Column, table: Table) -> str | None:
        from dbops.engines.mysql.becoming import folded

        return folded(text, column, table)

    def lock_shortage(self, conn: Connection, changes: Sequence[CatalogChange]) -> str | None:
        return None

    def portable_type(self, name: str, arguments: tuple[int, ...]) -> str:
        from dbops.engines.mysql.types import portable_type

        return portable_type(name, arguments)

    def portable_type_of(self, column: Column) -> str | None:
        from dbops.engines.mysql.types import portable_type_of

        return portable_type_of(column)


def _own(conn: Connection) -> MysqlConnection:
    """The connections this engine is handed are those it gave."""
    return cast("MysqlConnection", conn)
