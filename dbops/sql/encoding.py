"""Bytes of a script as text: a script may say itself which encoding it is in, from some statement on."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from dbops.errors import Mark, SchemaError
from dbops.sql.dialect import Dialect
from dbops.sql.splitter import split

_DEFAULT = "utf-8"

_SETS = re.compile(
    r"(?:SET\s+(?:SESSION\s+|LOCAL\s+)?(?:client_encoding\s*(?:=|\bTO\b)|NAMES)"
    r"|SELECT\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(\s*'client_encoding'\s*,|\\encoding\s)"
    r"\s*['\"]?(?P<name>[\w-]+)|RESET\s+client_encoding",
    re.IGNORECASE,
)
_MAY_SET = re.compile(rb"client_encoding|\\encoding|\bNAMES\b", re.IGNORECASE)

#: What Python calls them (PostgreSQL manual, "Character Set Support", table of supported character sets, aliases included).
_CODECS = {
    "utf8": _DEFAULT, "unicode": _DEFAULT, "sqlascii": _DEFAULT, "default": _DEFAULT,
    "latin1": "iso8859_1", "latin2": "iso8859_2", "latin3": "iso8859_3", "latin4": "iso8859_4", "latin5": "iso8859_9",
    "latin6": "iso8859_10", "latin7": "iso8859_13", "latin8": "iso8859_14", "latin9": "iso8859_15", "latin10": "iso8859_16",
    "win": "cp1251", "alt": "cp866", "abc": "cp1258", "tcvn": "cp1258", "tcvn5712": "cp1258", "vscii": "cp1258",
    "koi8": "koi8_r", "koi8r": "koi8_r", "koi8u": "koi8_u", "eucjp": "euc_jp", "euckr": "euc_kr", "euccn": "gb2312",
    "eucjis2004": "euc_jis_2004", "shiftjis2004": "shift_jis_2004", "gbk": "gbk", "windows936": "gbk", "gb18030": "gb18030",
    "uhc": "cp949", "windows949": "cp949", "johab": "johab", "big5": "cp950", "windows950": "cp950",
    "sjis": "cp932", "mskanji": "cp932", "shiftjis": "cp932", "windows932": "cp932",
}  # fmt: skip
_BY_NUMBER = {r"win(?:dows)?(\d+)": "cp", r"iso8859(\d+)": "iso8859_"}


def decode(data: bytes, dialect: Dialect, file: str = "") -> str:
    """Return the text of a script; where the dialect knows such statements, what follows one is in the encoding it names.

    Raises:
        SchemaError: bytes that are no text of the encoding, or an encoding that cannot be read.
    """
    if not dialect.sets_encoding or not _MAY_SET.search(data):
        return utf8(data, file)
    data = data.removeprefix(codecs.BOM_UTF8)
    pieces: list[str] = []
    start, codec, line = 0, _DEFAULT, None
    for end, name, at in _settings(data, dialect, file):
        pieces.append(_text(data[start:end], codec, line, file, start))
        start, codec, line = end, _codec(name, Mark(file, at)), at
    pieces.append(_text(data[start:], codec, line, file, start))
    return "".join(pieces)


def utf8(data: bytes, file: str = "") -> str:
    """Return the text of a file in UTF-8, without a byte order mark.

    Raises:
        SchemaError: bytes that are none.
    """
    return _text(data, _DEFAULT, None, file)


def _settings(data: bytes, dialect: Dialect, file: str) -> Iterator[tuple[int, str, int]]:
    """Yield the offset behind each statement that names another encoding, the name, and the statement's line.

    Every byte counts as one character here, which finds the ends of statements in all encodings that a server can be told.
    """
    text = data.decode("iso8859_1")
    if all(_normal(match["name"] or "utf8") == "utf8" for match in _SETS.finditer(text)):
        return  # as in nearly every dump
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for statement in split(text, dialect, file):
        if match := _SETS.match(statement.text):
            offset = starts[statement.at.line - 1] + statement.at.column - 1
            yield offset + len(statement.text), match["name"] or "default", statement.at.line


def _normal(name: str) -> str:
    """Return the name as the server compares it: letters and digits alone, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _codec(name: str, at: Mark) -> str:
    plain = _normal(name)
    by_number = (f"{family}{match[1]}" for pattern, family in _BY_NUMBER.items() if (match := re.fullmatch(pattern, plain)))
    found = _CODECS.get(plain) or next(by_number, "unknown")
    try:
        return codecs.lookup(found).name
    except LookupError as error:
        message = f"the file says that it is in {name}, which cannot be read"
        raise SchemaError(message, at=at, fix="save it as UTF-8, and say so") from error


def _text(data: bytes, codec: str, line: int | None, file: str, start: int = 0) -> str:
    """Decode a part of a file, `start` being its offset; `line` is where its encoding was named."""
    try:
        return data.decode("utf-8-sig" if codec == _DEFAULT and not start else codec)
    except UnicodeDecodeError as error:
        shown = "UTF-8" if codec == _DEFAULT else codec
        told = "the file is not" if line is None else f"what follows line {line} of the file is not"
        message = f"{told} {shown}: byte {start + error.start} is wrong"
        raise SchemaError(message, at=Mark(file), fix="save it as UTF-8") from error
