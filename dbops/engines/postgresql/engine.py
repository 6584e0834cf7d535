"""The PostgreSQL engine: one object that fills the port; every method lives in the module of its subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import CatalogChange, ChangeSet
from dbops.catalog.model import Column, Options
from dbops.catalog.ref import Ref
from dbops.catalog.scope import Scope
from dbops.engines.base.connect import Abilities, Connection, TableSize, Target
from dbops.engines.base.features import Features
from dbops.engines.base.question import Question
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.base.scripts import Scripts
from dbops.engines.postgresql import connect as connecting
from dbops.engines.postgresql import fingerprint as fingerprints
from dbops.engines.postgresql import inspect as inspection
from dbops.engines.postgresql import lock as locking
from dbops.engines.postgresql import sizes as estimates
from dbops.engines.postgresql import types
from dbops.engines.postgresql.features import FEATURES
from dbops.sql.dialect import POSTGRESQL, Dialect
from dbops.sql.splitter import SourceStatement


class PostgresEngine:
    """PostgreSQL 13 and newer."""

    name = "postgresql"

    @property
    def features(self) -> Features:
        return FEATURES

    @property
    def dialect(self) -> Dialect:
        return POSTGRESQL

    def connect(self, target: Target, *, readonly: bool = False) -> Connection:
        return connecting.connect(target, readonly=readonly)

    def create_database(self, target: Target) -> None:
        connecting.create_database(target)

    def abilities(self, conn: Connection) -> Abilities:
        return connecting.abilities(conn)

    def lock(self, conn: Connection, name: str, timeout_s: float) -> AbstractContextManager[None]:
        return locking.lock(conn, name, timeout_s)

    def inspect(self, conn: Connection, scope: Scope = inspection.EVERYTHING, *, declared: bool = False) -> Catalog:
        return inspection.inspect(conn, scope, declared=declared)

    def fingerprint(self, conn: Connection) -> str:
        return fingerprints.fingerprint(conn)

    def sizes(self, conn: Connection) -> Mapping[Ref, TableSize]:
        return estimates.sizes(conn)

    def scratch(self, target: Target) -> AbstractContextManager[Connection]:
        from dbops.engines.postgresql.scratch import scratch

        return scratch(target)

    def offline(self, target: Target, options: Options = ()) -> AbstractContextManager[Connection]:
        from dbops.engines.postgresql.scratch import offline

        return offline(target)

    def load(self, conn: Connection, statements: Sequence[SourceStatement]) -> None:
        from dbops.engines.postgresql.load import load

        load(conn, statements)

    def syntax_error(self, statement: str) -> tuple[int, str] | None:
        from dbops.engines.postgresql.grammar import syntax_error

        return syntax_error(statement)

    @property
    def scripts(self) -> Scripts:
        from dbops.engines.postgresql.scripts import PostgresScripts

        return PostgresScripts()

    def render(self, changes: ChangeSet, context: RenderContext) -> list[Act]:
        from dbops.engines.postgresql.render import render

        return render(changes, context)

    def questions(self, changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
        from dbops.engines.postgresql.questions import questions

        return questions(changes, live)

    def portable_type(self, name: str, arguments: tuple[int, ...]) -> str:
        return types.portable_type(name, arguments)

    def portable_type_of(self, column: Column) -> str | None:
        return types.portable_type_of(column)
