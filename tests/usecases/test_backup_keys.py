"""What is known of backups without their key, or without a package that opening them needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pyrage import x25519

from dbops.archive.encryption import WrongKeyError
from dbops.archive.manifest import Manifest
from dbops.resources.backups import making
from dbops.usecases.backup.verify import verify
from tests.databases import SqliteDatabase
from tests.usecases.policies import Shop

KEYED = "  encryption: {key: {env: SHOP_KEY}}\n"
_ALWAYS = ("zstandard", "blake3")


class Keyed:
    """A shop whose backups have a key, and another key."""

    def __init__(self, shop: Shop, file: SqliteDatabase, keys: Sequence[str], patch: pytest.MonkeyPatch) -> None:
        self.shop, self.file, self.keys, self._patch = shop, file, keys, patch
        self.turn(0)

    def turn(self, number: int) -> None:
        """Let the policy have this key."""
        self._patch.setenv("SHOP_KEY", self.keys[number])

    def verified(self, *options: str) -> tuple[int, list[dict[str, Any]], str]:
        """Return the exit code of `dbops backup verify`, what it says as JSON, and as text."""
        told = [_dbops("backup", "verify", str(self.shop.folder), *options, "-o", output) for output in ("json", "text")]
        assert told[0].returncode == told[1].returncode
        return told[0].returncode, json.loads(told[0].stdout), told[1].stdout


def _dbops(*words: str, without: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line, where asked as if a package were not installed."""
    code = "import sys\nif sys.argv[1]: sys.modules[sys.argv[1]] = None\ndel sys.argv[1]\nfrom dbops.cli.main import main\nmain()"
    return subprocess.run([sys.executable, "-c", code, without, *words], capture_output=True, text=True)


