"""A SQLite file from a chain: put together beside its place, checked, and switched in at one moment."""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from dbops.archive.storage.local import NO_LINKS
from dbops.dataclass import dataclass
from dbops.engines.base.backup import Link, Reader, Restored, RestoreOrder, Told, refuse_restore_options
from dbops.engines.base.beside import beside
from dbops.engines.base.passing import named
from dbops.engines.base.url import MEMORY
from dbops.engines.sqlite.backup.pages import CHANGES, DATABASE, DIGEST, HASHES, PAGES, SEED, HashTable, hasher
from dbops.engines.sqlite.backup.picking import only_tables
from dbops.engines.sqlite.blockers import openers
from dbops.engines.sqlite.errors import code_of
from dbops.engines.sqlite.standing_in import standing_in
from dbops.errors import BackupError

_PIECE = 4 << 20
_CACHE_KIB = 16 << 10
"""Of pages while a file is checked: with the usual 2 MiB those of indexes are read again and again."""
_BESIDE = ("-journal", "-wal", "-shm")


def occupied(path: str) -> str | None:
    """Say what stands at a path, None when nothing does that could be lost."""
    place = Path(path)
    if not os.path.lexists(place):
        return None
    if not place.is_file():
        return f"{path} is not a file"
    return f"{path} holds {place.stat().st_size} bytes" if place.stat().st_size else None


def must_allow(order: RestoreOrder) -> Path:
    """Return the place of the file that an order means; see the port."""
    _keeps_damage(order)
    path = order.target.url.database or MEMORY
    if path == MEMORY:
        raise BackupError("a backup cannot be restored into memory", expected="the path of a file: --to sqlite:///restored.db")
    if order.schemas:
        raise BackupError("a SQLite file has no schemas", expected="--table, or nothing for all of it")
    if not order.replaces and (found := occupied(path)):
        raise BackupError(f"{found}; it was left as it is", fix="restore to another path, or give --replace")
    place = Path(os.path.realpath(path))
    if not place.parent.is_dir():
        raise BackupError(f"there is no folder {place.parent} for the file", fix="create it, or correct the path")
    if place.exists():
        _must_be_unused(place)
    return place


def restore(chain: Sequence[Link], order: RestoreOrder, told: Told) -> Restored:
    """Restore a chain to a path; see the port."""
    place = must_allow(order)
    with _beside(place) as new:
        assemble(chain, new, told)
        note, warnings = "", []
        if not order.is_proven:
            told("checking the file")
            note = _must_be_sound(chain, new, keeps_damage=_keeps_damage(order))
        if order.tables:
            warnings += only_tables(new, order.tables)
            note = note and _left_of_it(new, note)
        if note:
            warnings.insert(0, note)
        aside = _switch(new, place, replaces=order.replaces, keeps_old=order.keeps_old)
        if aside is not None:
            warnings.append(f"what stood there is {aside}")
    return Restored(str(order.target.url.database), chain[-1].end, warnings=tuple(warnings))


def assemble(chain: Sequence[Link], path: Path, told: Told) -> None:
    """Write the file that a chain leads to; the last link decides how long it is."""
    page_size = int(chain[0].details["page_size"])
    with named(path), path.open("r+b" if path.exists() else "xb", buffering=0) as file:
        told(f"restoring {chain[0].id}")
        with chain[0].source.stream(DATABASE) as reader:
            while piece := reader.read(_PIECE):
                _write(file.fileno(), piece, None)
        for link in chain[1:]:
            told(f"restoring {link.id}")
            with link.source.stream(CHANGES) as changes, link.source.stream(PAGES) as pages:
                for number, content in _changed(changes, pages, page_size):
                    _write(file.fileno(), content, (number - 1) * page_size)
        os.ftruncate(file.fileno(), int(chain[-1].details["pages"]) * page_size)
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Checked:
    """What SQLite's own check of a file found, 100 problems at most; `untold` is why it could not look at everything."""

    problems: tuple[str, ...] = ()
    untold: str = ""


