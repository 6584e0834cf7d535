"""restore: bring a chain back, after every stored byte of it was checked and what stood there was saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path
from time import monotonic
from urllib.parse import unquote, urlsplit

from dbops.archive.chains import chain_of
from dbops.archive.manifest import Manifest
from dbops.archive.naming import begun_at
from dbops.archive.repository import Contents, Repository
from dbops.archive.storage.base import StorageError
from dbops.dataclass import dataclass
from dbops.engines.base.backup import LATEST, Point, Restored, RestoreOrder
from dbops.engines.base.connect import Target
from dbops.errors import BackupError, DbopsError, MissingDatabaseError, QueryError
from dbops.resources.backups.files import writing_files
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.leading import chain_to, chains_to_name, ends_at
from dbops.resources.backups.making import link
from dbops.resources.backups.progress import Progress
from dbops.resources.backups.proving import DELETED, deleted_of, must_be_sound, must_open
from dbops.resources.backups.sources import SAFETY, source_of, words_for
from dbops.resources.backups.standing import proven_at
from dbops.telemetry import measured
from dbops.usecases.backup.policies import Place, find_backup, must_have_some, one_policy
from dbops.usecases.runtime import connected, engine_for, target_for_url

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RestoreWish:
    """What is to be restored where.

    `to` is the URL of a database or, for the files of a server, `file://` and a folder. `word` is an id or
    `latest`; None takes what `point` needs. `options` are the engine's own. `password` is that of `to`, where it has none.
    """

    to: str
    word: str | None = None
    point: Point = LATEST
    schemas: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    replaces: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    password: str | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path | None:
        """The folder that is meant, None where a database is.

        Raises:
            BackupError: a folder of another machine.
        """
        if not self.to.startswith("file://"):
            return None
        address = urlsplit(self.to)
        if address.netloc not in ("", ".", "localhost"):
            raise BackupError("the folder is on another machine", expected="file:///path, or file://./path from here")
        return Path(unquote(address.path.lstrip("/") if address.netloc == "." else address.path)).absolute()


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was restored. `safety` is the backup of what stood there before, None where nothing did."""

    chain: tuple[Manifest, ...]
    restored: Restored
    seconds: float
    safety: Manifest | None = None


def point_of(at: datetime | None = None, lsn: str | None = None, name: str | None = None) -> Point:
    """Return the point that is meant; the latest when nothing is given."""
    if at is not None:
        return Point("time", at, f"{at:%Y-%m-%d %H:%M:%S}Z")
    if lsn is not None:
        return Point("lsn", None, lsn)
    return LATEST if name is None else Point("name", None, name)


@measured("restore")
def restore(place: Place, wish: RestoreWish, told: Told, name: str | None = None) -> RestoreResult:
    """Restore a chain.

    Raises:
        BackupError: it is damaged, cannot lead to the point, or the target is occupied; nothing was touched. Or it failed.
    """
    policy = one_policy(place, name, told)
    folder = wish.folder
    target = target_for_url(wish.to, wish.password) if folder is None else policy.target
    engine = engine_for(target.url)
    contents = policy.repository.contents()
    must_have_some(policy, contents)
    backups = engine.backups
    chain, *others = _chains(policy, contents, wish)
    if chain[0].engine != engine.name:
        raise BackupError(
            f"the backup is of {chain[0].engine}, and {target.url.redacted()} is {engine.name}",
            expected=f"a {chain[0].engine} URL",
        )
    _must_lead_to(wish.point, chain[-1])
    found = backups.occupied(target, folder)
    if found is not None and not wish.replaces:
        raise BackupError(f"{found}; it was left as it is", fix="restore to another place, or give --replace")
    order = RestoreOrder(target, wish.point, wish.schemas, wish.tables, wish.replaces, folder=folder, options=wish.options)
    if found is not None:
        backups.must_allow([link(backups, policy.repository, one) for one in chain], order)
    with ExitStack() as readers:
        result = _carried_out(policy, [chain, *others], order, told, readers, saves=found is not None and folder is None)
    restored = _as_of(result.restored, result.chain[-1], wish.point)
    notes = [*_later(wish, result.chain[-1], contents), *_of_which(wish, result.chain[-1], contents)]
    return replace(result, restored=replace(restored, warnings=(*restored.warnings, *notes)))


def _carried_out(
    policy: Keeper,
    chains: Sequence[tuple[Manifest, ...]],
    order: RestoreOrder,
    told: Told,
    readers: ExitStack,
    *,
    saves: bool,
) -> RestoreResult:
    """Check what is stored, save what stands there, and restore the first of the chains that leads to the point."""
    chain, *others = chains
    _must_be_readable(policy, chain, told, readers)
    safety = None
    if saves:
        try:
            safety = _saved(policy, order.target, told)
        except QueryError as error:
            if engine_for(order.target.url).features.has_servers:
                raise
            told(f"what stands there is damaged, and is kept beside: {error.message}")
            order = replace(order, keeps_old=True)
    started = monotonic()
    while True:
        try:
            with _being_there(policy.repository, chain):
                restored = _brought(policy, chain, order, told)
            break
        except BackupError as error:
            if error.error_code != "POINT_NOT_REACHED" or not others:
                raise
            told(f"{error.message}; looking in the logs before {chain[0].id}")
            chain, *others = others
            _must_be_readable(policy, chain, told, readers)
    return RestoreResult(chain, restored, round(monotonic() - started, 3), safety)


