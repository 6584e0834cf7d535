"""Remarks in SQL that let a finding pass: `-- dbops:allow CODE reason`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from dbops.dataclass import dataclass
from dbops.errors import Mark
from dbops.lint.statements import Read
from dbops.sql.splitter import Comment

_ALLOW = re.compile(
    r"dbops:allow\b[ \t]*(?P<codes>[A-Za-z_]\w*(?:[ \t]*,[ \t]*[A-Za-z_]\w*)*)?[ \t]*[:,–—-]*[ \t]*(?P<reason>[^\n]*)"
)


@dataclass(slots=True, eq=False)
class Allow:
    """One code of one remark; `lines` are those it speaks of, None for the whole statement. `is_used` is noted by `covers`."""

    code: str
    reason: str
    at: Mark
    read: Read | None
    lines: tuple[int, ...] | None = None
    is_used: bool = False

    def covers(self, code: str, read: Read, line: int) -> bool:
        """Return whether the remark lets a finding pass, and note that it did."""
        if code != self.code or read is not self.read or (self.lines is not None and line not in self.lines):
            return False
        self.is_used = True
        return True


def allows(read: Read) -> Iterator[Allow]:
    """Yield the remarks of a statement: before or behind it about all of it, inside it about their line, or about the next
    line where they stand alone on theirs."""
    for comment in read.source.comments:
        inside = 0 <= comment.offset < len(read.source.text)
        yield from _in_comment(comment.text, comment.at, read, _lines(comment, read) if inside else None)


def _lines(comment: Comment, read: Read) -> tuple[int, ...]:
    text = read.source.text
    line = comment.at.line
    start = text.rfind("\n", 0, comment.offset) + 1
    stands_alone = not text[start : comment.offset].strip() and start > 0
    last = line + comment.text.count("\n")
    return (line, last, last + 1) if stands_alone else (line, last)


def _in_comment(text: str, at: Mark, read: Read | None, lines: tuple[int, ...] | None) -> Iterator[Allow]:
    for found in _ALLOW.finditer(text):
        reason = found["reason"].removesuffix("*/").strip()
        above = text.count("\n", 0, found.start())
        place = Mark(at.file, at.line + above, at.column + found.start() if not above else 1)
        for code in re.split(r"[ \t]*,[ \t]*", found["codes"] or ""):
            yield Allow(code, reason, place, read, lines)


def stray_allows(comment: str, at: Mark) -> Iterator[Allow]:
    """Yield the remarks of a comment that belongs to no statement."""
    return _in_comment(comment, at, None, ())


def why_unused(allow: Allow, known: list[str]) -> str:
    """Say why a remark lets nothing pass."""
    if not allow.code:
        return "dbops:allow names no code"
    if allow.code not in known:
        near = get_close_matches(allow.code.upper(), known, 1)
        return f"there is no rule {allow.code}" + (f"; did you mean {near[0]}?" if near else "")
    return f"nothing here is {allow.code}"
