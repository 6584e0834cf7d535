"""What proves a backup: stored bytes, the engine's tools, and a restore into a throwaway database that is looked at."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any

from dbops.archive.chains import chain_of
from dbops.archive.encryption import WrongKeyError
from dbops.archive.manifest import Manifest
from dbops.archive.repository import Contents, Repository
from dbops.archive.storage.base import StorageError
from dbops.archive.verify import check_hashes, check_sizes
from dbops.dataclass import dataclass
from dbops.engines.base.backup import LATEST, Backups, Point, Told
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.passing import lacks_room
from dbops.engines.base.shape import decoded
from dbops.errors import BackupError, DbopsError
from dbops.resources.backups.files import writing_files
from dbops.resources.backups.leading import drill_points
from dbops.resources.backups.making import INVENTORY, link
from dbops.resources.backups.model import Evidence
from dbops.resources.backups.standing import tried

LEVELS = {
    0: "sizes",
    1: "hashes of all stored bytes",
    2: "the engine's own tools",
    3: "a restore into a throwaway database",
    4: "a restore to a moment between two backups",
}


_OUR_FAULTS = frozenset(("MISSING_TOOL", "NO_TRIAL", "NO_ROOM"))
"""Codes of errors that say nothing of the backup: this machine cannot try it out."""


DELETED = "BACKUP_DELETED"
"""The code of the error that says that a backup was deleted while something was done with it."""


@dataclass(frozen=True, slots=True)
class Prover:
    """What backups are proven with. `near` is the database that they are of; `checks` are the policy's queries."""

    backups: Backups
    engine: Engine
    near: Target
    repository: Repository
    clock: Callable[[], datetime]
    told: Told
    checks: tuple[str, ...] = ()


def prove(prover: Prover, manifest: Manifest, contents: Contents, level: int) -> Evidence:
    """Verify a backup and all that a restore of it needs, up to a level; keep the evidence beside it, and return it.

    Where the key at hand does not open it, level 1 is what can be reached, and the evidence says so.

    Raises:
        BackupError: level 4 is asked for, and no log goes on from this backup; or it was deleted meanwhile.
    """
    point, last = _drilled(manifest, contents) if level == 4 else (LATEST, manifest)
    seconds: float | None = None
    details: dict[str, Any] = {"point": point.text} if level == 4 else {}
    unopened: str | None = None
    chain: Sequence[Manifest] = ()
    try:
        chain = chain_of(last, contents.backups)
        problems = stored_problems(prover.repository, chain, level, prover.told)
        unopened = None if problems else _unopened(prover.repository, chain, level)
        if unopened is None and not problems and level >= 2:
            links = [link(prover.backups, prover.repository, one) for one in chain]
            if level == 2:
                with writing_files("the verification"):
                    problems = list(prover.backups.examine(links, prover.told))
            else:
                started = monotonic()
                with writing_files("the verification"), prover.backups.trial(links, prover.near, point, prover.told) as conn:
                    seconds = round(monotonic() - started, 3)
                    problems, looked_at = _looked_at(prover, manifest, conn, whole=point == LATEST)
                    details |= looked_at
    except (WrongKeyError, StorageError):
        raise  # nothing can be said of the backup
    except DbopsError as error:
        if error.error_code in _OUR_FAULTS:
            raise
        if lacks_room(error):
            raise BackupError(
                f"the verification was given up: {error.message}", error.context, "NO_ROOM", fix=error.fix or "make room there"
            ) from error
        problems = [error.message]
    if problems and (gone := deleted_of(prover.repository, chain)) is not None:
        raise BackupError(f"{gone.id} was deleted while it was verified, which says nothing of it", error_code=DELETED)
    falls_short = unopened is not None and level > 1
    if falls_short:
        level, details = 1, {}
    evidence = Evidence(
        manifest.id, prover.clock(), level, not problems, tuple(problems), seconds, details, unopened, falls_short
    )
    try:
        evidence = replace(evidence, number=tried(prover.repository, manifest.id) + 1)
        keep(prover.repository, evidence)
    except StorageError as error:
        return replace(evidence, unkept=error.message)
    return evidence


def deleted_of(repository: Repository, chain: Iterable[Manifest]) -> Manifest | None:
    """Return the first link of a chain that was deleted since it was listed, None where all are there or nobody can tell."""
    with suppress(StorageError):
        return next((one for one in chain if repository.is_deleted(one)), None)
    return None


def must_be_kept(evidence: Evidence) -> Evidence:
    """Let evidence pass that lies beside its backup.

    Raises:
        StorageError: it cannot be kept; says what was found.
    """
    if evidence.unkept is not None:
        verdict = "was found good" if evidence.ok else f"was found wanting ({evidence.problems[0]})"
        raise StorageError(
            f"{evidence.backup_id} {verdict} at level {evidence.level}, and the evidence of it cannot be kept: {evidence.unkept}"
        )
    return evidence