def _must_be_readable(policy: Keeper, chain: Sequence[Manifest], told: Told, readers: ExitStack) -> None:
    """Let a chain pass whose stored bytes are sound and open, so that a wrong key is told before anything is saved or made.

    From here on nobody deletes it, as far as this machine may say so in the storage.
    """
    readers.enter_context(policy.repository.reading(chain, policy.clock))
    with _being_there(policy.repository, chain):
        must_be_sound(policy.repository, chain, told)
        must_open(policy.repository, chain)


@contextmanager
def _being_there(repository: Repository, chain: Sequence[Manifest]) -> Iterator[None]:
    """Say of what fails in a block that it does because the backup was deleted meanwhile, and is not damaged.

    Nobody deletes what says that it is read; but who may only read the storage restores too, and cannot say so.
    """
    try:
        yield
    except DbopsError as error:
        if (gone := deleted_of(repository, chain)) is None:
            raise
        raise BackupError(
            f"{gone.id} was deleted while it was being restored: {error.message}",
            error.context,
            fix="choose one that is there: dbops backup list; `dbops backup hold` keeps one from being deleted",
            error_code=DELETED,
        ) from error


def _later(wish: RestoreWish, last: Manifest, contents: Contents) -> list[str]:
    """Say which backups cannot be used that would have been nearer to what was asked for than the one that was restored."""
    if wish.word not in (None, "latest") or wish.point.what not in (LATEST.what, "time"):
        return []
    end = wish.point.time
    later = [one for one in contents.broken_since(last) if end is None or begun_at(str(one.backup_id)) <= end]
    return [f"a later backup, {one.backup_id}, cannot be used: {one.reason}" for one in later]


def _of_which(wish: RestoreWish, last: Manifest, contents: Contents) -> list[str]:
    """Say of which database a backup is that nobody named, where several lie in one place."""
    others = {source_of(one): one for one in contents.backups if SAFETY not in one.labels and source_of(one) != source_of(last)}
    if not others or wish.word not in (None, "latest"):
        return []
    return [
        f"it is a backup of {words_for(last)}; there are those of other databases too"
        f" ({'; '.join(map(words_for, others.values()))}), which an id names"
    ]


def _brought(policy: Keeper, chain: Sequence[Manifest], order: RestoreOrder, told: Told) -> Restored:
    """Let the engine restore a chain whose bytes are sound."""
    if proven := proven_at(policy.repository, chain[-1].id):
        told(f"{chain[-1].id} was restored and checked on {proven:%Y-%m-%d %H:%M:%S}Z; its bytes are the same")
        order = replace(order, is_proven=True)
    progress = Progress("restoring", sum(one.plain_size for one in chain), told)
    with writing_files("the restore"):
        backups = engine_for(order.target.url).backups
        return backups.restore([link(backups, policy.repository, one, progress.add) for one in chain], order, told)


def _must_lead_to(point: Point, last: Manifest) -> None:
    """Let a point pass that a chain's last backup leads to, by a replay, or because it is the state before a moment.

    Raises:
        BackupError: nothing is replayed that could stop there, or the backup is of a later moment.
    """
    if point == LATEST or point.what in last.points:
        return
    end = last.end
    if point.what == "time":
        leads = point.time is not None and (last.ended_at <= point.time or ends_at(last, point))
    else:
        leads = point.text in (*map(str, end.values()), f"{end.get('file')}:{end.get('offset')}")
    if not leads:
        raise BackupError(
            f"{last.id} leads to its own end alone, {last.ended_at:%Y-%m-%d %H:%M:%S}Z, and not to {point.text}",
            expected="a moment at which a backup ended, or a point in a log: dbops backup list",
            error_code="POINT_NOT_REACHED",
        )


def _as_of(restored: Restored, last: Manifest, point: Point) -> Restored:
    """Say of which moment a state is that is older than the one asked for, where no log leads from one to the other."""
    if point.what != "time" or ends_at(last, point) or "time" in last.points:
        return restored
    note = f"this is the state of {last.ended_at:%Y-%m-%d %H:%M:%S}Z, the last before {point.text} that a backup leads to"
    return replace(restored, warnings=(*restored.warnings, note))


def _chains(policy: Keeper, contents: Contents, wish: RestoreWish) -> Sequence[tuple[Manifest, ...]]:
    """Return the chain that is meant; for a named point, of which only a replay tells where it is, all that may lead there."""
    if wish.word is not None and wish.word != "latest":
        return [chain_of(find_backup(contents, wish.word), contents.backups)]
    if wish.point.what == "name" and (found := chains_to_name(contents)):
        return found
    backups = policy.engine.backups
    return [chain_to(contents, wish.point, backups, lambda one: link(backups, policy.repository, one))]


def _saved(policy: Keeper, target: Target, told: Told) -> Manifest | None:
    """Make a full backup of what stands at the target, in the same repository.

    Raises:
        BackupError: it cannot be made; nothing was touched.
    """
    told("making a backup of what stands there")
    try:
        with connected(target) as (_, conn):
            return policy.save(conn, target, "a restore in its place")
    except MissingDatabaseError:
        return None
    except StorageError as error:
        raise BackupError(
            f"what stands there cannot be saved first, and was left as it is: {error.message}",
            error.context,
            fix="let the storage be written to; or restore to another place, and put that in the place of the other by hand",
        ) from error
