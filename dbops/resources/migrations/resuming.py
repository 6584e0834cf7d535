"""Whether a migration that failed may go on: what stands of it must be what its file still says."""

from __future__ import annotations

from dbops.errors import MigrationError
from dbops.reconcile.ledger import Ledger, Record
from dbops.resources.migrations.edits import same_beginning
from dbops.resources.migrations.model import Direction, Migration, Script
from dbops.sql.dialect import Dialect


def must_be_resumable(
    migration: Migration, direction: Direction, script: Script, resumed: Record, ledger: Ledger, dialect: Dialect
) -> None:
    """Refuse to go on in a file whose statements that stand were edited since; `resumed` says how far it came.

    Raises:
        MigrationError: one of them was edited, or whether it was cannot be told.
    """
    if not resumed.reached or (direction == "up" and resumed.checksum == migration.checksum):
        return
    texts = ledger.texts(migration.version)
    before = texts[0] if direction == "up" else texts[1]
    if before is None:
        raise MigrationError(
            f"{migration.id} failed behind statement {resumed.reached}, and its file was edited since: whether in what"
            " stands cannot be told, for texts that are long or hold a password are not kept",
            at=migration.at,
            fix=f"take the edit back, or let them stand: dbops migrate resolve {migration.id} --reached {resumed.reached}",
            error_code="RESUME_EDITED",
        )
    moved = same_beginning(before, script.text, resumed.reached, dialect)
    if moved is not None:
        raise MigrationError(
            f"{migration.id} failed behind statement {resumed.reached}; its statement {moved}, which stands, was edited",
            at=migration.at,
            expected="the statements that stand as they were; what comes behind them may change",
            fix="take the edit back, or undo the statements by hand and dbops migrate resolve --pending",
            error_code="RESUME_EDITED",
        )
