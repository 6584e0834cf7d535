"""A migration as it was when it was applied: by the texts that the ledger keeps, whatever its file says by now."""

from __future__ import annotations

from dataclasses import replace

from dbops.errors import Mark, MigrationError
from dbops.reconcile.ledger import Ledger, Record
from dbops.resources.migrations.edits import is_python
from dbops.resources.migrations.model import DesiredMigrations, Migration

THE_LEDGER = "the ledger"
"""Stands for a file where messages name one."""


def as_applied(record: Record, ledger: Ledger, desired: DesiredMigrations, filed: Migration | None) -> Migration | None:
    """Return a migration with the way back that it had when it was applied; `filed` is what its file says, if it is there.

    None where the ledger does not tell: of Alembic's revisions, which Alembic runs from their files, of texts that are too long
    or hold a password, and of what was taken over from another runner.
    """
    up, down = ledger.texts(record.version)
    if up is None or desired.format == "alembic":
        return None
    shown = filed.at.file if filed is not None else THE_LEDGER
    try:
        found = _read(up, down, record, shown)
    except MigrationError:  # texts of a version of dbops that kept them otherwise
        return None
    if found.down is not None:
        filed_back = filed.down if filed is not None else None  # knows of a marker that ledgers of earlier versions forgot
        is_transactional = found.down.is_transactional and (filed_back is None or filed_back.is_transactional)
        found = replace(found, down=replace(found.down, at=Mark(shown), is_transactional=is_transactional))
    return replace(found, checksum=record.checksum)


def _read(up: str, down: str | None, record: Record, shown: str) -> Migration:
    from dbops.resources.migrations import python_files, sql_files

    if down is None and is_python(up):
        return python_files.of_text(up, record.version, record.name, shown)
    return sql_files.of_texts(up, down, record.version, record.name, shown)
