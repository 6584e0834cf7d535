"""`migrations.lock`: the files of a folder as they were when the lock was written.

Every line but the first says a file and the SHA-256 of its text; the first says one over all others. Two branches that both add
a migration both change the first line, so git finds a conflict where each branch alone is right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from dbops.errors import Mark, MigrationError
from dbops.resources.migrations.folder import Contents, shown, write_text

FILE_NAME = "migrations.lock"
_FIX = "review the change, then dbops migrate lock writes the file anew"


def lock_text(contents: Sequence[Contents]) -> str:
    """Return the text of the lock file."""
    lines = [f"{file.name} {file.checksum}\n" for file in sorted(contents, key=lambda file: file.name)]
    total = hashlib.sha256("".join(lines).encode()).hexdigest()
    return f"dbops.lock/1 {total}\n" + "".join(lines)


def write_lock(folder: Path, contents: Sequence[Contents]) -> Path:
    """Write the lock file of a folder and return it; raises as `write_text` does."""
    path = folder / FILE_NAME
    write_text(path, lock_text(contents))
    return path


def check_lock(folder: Path, contents: Sequence[Contents]) -> bool:
    """Compare a folder with its lock file; False when it has none.

    Raises:
        MigrationError: they differ; names the files that were added, changed or removed since.
    """
    if (difference := lock_difference(folder, contents)) is not None:
        raise difference
    return (folder / FILE_NAME).exists()


def lock_difference(folder: Path, contents: Sequence[Contents]) -> MigrationError | None:
    """Return the error that says how a folder differs from its lock file; None when it does not, or has none."""
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        fix = "let the account that dbops runs as read it, or dbops migrate lock writes it anew"
        return MigrationError(f"the lock file cannot be read: {why}", at=Mark(shown(path)), fix=fix)
    return None if text == lock_text(contents) else _difference(path, text, contents)


def _difference(path: Path, text: str, contents: Sequence[Contents]) -> MigrationError:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
            return MigrationError(
                "the lock file holds a conflict: two branches added or changed migrations",
                at=Mark(shown(path), number, 1),
                fix="put the migrations in order (dbops migrate status shows them), then dbops migrate lock",
                error_code="LOCK_CONFLICT",
            )
    locked = {name: checksum for name, _, checksum in (line.rpartition(" ") for line in text.splitlines()[1:]) if name}
    there = {file.name: file.checksum for file in contents}
    parts = [
        *(f"added: {name}" for name in sorted(there.keys() - locked.keys())),
        *(f"removed: {name}" for name in sorted(locked.keys() - there.keys())),
        *(f"changed: {name}" for name in sorted(there.keys() & locked.keys()) if there[name] != locked[name]),
    ]
    what = ", ".join(parts) if parts else "the lock file itself was edited"
    return MigrationError(f"the folder is not what its lock file says; {what}", at=Mark(shown(path)), fix=_FIX, error_code="LOCK")
