"""Whole databases, or some of their tables, moved to another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from time import monotonic

from dbops.api.migration_records import Transformer, must_transform
from dbops.arguments import checked
from dbops.dataclass import dataclass

__all__ = ["TransferResult", "transfer"]


@dataclass()
class TransferResult:
    """What was moved; true when all of it was. `tables` are the rows written by table, `left_out` objects that are no tables."""

    success: bool
    tables: dict[str, int]
    rows_transferred: int
    execution_time: float
    left_out: list[str] = field(default_factory=list)
    error_message: str | None = None

    def __bool__(self) -> bool:
        return self.success


@checked
def transfer(
    source_url: str,
    target_url: str,
    tables: Sequence[str] | None = None,
    batch_size: int = 1000,
    transformers: Mapping[str, Transformer] | None = None,
) -> TransferResult:
    """Copy tables with their keys, indexes and rows into another database, of another engine too.

    `tables` are all of them unless named. `transformers` make other records of the rows of a table on the way; the table
    keeps its columns. Foreign keys are made when all rows are there, and numbering goes on behind the highest number. A table
    that is there already is an error, and nothing is touched. What fails on the way is told in the result: the new tables stay
    then, each with all of its rows or none.

    Raises:
        SchemaError: a table has what the other engine cannot have; names all of it. Or a table is there already.
        ConnectError: one of the databases cannot be reached.
    """
    from dbops.usecases.transfer import transfer as carry

    began = monotonic()
    changes = {table: must_transform(transformer).transform for table, transformer in (transformers or {}).items()}
    done = carry(source_url, target_url, tables, batch_size, changes)
    total = sum(done.rows.values())
    return TransferResult(done.error is None, dict(done.rows), total, monotonic() - began, list(done.left_out), done.error)
