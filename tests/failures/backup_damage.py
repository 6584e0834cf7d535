"""Damage to what is stored of backups: one random blow at a time, and the storage as it was before.

A blow is told as a sentence. `Storage` keeps the objects of an undamaged repository in memory and puts them back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

Objects = dict[Path, bytes]


@dataclass(frozen=True, slots=True)
class Blow:
    """What was done: the keys that are not as they were, and a sentence."""

    keys: tuple[str, ...]
    told: str


@dataclass(frozen=True, slots=True)
class Store:
    """A folder with backups, as it was when all was well."""

    root: Path
    objects: Objects

    @classmethod
    def of(cls, root: Path) -> Store:
        return cls(root, {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()})

    def restore(self) -> None:
        """Bring every object back, and remove what was not there."""
        for path in list(self.root.rglob("*")):
            if path.is_file() and path not in self.objects:
                path.unlink()
        for path, content in self.objects.items():
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    def key(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def artifacts(self) -> list[Path]:
        """Return parts and manifests."""
        return [path for path in self.objects if "/backups/" in self.key(path)]

    def notes(self) -> list[Path]:
        """Return evidence and holds."""
        return [path for path in self.objects if self.key(path).split("/")[1] in ("verify", "holds")]

    @contextmanager
    def struck(self, chance: random.Random, paths: list[Path], *, drops: bool = True) -> Iterator[Blow]:
        """Strike one of `paths` at random for the block."""
        try:
            yield self._strike(chance, paths, drops)
        finally:
            self.restore()

    def _strike(self, chance: random.Random, paths: list[Path], drops: bool) -> Blow:
        blows: list[Callable[[random.Random, Path], Blow | None]] = [_flip, _flip, _truncate, _lengthen, _zero]
        swap = partial(self._swap, paths)
        replay = partial(self._replay, paths)
        blows += [swap, swap, replay, replay] + ([_drop, self._drop_many] if drops else [])
        while True:
            path = chance.choice(paths)
            blow = chance.choice(blows)(chance, path)
            if blow is not None:
                return Blow(tuple(self.key(Path(key)) for key in blow.keys), blow.told)

    def _others(self, paths: list[Path], path: Path) -> list[Path]:
        """Return those of the same sort that are not the same."""
        return [other for other in paths if other.suffix == path.suffix and self.objects[other] != self.objects[path]]

    def _swap(self, paths: list[Path], chance: random.Random, path: Path) -> Blow | None:
        if not (others := self._others(paths, path)):
            return None
        other = chance.choice(others)
        path.write_bytes(self.objects[other])
        other.write_bytes(self.objects[path])
        return Blow((str(path), str(other)), f"{path} and {other} swapped")

    def _replay(self, paths: list[Path], chance: random.Random, path: Path) -> Blow | None:
        """Put what another backup has under the same name in the place of an object; or any other's."""
        others = self._others(paths, path)
        same = [other for other in others if other.name == path.name]
        if not others:
            return None
        other = chance.choice(same or others)
        path.write_bytes(self.objects[other])
        return Blow((str(path),), f"{other} in the place of {path}")

    def _drop_many(self, chance: random.Random, path: Path) -> Blow | None:
        """Drop all parts of a backup, whose manifest stays."""
        if path.parent.name != "parts":
            return None
        gone = list(path.parent.iterdir())
        for one in gone:
            one.unlink()
        return Blow(tuple(map(str, gone)), f"all of {path.parent} dropped")


def _flip(chance: random.Random, path: Path) -> Blow | None:
    data = bytearray(path.read_bytes())
    if not data:
        return None
    place, bit = chance.randrange(len(data)), chance.randrange(8)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    return Blow((str(path),), f"bit {bit} of byte {place} of {path} flipped")


def _truncate(chance: random.Random, path: Path) -> Blow | None:
    data = path.read_bytes()
    if not data:
        return None
    size = chance.choice((0, len(data) - 1, chance.randrange(len(data))))
    path.write_bytes(data[:size])
    return Blow((str(path),), f"{path} cut to {size} bytes")


def _lengthen(chance: random.Random, path: Path) -> Blow:
    more = chance.choice((b"\0", b" ", b"\n", path.read_bytes()[-32:] or b"x"))
    path.write_bytes(path.read_bytes() + more)
    return Blow((str(path),), f"{more!r} behind {path}")


def _zero(chance: random.Random, path: Path) -> Blow | None:
    data = path.read_bytes()
    start = chance.randrange(len(data)) if data else 0
    size = min(512, len(data) - start)
    if not any(data[start : start + size]):
        return None
    path.write_bytes(data[:start] + bytes(size) + data[start + size :])
    return Blow((str(path),), f"{size} bytes of {path} from {start} are zeros")


def _drop(chance: random.Random, path: Path) -> Blow:
    path.unlink()
    return Blow((str(path),), f"{path} dropped")
