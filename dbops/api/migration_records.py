"""Records that become other records, in memory or from one table into another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, Protocol

from dbops.api.db_manager import DatabaseConnection, DatabaseManager
from dbops.arguments import checked
from dbops.dataclass import dataclass
from dbops.errors import ArgumentError, DbopsError, MigrationError

__all__ = [
    "CompositeTransformer",
    "DataMigrationResult",
    "DataMigrator",
    "FieldRenameTransformer",
    "FieldTypeTransformer",
    "Transformer",
]

Record = dict[str, Any]


class Transformer(Protocol):
    """What makes another record of a record."""

    def transform(self, record: Record) -> Record:
        """Return the new record; the given one stays as it is."""
        ...


class FieldRenameTransformer:
    """Renames fields: `{"old": "new"}`; fields that are not there are passed over."""

    @checked
    def __init__(self, renames: Mapping[str, str]) -> None:
        self.renames: dict[str, str] = dict(renames)

    def transform(self, record: Record) -> Record:
        """Return the record under its new names, in the old order.

        Raises:
            MigrationError: two fields would have one name.
        """
        names = [self.renames.get(name, name) for name in record]
        if len(set(names)) < len(names):
            twin = next(name for name in names if names.count(name) > 1)
            raise MigrationError(f"two fields of the record would be called {twin!r}")
        return dict(zip(names, record.values(), strict=True))


class FieldTypeTransformer:
    """Converts fields: `{"age": int}`; None stays None, fields that are not there are passed over."""

    @checked
    def __init__(self, conversions: Mapping[str, Callable[[Any], Any]]) -> None:
        self.conversions: dict[str, Callable[[Any], Any]] = dict(conversions)

    def transform(self, record: Record) -> Record:
        """Return the record with its fields converted.

        Raises:
            MigrationError: a value cannot be converted; names the field.
        """
        return {name: self._converted(name, value) for name, value in record.items()}

    def _converted(self, name: str, value: Any) -> Any:
        convert = self.conversions.get(name)
        if convert is None or value is None:
            return value
        try:
            return convert(value)
        except (TypeError, ValueError, ArithmeticError) as error:
            kind = getattr(convert, "__name__", "value")
            raise MigrationError(f"the field {name!r} cannot become {kind}: {error}", field=name) from error


class CompositeTransformer:
    """Several transformers, one after the other."""

    @checked
    def __init__(self, transformers: Iterable[Transformer]) -> None:
        self.transformers: list[Transformer] = [must_transform(one) for one in transformers]

    def transform(self, record: Record) -> Record:
        """Return what the last of them makes of it."""
        for transformer in self.transformers:
            record = transformer.transform(record)
        return record


@dataclass()
class DataMigrationResult:
    """What came of moving records; true when all were written. `execution_time` is in seconds."""

    success: bool
    records_read: int
    records_written: int
    execution_time: float
    error_message: str | None = None

    def __bool__(self) -> bool:
        return self.success


@checked
class DataMigrator:
    """Transforms records, in memory or from one table into another, `batch_size` at a time."""

    def __init__(self, transformer: Transformer, batch_size: int = 1000) -> None:
        if batch_size < 1:
            raise ValueError("batch_size is at least 1")
        self.transformer: Transformer = must_transform(transformer)
        self.batch_size = batch_size

    def migrate(self, records: Iterable[Record]) -> list[Record]:
        """Return the transformed records.

        Raises:
            ArgumentError: one is no mapping.
        """
        return [self.transformer.transform(_record(record, place)) for place, record in enumerate(records)]

    def migrate_table(
        self, source: DatabaseManager, source_table: str, target: DatabaseManager | None = None, target_table: str | None = None
    ) -> DataMigrationResult:
        """Write the transformed rows of a table into another, of the same database unless told otherwise: all of them, or none.

        Raises:
            MissingTableError: there is no such table.
            ValueError: source and target are the same table.
        """
        into, table = target or source, target_table or source_table
        if into is source and table == source_table:
            raise ValueError("the rows of a table cannot be written into the same table")
        began, counts = monotonic(), [0, 0]
        try:
            with into.transaction():
                for batch in self._batches(source, source_table):
                    counts[0] += len(batch)
                    counts[1] += _written(into, table, self.migrate(batch))
        except DbopsError as error:
            return DataMigrationResult(False, counts[0], 0, monotonic() - began, error.message)
        return DataMigrationResult(True, counts[0], counts[1], monotonic() - began)

    def _batches(self, source: DatabaseManager, table: str) -> Iterator[list[Record]]:
        from dbops.usecases.databases.tables import rows_of

        yield from rows_of(connection_of(source)._database(), table, self.batch_size)


def must_transform(given: Transformer) -> Transformer:
    """Return what has `transform`.

    Raises:
        ArgumentError: it has none.
    """
    if not callable(getattr(given, "transform", None)):
        raise ArgumentError(f"a transformer cannot be {type(given).__name__}", expected="an object with transform(record)")
    return given


def _record(given: Record, place: int) -> Record:
    if type(given) is not dict and not isinstance(given, Mapping):
        raise ArgumentError(f"record {place} cannot be {type(given).__name__}", expected="a mapping of fields to values")
    return given


def _written(into: DatabaseManager, table: str, records: Sequence[Record]) -> int:
    from dbops.usecases.databases.tables import write_rows

    return write_rows(connection_of(into)._database(), table, records)


def connection_of(manager: DatabaseManager) -> DatabaseConnection:
    """Return the default connection of a manager.

    Raises:
        MigrationError: it has none.
    """
    if (connection := manager.get_connection()) is None:
        raise MigrationError("the manager has no connection", fix="connect(url), or add_connection(connection)")
    return connection