@pytest.fixture(params=["aes", pytest.param("passphrase", marks=pytest.mark.campaign), "age"])
def keyed(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> Keyed:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    keys = {
        "aes": ("ab" * 32, "cd" * 32),
        "passphrase": ("correct horse", "battery staple"),
        "age": (str(x25519.Identity.generate()), str(x25519.Identity.generate())),
    }
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a');")
    return Keyed(Shop(tmp_path / "env", sqlite_database.url, KEYED), sqlite_database, keys[request.param], monkeypatch)


def _damage(shop: Shop, made: Manifest) -> None:
    path = shop.parts(made)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("level", ["0", "1"])
def test_stored_bytes_are_checked_without_the_key(keyed: Keyed, level: str) -> None:
    made = keyed.shop.run()
    keyed.turn(1)
    code, [found], text = keyed.verified("--level", level)
    assert (code, found["ok"], found["falls_short"]) == (0, True, False)
    assert "another key" in found["unopened"] or "other age recipients" in found["unopened"]
    what = "its stored bytes are sound" if level == "1" else "the sizes of its parts are right"
    assert f"checked without a key, {what}: {found['unopened']}" in text
    part = keyed.shop.parts(made)[-1]  # another one in its place may be as long: age files are, now and then
    part.write_bytes(part.read_bytes()[:-1])
    code, [found], _ = keyed.verified("--level", level)
    assert (code, found["ok"]) == (2, False)


def test_what_the_key_does_not_open_is_checked_as_far_as_it_needs_none(keyed: Keyed) -> None:
    """The key at hand opens the older one: it is stale."""
    first = keyed.shop.run()
    keyed.turn(1)
    last = keyed.shop.run()
    keyed.turn(0)
    code, found, text = keyed.verified()
    told = {one["backup_id"]: one for one in found}
    assert code == 1
    assert (told[first.id]["level"], told[first.id]["unopened"], told[first.id]["falls_short"]) == (3, None, False)
    assert (told[last.id]["level"], told[last.id]["ok"], told[last.id]["falls_short"]) == (1, True, True)
    assert "NOT OPENED" in text
    assert "it is not known to restore" in text
    assert keyed.verified("--id", last.id)[0] == 1
    assert keyed.verified("--id", first.id)[0] == 0
    _damage(keyed.shop, last)
    code, found, _ = keyed.verified()
    assert code == 2
    assert [one["backup_id"] for one in found if not one["ok"]] == [last.id]


def test_no_key_that_opens_any_is_told_and_damage_is_found(keyed: Keyed) -> None:
    made = keyed.shop.run()
    keyed.turn(1)
    code, [found], _ = keyed.verified()
    assert (code, found["ok"], found["falls_short"]) == (1, True, True)
    _damage(keyed.shop, made)
    assert keyed.verified()[0] == 2
    with keyed.shop.keeper() as keeper:
        assert keeper.standing().verified() == frozenset()


def test_what_was_proven_before_a_change_of_keys_stays_proven(keyed: Keyed) -> None:
    first = keyed.shop.run()
    assert keyed.verified()[0] == 0
    keyed.turn(1)
    assert keyed.verified()[0] == 1, "nothing opens with the key at hand"
    unproven = keyed.shop.run()
    code, found, text = keyed.verified()
    assert code == 0
    assert {one["backup_id"]: one["level"] for one in found} == {first.id: 1, unproven.id: 3}
    assert "checked without a key" in text
    _damage(keyed.shop, first)
    assert keyed.verified()[0] == 2


def _ssh_key() -> tuple[str, str]:
    """Return a public and a private key, of which nobody can tell that they belong together."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(), private.decode()


def test_a_key_that_only_a_try_tells_to_be_wrong_proves_nothing(
    tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY);")
    (public, private), (_, other) = _ssh_key(), _ssh_key()
    more = f"  encryption: {{key: {{env: SHOP_KEY}}, recipients: ['{public}']}}\n"
    shop = Shop(tmp_path / "env", sqlite_database.url, more)
    monkeypatch.setenv("SHOP_KEY", other)
    made = shop.run()
    evidence = shop.verify(3)
    assert (evidence.level, evidence.ok, evidence.falls_short) == (1, True, True)
    with shop.keeper() as keeper, pytest.raises(WrongKeyError, match=f"{made.id} was not tried"):
        keeper.verify_newest()
    with pytest.raises(WrongKeyError):
        shop.restore(sqlite_database.url, replaces=True)
    assert shop.backups() == (made,)
    monkeypatch.setenv("SHOP_KEY", private)
    assert shop.verify(3).level == 3


@pytest.mark.parametrize("cache", ["cache", ""])
def test_a_wrong_key_is_told_before_anything_is_saved(
    keyed: Keyed, tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the cache has: the smallest stream here is one that this machine keeps."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / cache) if cache else "")
    keyed.file.load("".join(f"CREATE TABLE one_of_many_with_a_name_longer_than_a_hash_{number} (id);" for number in range(9)))
    made = keyed.shop.run()
    assert min(made.streams, key=lambda one: one.plain_size).name == "pages.xxh3"
    keyed.file.load("INSERT INTO orders VALUES (2, 'b')")
    last = keyed.shop.run("incremental")
    keyed.turn(1)
    before = keyed.file.path.read_bytes()
    for point in (last.id, keyed.shop.backups()[0].id):
        with pytest.raises(WrongKeyError):
            keyed.shop.restore(keyed.file.url, word=point, replaces=True)
    assert len(keyed.shop.backups()) == 2, "a safety backup was made"
    assert keyed.file.path.read_bytes() == before
    keyed.turn(0)
    keyed.shop.restore(keyed.file.url, word=last.id, replaces=True)
    assert len(keyed.shop.backups()) == 3


@pytest.mark.parametrize(
    ("keyed", "package"),
    [("aes", "cryptography"), ("age", "pyrage"), *((method, name) for method in ("aes", "age") for name in _ALWAYS)],
    indirect=["keyed"],
)
def test_a_missing_package_is_named_and_nothing_is_judged(keyed: Keyed, tmp_path: Path, package: str) -> None:
    shop = keyed.shop
    shop.run()
    last = shop.run("incremental")
    evidence, there = shop.folder / "backups/shop/verify", tmp_path / "there.db"
    shutil.copy(keyed.file.path, there)
    for words in (
        ["verify", str(shop.folder), "--id", last.id],
        ["verify", str(shop.folder)],
        ["restore", last.id, str(shop.folder), "--to", f"sqlite:///{there}", "--replace"],
    ):
        done = _dbops("backup", *words, without=package)
        assert done.returncode == 1, done.stdout
        assert f"the package {package}" in done.stderr
        assert "pip install 'dbops[backup]'" in done.stderr
        assert "FAILED" not in done.stdout
    assert not [path for path in evidence.rglob("*.json") if last.id in path.parts]
    with shop.keeper() as keeper:
        assert keeper.standing().refuted() == frozenset()
        assert [one.id for one in keeper.repository.contents().backups][-1] == last.id
        assert keeper.repository.contents().broken == ()
    assert keyed.verified()[0] == 0


def test_who_has_recipients_alone_is_told_who_can_prove_a_backup_and_counts_what_that_one_found(
    tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    identity = x25519.Identity.generate()
    (tmp_path / "identity").write_text(str(identity))
    sqlite_database.load("CREATE TABLE t (id integer PRIMARY KEY)")
    shop = Shop(tmp_path / "env", sqlite_database.url, f"  encryption: {{recipients: ['{identity.to_public()}']}}\n")
    due = _dbops("backup", "run", str(shop.folder), "--due")
    assert due.returncode == 1
    assert "dbops backup verify --storage" in due.stdout
    assert len(shop.backups()) == 1
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "another machine"))
    storage = (shop.folder / "backups").as_uri()
    proven = _dbops("backup", "verify", "--storage", storage, "--key-file", str(tmp_path / "identity"))
    assert (proven.returncode, proven.stderr.count("Traceback")) == (0, 0), proven.stderr
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    assert _dbops("backup", "run", str(shop.folder), "--due").returncode == 0
    assert len(shop.backups()) == 1


def test_counts_that_are_none_are_found_wanting_and_stop_no_other(
    tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write into the storage can put a whole backup there, where there is no key."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    sqlite_database.load("CREATE TABLE t (id integer PRIMARY KEY)")
    shop = Shop(tmp_path / "env", sqlite_database.url)
    texts = iter(["not JSON", "[]", '{"rows": [1]}', '{"rows": {"t": "0"}}'])
    with monkeypatch.context() as patched:
        patched.setattr(making, "json", SimpleNamespace(dumps=lambda facts, **more: next(texts)))
        bad = [shop.run().id for _ in range(4)]
    good = shop.run().id
    with shop.workspace() as workspace:
        found = verify(workspace, None, 3, shop.told.append)
    assert [(one.backup_id, one.ok) for one in found] == [*((name, False) for name in bad), (good, True)]
    assert all(f"inventory.json of {one.backup_id}" in one.problems[0] for one in found[:4])
