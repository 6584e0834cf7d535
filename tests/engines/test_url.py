"""Database URLs: what is understood, what is refused, and that passwords stay hidden."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engines.base.secret import SecretValue
from dbops.engines.base.url import DatabaseUrl, parse_url
from dbops.errors import ConnectError

UNDERSTOOD: list[tuple[str, DatabaseUrl]] = [
    ("sqlite:///shop.db", DatabaseUrl("sqlite", database="shop.db")),
    ("sqlite:///data/my%20shop.db", DatabaseUrl("sqlite", database="data/my shop.db")),
    ("sqlite:////var/shop.db", DatabaseUrl("sqlite", database="/var/shop.db")),
    ("sqlite:///:memory:", DatabaseUrl("sqlite", database=":memory:")),
    ("sqlite://", DatabaseUrl("sqlite", database=":memory:")),
    ("sqlite+pysqlite:///shop.db?mode=ro", DatabaseUrl("sqlite", database="shop.db", query=(("mode", "ro"),))),
    ("postgresql://", DatabaseUrl("postgresql")),
    ("postgres://db/shop", DatabaseUrl("postgresql", host="db", database="shop")),
    ("postgresql+psycopg://u@db:5433/shop", DatabaseUrl("postgresql", "u", None, "db", 5433, "shop")),
    ("postgresql://u:@db", DatabaseUrl("postgresql", "u", SecretValue(""), "db")),
    ("postgresql://u:p%40%2F%3A@db/shop", DatabaseUrl("postgresql", "u", SecretValue("p@/:"), "db", None, "shop")),
    ("postgresql://u:p@ss:w@db/shop", DatabaseUrl("postgresql", "u", SecretValue("p@ss:w"), "db", None, "shop")),
    ("postgresql://u@[::1]:5433/shop", DatabaseUrl("postgresql", "u", None, "::1", 5433, "shop")),
    ("postgresql://[fe80::1]", DatabaseUrl("postgresql", host="fe80::1")),
    ("postgresql://%2Frun%2Fpg/shop", DatabaseUrl("postgresql", host="/run/pg", database="shop")),
    (
        "postgresql://u@/db?host=/run/pg&port=5433",
        DatabaseUrl("postgresql", "u", None, None, None, "db", (("host", "/run/pg"), ("port", "5433"))),
    ),
    ("postgresql://u@?host=/run/pg", DatabaseUrl("postgresql", "u", query=(("host", "/run/pg"),))),
    ("postgresql:///db?options=-c%20a%3Db", DatabaseUrl("postgresql", database="db", query=(("options", "-c a=b"),))),
    (
        "mysql://u@localhost/db?unix_socket=/run/my.sock",
        DatabaseUrl("mysql", "u", None, "localhost", None, "db", (("unix_socket", "/run/my.sock"),)),
    ),
    ("mysql+pymysql://db/a%2Fb", DatabaseUrl("mysql", host="db", database="a/b")),
    ("MariaDB://db:3307/shop?charset=", DatabaseUrl("mysql", None, None, "db", 3307, "shop", (("charset", ""),))),
]


@pytest.mark.parametrize(("text", "url"), UNDERSTOOD, ids=[text for text, _ in UNDERSTOOD])
def test_url_is_understood(text: str, url: DatabaseUrl) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shop.db", "not a database URL"),
        ("sqlite:shop.db", "not a database URL"),
        ("host=db password=hunter2", "not a database URL"),
        ("oracle://scott:hunter2@db/shop", "unknown database 'oracle'"),
        ("sqlite://shop.db", "a SQLite URL has no host"),
        ("postgresql://u:hunter2/x@db/shop", "the port in the URL"),
        ("postgresql://u:hunter2?x@db/shop", "the port in the URL"),
        ("postgresql://u:hunter2@db:0/shop", "the port in the URL"),
        ("postgresql://u:hunter2@db:65536/shop", "the port in the URL"),
        ("postgresql://u:hunter2@[::1/shop", "the IPv6 address"),
        ("postgresql://u:hunter2@a:1,b:2/shop", "several hosts"),
    ],
)
def test_url_is_refused_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(ConnectError, match=message) as caught:
        parse_url(text)
    assert caught.value.expected
    assert "hunter2" not in caught.value.explain()


def test_passwords_are_hidden_wherever_they_stand() -> None:
    url = parse_url("postgresql://u:hunter2@db/shop?password=hunter3&sslpassword=hunter4&passfile=/etc/pass&sslmode=require")
    for shown in (repr(url), str(url), f"{url}", url.redacted(), repr([url])):
        assert "hunter" not in shown
    assert url.redacted() == "postgresql://u:***@db/shop?password=***&sslpassword=***&passfile=/etc/pass&sslmode=require"
    assert url.reveal().startswith("postgresql://u:hunter2@db/shop?password=hunter3&")


def test_another_database_of_the_same_server() -> None:
    url = parse_url("mysql://u:p@db/shop?charset=utf8mb4").with_database("scratch")
    assert url.reveal() == "mysql://u:p@db/scratch?charset=utf8mb4"


def test_sqlite_paths_are_relative_to_a_folder() -> None:
    assert parse_url("sqlite:///a/b.db").under(Path("/env")).database == "/env/a/b.db"
    assert parse_url("sqlite:////a/b.db").under(Path("/env")).database == "/a/b.db"
    assert parse_url("sqlite:///../a/./b.db").under(Path("/env/shop")).database == "/env/a/b.db"
    assert parse_url("sqlite://").under(Path("/env")).database == ":memory:"
    assert parse_url("mysql://db/a").under(Path("/env")).database == "a"


def test_a_link_on_the_way_keeps_its_way_up(tmp_path: Path) -> None:
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    assert parse_url("sqlite:///link/../b.db").under(tmp_path).database == f"{tmp_path}/link/../b.db"


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)
URLS = st.builds(
    DatabaseUrl,
    st.sampled_from(["postgresql", "mysql"]),
    username=NAMES,
    password=st.none() | st.builds(SecretValue, NAMES),
    host=st.none() | st.from_regex(r"[a-z0-9.-]+", fullmatch=True) | st.just("::1") | st.just("/run/pg"),
    port=st.none() | st.integers(1, 65535),
    database=st.none() | NAMES,
    query=st.lists(st.tuples(NAMES, st.text(st.characters(codec="utf-8")))).map(tuple),
)


@given(URLS)
def test_a_url_written_is_read_back(url: DatabaseUrl) -> None:
    assert parse_url(url.reveal()) == url