def _unopened(repository: Repository, chain: Sequence[Manifest], level: int) -> str | None:
    """Say why the key at hand does not open a chain whose stored bytes are sound; from level 2 on it is tried."""
    reason = next((reason for one in chain if (reason := repository.closed(one)) is not None), None)
    if reason is None and level > 1:
        try:
            must_open(repository, chain)
        except WrongKeyError as error:
            return error.message
    return reason


def must_open(repository: Repository, chain: Sequence[Manifest]) -> None:
    """Let a chain pass, whose stored bytes are sound, if the key at hand opens all of it as it is stored.

    Raises:
        WrongKeyError: it does not; MissingPackageError: this machine cannot.
    """
    for one in chain:
        repository.open_all(one)


def _drilled(manifest: Manifest, contents: Contents) -> tuple[Point, Manifest]:
    """Return a moment at random behind a backup, and the log that reaches it."""
    found = drill_points(manifest, contents)
    if found is None:
        raise BackupError(
            f"no log goes on from {manifest.id}, so that no restore could stop between two backups",
            fix="schedule log backups where the engine has them; or verify at level 3",
        )
    before, behind = found
    moment = before.ended_at + (behind.ended_at - before.ended_at) * random.random()
    return Point("time", moment, f"{moment:%Y-%m-%d %H:%M:%S.%f}Z"), behind


def stored_problems(repository: Repository, chain: Iterable[Manifest], level: int, told: Told) -> list[str]:
    """Return what is wrong with the stored bytes of a chain, sizes alone at level 0."""
    problems = []
    for one in chain:
        told(f"checking what is stored of {one.id}")
        problems += check_hashes(repository, one) if level else check_sizes(repository, one)
    return problems


def keep(repository: Repository, evidence: Evidence) -> None:
    """Write evidence into the repository."""
    facts = {
        "format": "dbops.evidence/1",
        "backup_id": evidence.backup_id,
        "at": evidence.at.isoformat(),
        "level": evidence.level,
        "ok": evidence.ok,
        "problems": list(evidence.problems),
        "seconds": evidence.seconds,
        "details": dict(evidence.details),
        "number": evidence.number,
    }
    repository.note(f"verify/{evidence.backup_id}/{evidence.at:%Y%m%dT%H%M%S.%fZ}.json", facts)


def rows_in(repository: Repository, manifest: Manifest) -> Mapping[str, int]:
    """Return the counts of rows that were taken with a backup, empty where none were.

    Raises:
        BackupError: they cannot be read.
    """
    source = repository.source(manifest)
    if INVENTORY not in source.names:
        return {}
    with source.stream(INVENTORY) as reader:
        found = decoded(reader.read(), {"rows": _is_counts}, f"{INVENTORY} of {manifest.id}")
    rows: Mapping[str, int] = found["rows"]
    return rows


def _is_counts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(count, int) for count in value.values())


def _looked_at(prover: Prover, manifest: Manifest, conn: Connection, *, whole: bool) -> tuple[list[str], dict[str, Any]]:
    """Compare a restored database with what was known when the backup was made, and ask the policy's own questions."""
    from dbops.engines.base.backup import schema_digest

    problems: list[str] = []
    details: dict[str, Any] = {}
    if whole and manifest.schema_digest is not None:
        prover.told("comparing the catalog")
        details["schema"] = schema_digest(prover.engine, conn) == manifest.schema_digest
        if not details["schema"]:
            problems.append("the restored schema is not the one that was backed up")
    expected = rows_in(prover.repository, manifest) if whole else {}
    if expected:
        prover.told("counting rows")
        found = prover.backups.rows(conn)
        details["tables_counted"] = len(expected)
        problems += [
            f"{table} has {found.get(table, 'no')} rows instead of {rows}"
            for table, rows in expected.items()
            if found.get(table) != rows
        ]
    for check in prover.checks:
        prover.told(f"asking: {check}")
        problems += _asked(conn, check)
    details["checks"] = len(prover.checks)
    return problems, details


def _asked(conn: Connection, check: str) -> list[str]:
    try:
        answer = conn.query(check)
    except DbopsError as error:
        return [f"the check `{check}` failed: {error.message}"]
    if len(answer) != 1 or len(answer[0]) != 1:
        return [f"the check `{check}` gave {len(answer)} rows instead of one value"]
    return [] if answer[0][0] else [f"the check `{check}` gave {answer[0][0]!r}"]


def must_be_sound(repository: Repository, chain: Sequence[Manifest], told: Told) -> None:
    """Let a chain pass if every stored byte of it is what was written.

    Raises:
        BackupError: it is not; nothing was touched.
    """
    if problems := stored_problems(repository, chain, 1, told):
        lines = "\n".join(f"  {problem}" for problem in problems[:10])
        raise BackupError(
            f"the backup cannot be restored; nothing was touched:\n{lines}",
            {"problems": problems},
            fix="choose an earlier one: dbops backup list",
            error_code="BACKUP_DAMAGED",
        )
