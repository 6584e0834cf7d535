"""Tables of a live database: made, changed and read as dictionaries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dbops.api.schema_data import table_of_any
from dbops.arguments import checked
from dbops.errors import SchemaError

if TYPE_CHECKING:
    from dbops.usecases.schemas.live import LiveSchema

__all__ = ["SchemaManager"]


@checked
class SchemaManager:
    """Tables of a live database. `database_url` may be left out where only `generate_schema` is used."""

    def __init__(self, database_url: str | None = None) -> None:
        self._url = database_url

    def generate_schema(self, model: Any) -> dict[str, Any]:
        """Return the table of a class that SQLAlchemy maps, or of a dictionary, as a dictionary in normal form.

        Raises:
            SchemaError: it is neither, or has what no portable table can say.
        """
        return table_of_any(model)

    def create_table(self, schema: dict[str, Any]) -> bool:
        """Make a table with its keys and indexes; return True.

        Raises:
            SchemaError: the table is wrong; QueryError: the database refuses it.
        """
        self._live().create(schema)
        return True

    def alter_table(self, table: str, changes: dict[str, Any]) -> bool:
        """Change a table as `SchemaGenerator.generate_migration` would, without naming it again; return True.

        `{add_columns: [{name, type, ...}], drop_columns: [name], modify_columns: [{name, type, ...}],
        create_indexes: [{name, columns, unique}], drop_indexes: [name]}`.

        Raises:
            MissingTableError: there is no such table; SchemaError: the changes are wrong; QueryError: the database refuses.
        """
        self._live().change(dict(_about(table, changes)), table)
        return True

    def get_schema(self, table: str) -> dict[str, Any]:
        """Return a table as `create_table` reads it.

        Raises:
            MissingTableError: there is no such table; SchemaError: it has what no portable table can say.
        """
        return self._live().read(table)

    def _live(self) -> LiveSchema:
        from dbops.usecases.schemas.live import LiveSchema

        if self._url is None:
            raise SchemaError("no database is set", fix="SchemaManager(database_url)")
        return LiveSchema(self._url)


def _about(table: str, changes: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Put the table's name into each change."""
    for key, given in changes.items():
        items = given if isinstance(given, list | tuple) else [given]
        word = "column" if key.endswith("_columns") else "name"
        yield key, [_change(table, one, word) for one in items]


def _change(table: str, one: Any, word: str) -> Any:
    if not isinstance(one, Mapping):
        return {"table": table, word: one}
    if word == "column" and not isinstance(one.get("column"), str | Mapping):
        return {"table": table, "column": dict(one)}
    return {"table": table, **one}
