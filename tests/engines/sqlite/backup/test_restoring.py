"""Files that only their application fully understands, some tables of many, and disks that are full."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import sleep

import pytest

from dbops.errors import BackupError
from tests.failures.trial import without_links
from tests.usecases.policies import Shop

OWN = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, name TEXT COLLATE "by sound", CHECK (spoken(name) <> ''));
CREATE INDEX by_name ON notes (name);
CREATE INDEX by_sound ON notes (spoken(name));
CREATE TABLE sounds (name TEXT COLLATE "by sound" PRIMARY KEY) WITHOUT ROWID;
INSERT INTO notes (name) VALUES ('b'), ('A'), ('c');
INSERT INTO sounds VALUES ('b'), ('A');
"""
TEXTS = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
CREATE VIRTUAL TABLE docs USING fts5(body, content=notes, content_rowid=id);
CREATE VIRTUAL TABLE docs_own USING fts5(body);
CREATE VIRTUAL TABLE places USING rtree(id, low, high);
CREATE TABLE docs_mine (a);
CREATE TABLE tags (id INTEGER PRIMARY KEY, note REFERENCES notes);
CREATE VIEW bodies AS SELECT body FROM notes;
CREATE TRIGGER indexed AFTER INSERT ON notes BEGIN INSERT INTO docs (rowid, body) VALUES (new.id, new.body); END;
CREATE TRIGGER trimmed AFTER INSERT ON notes BEGIN UPDATE notes SET body = trim(body) WHERE id = new.id; END;
INSERT INTO notes (body) VALUES ('hello you'), ('hello world');
INSERT INTO docs_own VALUES ('hello');
INSERT INTO places VALUES (1, 2, 3);
INSERT INTO tags VALUES (1, 1);
"""


def made(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.create_collation("by sound", lambda left, right: (left.lower() > right.lower()) - (left.lower() < right.lower()))
        conn.create_function("spoken", 1, lambda text: text.lower(), deterministic=True)
        conn.executescript(sql)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("texts")
    made(folder / "shop.db", TEXTS)
    shop = Shop(folder / "env", f"sqlite:///{folder / 'shop.db'}")
    shop.run()
    return shop


def test_an_interrupt_ends_the_check_of_a_file(tmp_path: Path) -> None:
    """Each row takes SQLite some milliseconds, all of them minutes, and signals are not seen by what runs in it."""
    path = tmp_path / "large.db"
    made(
        path,
        "CREATE TABLE notes (id INTEGER PRIMARY KEY);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO notes SELECT i FROM n;"
        "CREATE INDEX by_id ON notes (id + 0);"
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX by_id ON notes (id + 0 * length(hex(zeroblob(4000000 + id))))'"
        " WHERE name = 'by_id';",
    )
    code = (
        "import sys\nfrom pathlib import Path\nfrom dbops.engines.sqlite.backup.restoring import integrity\n"
        "print('checking', flush=True)\nintegrity(Path(sys.argv[1]))"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as check:
        assert check.stdout is not None
        assert check.stdout.readline() == "checking\n"
        sleep(0.3)
        check.send_signal(signal.SIGINT)
        try:
            _, told = check.communicate(timeout=20)
        finally:
            check.kill()
    assert "KeyboardInterrupt" in told


def test_what_only_an_application_brings_along_is_no_damage(tmp_path: Path) -> None:
    path, new = tmp_path / "shop.db", tmp_path / "new.db"
    made(path, OWN)
    shop = Shop(tmp_path / "env", f"sqlite:///{path}")
    backup = shop.run()
    assert backup.warnings == () and backup.schema_digest is not None
    [warning] = shop.restore(f"sqlite:///{new}").restored.warnings
    assert "in part only" in warning and new.read_bytes() == path.read_bytes()
    proof = shop.verify(3)
    assert proof.problems == () and proof.details["tables_counted"] == 2
    assert shop.verify(2).problems == ()
    [*_, kept] = shop.restore(f"sqlite:///{tmp_path / 'part.db'}", tables=("notes",)).restored.warnings
    assert "keeps the room" in kept


def test_damage_is_found_where_an_application_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    made(path, OWN)
    with path.open("r+b") as file:
        file.seek(4096 + 3)
        file.write(b"\xff\xff")  # more cells on the page than it has room for
    shop = Shop(tmp_path / "env", f"sqlite:///{path}")
    shop.run()
    assert shop.verify(3).problems
    with pytest.raises(BackupError, match="the restored file is damaged"):
        shop.restore(f"sqlite:///{tmp_path / 'new.db'}")
    for options in ({"damage": "keep"}, {"damaged": "yes"}):
        with pytest.raises(BackupError, match=r"means nothing|is not known"):
            shop.restore(f"sqlite:///{tmp_path / 'new.db'}", options=options)
    assert not (tmp_path / "new.db").exists()
    [warning] = shop.restore(f"sqlite:///{tmp_path / 'new.db'}", options={"damaged": "keep"}).restored.warnings
    assert "as it was when it was backed up" in warning and (tmp_path / "new.db").read_bytes() == path.read_bytes()


def test_tables_of_a_damaged_file_say_whether_the_damage_came_with_them(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    made(path, "CREATE TABLE sound (a); CREATE TABLE hurt (a); INSERT INTO hurt VALUES ('needle'); CREATE INDEX one ON hurt (a)")
    content = path.read_bytes()
    at = content.rindex(b"needle")  # the index came last
    path.write_bytes(content[:at] + b"noodle" + content[at + 6 :])
    shop = Shop(tmp_path / "env", f"sqlite:///{path}")
    shop.run()
    for table, said in (
        ("sound", "in the restored tables SQLite finds nothing wrong"),
        ("hurt", "the restored tables are damaged"),
    ):
        new = tmp_path / f"{table}.db"
        [warning, *_] = shop.restore(f"sqlite:///{new}", tables=(table,), options={"damaged": "keep"}).restored.warnings
        assert said in warning
        with closing(sqlite3.connect(new)) as conn:
            assert (conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]) == (table == "sound")


@pytest.mark.parametrize(
    ("chosen", "query", "comes", "said"),
    [
        ("docs", "SELECT count(*) FROM docs WHERE docs MATCH 'hello'", {"docs", "notes"}, "notes came too"),
        ("docs_own", "SELECT 1 + count(*) FROM docs_own WHERE docs_own MATCH 'hello'", {"docs_own"}, ""),
        ("places", "SELECT low FROM places", {"places"}, ""),
        ("tags", "SELECT 1 + count(*) FROM tags", {"tags"}, "tags refers to notes"),
    ],
)
def test_a_table_comes_with_what_it_is_made_of(
    texts: Shop, tmp_path: Path, chosen: str, query: str, comes: set[str], said: str
) -> None:
    new = tmp_path / "new.db"
    warnings = texts.restore(f"sqlite:///{new}", tables=(chosen,)).restored.warnings
    with closing(sqlite3.connect(new)) as conn:
        assert conn.execute(query).fetchall() == [(2,)]
        tables = {name for (name,) in conn.execute("SELECT name FROM pragma_table_list WHERE type IN ('table', 'virtual')")}
        assert {name for name in tables if not name.startswith("sqlite_")} == comes
    assert said in "\n".join(warnings) and bool(said) == bool(warnings)


def test_a_trigger_that_uses_what_goes_is_left_out_and_named(texts: Shop, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    warnings = texts.restore(f"sqlite:///{new}", tables=("notes",)).restored.warnings
    assert warnings == ("the trigger indexed was left out, for it uses what was not restored",)
    with closing(sqlite3.connect(new)) as conn:
        conn.execute("INSERT INTO notes (body) VALUES (' x ')")
        assert conn.execute("SELECT body FROM notes WHERE id = 3").fetchall() == [("x",)]


def test_a_part_of_a_virtual_table_is_no_table_to_choose(texts: Shop, tmp_path: Path) -> None:
    with pytest.raises(BackupError) as caught:
        texts.restore(f"sqlite:///{tmp_path / 'new.db'}", tables=("docs_data",))
    assert caught.value.message == "docs_data is a part of docs, and means nothing alone"
    with pytest.raises(BackupError) as caught:
        texts.restore(f"sqlite:///{tmp_path / 'new.db'}", tables=("nope",))
    assert caught.value.expected == "one of docs, docs_mine, docs_own, notes, places, tags"
    assert list(tmp_path.iterdir()) == []


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as a disk that is full does."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_where_there_is_no_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "shop.db", "CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(300000));")
    shop = Shop(tmp_path / "env", f"sqlite:///{tmp_path / 'shop.db'}")
    shop.run()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with files_up_to(100_000):
        with pytest.raises(BackupError) as caught:
            shop.restore(f"sqlite:///{tmp_path / 'new.db'}")
        assert f"{tmp_path}/.new.db.restoring-" in caught.value.message
        for level in (2, 3):
            with pytest.raises(BackupError) as caught:
                shop.verify(level)
            assert f"{tmp_path}/tmp/dbops-passing-" in caught.value.message
    assert {path.name for path in tmp_path.iterdir()} == {"shop.db", "env", "tmp"} and not list((tmp_path / "tmp").iterdir())
    assert shop.verify(3).ok


def test_files_are_restored_where_they_have_one_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, new = tmp_path / "shop.db", tmp_path / "new.db"
    made(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    without_links(monkeypatch)
    shop = Shop(tmp_path / "env", f"sqlite:///{path}")
    shop.run()
    shop.restore(f"sqlite:///{new}")
    assert new.read_bytes() == path.read_bytes()
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096)  # too damaged to be saved
    [warning] = shop.restore(f"sqlite:///{path}", replaces=True).restored.warnings
    assert "what stood there is" in warning and path.read_bytes() == new.read_bytes()
    assert len(list(tmp_path.glob("shop.db.damaged-*"))) == 1


def test_an_option_that_means_nothing_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as conn:
        conn.execute("CREATE TABLE t (a)")
    shop = Shop(tmp_path / "env", f"sqlite:///{tmp_path / 'shop.db'}")
    shop.run()
    with pytest.raises(BackupError, match="--option roles means nothing"):
        shop.restore(f"sqlite:///{tmp_path / 'never.db'}", options={"roles": "skip"})
    assert not (tmp_path / "never.db").exists()
