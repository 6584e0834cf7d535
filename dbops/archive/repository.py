"""Everything of one target in a storage: backups, failures, evidence, holds. The storage is the truth; the index only saves time.

::

    <target>/<timeline>/backups/<id>/begun.json         there until all parts are, and again once they go
    <target>/<timeline>/backups/<id>/parts/00000.pack ...
    <target>/<timeline>/backups/<id>/manifest.json      written last, create-only
    <target>/<timeline>/failures/<id>.json              what a run that failed left to be known
    <target>/verify/<id>/<utc>.json                     evidence of a verification
    <target>/holds/<id>.json                            not to be deleted
    <target>/locks/<n>.json                             the leases of writers
    <target>/readers/<id>/<token>.json                  the leases of those who read a backup
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from dbops.archive import manifest as manifests
from dbops.archive import notes
from dbops.archive.chains import order
from dbops.archive.cipher import Keys, encryption_of
from dbops.archive.codec import PLAIN, Codec
from dbops.archive.encryption import Encryption, WrongKeyError
from dbops.archive.index import Index
from dbops.archive.lease import READERS, is_held, reader_of, reading
from dbops.archive.manifest import Manifest
from dbops.archive.naming import begun_at, is_id
from dbops.archive.notes import DamagedNoteError
from dbops.archive.packages import MissingPackageError
from dbops.archive.parts import PART, Shelf
from dbops.archive.reading import BackupSource, stream_pieces
from dbops.archive.storage.base import WRITING, MissingObjectError, ObjectWriter, Storage, StorageError
from dbops.archive.writing import BackupSink
from dbops.dataclass import dataclass
from dbops.errors import BackupError

BEGUN = "begun.json"
_LONGEST_RUN = timedelta(days=1)
_VANISHED = (
    "of the backups that this machine has seen there ({count}), none is left: the storage was lost, or is another one, or is not"
    " mounted; or they were deleted elsewhere"
)

_LOST = (
    "the manifest is gone and its parts are there: it was lost, or a run was killed as it committed; dbops backup delete, with"
    " the whole id, removes them"
)


@dataclass(frozen=True, slots=True)
class Broken:
    """Something that looks like a backup and cannot be used."""

    key: str
    reason: str

    @property
    def backup_id(self) -> str | None:
        """The id in the key, None where it has none."""
        return _id_in(self.key)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a target holds: backups by age, oldest first, and what is broken. `timelines` are all that something is kept of."""

    backups: tuple[Manifest, ...]
    broken: tuple[Broken, ...] = ()
    timelines: frozenset[str] = frozenset()
    lost: frozenset[tuple[str, str]] = frozenset()
    """The timelines and ids of backups whose parts are there and whose manifest is not, or is damaged."""
    damaged: frozenset[tuple[str, str]] = frozenset()
    """Those of them that have a manifest, which is damaged, or which the key at hand does not take for one."""
    late: frozenset[str] = frozenset()
    """The keys of what says that something is begun, beside manifests: of runs that were cut off behind their commit, of
    deletions that were cut off before they deleted anything, or of a writer at work."""

    def find(self, backup_id: str) -> Manifest | None:
        return next((one for one in self.backups if one.id == backup_id), None)

    def broken_named(self, backup_id: str) -> list[Broken]:
        """Return what is broken of a backup by its whole id, nothing where it can be used."""
        return [one for one in self.broken if one.backup_id == backup_id] if self.find(backup_id) is None else []

    def broken_since(self, last: Manifest | None) -> list[Broken]:
        """Return the backups that cannot be used and were begun behind one, all of them where there is none, oldest first."""
        found = [one for one in self.broken if one.backup_id is not None]
        moment = last.begun_at if last is not None else None
        return sorted(
            (one for one in found if moment is None or begun_at(str(one.backup_id)) > moment),
            key=lambda one: begun_at(str(one.backup_id)),
        )


