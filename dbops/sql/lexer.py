"""Where quoted text and comments end: the part of lexing that every reader of SQL shares."""

from __future__ import annotations

import re

from dbops.sql.dialect import Dialect

BLANKS = " \t\n\r\f\v"
# Every character beyond ASCII may stand in a name. Classes are written by what they leave out, which `re` compiles far faster.
_NO_WORD = r"\x00-#%-/:-@\[-\^`{-\x7f"
WORD = f"[^{_NO_WORD}]"
WORD_START = f"[^{_NO_WORD}0-9$]"
DOLLAR_TAG = rf"\$(?:{WORD_START}[^{_NO_WORD}$]*+)?\$"

_COMMENT_EDGE = re.compile(r"/\*|\*/")
_DOLLAR_TAG = re.compile(DOLLAR_TAG)
_PARAMETER = re.compile(r"\$[0-9]*")
_WORD = re.compile(f"{WORD}+")
# Segments of one string constant may stand on several lines with comments between them, and share the first one's escapes
# (PostgreSQL manual, 4.1.2.1 String Constants; scan.l, `quotecontinue`).
_CONTINUATION = re.compile(r"[ \t\f\v]*+(?:--[^\n\r]*)?[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*'")


def opaque_end(text: str, start: int, dialect: Dialect, floor: int = 0) -> int:
    """Return the offset after the string, quoted name or block comment that opens at `start`; -1 when nothing closes it.

    A dollar may also belong to a parameter, or to a name that began behind `floor`, the end of the token before.
    """
    match text[start]:
        case "/":
            return _comment_end(text, start, dialect)
        case "$":
            return _dollar_end(text, start, floor)
        case "[":
            return _after(text, "]", start + 1)
        case quote if quote in dialect.string_quotes and dialect.backslash_escapes:
            return _quoted_end(text, start, escapes=True)
        case "'" if dialect.escape_strings and _has_escape_prefix(text, start):
            return _escape_string_end(text, start)
    return _quoted_end(text, start, escapes=False)


def line_comment(dialect: Dialect, *, leading: bool = False) -> str:
    """Return the regular expression of a comment that runs to the end of its line.

    `leading` gives the form before a statement, where the `mysql` client takes `--` for a comment even without a blank, and
    `sqlite3` a line that begins with `#`.
    """
    rest = r"[^\n\r]*" if dialect.carriage_return_ends_comment else r"[^\n]*"
    dashes = rf"--(?=[\x00-\x20]|\Z){rest}" if dialect.dash_needs_blank and not leading else f"--{rest}"
    if dialect.hash_lines and leading:
        return rf"{dashes}|#(?<![^\n]#){rest}"
    return f"{dashes}|#{rest}" if dialect.hash_comments else dashes


def _dollar_end(text: str, start: int, floor: int) -> int:
    name = start
    while name > floor and _WORD.match(text, name - 1, name):
        name -= 1
    if name < start and text[name] not in "0123456789":
        return _end(_WORD.match(text, start), start)
    tag = _DOLLAR_TAG.match(text, start)
    return _after(text, tag[0], tag.end()) if tag else _end(_PARAMETER.match(text, start), start)


def _end(found: re.Match[str] | None, start: int) -> int:
    return found.end() if found else start


def _after(text: str, closing: str, start: int) -> int:
    found = text.find(closing, start)
    return found + len(closing) if found >= 0 else -1


def _comment_end(text: str, start: int, dialect: Dialect) -> int:
    if not dialect.nested_comments:
        return _after(text, "*/", start + 2)
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    return -1


def _quoted_end(text: str, start: int, *, escapes: bool) -> int:
    quote, at = text[start], start + 1
    while (found := text.find(quote, at)) >= 0:
        if escapes and _backslashes_before(text, found, at) % 2:
            at = found + 1
        elif text.startswith(quote, found + 1):
            at = found + 2
        else:
            return found + 1
    return -1


def _backslashes_before(text: str, end: int, start: int) -> int:
    at = end
    while at > start and text[at - 1] == "\\":
        at -= 1
    return end - at


def _has_escape_prefix(text: str, start: int) -> bool:
    return start > 0 and text[start - 1] in "eE" and (start == 1 or not _WORD.match(text, start - 2))


def _escape_string_end(text: str, start: int) -> int:
    end = _quoted_end(text, start, escapes=True)
    while end > 0 and (more := _CONTINUATION.match(text, end)):
        end = _quoted_end(text, more.end() - 1, escapes=True)
    return end
