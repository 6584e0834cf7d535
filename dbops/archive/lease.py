"""One writer of a target at a time: leases that expire, with numbers that only grow.

A lease is `<target>/locks/<n>.json`, made create-only with the next number, so that of several who want it one wins, on any
storage. Its holder writes a later `until` into it now and then. Who finds the last one released, run out, or held by a process of
this machine that is dead, takes the next number; and whoever comes back late finds a higher number than its own, and gives up
before it commits. Clocks of writers may differ by less than the length of a lease.

Who reads a backup for long says so in the same words, in `<target>/readers/<id>/<token>.json`, of which there may be several:
it is not deleted meanwhile.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from dbops.archive.storage.base import MissingObjectError, Storage, StorageError
from dbops.dataclass import dataclass
from dbops.errors import BackupError

LENGTH = timedelta(minutes=10)
READERS = "readers"
"""The folder of those who say that they read a backup."""
_PAUSE_S = 0.5
_RENEWALS = 4
"""So many times in its length a lease is renewed."""
_FARTHEST = 3
"""Lengths from now, beyond which no lease reaches however the clocks differ: one that does is damaged."""


class LeaseHeldError(BackupError):
    """Another writer is at work."""


@dataclass(slots=True)
class Lease:
    """A lease that is held; `number` is the fence of what is written under it."""

    storage: Storage
    target: str
    number: int
    clock: Callable[[], datetime]
    length: timedelta
    holder: dict[str, Any]
    _is_over: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Let a commit pass if the lease is still ours.

        Raises:
            BackupError: another writer took over, because this one was silent for too long.
        """
        last = max(_numbers(self.storage, self.target), default=0)
        if last != self.number:
            raise BackupError(
                f"another writer took over (lease {last}) while this one was silent; nothing was committed",
                fix="run it again; if the clocks of the machines differ by minutes, set them",
                error_code="LEASE_LOST",
            )

    def _renew_now_and_then(self) -> None:
        while not self._is_over.wait(self.length.total_seconds() / _RENEWALS):
            with suppress(StorageError):  # `check` tells whether that mattered
                _write(self.storage, self.target, self.number, self._facts(is_released=False))

    def _facts(self, *, is_released: bool) -> dict[str, Any]:
        return {**self.holder, "until": (self.clock() + self.length).isoformat(), "released": is_released}

    def _release(self) -> None:
        self._is_over.set()
        with suppress(StorageError):  # it runs out by itself
            _write(self.storage, self.target, self.number, self._facts(is_released=True))
            for number in _numbers(self.storage, self.target):
                if number < self.number:
                    self.storage.delete(_key(self.target, number))


