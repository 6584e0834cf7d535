"""What is asked of live rows before a change relies on them."""

from __future__ import annotations

from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """Rows of `table`, known as `alias`, that meet `condition` are in the way of `ref`; `words` say why.

    `columns` tell rows apart where the table has no primary key. `is_tried`: the condition is a value instead, which every row
    must have; that the server cannot compute it is the answer. `alone`: rows of tables that inherit from this one are not asked.
    `excludes` are expressions and the operators by which rows exclude each other, those that meet `condition` where it says any.
    `fills`: these rows are in nobody's way, and change with it.
    """

    ref: Ref
    table: Ref
    condition: str
    words: str
    columns: tuple[str, ...]
    is_tried: bool = False
    alias: str = "t"
    alone: bool = False
    excludes: tuple[tuple[str, str], ...] = ()
    fills: bool = False
