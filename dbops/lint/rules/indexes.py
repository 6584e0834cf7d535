"""Rules about keys and indexes of a table as all files leave it."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.lint.rule import ENGINES, LITE, MY, PG, Spot, table_rule
from dbops.lint.types import canonical
from dbops.lint.world import ForeignKey, IndexState, TableState, World
from dbops.sql.hazard import HAZARDS


@table_rule(
    "PREFER_BIGINT_KEY",
    (*PG, *MY),
    "a primary key of 32 bits or less",
    why=(
        "Two billion keys are used up sooner than one thinks (failed inserts count too), and widening the key "
        "rewrites the table and all that refer to it."
    ),
    advice="bigint, from the first day.",
)
def prefer_bigint_key(table: TableState, world: World) -> Iterator[Spot]:
    for index in table.indexes:
        if index.kind != "primary_key" or len(index.columns) != 1 or not table.is_known:
            continue
        column = table.columns.get(index.columns[0])
        if column and column.type and canonical(column.type) in ("integer", "smallint", "mediumint", "tinyint"):
            yield Spot(
                table.places.get(index.columns[0], table.read),
                column.type.at,
                f"the key {table.name}.{column.name} is {column.type}",
            )


@table_rule(
    "NO_PRIMARY_KEY",
    ENGINES,
    "a table without a primary key",
    why="Rows alike cannot be told apart: replication, upserts, batches and repairs all need a key.",
    advice="A primary key; for a table of links the two columns together.",
)
def no_primary_key(table: TableState, world: World) -> Iterator[Spot]:
    if table.is_known and table.is_plain and not table.is_temporary and not table.has_primary_key and not table.is_partition:
        yield Spot(table.read, table.at, f"{table.name} has no primary key")


def _supports(index: IndexState, key: ForeignKey) -> bool:
    count = len(key.columns)
    return not index.is_partial and index.method in ("", "btree") and set(index.columns[:count]) == set(key.columns)


def _unsupported(table: TableState) -> Iterator[ForeignKey]:
    for key in table.foreign_keys:
        if key.columns and not any(_supports(index, key) for index in table.indexes):
            yield key


@table_rule(
    "UNINDEXED_FOREIGN_KEY",
    (*PG, *LITE),
    "a foreign key without an index on the referencing side",
    why="Deleting or changing a row of the other table reads this whole table once for each row, under a lock.",
    advice="An index that begins with the columns of the foreign key.",
)
def unindexed_foreign_key(table: TableState, world: World) -> Iterator[Spot]:
    for key in _unsupported(table):
        if table.is_known and (key.is_new_table or world.is_schema) and not table.is_temporary:
            yield Spot(
                key.read,
                key.at,
                f"no index of {table.name} begins with ({', '.join(key.columns)}), referring to {key.references.table}",
            )


@table_rule(
    "FOREIGN_KEY_SUPPORT_MISSING",
    (*PG, *LITE),
    HAZARDS["FOREIGN_KEY_SUPPORT_MISSING"],
    why="Deleting or changing a row of the other table reads this whole table once for each row, under a lock.",
    advice="CREATE INDEX CONCURRENTLY on the columns of the foreign key, before it is added.",
)
def foreign_key_support_missing(table: TableState, world: World) -> Iterator[Spot]:
    for key in _unsupported(table):
        if not key.is_new_table and not world.is_schema:
            yield Spot(
                key.read,
                key.at,
                f"no index of {table.name} here begins with ({', '.join(key.columns)}), referring to {key.references.table}",
            )


def _comparable(index: IndexState) -> bool:
    return bool(index.columns) and "" not in index.columns and not index.is_partial and index.method in ("", "btree")


@table_rule(
    "DUPLICATE_INDEX",
    ENGINES,
    "two indexes over the same keys",
    why="Each costs room and every write, and one of them is never used.",
    advice="Drop one; keep the one that backs a constraint.",
)
def duplicate_index(table: TableState, world: World) -> Iterator[Spot]:
    for place, index in enumerate(table.indexes):
        for earlier in table.indexes[:place]:
            if _same(earlier, index):
                yield Spot(index.read, index.at, f"{_called(index)} of {table.name} repeats {_called(earlier)}")
                break


def _same(a: IndexState, b: IndexState) -> bool:
    if a.signature and b.signature:
        return a.signature == b.signature
    plain = [index for index in (a, b) if index.signature]
    is_simple = all(_is_simple(index) for index in plain)
    return (
        is_simple
        and _comparable(a)
        and _comparable(b)
        and a.columns == b.columns
        and (a.kind == b.kind or "index" in (a.kind, b.kind))
    )


def _is_simple(index: IndexState) -> bool:
    """Return whether an index has nothing but its columns: no order, operator class, prefix or included columns."""
    words = index.signature.removeprefix("UNIQUE ").replace("using btree", "").split()
    return len(words) == 2 * len(index.columns) + 1


@table_rule(
    "REDUNDANT_INDEX",
    ENGINES,
    "an index that another one begins with",
    why="The longer index answers the same queries; the shorter one only costs room and writes.",
    advice="Drop the shorter one, unless it is much smaller and much used.",
)
def redundant_index(table: TableState, world: World) -> Iterator[Spot]:
    for index in table.indexes:
        if index.kind != "index" or index.is_constraint or not _comparable(index) or (index.signature and not _is_simple(index)):
            continue
        for other in table.indexes:
            is_longer = (
                len(other.columns) > len(index.columns) and _comparable(other) and (not other.signature or _is_simple(other))
            )
            if is_longer and other.columns[: len(index.columns)] == index.columns:
                yield Spot(index.read, index.at, f"{_called(index)} of {table.name} is the beginning of {_called(other)}")
                break


def _called(index: IndexState) -> str:
    what = {"primary_key": "the primary key", "unique": "unique key", "index": "index"}[index.kind]
    return f"{what} {index.name}" if index.name else f"{what} ({', '.join(index.columns)})"


@table_rule(
    "TOO_MANY_INDEXES",
    ENGINES,
    "more indexes on a table than the settings allow",
    why="Every insert, and most updates, write into each of them.",
    advice="Drop what the server's statistics say is not used; mostIndexes sets the limit.",
)
def too_many_indexes(table: TableState, world: World) -> Iterator[Spot]:
    count = len(table.indexes)
    if count > world.settings.most_indexes:
        last = table.indexes[world.settings.most_indexes]
        yield Spot(last.read, last.at, f"{table.name} has {count} indexes and keys; {world.settings.most_indexes} are the limit")


@table_rule(
    "INDEX_TOO_WIDE",
    ENGINES,
    "an index of more columns than the settings allow",
    why="Columns behind the first few seldom narrow a search, and each makes the index larger and slower to write.",
    advice="Keep the columns that queries search by; mostIndexColumns sets the limit.",
)
def index_too_wide(table: TableState, world: World) -> Iterator[Spot]:
    most = world.settings.most_index_columns
    for index in table.indexes:
        if len(index.columns) > most:
            yield Spot(
                index.read,
                index.at,
                f"{_called(index)} of {table.name} has {len(index.columns)} columns; {most} are the limit",
            )
