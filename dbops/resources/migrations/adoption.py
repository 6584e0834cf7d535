"""The history of another runner turned into a ledger: which file each of its rows speaks of, and whether they agree."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, Mark, MigrationError, Problems
from dbops.reconcile.history import History, Remembered
from dbops.reconcile.ledger import LedgerState, Record
from dbops.resources.migrations.model import Migration, version_key
from dbops.resources.migrations.run import Author


@dataclass(frozen=True, slots=True)
class Adopted:
    """A migration of the set that counts as applied, and the row that says so; None where a later row implies it."""

    migration: Migration
    row: Remembered | None
    state: LedgerState = "applied"


def adopted(history: History, migrations: Sequence[Migration], *, ignore_checksums: bool = False) -> list[Adopted]:
    """Return what a history says was applied, in its order.

    Raises:
        Problems: of MigrationError: rows that no file says, of files that were edited or renamed since, or of migrations that
            failed.
    """
    problems: list[DbopsError] = []
    if history.tool in ("alembic", "golang-migrate"):
        found = _up_to_heads(history, migrations, problems)
    else:
        found = _row_by_row(history, migrations, problems)
    if history.tool in _CHECKSUMS and not ignore_checksums:
        problems.extend(problem for one in found if (problem := _edited(history, one)))
    if problems:
        raise Problems(problems)
    return found


def spoken_of(history: History, migrations: Sequence[Migration]) -> list[Migration]:
    """Return the migrations that rows of a history name as applied, without those that a row implies."""
    found: dict[str, Migration] = {}
    for row in history.rows:
        claimants = [one for one in migrations if _claims(one, row)] if history.tool == "alembic" else []
        migration = claimants[-1] if claimants else _spoken_of(row, migrations)
        if migration is not None and row.outcome != "undone":
            found[migration.version] = migration
    return list(found.values())


def implied_by(named: Sequence[Migration], history: History, migrations: Sequence[Migration]) -> frozenset[str]:
    """Return the versions of those that a history names, and of those that had to run before them."""
    versions = frozenset(one.version for one in named)
    if history.tool != "golang-migrate":
        return versions
    return frozenset(_reached(versions, migrations, {one.version: one for one in migrations}))


def part_of(history: History, migrations: Sequence[Migration], part: str | None) -> History:
    """Return the rows of one app or project: `part`, or the only one that speaks of migrations of the set.

    Raises:
        MigrationError: there are several, or none called so.
    """
    if history.parts in ((), ("",)):
        return history
    if part is None:
        matched = {
            name: sum(row.part == name and _named(row, migrations) is not None for row in history.rows) for name in history.parts
        }
        known = [name for name, count in matched.items() if count]
        if len(known) != 1:
            names = ", ".join(known or history.parts)
            raise MigrationError(
                f"{history.table} speaks of {names}",
                expected="one of them for a set",
                fix=f"say which: --app {max(history.parts, key=lambda name: matched[name])}",
            )
        part = known[0]
    elif part not in history.parts:
        raise MigrationError(f"{history.table} does not speak of {part}", expected=f"one of {', '.join(history.parts)}")
    return replace(history, rows=tuple(row for row in history.rows if row.part == part))


def record_of(one: Adopted, author: Author) -> Record:
    """Return the record of a migration that was taken over: when and by whom as the other runner knew it."""
    now = author.now()
    row = one.row or Remembered("")
    text, down_text = one.migration.kept_texts
    return Record(
        version=one.migration.version,
        name=one.migration.name,
        position=0,
        checksum=one.migration.checksum,
        state=one.state,
        started_at=row.at or now,
        finished_at=row.at or now,
        duration_ms=row.duration_ms,
        who=row.who or author.who,
        dbops_version=author.dbops_version,
        text=text,
        down_text=down_text,
    )


# --- which file a row speaks of


def _row_by_row(history: History, migrations: Sequence[Migration], problems: list[DbopsError]) -> list[Adopted]:
    found: dict[str, Adopted] = {}
    for row in history.rows:
        migration = _spoken_of(row, migrations)
        if row.outcome == "failed":
            problems.append(_failed(history, row, migration))
        elif row.outcome == "baseline":
            below = [
                one for one in migrations if not one.is_repeatable and version_key(one.version) <= version_key(row.version or "")
            ]
            found |= {one.version: Adopted(one, row, "baselined") for one in below}
        elif row.outcome == "undone":
            if migration is not None:
                found.pop(migration.version, None)
        elif migration is None:
            problems.append(_without_file(history, row, migrations))
        elif row.is_repeatable:
            if _checksum(history, migration) == row.checksum:  # another text runs again, as it would have there
                found[migration.version] = Adopted(migration, row)
        elif row.version is not None and row.name and _words(row.name) != _words(migration.name):
            problems.append(_renamed(history, row, migration))
        else:
            found[migration.version] = Adopted(migration, row)
    return list(found.values())


def _spoken_of(row: Remembered, migrations: Sequence[Migration]) -> Migration | None:
    if row.is_repeatable:
        return next((one for one in migrations if one.is_repeatable and _words(one.name) == _words(row.name)), None)
    if row.version is not None:
        key = version_key(row.version)
        return next((one for one in migrations if not one.is_repeatable and version_key(one.version) == key), None)
    return _named(row, migrations)


def _named(row: Remembered, migrations: Sequence[Migration]) -> Migration | None:
    """Return the migration that is called as a row says: as a whole, or by its name alone where only one is."""
    words = _words(row.name)
    for migration in migrations:
        if words in (_words(migration.id), _words(_stem(migration))):
            return migration
    called = [migration for migration in migrations if _words(migration.name) == words]
    return called[0] if len(called) == 1 else None


def _stem(migration: Migration) -> str:
    return re.sub(r"(\.up)?\.\w+$", "", re.split(r"[/\\]", migration.at.file)[-1])


def _words(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower()


def _up_to_heads(history: History, migrations: Sequence[Migration], problems: list[DbopsError]) -> list[Adopted]:
    """Return the migrations that the rows name, and all that had to run before them."""
    by_version = {migration.version: migration for migration in migrations}
    rows: dict[str, Remembered] = {}
    for row in history.rows:
        claimants = [one for one in migrations if _claims(one, row)] if history.tool == "alembic" else []
        head = claimants[-1] if claimants else _spoken_of(row, migrations)
        if row.outcome == "failed":
            problems.append(_failed(history, row, head))
        elif head is None:
            problems.append(_without_file(history, row, migrations))
        else:
            rows[head.version] = row
    reached = _reached(rows, migrations, by_version)
    return [Adopted(one, rows.get(one.version)) for one in migrations if one.version in reached]


def _reached(heads: Iterable[str], migrations: Sequence[Migration], by_version: Mapping[str, Migration]) -> set[str]:
    """Return versions with those they depend on; a file that names none stands behind all before it, an Alembic revision not."""
    order = [migration.version for migration in migrations if not migration.is_repeatable]
    reached: set[str] = set()
    waiting = list(heads)
    while waiting:
        version = waiting.pop()
        if version in reached:
            continue
        reached.add(version)
        migration = by_version[version]
        waiting += migration.depends if migration.depends or migration.kind == "alembic" else order[: order.index(version)]
    return reached


def _claims(migration: Migration, row: Remembered) -> bool:
    """Tell whether a migration is a revision of Alembic: by version, by a word of its name, or by what Alembic writes in SQL."""
    revision = row.label
    if revision == migration.version or revision.lower() in _words(migration.name).split():
        return True
    mark = rf"^--[^\n]*\b(?:Running upgrade\b[^\n]*->|Revision(?: ID)?:)[ ]*{re.escape(revision)}\b"
    return re.search(mark, migration.up.text, re.MULTILINE) is not None


# --- whether they agree


def _crc32(text: str) -> str:
    """Return Flyway's checksum: CRC-32 over the lines without their ends, as a signed number of 32 bits."""
    value = zlib.crc32(re.sub(r"[\r\n]", "", text).encode())
    return str(value - (1 << 32) if value >= 1 << 31 else value)


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_CHECKSUMS = {"flyway": _crc32, "sqitch": _sha1}