def integrity(path: Path) -> Checked:
    """Let SQLite check a file by `PRAGMA integrity_check`; an interrupt ends it.

    Where indexes and constraints need what only an application brings along, by `quick_check`, which leaves these out.
    """
    try:
        uri = f"{path.absolute().as_uri()}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as conn:
            conn.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            try:
                return Checked(_found(conn, "integrity_check"))
            except sqlite3.OperationalError as error:
                if not code_of(error).startswith("SQLITE_ERROR"):
                    raise
                return _quickly(conn, str(error))
    except sqlite3.Error as error:
        return Checked((str(error),))


def _quickly(conn: sqlite3.Connection, complaint: str) -> Checked:
    conn.execute("PRAGMA ignore_check_constraints = ON")
    untold = complaint
    with standing_in(conn) as bring:
        while bring(complaint):
            try:
                # of the values of columns nothing can be said: functions that compute them may be stood in for
                found = _found(conn, "quick_check")
                return Checked(tuple(line for line in found if not _VALUE.match(line)), untold)
            except sqlite3.OperationalError as error:
                complaint = str(error)
    return Checked((), untold)


_VALUE = re.compile(r"(?:NULL|NUMERIC|TEXT|non-\w+) value in |CHECK constraint failed in ")


def _found(conn: sqlite3.Connection, check: str) -> tuple[str, ...]:
    """Let a check run beside, since signals are only seen between the calls of the thread that they come to."""
    with beside(lambda: tuple(str(line) for (line,) in conn.execute(f"PRAGMA {check}")), conn.interrupt) as result:
        found = result()
    return () if found == ("ok",) else found


def _keeps_damage(order: RestoreOrder) -> bool:
    """Tell whether a file is wanted that was damaged when it was backed up.

    Raises:
        BackupError: an option that is not known.
    """
    refuse_restore_options(order, "damaged")
    how = str(order.options.get("damaged", "refuse"))
    if how not in ("refuse", "keep"):
        raise BackupError(f"damaged={how} is not known", expected="refuse, or keep")
    return how == "keep"


def _must_be_sound(chain: Sequence[Link], path: Path, *, keeps_damage: bool) -> str:
    """Let an assembled file pass that SQLite finds nothing wrong with; return what is to be said of it.

    Where something is wrong, or could not be looked at, every page is compared with what was backed up.

    Raises:
        BackupError: it is damaged, and is not wanted so, or is not what was backed up.
    """
    checked = integrity(path)
    problems = list(checked.problems)
    if not problems and not checked.untold:
        return ""
    if wrong := differs(chain, path):
        raise BackupError(f"the restored file is damaged: {wrong}", {"problems": [wrong, *problems]})
    if not problems:
        partly = "SQLite could check indexes and constraints in part only"
        return f"{partly} ({checked.untold}); every page is as it was backed up"
    if keeps_damage:
        return (
            f"the file is damaged, as it was when it was backed up: {problems[0]}; `sqlite3 FILE .recover` takes out what it can"
        )
    raise BackupError(
        f"the restored file is damaged, as it was when it was backed up: {problems[0]}",
        {"problems": problems},
        fix="look at the database with PRAGMA integrity_check; --option damaged=keep brings the file back as it was",
    )


def _left_of_it(path: Path, note: str) -> str:
    """Return what is to be said of some tables of a file of which that was to be said."""
    checked = integrity(path)
    if checked.problems:
        return f"the restored tables are damaged: {checked.problems[0]}; `sqlite3 FILE .recover` takes out what it can"
    return f"of the whole backup: {note}" + ("" if checked.untold else "; in the restored tables SQLite finds nothing wrong")


def differs(chain: Sequence[Link], path: Path) -> str | None:
    """Say that an assembled file is not the state that was backed up, page by page; None when it is."""
    page_size = int(chain[-1].details["page_size"])
    with chain[0].source.stream(HASHES) as reader:
        seed = int.from_bytes(reader.read(SEED), "big")
    digest, digests = hasher(seed), bytearray()
    with path.open("rb") as file:
        while page := file.read(page_size):
            digests += digest(page)
    found = HashTable(seed, digests).state
    return None if found == chain[-1].end["state"] else f"the pages of {chain[-1].id} are not those of its state"


