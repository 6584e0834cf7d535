"""One suite that every storage passes: a folder, servers (S3's protocol, Azure's, SFTP), and a file system of fsspec."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from dbops.archive.storage import local
from dbops.archive.storage.base import MissingObjectError, Storage, StorageError
from dbops.archive.storage.local import LocalStorage
from dbops.archive.storage.objects import _first_line
from dbops.archive.storage.opening import StorageAddress, local_folder, open_storage
from dbops.errors import BackupError
from tests.failures.trial import without_links
from tests.servers import azurite
from tests.servers.s3 import S3, new_bucket
from tests.servers.sftp import SftpServer


@pytest.fixture(params=["file", "file without links", "s3", "az", "sftp", "fsspec"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    match request.param:
        case "file":
            return open_storage(StorageAddress("file://./objects"), tmp_path)
        case "file without links":
            without_links(monkeypatch)
            return open_storage(StorageAddress("file://./objects"), tmp_path)
        case "s3":
            endpoint = request.getfixturevalue("s3_endpoint")
            return open_storage(
                StorageAddress(f"s3://{new_bucket(endpoint)}/some/prefix", {**S3, "endpoint": endpoint}), tmp_path
            )
        case "az":
            endpoint = request.getfixturevalue("azure_endpoint")
            address = StorageAddress(f"az://{azurite.new_container(endpoint)}/some/prefix", azurite.options(endpoint))
            return open_storage(address, tmp_path)
        case "sftp":
            server = request.getfixturevalue("sftp")
            return open_storage(StorageAddress(server.url(secrets.token_hex(8)), server.options), tmp_path)
        case _:
            return open_storage(StorageAddress(f"memory://{secrets.token_hex(8)}"), tmp_path)


def put(storage: Storage, key: str, content: bytes) -> None:
    with storage.put(key) as file:
        for start in range(0, len(content), 1 << 20):
            file.write(memoryview(content)[start : start + (1 << 20)])


def test_what_is_put_is_got_whole_and_in_ranges(storage: Storage) -> None:
    content = secrets.token_bytes(9_000_000)  # more than one request of an upload
    put(storage, "a/b.pack", content)
    assert storage.get("a/b.pack") == content
    assert storage.get("a/b.pack", 5, 10) == content[5:15]
    assert storage.get("a/b.pack", len(content) - 3, 10) == content[-3:]
    assert storage.get("a/b.pack", 8_999_990) == content[-10:]
    head = storage.head("a/b.pack")
    assert head is not None
    assert head.size == len(content)
    assert head.modified > 1.7e9


def test_empty_objects_are_objects(storage: Storage) -> None:
    put(storage, "empty", b"")
    assert storage.get("empty") == b""
    assert [head.size for head in storage.list()] == [0]


def test_what_is_not_there_is_told(storage: Storage) -> None:
    assert storage.head("none") is None
    with pytest.raises(MissingObjectError):
        storage.get("none")
    storage.delete("none")
    assert list(storage.list("none/")) == []


def test_an_upload_that_fails_leaves_no_object(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage.put("a/b") as file:
        file.write(bytes(12_000_000))
        raise ZeroDivisionError
    assert list(storage.list()) == []


def test_create_only_is_kept_by_the_storage(storage: Storage) -> None:
    assert storage.put_if_absent("a/manifest.json", b"one")
    assert not storage.put_if_absent("a/manifest.json", b"two")
    assert storage.get("a/manifest.json") == b"one"


def test_of_many_writers_one_creates(storage: Storage) -> None:
    if storage.title.startswith("memory"):
        pytest.skip("a file system in memory has no exclusive open")
    won, barrier = [], threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        if storage.put_if_absent("lock", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert storage.get("lock") == str(won[0]).encode()


def test_listing_is_by_the_beginning_of_keys(storage: Storage) -> None:
    for key in ("shop/a/1", "shop/a/2", "shop/b/1", "shopping/1"):
        put(storage, key, key.encode())
    assert sorted(head.key for head in storage.list("shop/")) == ["shop/a/1", "shop/a/2", "shop/b/1"]
    assert sorted(head.key for head in storage.list("shop/a/")) == ["shop/a/1", "shop/a/2"]
    assert len(list(storage.list())) == 4
    storage.delete("shop/a/1")
    assert sorted(head.key for head in storage.list("shop/a")) == ["shop/a/2"]


def test_a_folder_that_goes_while_something_is_put_into_it_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who deletes the last object of a folder removes that too."""
    made = local._make_folder

    def make_and_lose(*folders: Path) -> None:
        made(*folders)
        monkeypatch.setattr(local, "_make_folder", made)
        folders[0].rmdir()
        folders[0].parent.rmdir()

    storage = LocalStorage(tmp_path)
    monkeypatch.setattr(local, "_make_folder", make_and_lose)
    put(storage, "shop/t1/one", b"1")
    monkeypatch.setattr(local, "_make_folder", make_and_lose)
    assert storage.put_if_absent("mart/t1/two", b"2")
    assert sorted(head.key for head in storage.list()) == ["mart/t1/two", "shop/t1/one"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write into folders of others")
def test_what_root_adds_is_of_whoever_has_the_repository(tmp_path: Path) -> None:
    """As where root restores: who has the repository could not even list it else."""
    root = tmp_path / "backups"
    root.mkdir()
    os.chown(root, 65534, 65534)
    storage = LocalStorage(root)
    put(storage, "shop/readers/one/a.json", b"1")
    assert storage.put_if_absent("shop/verify/one/b.json", b"2")
    assert {path.stat().st_uid for path in root.rglob("*")} == {65534}
    put(LocalStorage(tmp_path / "new"), "shop/one", b"1")
    assert {path.stat().st_uid for path in [tmp_path / "new", *(tmp_path / "new").rglob("*")]} == {0}


@pytest.mark.parametrize(("name", "is_ours"), [("lost+found", False), ("shop", True)])
def test_a_folder_that_is_closed_is_passed_over_where_it_cannot_be_ours(tmp_path: Path, name: str, is_ours: bool) -> None:
    """A disk of its own has a folder lost+found, which is root's."""
    put(LocalStorage(tmp_path), "shop/t1/one", b"1")
    put(LocalStorage(tmp_path), f"{name}/two", b"2")
    (tmp_path / name).chmod(0)
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom dbops.archive.storage.base import StorageError\n"
        "from dbops.archive.storage.local import LocalStorage\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: print(*sorted(one.key for one in LocalStorage(Path('.')).list()))\n"
        "except StorageError as error: print(error.message)\n"
    )
    tmp_path.chmod(0o755)
    (tmp_path / "shop").chmod(0 if is_ours else 0o755)
    for folder in (tmp_path / "shop").rglob("*"):
        folder.chmod(0o755)
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=_with_us(), capture_output=True, text=True).stdout
    (tmp_path / name).chmod(0o755)
    assert told.strip() == ("shop: Permission denied" if is_ours else "shop/t1/one")


