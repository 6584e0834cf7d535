"""The text of a dump cut into its sections while it passes by.

mysqldump and mariadb-dump put `--`, a comment, `--` on lines of their own before each table, its rows and each view. No line of
data begins so: line ends in strings are written as `\\n`, and names with line ends are written without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from dbops.dataclass import dataclass

_MARK = b"\n--\n-- "
_HEADINGS = re.compile(
    rb"(?P<sequence>Sequence structure for)|(?P<table>Table structure for table)|(?P<rows>Dumping data for table)"
    rb"|(?P<placeholder>Temporary (?:table|view) structure for view)|(?P<view>Final view structure for view)"
)
_NAME = re.compile(rb"`(.*)`$", re.DOTALL)
_END = re.compile(rb"-- Dump completed[^\n]*\n?\s*$")
_POSITION = re.compile(
    rb"CHANGE (?:MASTER|REPLICATION SOURCE) TO (?:MASTER|SOURCE)_LOG_FILE='([^']+)', (?:MASTER|SOURCE)_LOG_POS=(\d+)"
)
_GTID = re.compile(rb"gtid_slave_pos='([^']*)'")
_SEQUENCES = re.compile(rb"(?:nextval|lastval|setval)\(`((?:[^`]|``)*)`\.`((?:[^`]|``)*)`", re.IGNORECASE)
_LONGEST = 1024  # bytes of the longest text looked for: a heading with a name of 64 characters
_TAIL = 4096
_HEAD = 1 << 16

#: Sections of views; they are kept apart from tables, for views are made when everything else is there.
VIEWS = frozenset({"placeholder", "view"})


@dataclass(slots=True)
class Section:
    """Bytes `start` to `end` of the stream of tables. `uses` are sequences that defaults of the table name, with database."""

    kind: str
    name: str
    start: int
    end: int = 0
    rows: int = 0
    insert: bytes | None = None
    """How each statement begins whose first row is on the same line; empty where there is none, None before the first."""
    uses: list[tuple[str, str]] = field(default_factory=list)


class Cutter:
    """Hands a dump on piece by piece, and knows at the end what was in it. `counts_rows` where each row is a line."""

    def __init__(self) -> None:
        self.sections: list[Section] = [Section("header", "", 0)]
        self.counts_rows: bool = True
        self.longest: int = 0
        self._buffer = b""
        self._place = 0  # in the stream of tables
        self._head = b""
        self._tail = b""
        self._line = 0

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[Section, memoryview]]:
        """Yield the pieces of sections that are complete enough to be told apart."""
        buffer = self._buffer + data
        self._measure(buffer, len(self._buffer))
        done = 0
        while (mark := buffer.find(_MARK, done)) >= 0:
            end = buffer.find(b"\n", mark + len(_MARK))
            if end < 0:
                break
            heading = buffer[mark + len(_MARK) : end]
            if found := _HEADINGS.match(heading):
                yield self._piece(buffer, done, mark + 1)
                self._open(str(found.lastgroup), heading)
            else:
                yield self._piece(buffer, done, mark + 1)
            done = mark + 1
        keep = min(max(done, len(buffer) - _LONGEST), mark if mark >= 0 else len(buffer))
        if keep > done:
            yield self._piece(buffer, done, keep)
        self._buffer = buffer[max(keep, done) :]

    def finish(self) -> Iterator[tuple[Section, memoryview]]:
        """Yield what is left."""
        yield self._piece(self._buffer, 0, len(self._buffer))
        self._buffer = b""
        for section in self.sections:
            if section.kind == "table" and not section.end:
                section.end = self._place

    @property
    def has_begun(self) -> bool:
        """Tell whether the first table came, and the moment of the dump with it."""
        return len(self.sections) > 1

    @property
    def is_complete(self) -> bool:
        """Tell whether the tool wrote its own end mark."""
        return _END.search(self._tail) is not None

    @property
    def position(self) -> dict[str, object]:
        """The place in the binary log that the dump is of, empty where the tool was not asked for it."""
        found = _POSITION.search(self._head)
        if found is None:
            return {}
        gtid = _GTID.search(self._head) or _GTID.search(self._tail)
        return {"file": found[1].decode(), "offset": int(found[2])} | ({"gtid": gtid[1].decode()} if gtid else {})

    def rows(self) -> dict[str, int]:
        """Return the rows of each table, nothing where the dump does not show them."""
        if not self.counts_rows:
            return {}
        rows = {section.name: 0 for section in self.sections if section.kind == "table"}
        for section in self.sections:
            if section.kind == "rows":
                rows[section.name] = section.rows
        return rows

    def _measure(self, buffer: bytes, start: int) -> None:
        """Look at what is new, which begins at `start`."""
        if len(self._head) < _HEAD:
            self._head += buffer[start : start + _HEAD - len(self._head)]
        self._tail = (self._tail + buffer[max(start, len(buffer) - _TAIL) :])[-_TAIL:]
        first = buffer.find(b"\n", start)
        if first < 0:
            self._line += len(buffer) - start
        else:
            self.longest = max(self.longest, self._line + first - start)
            self._line = len(buffer) - buffer.rfind(b"\n") - 1

    def _open(self, kind: str, heading: bytes) -> None:
        name = _NAME.search(heading)
        text = name[1].replace(b"``", b"`").decode("utf-8", "surrogateescape") if name else ""
        self.sections.append(Section(kind, text, self._place))

    def _piece(self, buffer: bytes, start: int, end: int) -> tuple[Section, memoryview]:
        """Close the bytes of a section from `start` to `end`; what is counted begins there, and may reach beyond."""
        section = self.sections[-1]
        if section.kind == "rows":
            self._count(section, buffer, start, end)
        elif section.kind == "table":
            for found in _SEQUENCES.finditer(buffer, start, min(len(buffer), end + _LONGEST)):
                if found.start() < end:
                    section.uses.append((_text(found[1]), _text(found[2])))
        if section.kind not in VIEWS:
            self._place += end - start
            section.end = self._place
        return section, memoryview(buffer)[start:end]

    def _count(self, section: Section, buffer: bytes, start: int, end: int) -> None:
        """Rows are lines that begin with `(`, but for the first behind a list of columns.

        All statements of a table are alike, so the first tells whether they have such a list.
        """
        if section.insert is None:
            name = section.name.replace("`", "``").encode("utf-8", "surrogateescape")
            insert = b"\nINSERT INTO `" + name + b"` "
            found = buffer.find(insert, start, end + len(insert) - 1)
            if found < 0:
                return
            rest = buffer[found + len(insert) : found + len(insert) + 8]
            section.insert = insert + b"(" if rest.startswith(b"(") else b""
            if rest == b"VALUES (":
                self.counts_rows = False  # MySQL's writes all rows of a statement on one line
        section.rows += buffer.count(b"\n(", start, end + 1)
        if section.insert:
            section.rows += buffer.count(section.insert, start, end + len(section.insert) - 1)


def _text(name: bytes) -> str:
    return name.replace(b"``", b"`").decode("utf-8", "surrogateescape")
