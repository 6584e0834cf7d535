"""Streams written as parts come back as they were, or not at all."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from dbops.archive.cipher import Keys, encryption_of
from dbops.archive.codec import Codec
from dbops.archive.encryption import WrongKeyError
from dbops.archive.parts import BLOCK, Shelf
from dbops.archive.reading import BackupSource
from dbops.archive.storage.local import LocalStorage
from dbops.archive.writing import BackupSink
from dbops.errors import BackupError

ZSTD = Codec()
IDENTITY = x25519.Identity.generate()
KEYS = {
    "none": Keys(),
    "passphrase": Keys(secret=b"correct horse"),
    "key": Keys(secret=b"00" * 32),
    "age": Keys((str(IDENTITY.to_public()),), str(IDENTITY).encode()),
    "identity": Keys(secret=str(IDENTITY).encode()),
}


def shelf(folder: Path, keys: Keys, codec: Codec = ZSTD, part_size: int = 64 << 20) -> Shelf:
    return Shelf(LocalStorage(folder), "shop/backups/1", "1", codec, keys.encryption(), part_size)


def written(place: Shelf, streams: dict[str, bytes], piece: int = 1 << 20) -> BackupSource:
    sink = BackupSink(place, lambda name: nullcontext(_Nothing()))
    for name, content in streams.items():
        with sink.stream(name) as writer:
            for start in range(0, len(content), piece):
                writer.write(memoryview(content)[start : start + piece])
    sink.close()
    return BackupSource({record.name: record for record in sink.records}, lambda: place)


class _Nothing:
    def write(self, data: bytes | memoryview) -> None:
        return


def read(source: BackupSource, name: str, *, feeds: bool = False) -> bytes:
    with source.stream(name, feeds=feeds) as reader:
        return reader.read()


BOTH_WAYS = pytest.mark.parametrize("feeds", [False, True], ids=["unpacked ahead", "feeding a program"])


def noise(size: int, seed: int = 1) -> bytes:
    """Return bytes of which half can be compressed."""
    return random.Random(seed).randbytes(size // 2) + b"dbops " * (size // 12) + b"x" * (size - size // 2 - size // 12 * 6)


@pytest.mark.parametrize("method", ["zstd", "gzip", "none"])
@pytest.mark.parametrize("keys", sorted(KEYS))
@BOTH_WAYS
def test_what_was_written_comes_back(tmp_path: Path, keys: str, method: Any, feeds: bool) -> None:
    streams = {"empty": b"", "one": b"1", "blocks": noise(2 * BLOCK), "odd": noise(BLOCK + 12345)}
    place = shelf(tmp_path, KEYS[keys], Codec(method, 3), part_size=BLOCK)
    source = written(place, streams)
    assert source.names == list(streams)
    for name, content in streams.items():
        assert source.size(name) == len(content)
        assert read(source, name, feeds=feeds) == content


def test_a_part_ends_where_it_is_told_to(tmp_path: Path) -> None:
    sink = BackupSink(shelf(tmp_path, Keys(), part_size=BLOCK), lambda name: nullcontext(_Nothing()))
    with sink.stream("a") as writer:
        writer.write(bytes(2 * BLOCK))
    assert [part.plain_size for part in sink.records[0].parts] == [BLOCK, BLOCK]


def test_streams_are_read_in_pieces_of_any_size(tmp_path: Path) -> None:
    content = noise(300_000)
    source = written(shelf(tmp_path, Keys()), {"a": content}, piece=777)
    with source.stream("a") as reader:
        got = b"".join(iter(lambda: reader.read(1234), b""))
        assert reader.read(1) == b""
    assert got == content


@BOTH_WAYS
def test_a_reader_that_is_left_early_ends_its_threads(tmp_path: Path, feeds: bool) -> None:
    source = written(shelf(tmp_path, KEYS["age"]), {"a": noise(8 * BLOCK)})
    before = threading.active_count()
    with source.stream("a", feeds=feeds) as reader:
        assert len(reader.read(10)) == 10
    assert threading.active_count() == before


@pytest.mark.parametrize("keys", sorted(KEYS))
def test_a_stream_given_up_leaves_nothing(tmp_path: Path, keys: str) -> None:
    sink = BackupSink(shelf(tmp_path, KEYS[keys]), lambda name: nullcontext(_Nothing()))
    with pytest.raises(ZeroDivisionError), sink.stream("a") as writer:
        writer.write(noise(3 * BLOCK))
        raise ZeroDivisionError
    sink.close()
    assert sink.records == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def damage_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def damage_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("harm", [damage_bit, damage_end, Path.unlink])
@pytest.mark.parametrize("keys", sorted(KEYS))
@BOTH_WAYS
def test_damage_is_an_error(tmp_path: Path, keys: str, harm: Callable[[Path], None], feeds: bool) -> None:
    source = written(shelf(tmp_path, KEYS[keys]), {"a": noise(100_000)})
    harm(next(path for path in tmp_path.rglob("*.pack")))
    with pytest.raises(BackupError):
        read(source, "a", feeds=feeds)


@pytest.mark.parametrize("keys", sorted(KEYS))
def test_parts_that_changed_places_are_an_error(tmp_path: Path, keys: str) -> None:
    source = written(shelf(tmp_path, KEYS[keys]), {"a": noise(50_000, 1), "b": noise(50_000, 2)})
    first, second = sorted(tmp_path.rglob("*.pack"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    for name in ("a", "b"):
        with pytest.raises(BackupError):
            read(source, name)


def test_another_key_is_told_before_anything_is_read() -> None:
    facts = KEYS["passphrase"].encryption().facts
    with pytest.raises(WrongKeyError, match="another key"):
        encryption_of(facts, Keys(secret=b"wrong"))
    with pytest.raises(WrongKeyError, match="none was given"):
        encryption_of(facts, Keys())


def test_a_chain_shares_its_salt_as_long_as_the_key_is_the_same() -> None:
    first = KEYS["passphrase"].encryption().facts
    assert KEYS["passphrase"].encryption(first).facts == first
    other = Keys(secret=b"another").encryption(first).facts
    assert other["salt"] != first["salt"]
    assert KEYS["passphrase"].encryption().facts["salt"] != first["salt"]


def test_recipients_alone_can_write_and_not_read(tmp_path: Path) -> None:
    source = written(shelf(tmp_path, Keys((str(IDENTITY.to_public()),))), {"a": b"secret"})
    with pytest.raises(WrongKeyError, match="no identity"):
        read(source, "a")
    assert all(b"secret" not in path.read_bytes() for path in tmp_path.rglob("*.pack"))


@pytest.mark.parametrize(("keys", "package"), [("key", "cryptography"), ("age", "pyrage"), ("identity", "pyrage")])
def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, keys: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackupError, match=f"needs the package {package}") as caught:
        written(shelf(tmp_path, KEYS[keys]), {"one": b"1"})
    assert "pip install" in str(caught.value.fix)