def _changed(changes: Reader, pages: Reader, page_size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number and content of changed pages, neighbours together."""
    while change := changes.read(4 + DIGEST):
        content = pages.read(page_size)
        if len(content) < page_size:
            raise BackupError("there are fewer pages than changes")
        yield int.from_bytes(change[:4], "big"), content


def _write(handle: int, data: bytes, offset: int | None) -> None:
    view = memoryview(data)
    while view:
        count = os.write(handle, view) if offset is None else os.pwrite(handle, view, offset)
        view = view[count:]
        offset = None if offset is None else offset + count


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """Give a file in the same folder; it is gone afterwards, unless it was switched in. What killed restores left goes too."""
    for old in place.parent.glob(f".{glob.escape(place.name)}.restoring-*"):
        if not openers(str(old)):
            old.unlink(missing_ok=True)
    new = place.with_name(f".{place.name}.restoring-{secrets.token_hex(4)}")
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # what it replaces may be for its owner alone
    try:
        yield new
    finally:
        for suffix in ("", *_BESIDE):
            with suppress(OSError):
                Path(f"{new}{suffix}").unlink()


def _switch(new: Path, place: Path, *, replaces: bool, keeps_old: bool) -> Path | None:
    """Give the new file its name, at one moment, while nobody else has the old one open.

    With `keeps_old` return the further name that the old one, and what belongs to it, got before.
    A log or journal of the old file would be taken for one of the new file, so the old one is first brought to where it has none.
    """
    aside: Path | None = None
    if keeps_old and place.exists():
        _must_be_unused(place)
        aside = _put_aside(place)
        _as_before(new, place)
        new.replace(place)
    elif replaces and place.exists() and place.stat().st_size:
        with _alone(place):
            _as_before(new, place)
            new.replace(place)
    else:
        new.chmod(_usual_mode(place))
        for suffix in _BESIDE:
            if os.path.lexists(f"{place}{suffix}"):
                raise BackupError(f"{place}{suffix} is left from another file", fix="look at it, and remove it")
        if replaces:
            new.replace(place)
        else:
            try:
                os.link(new, place)  # refused where somebody has made one meanwhile
            except FileExistsError:
                _take_place(new, place)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                _take_place(new, place)
    handle = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return aside


def _take_place(new: Path, place: Path) -> None:
    """Rename a file to a name that nobody has given to anything with content."""
    if place.exists() and place.stat().st_size:
        raise BackupError(f"{place} was made meanwhile; it was left as it is") from None
    new.replace(place)


def _usual_mode(place: Path) -> int:
    """Return the mode that SQLite gives a new file here: all may read and write, less the umask."""
    probe = place.with_name(f".{place.name}.restoring-{secrets.token_hex(4)}")
    handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return os.fstat(handle).st_mode & 0o777
    finally:
        os.close(handle)
        probe.unlink()


def _as_before(new: Path, place: Path) -> None:
    """Give the new file the mode and, where we may, the owner of the old one."""
    status = place.stat()
    new.chmod(status.st_mode & 0o777)
    with suppress(PermissionError):
        os.chown(new, status.st_uid, status.st_gid)


def _put_aside(place: Path) -> Path:
    """Give a damaged file a further name, and move its logs to that."""
    aside = place.with_name(f"{place.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    try:
        os.link(place, aside)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copyfile(place, aside)
    for suffix in _BESIDE:
        if os.path.lexists(f"{place}{suffix}"):
            Path(f"{place}{suffix}").rename(f"{aside}{suffix}")
    return aside


def _must_be_unused(place: Path) -> None:
    if programs := openers(str(place)):
        raise BackupError(
            f"{place} is in use by {' and '.join(programs)}, which would go on with the old file; it was left as it is",
            fix="end what has it open",
        )


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the old file so that nobody reads or writes it, without a log beside it.

    Raises:
        BackupError: somebody has it open.
    """
    _must_be_unused(place)
    try:
        with closing(sqlite3.connect(place, isolation_level=None, timeout=1.0)) as conn:
            # leaving WAL mode takes the file for oneself, brings the log home, and removes it
            if str(conn.execute("PRAGMA journal_mode = DELETE").fetchone()[0]).lower() == "wal":
                raise BackupError(f"{place} is in use; it was left as it is", fix="end the programs that have it open")
            conn.execute("BEGIN EXCLUSIVE")
            yield
            conn.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        raise BackupError(f"{place} is in use: {error}; it was left as it is", fix="end what has it open") from error
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{place}: {error}; it was left as it is", fix="move it aside, and restore again") from error
