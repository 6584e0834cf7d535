"""The streams of a dump in a folder of our own, between one server and the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Reader, Writer


@dataclass(frozen=True, slots=True)
class SpoolSink:
    """Writes streams as files of a folder, which is the caller's to make and to remove."""

    folder: Path
    names: list[str] = field(default_factory=list)

    @contextmanager
    def stream(self, name: str, *, is_compressed: bool = False, is_kept: bool = False) -> Iterator[Writer]:
        del is_compressed, is_kept
        with (self.folder / name).open("wb") as file:
            yield file
        self.names.append(name)

    def source(self) -> SpoolSource:
        """Return what was written."""
        return SpoolSource(self.folder, tuple(self.names))


@dataclass(frozen=True, slots=True)
class SpoolSource:
    """Reads what a sink wrote."""

    folder: Path
    names: Sequence[str]

    def size(self, name: str) -> int:
        return (self.folder / name).stat().st_size

    @contextmanager
    def stream(self, name: str, *, feeds: bool = False) -> Iterator[Reader]:
        with (self.folder / name).open("rb") as file:
            yield file