def _with_us() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))}


def test_a_wrong_secret_is_not_shown(s3_endpoint: str, tmp_path: Path) -> None:
    storage = open_storage(StorageAddress("s3://no-such-bucket", {**S3, "endpoint": s3_endpoint}), tmp_path)
    with pytest.raises(BackupError) as caught:
        storage.put_if_absent("a", b"b")
    assert "hunter2" not in caught.value.explain()


def test_a_bucket_that_is_not_there_is_told_in_the_words_of_the_server(s3_endpoint: str, tmp_path: Path) -> None:
    storage = open_storage(StorageAddress("s3://no-such-bucket", {**S3, "endpoint": s3_endpoint}), tmp_path)
    with pytest.raises(BackupError, match="The specified bucket does not exist"):
        list(storage.list())


def test_a_bucket_that_locks_by_default_says_what_it_wants(s3_endpoint: str, tmp_path: Path) -> None:
    import boto3

    client: Any = boto3.client(
        "s3", endpoint_url=s3_endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="hunter2secret"
    )
    client.create_bucket(Bucket="locking", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    client.put_object_lock_configuration(Bucket="locking", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    with pytest.raises(StorageError) as caught:
        open_storage(StorageAddress("s3://locking", {**S3, "endpoint": s3_endpoint}), tmp_path).put_if_absent("a", b"b")
    assert "checksum_algorithm: SHA256" in str(caught.value.fix)


def test_a_signature_in_a_url_is_not_shown() -> None:
    error = ValueError("Error performing PUT https://x.blob.core.windows.net/c/a?sv=2021&sig=hunter2%3D in 3 ms - refused")
    assert _first_line(error) == "Error performing PUT https://x.blob.core.windows.net/c/a?... in 3 ms - refused"


def test_a_server_of_sftp_whose_key_is_not_known_gets_nothing(sftp: SftpServer, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    storage = open_storage(StorageAddress(sftp.url("x"), {**sftp.options, "known_hosts": str(tmp_path / "empty")}), tmp_path)
    with pytest.raises(StorageError, match="not known") as caught:
        storage.put_if_absent("a", b"b")
    assert "ssh-keyscan" in caught.value.explain()
    assert not (sftp.folder / "x").exists()


def test_a_server_of_sftp_with_another_key_is_another_server(sftp: SftpServer, tmp_path: Path) -> None:
    host, kind, _ = sftp.known_hosts.read_text().split()[:3]
    other = Path(f"{sftp.key}.pub").read_text().split()[1]
    (tmp_path / "known").write_text(f"{host} {kind} {other}\n")
    storage = open_storage(StorageAddress(sftp.url("x"), {**sftp.options, "known_hosts": str(tmp_path / "known")}), tmp_path)
    with pytest.raises(StorageError, match="another server"):
        list(storage.list())


def test_who_is_not_let_in_by_sftp_is_told_what_helps(sftp: SftpServer, tmp_path: Path) -> None:
    options = {"known_hosts": str(sftp.known_hosts), "password": "hunter2secret"}
    storage = open_storage(StorageAddress(sftp.url("x"), options), tmp_path)
    with pytest.raises(StorageError, match="does not let us in") as caught:
        list(storage.list())
    assert "hunter2" not in caught.value.explain()
    with pytest.raises(BackupError, match="no option key"):
        open_storage(StorageAddress(sftp.url("x"), {"key": "x"}), tmp_path)


def test_a_connection_of_sftp_that_broke_is_made_again(sftp: SftpServer, tmp_path: Path) -> None:
    storage = open_storage(StorageAddress(sftp.url(secrets.token_hex(8)), sftp.options), tmp_path)
    put(storage, "a", b"content")
    storage._client.get_transport().close()  # type: ignore[attr-defined]
    assert storage.get("a") == b"content"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file://./backups", "/env/backups"),
        ("file:///var/b", "/var/b"),
        ("file://b/c", "/env/b/c"),
        ("file://../b%20c", "/env/../b c"),
    ],
)
def test_folders_are_relative_to_the_environment(url: str, path: str) -> None:
    assert local_folder(url, Path("/env")) == Path(path)


def test_an_unknown_scheme_is_told() -> None:
    with pytest.raises(BackupError, match="no storage speaks ftp"):
        open_storage(StorageAddress("ftp://a/b"), Path())
