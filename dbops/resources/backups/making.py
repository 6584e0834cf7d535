"""A backup made: the parent found, the engine let write, the manifest committed; or given up, with a note of what went wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from dbops.archive.chains import chain_of, parent_for
from dbops.archive.codec import Codec
from dbops.archive.manifest import Kind, Manifest
from dbops.archive.naming import new_id
from dbops.archive.repository import Contents, Draft, Repository
from dbops.dataclass import dataclass
from dbops.engines.base.backup import Backups, Identity, Link, Mechanism, Order, Position, Produced, Told, must_fit
from dbops.engines.base.connect import Connection, Target
from dbops.errors import BackupError, DbopsError
from dbops.resources.backups.files import writing_files
from dbops.resources.backups.progress import Progress
from dbops.resources.backups.sources import SAFETY, source_of, words_for

INVENTORY = "inventory.json"
"""The stream with the counts of rows: what tells of contents is encrypted with them."""


@dataclass(frozen=True, slots=True)
class Maker:
    """What backups of one database are made with. `fence` is the number of the lease held, and `check` raises once it is lost."""

    backups: Backups
    engine: str
    conn: Connection
    target: Target
    repository: Repository
    codec: Codec
    clock: Callable[[], datetime]
    told: Told
    version: str
    kinds: frozenset[Kind] = frozenset()
    fence: int = 0
    check: Callable[[], None] = lambda: None


def make(
    maker: Maker, mechanism: Mechanism, options: dict[str, Any] | None = None, labels: dict[str, str] | None = None
) -> Manifest:
    """Make one backup and return it committed.

    Raises:
        BackupError: there is no parent, or it failed; nothing of it stays but a note.
    """
    identity = maker.backups.identity(maker.conn)
    contents = maker.repository.contents()
    maker.repository.end_late(contents)
    ours = [one for one in contents.backups if maker.repository.keys.opens(one.encryption)]
    parent = _parent(mechanism, identity, contents, ours)
    chain = chain_of(parent, contents.backups) if parent is not None else ()
    begun_at = maker.clock()
    backup_id = new_id(mechanism.kind, begun_at)
    links = tuple(link(maker.backups, maker.repository, one) for one in chain)
    log_end = _log_end(mechanism, parent, contents)
    order = Order(mechanism, backup_id, links, options or {}, owner_of(maker.repository), maker.kinds, log_end)
    last = contents.backups[-1] if contents.backups else None
    _say_of_another(contents, identity, maker.told)
    progress = Progress("writing", _size_before(mechanism, contents), maker.told)
    draft = maker.repository.begin(backup_id, identity.timeline, maker.codec, progressed=progress.add, like=last)
    try:
        draft.announce(begun_at)
        with writing_files("the backup"):
            produced = maker.backups.produce(order, maker.conn, maker.target, draft.sink, maker.told)
        _must_have_ended_well(produced)
        with draft.sink.stream(INVENTORY) as writer:
            writer.write(json.dumps({"rows": dict(produced.inventory.rows)}, ensure_ascii=False).encode())
        draft.sink.close()
        maker.check()
        manifest = _manifest(maker, mechanism, identity, draft, parent, begun_at, produced)
        return draft.commit(replace(manifest, labels=labels or {}))
    except BaseException as error:
        draft.discard(_failure(mechanism.kind, maker.clock(), error))
        raise


def _say_of_another(contents: Contents, identity: Identity, told: Told) -> None:
    """Say that the last backup is of another database, which may be the first time that two share a place."""
    made = [one for one in contents.backups if SAFETY not in one.labels]
    if made and source_of(made[-1]) != source_of(replace(made[-1], identity=identity.facts)):
        told(
            f"the last backup here, {made[-1].id}, is of another database ({words_for(made[-1])}); if that one lives, it needs a"
            " policy of another name, or another storage"
        )


def _size_before(mechanism: Mechanism, contents: Contents) -> int | None:
    """Return how much the last full of its family wrote, which the next one will about write; None for what follows one."""
    fulls = [one for one in contents.backups if one.kind == mechanism.kind == "full" and one.family == mechanism.family]
    return fulls[-1].plain_size if fulls else None


def owner_of(repository: Repository) -> str:
    """Return the word by which an engine knows a policy and its repository again."""
    return f"{repository.target}-{sha256(repository.storage.title.encode()).hexdigest()[:8]}"


def link(backups: Backups, repository: Repository, manifest: Manifest, progressed: Callable[[int], None] | None = None) -> Link:
    """Return a backup as the engine sees it; `progressed` is told of bytes as they are read.

    Raises:
        BackupError: its facts are none that the engine can read.
    """
    one = unread(repository, manifest, progressed)
    must_fit(one, backups.shape(one))
    return one


def unread(repository: Repository, manifest: Manifest, progressed: Callable[[int], None] | None = None) -> Link:
    """Return a backup as `link` does, whose facts may have any shape."""
    return Link(
        manifest.id,
        manifest.kind,
        "logical" if manifest.method == "logical" else "physical",
        manifest.tool,
        manifest.family,
        manifest.start,
        manifest.end,
        manifest.ended_at,
        manifest.details,
        repository.source(manifest, progressed),
    )


def _parent(mechanism: Mechanism, identity: Identity, contents: Contents, ours: Sequence[Manifest]) -> Manifest | None:
    """Return what a new backup follows, of `ours`: a chain whose links have different keys could not be restored with one."""
    if mechanism.kind == "full":
        return None
    parent = parent_for(mechanism, identity.timeline, ours)
    if parent is None:
        others = [one for one in contents.backups if one.family == mechanism.family]
        if parent_for(mechanism, identity.timeline, contents.backups) is not None:
            why = "those before have another key"
        else:
            why = "the database is another one than before" if others else "there is no full backup yet"
        raise BackupError(
            f"{'an' if mechanism.kind == 'incremental' else 'a'} {mechanism.kind} backup has nothing to follow: {why}",
            fix="make one first: dbops backup run --type full",
            error_code="NO_PARENT",
        )
    return parent


def _log_end(mechanism: Mechanism, parent: Manifest | None, contents: Contents) -> Position | None:
    """Return where the last log ended, for the first log behind another base."""
    if parent is None or not mechanism.points or parent.points:
        return None
    logs = [one for one in contents.backups if (one.family, one.timeline) == (parent.family, parent.timeline) and one.points]
    return logs[-1].end if logs else None


def _must_have_ended_well(produced: Produced) -> None:
    for one in produced.exits:
        if one.code != 0:
            raise BackupError(f"{one.tool} ended with exit code {one.code}")


def _manifest(
    maker: Maker,
    mechanism: Mechanism,
    identity: Identity,
    draft: Draft,
    parent: Manifest | None,
    begun_at: datetime,
    produced: Produced,
) -> Manifest:
    kind: Kind = mechanism.kind
    return Manifest(
        id=draft.id,
        target=maker.repository.target,
        timeline=identity.timeline,
        engine=maker.engine,
        server_version=maker.conn.server.version_text,
        kind=kind,
        method=mechanism.method,
        tool=mechanism.tool,
        family=mechanism.family,
        points=tuple(sorted(mechanism.points)),
        begun_at=begun_at,
        ended_at=produced.ended_at,
        finished_at=maker.clock(),
        start=produced.start,
        end=produced.end,
        parent_id=parent.id if parent else None,
        parent_digest=parent.seal if parent else None,
        full_id=parent.full_id if parent else draft.id,
        identity=identity.facts,
        tools=produced.tools,
        exits=tuple({"tool": one.tool, "code": one.code, "seconds": one.seconds} for one in produced.exits),
        details=produced.details,
        encryption=draft.encryption.facts,
        schema_digest=produced.inventory.schema_digest,
        database_size=produced.inventory.size_bytes,
        warnings=tuple(produced.warnings),
        fence=maker.fence,
        dbops_version=maker.version,
    )


def _failure(kind: str, now: datetime, error: BaseException) -> dict[str, Any]:
    if isinstance(error, DbopsError):
        return {"kind": kind, "at": now.isoformat(), "error": error.message, "exits": error.context.get("exits", [])}
    return {
        "kind": kind,
        "at": now.isoformat(),
        "error": type(error).__name__ if str(error) == "" else f"{type(error).__name__}: {error}",
    }
