"""What is stored, compared with what the manifest says: sizes (level 0), hashes of every stored byte (level 1); no key needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from dbops.archive.manifest import Manifest
from dbops.archive.packages import MissingPackageError
from dbops.archive.parts import PartRecord
from dbops.archive.reading import stored_pieces
from dbops.archive.repository import Repository, folder_of, manifest_key
from dbops.archive.storage.base import StorageError
from dbops.errors import BackupError

_READERS = 2


def check_sizes(repository: Repository, manifest: Manifest) -> list[str]:
    """Return what is wrong with the manifest itself and with the sizes of its parts; one listing.

    Raises:
        MissingPackageError: nothing can be said of what is stored.
    """
    problems = []
    try:
        repository.fresh(manifest)
    except MissingPackageError:
        raise
    except BackupError as error:
        problems.append(error.message)
    folder = folder_of(manifest)
    there = {head.key: head.size for head in repository.storage.list(f"{folder}/parts/")}
    for part in _parts(manifest):
        size = there.get(f"{folder}/{part.key}")
        if size is None:
            problems.append(f"the part {folder}/{part.key} is missing")
        elif size != part.stored_size:
            problems.append(f"the part {folder}/{part.key} is {size} bytes long instead of {part.stored_size}")
    return problems


def check_hashes(repository: Repository, manifest: Manifest, progressed: Callable[[int], None] = lambda size: None) -> list[str]:
    """Return what `check_sizes` does, and every part whose stored bytes are not those that were written.

    `progressed` is told of bytes as they are read.

    Raises:
        StorageError: the storage answers nothing any more.
    """
    problems = check_sizes(repository, manifest)
    if problems:
        return problems
    folder = folder_of(manifest)

    def check(part: PartRecord) -> str | None:
        try:
            for piece in stored_pieces(repository.storage, f"{folder}/{part.key}", part):
                progressed(len(piece))
        except MissingPackageError:
            raise
        except StorageError as error:  # of this object, or of all
            repository.storage.head(manifest_key(manifest))
            return error.message
        except BackupError as error:
            return error.message
        return None

    with ThreadPoolExecutor(_READERS) as pool:
        return [problem for problem in pool.map(check, _parts(manifest)) if problem is not None]


def _parts(manifest: Manifest) -> Iterator[PartRecord]:
    return (part for stream in manifest.streams for part in stream.parts)