@contextmanager
def leased(
    storage: Storage,
    target: str,
    clock: Callable[[], datetime],
    length: timedelta = LENGTH,
    *,
    wait_s: float = 0.0,
    told: Callable[[str], None] = lambda text: None,
    floor: Callable[[], int] = lambda: 0,
) -> Iterator[Lease]:
    """Hold the lease of a target for the block, renewed in a thread; wait for another writer `wait_s` seconds at most.

    Numbers go on from `floor` where all leases were removed.

    Raises:
        LeaseHeldError: another writer holds it; says who, and until when.
    """
    lease = _waited_for(lambda: _taken(storage, target, clock, length, floor), wait_s, told)
    thread = threading.Thread(target=lease._renew_now_and_then, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease._release()
        thread.join(1.0)


def _waited_for(take: Callable[[], Lease], wait_s: float, told: Callable[[str], None]) -> Lease:
    deadline, is_told = monotonic() + wait_s, False
    while True:
        try:
            return take()
        except LeaseHeldError as error:
            if monotonic() >= deadline:
                raise
            if not is_told:
                told(f"waiting up to {wait_s:.0f} s: {error.message}")
                is_told = True
            sleep(_PAUSE_S)


def is_held(storage: Storage, target: str, now: datetime, length: timedelta = LENGTH) -> bool:
    """Tell whether a writer is at work."""
    last = max(_numbers(storage, target), default=0)
    try:
        _must_be_free(storage, target, last, now, length)
    except LeaseHeldError:
        return True
    return False


def _taken(storage: Storage, target: str, clock: Callable[[], datetime], length: timedelta, floor: Callable[[], int]) -> Lease:
    holder = _me()
    while True:
        last = max(_numbers(storage, target), default=0)
        if last:
            _must_be_free(storage, target, last, clock(), length)
        else:
            last = floor()
        lease = Lease(storage, target, last + 1, clock, length, holder)
        facts = json.dumps(lease._facts(is_released=False)).encode()
        # the first try may have been written, and its answer lost
        if storage.put_if_absent(_key(target, last + 1), facts) or _is_ours(storage, target, lease):
            return lease


def _is_ours(storage: Storage, target: str, lease: Lease) -> bool:
    try:
        found = json.loads(storage.get(_key(target, lease.number)))
    except (MissingObjectError, ValueError):
        return False
    return isinstance(found, dict) and found.get("token") == lease.holder["token"]


def _must_be_free(storage: Storage, target: str, number: int, now: datetime, length: timedelta) -> None:
    if (holder := _holder_of(storage, _key(target, number), now, length)) is None:
        return
    who, until = holder
    raise LeaseHeldError(
        f"another writer is at work on the backups of {target}: {who}, until {until:%H:%M:%S}Z at least",
        {"holder": who},
        fix="wait for it; one that died is passed over then",
    )


def _holder_of(storage: Storage, key: str, now: datetime, length: timedelta) -> tuple[str, datetime] | None:
    """Return who holds what stands under a key, and until when; None where nobody does any more."""
    try:
        facts = json.loads(storage.get(key))
        until = datetime.fromisoformat(facts["until"])
    except (MissingObjectError, ValueError, KeyError, TypeError):  # removed meanwhile, or nobody's
        return None
    is_damaged = not isinstance(facts.get("released"), bool) or until.tzinfo is None or until > now + _FARTHEST * length
    if is_damaged or facts["released"] or until <= now or _is_dead(facts):
        return None
    return f"process {facts.get('pid')} on {facts.get('host')}", until


@contextmanager
def reading(
    storage: Storage, target: str, backup_ids: Iterable[str], clock: Callable[[], datetime], length: timedelta = LENGTH
) -> Iterator[None]:
    """Say for the block that somebody reads backups, renewed in a thread; who may not write into the storage cannot say so."""
    holder, is_over = _me(), threading.Event()
    keys = [f"{target}/{READERS}/{backup_id}/{holder['token']}.json" for backup_id in backup_ids]

    def say() -> None:
        with suppress(StorageError):
            for key in keys:
                with storage.put(key) as file:
                    file.write(json.dumps({**holder, "until": (clock() + length).isoformat(), "released": False}).encode())

    def say_now_and_then() -> None:
        while not is_over.wait(length.total_seconds() / _RENEWALS):
            say()

    say()
    thread = threading.Thread(target=say_now_and_then, name="reading", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(1.0)
        with suppress(StorageError):  # it runs out by itself
            for key in keys:
                storage.delete(key)


def reader_of(storage: Storage, target: str, backup_id: str, now: datetime, length: timedelta = LENGTH) -> str | None:
    """Return who reads a backup, as far as it says so; None where nobody does."""
    found = (_holder_of(storage, head.key, now, length) for head in storage.list(f"{target}/{READERS}/{backup_id}/"))
    return next((one[0] for one in found if one is not None), None)


def _me() -> dict[str, Any]:
    return {"host": socket.gethostname(), "space": _space(), "pid": os.getpid(), "token": secrets.token_hex(8)}


def _is_dead(facts: dict[str, Any]) -> bool:
    is_near = (facts.get("host"), facts.get("space")) == (socket.gethostname(), _space())
    if not is_near or not isinstance(facts.get("pid"), int):
        return False
    try:
        os.kill(facts["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@cache
def _space() -> str:
    """Return what a process id means something in: containers share a host's name and see other processes (pid_namespaces(7))."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _numbers(storage: Storage, target: str) -> list[int]:
    names = (head.key.rpartition("/")[2].removesuffix(".json") for head in storage.list(f"{target}/locks/"))
    return [int(name) for name in names if name.isdigit()]


def _key(target: str, number: int) -> str:
    return f"{target}/locks/{number:08}.json"


def _write(storage: Storage, target: str, number: int, facts: dict[str, Any]) -> None:
    with storage.put(_key(target, number)) as file:
        file.write(json.dumps(facts).encode())
