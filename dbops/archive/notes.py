"""Small documents beside backups: evidence, holds, failures; each with a seal that ties it to its place.

The seal is BLAKE3 of the key, a line end, and the document without the seal, as JSON with sorted keys and no spaces. It tells
damage, and a document that was moved; whoever may write into the storage can make one.
"""

from __future__ import annotations

import json
from typing import Any

from dbops.archive.hashes import new_hash
from dbops.errors import BackupError

_SEAL = "seal"


class DamagedNoteError(BackupError):
    """A document is not as it was written, or belongs elsewhere."""


def written(key: str, facts: dict[str, Any]) -> bytes:
    """Return a document as it is stored under `key`."""
    return (json.dumps({**facts, _SEAL: _seal(key, facts)}, indent=1, ensure_ascii=False) + "\n").encode()


def read(text: bytes, key: str) -> dict[str, Any]:
    """Return what `written` was given.

    Raises:
        DamagedNoteError: it is damaged, or belongs elsewhere.
    """
    try:
        facts = json.loads(text)
        seal = facts.pop(_SEAL)
        is_whole = written(key, facts) == text and seal == _seal(key, facts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise DamagedNoteError(f"{key} is not as it was written", error_code="NOTE_DAMAGED")
    return dict(facts)


def _seal(key: str, facts: dict[str, Any]) -> str:
    digest = new_hash()
    digest.update(f"{key}\n{json.dumps(facts, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}".encode())
    return str(digest.hexdigest())
