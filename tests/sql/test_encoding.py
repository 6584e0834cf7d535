"""A script in the encoding that it names itself, from the statement on that does so."""

from __future__ import annotations

import pytest

from dbops.errors import SchemaError
from dbops.sql.dialect import MYSQL, POSTGRESQL
from dbops.sql.encoding import decode

WAYS = [
    "SET client_encoding = 'LATIN1';",
    "set client_encoding to latin1;",
    "SET SESSION client_encoding = 'iso_8859_1';",
    "SET NAMES 'LATIN1';",
    "SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false);",
    "\\encoding LATIN1\n",
]


@pytest.mark.parametrize("way", WAYS)
def test_what_follows_is_in_the_encoding_named(way: str) -> None:
    assert (
        decode(f"SELECT 'é'; {way} ".encode() + "SELECT 'é';".encode("latin-1"), POSTGRESQL) == f"SELECT 'é'; {way} SELECT 'é';"
    )


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("WIN1252", "cp1252"),
        ("SJIS", "cp932"),
        ("EUC_JP", "euc_jp"),
        ("latin-9", "iso8859_15"),
        ("KOI8R", "koi8_r"),
        ("BIG5", "cp950"),
    ],
)
def test_encodings_of_the_manual_are_known(name: str, codec: str) -> None:
    text = {"cp932": "表示", "euc_jp": "表示", "cp950": "功", "koi8_r": "да", "iso8859_15": "€"}.get(codec, "é€")
    script = f"SET client_encoding = '{name}';\nCOMMENT ON TABLE t IS '{text}';\n"
    assert decode(script.encode(codec), POSTGRESQL) == script


def test_the_encoding_changes_back() -> None:
    parts = [("SET NAMES 'LATIN2';", "utf-8"), ("SELECT 'ő';", "iso8859_2"), ("SET client_encoding TO DEFAULT;", "ascii")]
    data = b"".join(text.encode(codec) for text, codec in parts) + "SELECT 'ő'; RESET client_encoding;".encode()
    assert (
        decode(data, POSTGRESQL)
        == "SET NAMES 'LATIN2';SELECT 'ő';SET client_encoding TO DEFAULT;SELECT 'ő'; RESET client_encoding;"
    )


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert decode(b"\xef\xbb\xbfSELECT 1", POSTGRESQL) == "SELECT 1"
    assert (
        decode(b"\xef\xbb\xbf" + "SET NAMES 'LATIN1'; SELECT 'é'".encode("latin-1"), POSTGRESQL)
        == "SET NAMES 'LATIN1'; SELECT 'é'"
    )


@pytest.mark.parametrize(
    "text", ["-- SET NAMES 'LATIN1';\n'é'", "SELECT $$\nSET client_encoding = 'LATIN1';\n$$, 'é'", "SELECT 'SET NAMES latin1;é'"]
)
def test_what_only_looks_like_such_a_statement_is_none(text: str) -> None:
    assert decode(text.encode(), POSTGRESQL) == text


def test_an_engine_without_such_statements_reads_utf_8() -> None:
    with pytest.raises(SchemaError, match="not UTF-8: byte 19"):
        decode("SET NAMES latin1; 'é'".encode("latin-1"), MYSQL, "dump.sql")


def test_bytes_that_are_no_text_of_the_encoding_are_told_with_their_place() -> None:
    with pytest.raises(SchemaError, match=r"what follows line 2 of the file is not cp932: byte 37 is wrong"):
        decode(b"SELECT 1;\nSET client_encoding='SJIS';\x81\n", POSTGRESQL, "dump.sql")


def test_an_encoding_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SchemaError, match="MULE_INTERNAL, which cannot be read") as caught:
        decode(b"\nSET client_encoding = 'MULE_INTERNAL';", POSTGRESQL, "dump.sql")
    assert caught.value.at is not None and caught.value.at.line == 2