def _checksum(history: History, migration: Migration) -> str:
    return _CHECKSUMS[history.tool](migration.up.text)


def _edited(history: History, one: Adopted) -> MigrationError | None:
    expected = one.row.checksum if one.row and one.state == "applied" and one.migration.kind == "sql" else None
    found = _checksum(history, one.migration)
    if expected is None or expected == found:
        return None
    return MigrationError(
        f"{one.migration.at.file} was edited since {history.title} applied it: its checksum was {expected} and is {found}",
        at=one.migration.at,
        fix="bring back the text that was applied; --ignore-checksums takes the file as it is",
    )


def _failed(history: History, row: Remembered, migration: Migration | None) -> MigrationError:
    return MigrationError(
        f"{history.title} says that {row.label} failed",
        at=migration.at if migration else None,
        fix=f"finish or take back what it left, and let {history.title} know, before dbops takes over",
    )


def _without_file(history: History, row: Remembered, migrations: Sequence[Migration]) -> MigrationError:
    from difflib import get_close_matches

    near = get_close_matches(row.name or row.label, [migration.id for migration in migrations], 1)
    return MigrationError(
        f"{history.title} applied {row.label}, and no file of the set is it",
        expected=f"a file for every row of {history.table}",
        fix=(f"is it {near[0]}? " if near else "")
        + "A file of that version is not run: say in it what was made, or nothing but in a comment why it is not needed",
    )


def _renamed(history: History, row: Remembered, migration: Migration) -> MigrationError:
    return MigrationError(
        f"{history.title} applied {row.version} as {row.name!r} ({row.label}), and {migration.at.file} has another name",
        at=Mark(migration.at.file),
        fix="give the file its name back",
    )
