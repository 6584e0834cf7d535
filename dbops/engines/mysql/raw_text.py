"""Answers of the server with bytes in them that are no text.

SHOW CREATE writes a default of a binary column, and a literal in a view, byte by byte between quotes. Such bytes are read as
lone surrogates, as Python reads the names of files; the literals that hold them are told in hexadecimal, which means the same.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pymysql

_ENCODING = "utf8_or_bytes"
_LITERAL = re.compile(r"'((?:[^'\\]|\\.|'')*)'", re.DOTALL)
_MARKED = re.compile(r"(?<![\w`'])_\w+'((?:[^'\\]|\\.|'')*)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)|''", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "0": "\0", "t": "\t", "b": "\b", "Z": "\x1a"}
_NO_TEXT = re.compile(r"[\udc80-\udcff]")


@contextmanager
def reading_bytes(conn: pymysql.Connection[Any]) -> Iterator[None]:
    """Read what is not UTF-8 in a session of that encoding as lone surrogates, where the driver would fail."""
    usual = conn.encoding
    if usual != "utf8":
        yield
        return
    conn.encoding = _ENCODING
    try:
        yield
    finally:
        conn.encoding = usual


def readable(text: str) -> str:
    """Return SQL whose literals are text, or hexadecimal."""
    return text if text.isascii() or not _NO_TEXT.search(text) else _LITERAL.sub(_in_hexadecimal, text)


def is_marked(text: str) -> bool:
    """Tell whether SQL has a literal with the name of its character set whose bytes may have been lost on the way here.

    The server puts them as they are into a text that it then converts, `?` for what is none there (MariaDB 10.11).
    """
    return any("?" in found[1] or not found[1].isascii() for found in _MARKED.finditer(text))


def unconverted(text: str, charset: str) -> str | None:
    """Return SQL that came in its author's character set, with bytes of marked literals in hexadecimal; None where unknown."""
    if charset.startswith("utf8"):
        return readable(text)
    if charset != "latin1":
        return None
    try:
        plain = text.encode("utf-8", "surrogateescape").decode("cp1252")  # what MySQL calls latin1
    except UnicodeDecodeError:
        return None
    return _MARKED.sub(_marked_in_hexadecimal, plain)


def _marked_in_hexadecimal(literal: re.Match[str]) -> str:
    if literal[1].isascii():
        return literal[0]
    return f"{literal[0][: literal.start(1) - literal.start() - 1]} X'{unescaped(literal[1]).encode('cp1252').hex().upper()}'"


def unescaped(body: str) -> str:
    """Return what the inside of a literal stands for."""
    return _ESCAPE.sub(lambda match: "'" if match[0] == "''" else _ESCAPES.get(match[1], match[1]), body)


def _in_hexadecimal(literal: re.Match[str]) -> str:
    if not _NO_TEXT.search(literal[0]):
        return literal[0]
    # After the name of a character set the blank is what parts it from the X.
    start = literal.start()
    gap = " " if start and literal.string[start - 1].isalnum() else ""
    return f"{gap}X'{unescaped(literal[1]).encode('utf-8', 'surrogateescape').hex().upper()}'"


def _codec(name: str) -> codecs.CodecInfo | None:
    if name != _ENCODING:
        return None
    return codecs.CodecInfo(
        lambda text, _="strict": codecs.utf_8_encode(text, "surrogateescape"),
        lambda data, _="strict": codecs.utf_8_decode(data, "surrogateescape", True),
        name=_ENCODING,
    )


codecs.register(_codec)
