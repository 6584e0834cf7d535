"""What every engine offers: one protocol, filled by `engines/<name>/engine.py`, proved by the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dbops.catalog.catalog import Catalog
    from dbops.catalog.changes import CatalogChange, ChangeSet
    from dbops.catalog.model import Column, Options, Table
    from dbops.catalog.ref import Ref
    from dbops.catalog.scope import Scope
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


class Engine(Protocol):
    """Stateless: everything it knows of a database comes through a connection."""

    @property
    def name(self) -> str: ...

    @property
    def features(self) -> Features: ...

    @property
    def dialect(self) -> Dialect: ...

    # --- reaching a database

    def connect(self, target: Target, *, readonly: bool = False) -> Connection:
        """Open a session with the target's timeouts, TLS, settings and retries.

        Raises:
            MissingDatabaseError: the server answers (or the folder exists), the database does not.
            ConnectError: anything else that keeps us out; the message names host and database, never a secret.
        """
        ...

    def create_database(self, target: Target) -> None:
        """Create the database of `target`; do nothing when it exists."""
        ...

    def abilities(self, conn: Connection) -> Abilities: ...

    def lock(self, conn: Connection, name: str, timeout_s: float) -> AbstractContextManager[None]:
        """Hold the advisory lock `name` of this database; released when the session dies.

        Raises:
            LockTimeoutError: somebody else held it for longer than `timeout_s`; says who where the engine tells.
        """
        ...

    # --- reading

    def inspect(self, conn: Connection, scope: Scope = ..., *, declared: bool = False) -> Catalog:
        """Read the whole managed catalog in a constant number of queries, in canonical form.

        dbops's own objects and those of extensions and the system are left out. With `declared` (a scratch database just
        loaded from a source) owners and grants that nobody declared are None.
        """
        ...

    def capture(self, conn: Connection) -> str:
        """Return all that `inspect` reads as a text for `captured`; quicker, where no catalog need be built for it."""
        ...

    def captured(self, text: str) -> Catalog:
        """Return the catalog that `inspect` would have returned when `text` was captured.

        Raises:
            ValueError, KeyError, TypeError: another version wrote the text, in another format.
        """
        ...

    def fingerprint(self, conn: Connection) -> str:
        """Return a token that differs after any DDL; cheap whatever the size; may also differ without DDL."""
        ...

    def last_write(self, conn: Connection) -> str | None:
        """Return a token that differs after anything was written to the database, rows too; constant time.

        None when the engine cannot tell, or cannot tell right now. While the token is what it was before a fingerprint was
        taken, that fingerprint holds.
        """
        ...

    def sizes(self, conn: Connection) -> Mapping[Ref, TableSize]:
        """Return the engine's estimates for all tables, in one query."""
        ...

    # --- scratch

    def scratch(self, target: Target) -> AbstractContextManager[Connection]:
        """Open an empty temporary database of the same kind and version; it is gone afterwards.

        Leftovers of killed runs are recognised by their name and removed. Works while the target database is missing.

        Raises:
            SchemaError: no place for a scratch; says which privilege or `scratch.url` would help.
        """
        ...

    def offline(self, target: Target, options: Options = (), flavour: str = "") -> AbstractContextManager[Connection]:
        """Open an empty temporary database without speaking to the target's server: in memory, or on server programs found here.

        `options` are attributes of a database (`Catalog.options`) that this one shall share, `flavour` is the
        make of server (`Server.flavour`) that it has to be; empty where any will do.

        Raises:
            NoScratchError: this machine has no such programs.
        """
        ...

    def load(self, conn: Connection, statements: Sequence[SourceStatement]) -> None:
        """Run the statements of a source in an order that works, whatever order they stand in.

        Statements about data are refused or skipped as documented by the engine; session settings of a file hold for it.

        Raises:
            Problems: of SchemaError, each with the place of a statement that cannot run and the server's reason.
        """
        ...

    def syntax_error(self, statement: str) -> tuple[int, str] | None:
        """Return the offset at which the engine's own grammar refuses a statement, and its words; offline.

        None where it takes the statement, and where no grammar is at hand.
        """
        ...

    # --- backups

    @property
    def backups(self) -> Backups:
        """Return what makes and restores backups.

        Raises:
            BackupError: this engine has none.
        """
        ...

    # --- watching

    @property
    def advice(self) -> Advice:
        """Return what knows what can be wrong with a database."""
        ...

    @property
    def metrics(self) -> Metrics:
        """Return what counts and measures."""
        ...

    # --- programs

    @property
    def driver(self) -> Driver:
        """Return what opens sessions for SQL of other programs."""
        ...

    @property
    def activity(self) -> Activity:
        """Sessions that stand in each other's way."""
        ...

    @property
    def workloads(self) -> Workloads:
        """Return what knows the statements that a database is asked."""
        ...

    @property
    def trials(self) -> Trials:
        """Return what says what statements would cost with other indexes."""
        ...

    # --- writing

    @property
    def sessions(self) -> Sessions:
        """Return what opens asynchronous sessions for programs."""
        ...

    @property
    def scripts(self) -> Scripts:
        """Return what runs scripts that people wrote, as they stand."""
        ...

    def render(self, changes: ChangeSet, context: RenderContext) -> list[Act]:
        """Return the acts that carry the changes out, in order, with hazards and undo. Pure."""
        ...

    def questions(self, changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
        """Yield what only this engine has to ask of live rows before these changes. Pure."""
        ...

    def becomes(self, value: str, before: Column | None, after: Column, tables: tuple[Table, Table]) -> str | None:
        """Return SQL of what `value` of a column is after a change of it; `value` itself where that is the same. Pure.

        `before` is None where the value is the default of a column that comes, empty for the one that the engine gives by itself.
        `tables` are the column's before and after. None where SQL cannot tell.
        """
        ...

    def merges(self, before: Column, after: Column) -> bool:
        """Tell whether a change of a column may make one value of two; only asked where `becomes` gives another one. Pure."""
        ...

    def folded(self, text: str, column: Column, table: Table) -> str | None:
        """Return SQL of what values of a text column are compared by; None where they are compared letter by letter. Pure."""
        ...

    def lock_shortage(self, conn: Connection, changes: Sequence[CatalogChange]) -> str | None:
        """Say that one transaction with these changes needs more locks than the server has room for, and what helps.

        None where it does not, or where the engine has no such limit. One query at most.
        """
        ...

    def portable_type(self, name: str, arguments: tuple[int, ...]) -> str:
        """Translate a portable type (`string`, `decimal`, ...) into this engine's own.

        Raises:
            SchemaError: unknown type; names the known ones.
        """
        ...

    def portable_type_of(self, column: Column) -> str | None:
        """Return the portable type that `portable_type` translates into the type of `column`, None when there is none."""
        ...