class Repository:
    """The backups of one target."""

    def __init__(self, storage: Storage, target: str, keys: Keys, index: Index) -> None:
        self.storage: Storage = storage
        self.target: str = target
        self.keys: Keys = keys
        self.index: Index = index
        self._encryptions: dict[str, Encryption] = {}
        self._known: dict[str, tuple[bytes, Manifest]] = {}  # the texts that were read before, and what they say

    # --- writing

    def begin(
        self,
        backup_id: str,
        timeline: str,
        codec: Codec,
        part_size: int = PART,
        progressed: Callable[[int], None] = lambda size: None,
        like: Manifest | None = None,
    ) -> Draft:
        """Begin a backup; nothing of it counts before `commit`, nor is there before `announce`. `progressed` is told of bytes as
        they are written.

        It is encrypted as `like` is, where the key is still the same.
        """
        encryption = self.keys.encryption(like.encryption if like is not None else None)
        return Draft(self, backup_id, timeline, codec, encryption, part_size, progressed)

    def note(self, key: str, facts: dict[str, Any]) -> bool:
        """Keep a small JSON document below the target, unless there is one of that key; tell whether it was written."""
        key = f"{self.target}/{key}"
        return self.storage.put_if_absent(key, notes.written(key, facts))

    def end_late(self, contents: Contents) -> None:
        """Take back for the run before, if that was cut off behind its commit, that it is at work.

        Only who holds the lease knows that it is not. Older ones are left to pruning, where a run may not delete.
        """
        last = max(contents.backups, key=lambda one: one.id, default=None)
        if last is not None and (key := f"{folder_of(last)}/{BEGUN}") in contents.late:
            _take_back(self.storage, key)

    # --- reading

    def contents(self) -> Contents:
        """Return all backups of the target; one listing, and one request for each manifest not seen before.

        Raises:
            MissingPackageError: manifests cannot be looked at on this machine, which says nothing of them.
        """
        found: list[Manifest] = []
        broken: list[Broken] = []
        heads = {head.key: head for head in self.storage.list(f"{self.target}/")}
        vanished = self._vanished(heads)
        self.index.forget_all_but(self.storage.title, self.target, {*heads, *vanished})
        for key, head in heads.items():
            if not key.endswith("/manifest.json"):
                continue
            try:
                found.append(self._manifest(key, head.size))
            except MissingPackageError:
                raise
            except BackupError as error:
                broken.append(Broken(key, error.message))
        lost = {f"{self.target}/{one[0]}/backups/{one[1]}/manifest.json": one for one in self._lost_among(heads, found)}
        broken += [Broken(key, _LOST) for key in sorted(lost.keys() - heads.keys())]
        if vanished - lost.keys():
            broken.insert(0, Broken(f"{self.target}/", _VANISHED.format(count=len(vanished))))
        timelines = {folders[1] for key in heads if (folders := key.split("/"))[2:3] in (["backups"], ["failures"])}
        return Contents(
            tuple(sorted(found, key=order)),
            tuple(broken),
            frozenset(timelines),
            frozenset(lost.values()),
            frozenset(one for key, one in lost.items() if key in heads),
            frozenset(key for key in heads if key.endswith(f"/{BEGUN}") and f"{_folder_in(key)}/manifest.json" in heads),
        )

    def _vanished(self, heads: Collection[str]) -> set[str]:
        """Return the manifests that this machine has seen, where none at all is left: the storage is likely to be gone."""
        if any(key.endswith("/manifest.json") for key in heads):
            return set()
        return {key for key in self.index.keys(self.storage.title, self.target) if key.endswith("/manifest.json")}

    def _lost_among(self, keys: Collection[str], found: Iterable[Manifest]) -> frozenset[tuple[str, str]]:
        """Return the timelines and ids of folders with parts whose manifests were not found, and where nothing says that a run is
        going on or died.
        """
        folders = {key.rpartition("/parts/")[0] for key in keys if _id_in(key) is not None and not key.endswith("/manifest.json")}
        left = [one.split("/") for one in folders - {folder_of(one) for one in found} - self._dead(keys)]
        return frozenset((names[1], names[3]) for names in left if len(names) == 4 and is_id(names[3]))

    def notes(self, folder: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the documents that `note` kept below a folder, by key; damaged ones are passed over."""
        prefix, title = f"{self.target}/{folder}/", self.storage.title
        result = []
        for head in sorted(self.storage.list(prefix), key=lambda head: head.key):
            if _is_unfinished(head.key):
                continue
            text = self.index.get(title, head.key, head.size)
            with suppress(BackupError):  # what the index says is not worth an error
                if text is not None:
                    result.append((head.key.removeprefix(f"{self.target}/"), notes.read(text, head.key)))
                    continue
            with suppress(MissingObjectError, DamagedNoteError):
                text = self.storage.get(head.key)
                result.append((head.key.removeprefix(f"{self.target}/"), notes.read(text, head.key)))
                self.index.put(title, head.key, text)
        return result

    def damaged_notes(self) -> Iterator[Broken]:
        """Yield the documents of `note` that are not as they were written; one request for each, since the index is not asked."""
        for head in self.storage.list(f"{self.target}/"):
            _, *folders = head.key.split("/")
            is_note = folders[0] in ("verify", "holds") or "failures" in folders[1:2]
            if is_note and not _is_unfinished(head.key):
                try:
                    notes.read(self.storage.get(head.key), head.key)
                except MissingObjectError:
                    continue
                except DamagedNoteError as error:
                    yield Broken(head.key, error.message)

    def cut_off(self, now: datetime) -> Iterator[Broken]:
        """Yield the folders of runs that died and deletions that were cut off, and of none that is going on."""
        keys = {head.key for head in self.storage.list(f"{self.target}/")}
        is_busy = is_held(self.storage, self.target, now)
        for folder in sorted(self._dead(keys)):
            has_parts = any(key.startswith(f"{folder}/parts/") and _id_in(key) is not None for key in keys)
            if has_parts and not (is_busy and begun_at(folder.rpartition("/")[2]) > now - _LONGEST_RUN):
                why = "a run died, or a deletion was cut off; dbops backup prune removes them after a day"
                yield Broken(f"{folder}/manifest.json", f"there are parts and no manifest in {folder}: {why}")

    def held(self) -> dict[str, str]:
        """Return the ids of backups that are held, with the reasons; a hold that is damaged still holds."""
        keys = [head.key for head in self.storage.list(f"{self.target}/holds/")]
        reasons = {f"{self.target}/{key}": str(facts.get("reason", "")) for key, facts in self.notes("holds")}
        stems = {key: key.rpartition("/")[2].removesuffix(".json") for key in keys if key.endswith(".json")}
        return {stem: reasons.get(key, "the hold is damaged, and no reason can be read") for key, stem in stems.items()}

    def reading(self, chain: Sequence[Manifest], clock: Callable[[], datetime]) -> AbstractContextManager[None]:
        """Keep a chain from being deleted for the block, where the storage may be written to."""
        ends = [one for one, behind in pairwise(chain) if behind.parent_id != one.id] + list(chain[-1:])
        return reading(self.storage, self.target, [one.id for one in ends], clock)  # what these need stays with them

    def is_deleted(self, manifest: Manifest) -> bool:
        """Tell whether a backup that was there was deleted, or is being: nothing of it is left, or a deletion says so itself.

        Where no lease was ever taken, as it is for a deletion, the storage is another one than before.
        """
        folder = folder_of(manifest)
        keys = {head.key for head in self.storage.list(f"{folder}/")}
        if f"{folder}/manifest.json" in keys or not any(self.storage.list(f"{self.target}/locks/")):
            return False
        return not any(_id_in(key) is not None for key in keys) or self._is_begun(folder)

    def fresh(self, manifest: Manifest) -> Manifest:
        """Read a manifest from the storage itself, and compare it with its seal and, where its key is given, with its mac.

        Raises:
            BackupError: it is gone, damaged, forged, or another one than the index knows.
        """
        key = manifest_key(manifest)
        try:
            found = manifests.from_json(self.storage.get(key), key)
        except MissingObjectError as error:
            raise BackupError(f"the manifest of {manifest.id} is gone", error_code="MANIFEST_MISSING") from error
        self._must_be_ours(found, key)
        if found.seal != manifest.seal:
            raise BackupError(f"{key} is another one than was listed", error_code="MANIFEST_DAMAGED")
        return found

    def encryption(self, manifest: Manifest) -> Encryption:
        """Return what opens a backup; raises WrongKeyError as `encryption_of` does."""
        facts = repr(sorted(manifest.encryption.items()))
        if facts not in self._encryptions:  # a passphrase takes a tenth of a second
            self._encryptions[facts] = encryption_of(manifest.encryption, self.keys)
        return self._encryptions[facts]

    def closed(self, manifest: Manifest) -> str | None:
        """Say why the keys at hand do not open a backup, as far as can be told without reading any of it; None if they may."""
        facts = manifest.encryption
        try:
            self.encryption(manifest)
        except WrongKeyError as error:
            return error.message
        if facts["method"] != "age" or (self.keys.secret is not None and self.keys.opens(facts)):
            return None
        if self.keys.secret is None:
            return "the backup is encrypted for age recipients, and no identity was given"
        return "the backup is encrypted for other age recipients"

    def shelf(self, manifest: Manifest) -> Shelf:
        return Shelf(self.storage, folder_of(manifest), manifest.id, PLAIN, self.encryption(manifest))

    def open_all(self, manifest: Manifest) -> None:
        """Read the beginning of each stream of a backup as it is stored, past what this machine has kept.

        Raises:
            WrongKeyError: the key at hand does not open one; MissingPackageError: this machine cannot.
        """
        shelf = self.shelf(manifest)
        for record in manifest.streams:
            with closing(stream_pieces(record, shelf)) as pieces:
                next(pieces, None)

    def source(self, manifest: Manifest, progressed: Callable[[int], None] | None = None) -> BackupSource:
        """Return the streams of a backup; nothing is opened yet. `progressed` is told of bytes as they are read."""
        records = {stream.name: stream for stream in manifest.streams}
        return BackupSource(records, lambda: self.shelf(manifest), lambda name: self.index.kept(manifest, name), progressed)

    def _manifest(self, key: str, size: int) -> Manifest:
        text = self.index.get(self.storage.title, key, size)
        before, known = self._known.get(key, (None, None))
        if known is not None and text == before:
            return known
        found: Manifest | None = None
        if text is not None:
            with suppress(BackupError):  # what the index says is not worth an error
                found = manifests.from_json(text, key, is_copy=True)
        if found is None:
            text = self.storage.get(key)
            found = manifests.from_json(text, key)
            self.index.put(self.storage.title, key, text)
        self._must_be_ours(found, key)
        if text is not None:
            self._known[key] = text, found
        return found

    def _must_be_ours(self, manifest: Manifest, key: str) -> None:
        """Let a manifest pass that the key at hand has written, or that another one may have.

        Raises:
            BackupError: it claims less than the key gives, or somebody without the key wrote it.
        """
        if (objection := self.keys.objection(manifest.encryption)) is not None:
            raise BackupError(f"{key} does not count: {objection}", error_code="BACKUP_DOWNGRADED")
        is_keyed = manifest.encryption["method"] == "aes-256-gcm"
        if is_keyed and self.keys.opens(manifest.encryption):
            manifests.check_mac(manifest, self.encryption(manifest).mac_key(), key)
        elif bool(manifest.mac) is not is_keyed:
            raise BackupError(f"{key} was written by somebody without the key", error_code="MANIFEST_DAMAGED")

    # --- deleting

    def delete(self, manifest: Manifest, now: datetime, forget: Callable[[], None] = lambda: None) -> str | None:
        """Delete a backup: its manifest first, so that it is none from that moment on, then its parts; say why where it stays.

        Before that it says so, as a run does: what a deletion leaves that was cut off goes like what a run leaves that died.
        `forget` removes before what lies elsewhere.

        Raises:
            StorageError: the storage holds it back (object lock); as long as its manifest is there it is still a backup.
        """
        return self._delete(folder_of(manifest), now, forget)

    def delete_lost(self, timeline: str, backup_id: str, now: datetime) -> str | None:
        """Delete what is left of a backup whose manifest is lost; as `delete` does."""
        return self._delete(f"{self.target}/{timeline}/backups/{backup_id}", now)

    def is_going(self, manifest: Manifest, now: datetime) -> bool:
        """Tell whether a writer is at work who may be about to delete a backup that is still there: it says so before."""
        folder = folder_of(manifest)
        is_there = self.storage.head(f"{folder}/manifest.json") is not None
        return is_there and self._is_begun(folder) and is_held(self.storage, self.target, now)

    def _delete(self, folder: str, now: datetime, forget: Callable[[], None] = lambda: None) -> str | None:
        key, backup_id = f"{folder}/manifest.json", folder.rpartition("/")[2]
        with self.storage.put(f"{folder}/{BEGUN}") as file:  # in place of whatever a run could not remove
            file.write(_begun(f"{folder}/{BEGUN}", now))
        try:
            why = self._why_kept(backup_id, now)  # who holds one from here on sees what was just written
            if why is None:
                forget()
        except BaseException:
            _take_back(self.storage, f"{folder}/{BEGUN}")
            raise
        if why is not None:
            _take_back(self.storage, f"{folder}/{BEGUN}")
            return why
        self.index.forget(self.storage.title, key)  # first: where all that it knows is gone, the storage is
        try:
            self.storage.delete(key)
        except StorageError:
            with suppress(StorageError):
                if self.storage.head(key) is not None:  # else its answer was lost, and it is gone
                    _take_back(self.storage, f"{folder}/{BEGUN}")
            raise
        for prefix in (f"{folder}/parts/", f"{self.target}/verify/{backup_id}/"):
            for head in list(self.storage.list(prefix)):
                self.storage.delete(head.key)
        self.storage.delete(f"{folder}/{BEGUN}")
        return None

    def _why_kept(self, backup_id: str, now: datetime) -> str | None:
        """Say why a backup may not be deleted at this moment, whatever was decided before; None where it may."""
        if self.storage.head(f"{self.target}/holds/{backup_id}.json") is not None:
            return "is held now"
        reader = reader_of(self.storage, self.target, backup_id, now)
        return f"is being restored by {reader}" if reader is not None else None

    def orphans(self, before: datetime) -> Iterator[str]:
        """Yield the keys of what runs and deletions left that were cut off, and of what was never written to its end, from before
        a moment; what tells that one was cut off comes last.

        Parts whose manifest was lost are left, however many were and whatever follows: they may be found again.
        """
        heads = {head.key: head for head in self.storage.list(f"{self.target}/")}
        dead = self._dead(heads)
        old = {key for key, head in heads.items() if head.modified < before.timestamp()}
        young = {folder for key in heads if key not in old and (folder := _folder_in(key)) in dead}
        for key in sorted(heads, key=lambda key: key.endswith(f"/{BEGUN}")):
            folder = _folder_in(key)
            is_forgotten = key.startswith(f"{self.target}/{READERS}/")  # a restore that was killed, or came late to its end
            is_late = key.endswith(f"/{BEGUN}") and f"{folder}/manifest.json" in heads  # whoever committed could not remove it
            if is_late or (key in old and (is_forgotten or _is_unfinished(key) or (folder in dead and folder not in young))):
                yield key

    def _dead(self, keys: Collection[str]) -> set[str]:
        """Return the folders of runs and deletions that were begun and never came to their end; one request for each.

        They say so themselves: what a run that died has left and a backup whose manifest was lost are alike else. Of what is
        held nobody is believed.
        """
        begun = {key.removesuffix(f"/{BEGUN}"): key.split("/")[-2] for key in keys if key.endswith(f"/{BEGUN}")}
        return {
            folder
            for folder, name in begun.items()
            if is_id(name)
            and f"{folder}/manifest.json" not in keys
            and f"{self.target}/holds/{name}.json" not in keys
            and self._is_begun(folder)
        }

    def _is_begun(self, folder: str) -> bool:
        try:
            notes.read(self.storage.get(f"{folder}/{BEGUN}"), f"{folder}/{BEGUN}")
        except (MissingObjectError, DamagedNoteError):
            return False
        return True


class Draft:
    """A backup that is being made."""

    def __init__(
        self,
        repository: Repository,
        backup_id: str,
        timeline: str,
        codec: Codec,
        encryption: Encryption,
        part_size: int,
        progressed: Callable[[int], None],
    ) -> None:
        self._repository = repository
        self.id: str = backup_id
        self.timeline: str = timeline
        self.encryption = encryption
        self._is_committing = False
        self._folder = f"{timeline}/backups/{backup_id}"
        shelf = Shelf(repository.storage, f"{repository.target}/{self._folder}", backup_id, codec, encryption, part_size)
        self.sink: BackupSink = BackupSink(shelf, self._keeping, progressed)

    def announce(self, now: datetime) -> None:
        """Say that a run is at work here, before there is any part of it: parts of which nothing says so are of a backup."""
        key = f"{self._repository.target}/{self._folder}/{BEGUN}"
        self._repository.storage.put_if_absent(key, _begun(key, now))

    def _ended(self) -> None:
        """Take back what `announce` said: from here on these are the parts of a backup, whatever becomes of its manifest."""
        _take_back(self._repository.storage, f"{self._repository.target}/{self._folder}/{BEGUN}")

    def commit(self, manifest: Manifest) -> Manifest:
        """Write the manifest, which makes this a backup, and take back that it was begun; return it sealed.

        In this order, so that a run which is killed in between leaves a backup, and no parts of which nobody can tell whose they
        are.

        Raises:
            BackupError: there is one of this id already.
        """
        sealed = manifests.sealed(replace(manifest, streams=tuple(self.sink.records)), self.encryption.mac_key())
        key, text = manifest_key(sealed), manifests.to_json(sealed)
        storage = self._repository.storage
        self._is_committing = True
        # the first try may have been written, and its answer lost
        if not storage.put_if_absent(key, text) and storage.get(key) != text:
            raise BackupError(f"there is a backup {sealed.id} already")
        self._repository.index.put(storage.title, key, text)
        self._ended()
        return sealed

    def discard(self, failure: dict[str, Any]) -> None:
        """Give the backup up: remove its parts as far as the storage lets, and keep what went wrong.

        Once the manifest was on its way nobody knows whether it arrived, so the parts stay, and that it was begun: they are a
        backup, or garbage.
        """
        self.sink.close()
        repository = self._repository
        folder = f"{repository.target}/{self._folder}"
        if self._is_committing:
            with suppress(StorageError):
                if repository.storage.head(f"{folder}/manifest.json") is None:
                    repository.note(f"{self.timeline}/failures/{self.id}.json", failure)
            return
        repository.index.forget(repository.storage.title, f"{folder}/manifest.json")
        with suppress(StorageError):
            repository.note(f"{self.timeline}/failures/{self.id}.json", failure)
            for head in list(repository.storage.list(f"{folder}/parts/")):
                repository.storage.delete(head.key)
            repository.storage.delete(f"{folder}/{BEGUN}")

    def _keeping(self, name: str) -> AbstractContextManager[ObjectWriter]:
        return self._repository.index.keeping(f"{self._repository.target}/{self._folder}", name)


def _is_unfinished(key: str) -> bool:
    return key.rpartition("/")[2].startswith(WRITING)


def _take_back(storage: Storage, key: str) -> None:
    """Remove what says that a run or a deletion is at work; whoever may add and not delete replaces it: it says nothing then."""
    try:
        storage.delete(key)
    except StorageError:
        with suppress(StorageError), storage.put(key) as file:
            file.write(b"{}\n")


def _begun(key: str, now: datetime) -> bytes:
    return notes.written(key, {"format": "dbops.begun/1", "at": now.isoformat()})


def _folder_in(key: str) -> str:
    """Return the folder of the backup that a part, or what tells of a run, belongs to."""
    return key.partition("/parts/")[0].removesuffix(f"/{BEGUN}")


def folder_of(manifest: Manifest) -> str:
    return f"{manifest.target}/{manifest.timeline}/backups/{manifest.id}"


def manifest_key(manifest: Manifest) -> str:
    return f"{folder_of(manifest)}/manifest.json"


def _id_in(key: str) -> str | None:
    """Return the id of the backup that a manifest, or a part, belongs to by its place, None where it is of none: others keep
    files of their own in folders.
    """
    _, _, *names = key.split("/")
    is_one = names[:1] == ["backups"] and len(names) > 2 and is_id(names[1])
    return names[1] if is_one and (names[2:] == ["manifest.json"] or manifests.is_part("/".join(names[2:]))) else None


def targets_in(storage: Storage) -> Sequence[str]:
    """Return the targets that have backups in a storage, or parts of such."""
    keys = (head.key for head in storage.list() if "/" in head.key)
    return sorted({key.split("/", 1)[0] for key in keys if _id_in(key) is not None})


def index_folder(environ: dict[str, str]) -> Path | None:
    """Return where the index is kept: DBOPS_CACHE_DIR, or the user's cache; None where DBOPS_CACHE_DIR is empty."""
    given = environ.get("DBOPS_CACHE_DIR")
    if given is not None:
        return Path(given) / "backups" if given else None
    from platformdirs import user_cache_path

    return user_cache_path("dbops") / "backups"
