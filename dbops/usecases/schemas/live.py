"""Tables of a live database, made, changed and read in the words of a program."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Table
from dbops.engines.base.engine import Engine
from dbops.errors import MissingTableError, SchemaError
from dbops.resources.schema.copying import run
from dbops.resources.schema.portable import portable_tables
from dbops.resources.schema.table_spec import TableSpec
from dbops.usecases.databases.address import target_of
from dbops.usecases.runtime import engine_for
from dbops.usecases.schemas.changing import changing
from dbops.usecases.schemas.numbering import numbered
from dbops.usecases.schemas.tables import as_dict, table_of


class LiveSchema:
    """The tables of the database of a URL; each call has a session of its own."""

    def __init__(self, url: str) -> None:
        """Open nothing yet; a SQLite file that is missing is made.

        Raises:
            ConnectError: not a database URL.
        """
        self._target = target_of(url, timeout_s=30.0, attempts=3, tls_mode="prefer")
        self._engine = engine_for(self._target.url)
        if not self._engine.features.has_servers:
            self._engine.create_database(self._target)

    def change(self, changes: Mapping[str, Any], table: str | None = None) -> None:
        """Carry changes out; those that name no table are of `table`, which has to be there.

        Raises:
            SchemaError: the changes are wrong, or the table has what cannot be said in portable words.
            QueryError: the database refuses a statement; where it can, it undoes those before.
        """
        with closing(self._engine.connect(self._target)) as conn:
            live = self._engine.inspect(conn)
            known = {table: _spec(live, table, self._engine)} if table is not None else {}
            done = changing(known, changes, self._engine, conn.server)
            run(done.up, self._engine, conn)

    def create(self, table: Mapping[str, Any]) -> None:
        """Make a table with its keys and indexes. Raises as `change` does."""
        self.change({"create_tables": [as_dict(table_of(table))]})

    def read(self, table: str) -> dict[str, Any]:
        """Return a table as a dictionary.

        Raises:
            MissingTableError: there is none of that name; SchemaError: it has what cannot be said in portable words.
        """
        with closing(self._engine.connect(self._target, readonly=True)) as conn:
            return as_dict(_spec(numbered(self._engine.inspect(conn)), table, self._engine))


def _spec(live: Catalog, table: str, engine: Engine) -> TableSpec:
    names = {one.name: one for one in live if isinstance(one, Table) and one.schema in ("", engine.features.default_schema)}
    if table not in names:
        from difflib import get_close_matches

        near = get_close_matches(table, names, 1)
        raise MissingTableError(f"there is no table {table!r}", fix=f"did you mean {near[0]}?" if near else None)
    parts = [one for one in live if one.ref.table == names[table].ref]
    found = portable_tables(Catalog.of(parts), engine)
    if found.obstacles:
        lines = "\n".join(f"  {one.where}: {one.reason}" for one in found.obstacles)
        raise SchemaError(f"the table {table} has what cannot be said in portable words:\n{lines}")
    return TableSpec.model_validate(found.tables[0])
