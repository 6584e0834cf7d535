"""Which pages of a file changed, by a table with 16 bytes of XXH3 for each.

The seed of the hash is drawn anew for each full backup and lies in the table itself, encrypted with the backup where that is: who
can write rows, and does not know it, cannot make a page that looks like another.

A table is 8 bytes of seed and 16 bytes for each page in order. A change is 4 bytes, big-endian, with the number of a page,
counted
from 1, and its 16 bytes of hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dbops.engines.base.backup import Link, Writer
from dbops.engines.base.shape import is_size
from dbops.errors import BackupError

DATABASE, HASHES, CHANGES, PAGES = "database", "pages.xxh3", "changes.xxh3", "pages"
DIGEST, SEED = 16, 8
_CHANGE = 4 + DIGEST
_PAGE_SIZES = frozenset(1 << power for power in range(9, 17))
_MOST_PAGES = 0xFFFFFFFE
"""What a file can have (https://www.sqlite.org/limits.html, 13)."""


def is_page_size(value: object) -> bool:
    """Tell whether a file can have pages of that size."""
    return is_size(value) and value in _PAGE_SIZES


def is_page_count(value: object) -> bool:
    """Tell whether a file can have so many pages; one that nothing was written to has none."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_PAGES


def hasher(seed: int) -> Any:
    """Return the function from a page to its hash, and from the beginning to the hash of all.

    Raises:
        BackupError: the package is not installed.
    """
    try:
        from xxhash import xxh3_128_digest
    except ImportError as error:
        raise BackupError(
            "backups of SQLite need the package xxhash", fix="install it: pip install 'dbops[backup]'", error_code="MISSING_TOOL"
        ) from error
    return lambda page: xxh3_128_digest(page, seed)


class HashTable:
    """The hashes of all pages of one state."""

    def __init__(self, seed: int, digests: bytearray) -> None:
        self.seed: int = seed
        self.digests: bytearray = digests

    def __len__(self) -> int:
        return len(self.digests) // DIGEST

    @property
    def state(self) -> str:
        """What names the whole state: a hash of all hashes, in hexadecimal."""
        digest: bytes = hasher(self.seed)(bytes(self.digests))
        return digest.hex()

    def change(self, changes: bytes, pages: int) -> None:
        """Bring the table from one state to the next, which has `pages` pages.

        Raises:
            BackupError: there would be pages that the file did not have, and that are no change either.
        """
        if pages > len(self) + len(changes) // _CHANGE:
            raise BackupError(f"a file of {len(self)} pages has no {pages} after that few changes", error_code="PART_DAMAGED")
        self.digests[:] = self.digests[: pages * DIGEST].ljust(pages * DIGEST, b"\0")
        for start in range(0, len(changes), _CHANGE):
            place = (int.from_bytes(changes[start : start + 4], "big") - 1) * DIGEST
            self.digests[place : place + DIGEST] = changes[start + 4 : start + _CHANGE]


def table_of(chain: Sequence[Link]) -> HashTable:
    """Return the table of the state at the end of a chain: that of the full, with all changes since.

    Raises:
        BackupError: a stream cannot be read, or the table is not that of the state.
    """
    with chain[0].source.stream(HASHES) as reader:
        seed = int.from_bytes(reader.read(SEED), "big")
        table = HashTable(seed, bytearray(reader.read()))
    for link in chain[1:]:
        with link.source.stream(CHANGES) as reader:
            table.change(reader.read(), int(link.details["pages"]))
    if table.state != chain[-1].end["state"]:
        raise BackupError(f"the hashes of the pages of {chain[-1].id} are not those of its state", error_code="PART_DAMAGED")
    return table


def hash_pieces(pieces: Iterable[memoryview], page_size: int, seed: int, database: Writer, table: Writer) -> HashTable:
    """Write all pages, and the table of their hashes; return that."""
    digest, digests = hasher(seed), bytearray()
    table.write(seed.to_bytes(SEED, "big"))
    for piece in pieces:
        database.write(piece)
        found = b"".join([digest(piece[start : start + page_size]) for start in range(0, len(piece), page_size)])
        table.write(found)
        digests += found
    return HashTable(seed, digests)


def changed_pieces(pieces: Iterable[memoryview], page_size: int, table: HashTable) -> Iterator[tuple[bytes, bytes]]:
    """Yield the changes and the changed pages of each piece that has any."""
    digest, known = hasher(table.seed), bytes(table.digests)
    page = 0
    for piece in pieces:
        count = len(piece) // page_size
        digests = [digest(piece[start : start + page_size]) for start in range(0, len(piece), page_size)]
        found = b"".join(digests)
        if found != known[page * DIGEST : (page + count) * DIGEST]:
            changed = [
                place for place in range(count) if digests[place] != known[(page + place) * DIGEST : (page + place + 1) * DIGEST]
            ]
            yield (
                b"".join([(page + place + 1).to_bytes(4, "big") + digests[place] for place in changed]),
                b"".join([piece[place * page_size : (place + 1) * page_size] for place in changed]),
            )
        page += count
