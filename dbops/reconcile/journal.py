"""The port of the record of an apply, and what writes it in spite of others who hold the database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from dbops.dataclass import dataclass
from dbops.reconcile.patience import Patience, patiently
from dbops.reconcile.step import Step


class Journal(Protocol):
    """The record of one apply inside one database; `order` names a step, `statement` its statement from 0."""

    def begin(self, steps: Sequence[tuple[str, Step]]) -> None:
        """Write down all steps with their addresses as pending."""
        ...

    def mark(
        self, first: int, last: int, state: str, *, statement: int | None = None, error: str = "", in_transaction: bool = False
    ) -> None:
        """Set the state of the steps `first` to `last`, or of one statement of the step `first`; what is done stays done.

        With `in_transaction` it is written with what the transaction does, or not at all; else on another session if need be.
        """
        ...

    def finish(self, state: str, error: str = "") -> None:
        """Close the record: done, failed, interrupted or not converged; what still runs in it was interrupted."""
        ...


@dataclass(frozen=True, slots=True)
class PatientJournal:
    """A journal whose writes are tried again where somebody holds the database (SQLite locks it as a whole)."""

    journal: Journal
    patience: Patience

    def begin(self, steps: Sequence[tuple[str, Step]]) -> None:
        patiently(lambda: self.journal.begin(steps), self.patience)

    def mark(
        self, first: int, last: int, state: str, *, statement: int | None = None, error: str = "", in_transaction: bool = False
    ) -> None:
        """A write within the transaction of the steps is tried again with it, not by itself."""
        if in_transaction:
            self.journal.mark(first, last, state, statement=statement, error=error, in_transaction=True)
        else:
            write = partial(self.journal.mark, first, last, state, statement=statement, error=error)
            patiently(write, self.patience)

    def finish(self, state: str, error: str = "") -> None:
        patiently(lambda: self.journal.finish(state, error), self.patience)
