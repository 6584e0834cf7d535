"""SQL files in memory, edited a piece at a time: what is not touched keeps its bytes.

Every edit leaves texts that are split and read anew, so places never go stale. Comments directly above a piece, and behind it
on its line, go with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.sql.dialect import Dialect
from dbops.sql.script import spaced
from dbops.sql.segments import Segment, column_clauses, segments, significant, table_body
from dbops.sql.splitter import SourceStatement, split
from dbops.sql.subjects import Piece, pieces
from dbops.sql.tokens import tokens

_EMPTY_DELIMITERS = re.compile(r"^DELIMITER[ \t]+\S+[ \t]*\r?\n(?:[ \t]*\r?\n)*DELIMITER[ \t]+;[ \t]*(?:\r?\n|\Z)", re.I | re.M)
_DELIMITER = re.compile(r"^[ \t]*delimiter[ \t]+(\S+)", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Found:
    """A piece and where it is; `offset` is the place of its statement in the file's text."""

    path: Path
    offset: int
    statement: SourceStatement
    piece: Piece

    @property
    def start(self) -> int:
        return self.offset + self.piece.start

    @property
    def end(self) -> int:
        return self.offset + self.piece.end

    @property
    def text(self) -> str:
        return self.statement.text[self.piece.start : self.piece.end]


@dataclass(slots=True)
class SourceTexts:
    """The texts of a source by file."""

    files: dict[Path, str]
    dialect: Dialect
    _known: dict[Path, tuple[str, list[Found]]] = field(default_factory=dict)

    def found(self) -> list[Found]:
        """Return all pieces of all files, in order."""
        return [item for path in self.files for item in self._in_file(path)]

    def statements(self) -> list[SourceStatement]:
        """Return the statements of all files in the order in which a source is read.

        Raises:
            SchemaError: an edit broke a file.
        """
        return [statement for path in sorted(self.files) for statement in split(self.files[path], self.dialect, str(path))]

    def _in_file(self, path: Path) -> list[Found]:
        text = self.files[path]
        known = self._known.get(path)
        if known is None or known[0] is not text:
            starts = [0, *(place.end() for place in re.finditer("\n", text))]
            made = [
                Found(path, starts[statement.at.line - 1] + statement.at.column - 1, statement, piece)
                for statement in split(text, self.dialect)
                for piece in pieces(statement.text, self.dialect)
            ]
            known = self._known[path] = (text, made)
        return known[1]

    # --- edits

    def replace(self, item: Found, text: str) -> None:
        """Put `text` in place of a piece; the terminator of a statement stays."""
        self._splice(item.path, item.start, item.end, text)

    def replace_span(self, path: Path, start: int, end: int, text: str) -> None:
        """Put `text` in place of any part of a file."""
        self._splice(path, start, end, text)

    def remove(self, item: Found) -> None:
        """Take a piece out, and the whole statement with the last action of ALTER TABLE."""
        match item.piece.form:
            case "statement":
                self._remove_statement(item)
            case "clause":
                start = len(self.files[item.path][: item.start].rstrip())
                self._splice(item.path, start, item.end, "")
            case "segment" | "action":
                siblings = self._siblings(item)
                if len(siblings) > 1:
                    self._remove_from_list(item, siblings)
                elif item.piece.form == "action":
                    self._remove_statement(item)

    def insert_segment(self, table: Found, text: str, after: str | None = "") -> bool:
        """Add a segment to a CREATE TABLE: behind the column `after`, at the end when it is empty, first when it is None.

        Return whether the statement has a list to add to.
        """
        body = table_body(table.statement.text, self.dialect)
        if body is None or not body.segments:
            return False
        if after is None:
            self._insert_first(table, body.segments[0], text)
            return True
        items = self._segments_of(table)
        at = next((i for i, item in enumerate(items) if after and item.piece.kind == "column" and item.piece.name == after), None)
        self._insert_after(table, body.segments, len(body.segments) - 1 if at is None else at, text)
        return True

    def set_clause(self, column: Found, kind: str, text: str | None) -> None:
        """Replace, add or (None) remove the clause of a kind in a column's definition."""
        segment = self._segment(column)
        clauses = column_clauses(segment)
        base = column.offset
        same = [clause for clause in clauses if clause.kind == kind]
        for clause in reversed(same[1:] if text is not None else same):
            start = len(self.files[column.path][: base + clause.start].rstrip())
            self._splice(column.path, start, base + clause.end, "")
        if text is None:
            return
        if same:
            self._splice(column.path, base + same[0].start, base + same[0].end, text)
            return
        attributes = [clause for clause in clauses if clause.kind not in ("primary_key", "unique", "references", "check")]
        name = segment.tokens[0]
        end = attributes[-1].end if attributes else name.offset + len(name.text)
        self._splice(column.path, base + end, base + end, f" {text}")

    def insert_statements(self, after: Found, texts: Sequence[str]) -> None:
        """Add statements behind another, on lines of their own."""
        end = self._end_of_statement(after)
        text = self.files[after.path]
        is_open = end == after.offset + len(after.statement.text)
        addition = (";" if is_open else "") + "".join(f"\n{self.dialect.terminated(one)}" for one in texts)
        end_of_line = _end_of_line(text, end)
        if text[end:end_of_line].strip():
            addition += "\n"
        self._splice(after.path, end, end, addition)

    def append(self, path: Path, texts: Sequence[str]) -> None:
        """Add statements at the end of a file, which is made when it is not there."""
        text = self.files.get(path, "")
        last = [item for item in self._in_file(path) if item.piece.form == "statement"][-1:] if text else []
        is_open = last and not text[self._end_of_statement(last[0]) - 1 :].startswith(";") and not text.rstrip().endswith(";")
        ending = (";" if is_open else "") + ("" if text.endswith("\n") or not text else "\n")
        gap = "\n" if text.strip() else ""
        self.files.setdefault(path, "")
        made = spaced([self.dialect.terminated(one) for one in texts])
        self._splice(path, len(text), len(text), ending + gap + made)

    # --- inside

    def _splice(self, path: Path, start: int, end: int, text: str) -> None:
        old = self.files[path]
        text = text.replace("\r\n", "\n")
        if "\r\n" in old:
            text = text.replace("\n", "\r\n")
        self.files[path] = old[:start] + text + old[end:]

    def _end_of_statement(self, item: Found) -> int:
        """Return where a statement ends with its terminator and the comments behind it."""
        text, end = self.files[item.path], item.offset + len(item.statement.text)
        marks = [";", *(found[1] for found in [*_DELIMITER.finditer(text, 0, item.offset)][-1:])]
        after = next((token.offset for token in tokens(text, self.dialect, end) if token.kind != "comment"), len(text))
        mark = next((mark for mark in reversed(marks) if text.startswith(mark, after)), "")
        end = after + len(mark) if mark else end
        size = len(item.statement.text)
        behind = [item.offset + c.offset + len(c.text) for c in item.statement.comments if c.offset >= size]
        return max([end, *behind]) if mark else end

    def _remove_statement(self, item: Found) -> None:
        comments = [
            (item.offset + c.offset, item.offset + c.offset + len(c.text)) for c in item.statement.comments if c.offset < 0
        ]
        self._remove_lines(item.path, item.offset, self._end_of_statement(item), comments)
        self.files[item.path] = _EMPTY_DELIMITERS.sub("", self.files[item.path])

    def _remove_lines(self, path: Path, start: int, end: int, comments: Sequence[tuple[int, int]]) -> None:
        """Remove a span with the comments directly above it, and the lines that are blank then."""
        text = self.files[path]
        for above in reversed(comments):
            between = text[above[1] : start]
            if between.strip() or between.count("\n") != 1 or text[_start_of_line(text, above[0]) : above[0]].strip():
                break
            start = above[0]
        line, end_of_line = _start_of_line(text, start), _end_of_line(text, end)
        if not text[line:start].strip() and not text[end:end_of_line].strip():
            start, end = line, min(end_of_line + 1, len(text))
            is_alone = text[:start].endswith(("\n\n", "\n\r\n")) or not text[:start].strip()
            while is_alone and (blank := re.match(r"[ \t]*\r?\n", text[end:])):
                end += blank.end()
            if end == len(text):
                start = len(text[:start].rstrip("\r\n")) + len(re.match(r"\r?\n|", text[len(text[:start].rstrip("\r\n")) :])[0])  # type: ignore[index]
        self._splice(path, start, end, "")

    def _segments_of(self, table: Found) -> list[Found]:
        return [item for item in self._in_file(table.path) if item.offset == table.offset and item.piece.form == "segment"]

    def _siblings(self, item: Found) -> list[Segment]:
        text = item.statement.text
        if item.piece.form == "segment":
            body = table_body(text, self.dialect)
            return list(body.segments) if body else []
        first = min(
            other.piece.start
            for other in self._in_file(item.path)
            if other.offset == item.offset and other.piece.form == "action"
        )
        return list(segments([token for token in significant(text, self.dialect) if token.offset >= first]))

    def _segment(self, column: Found) -> Segment:
        """Return a column's definition; behind ADD COLUMN in an action."""
        segment = next(one for one in self._siblings(column) if one.start == column.piece.start)
        found = segment.tokens
        skip = 0
        if column.piece.form == "action":
            skip = 1 + (found[1].text.upper() == "COLUMN")
            skip += 3 * (found[skip].text.upper() == "IF")
        return Segment(segment.start, segment.end, found[skip:])

    def _remove_from_list(self, item: Found, siblings: Sequence[Segment]) -> None:
        text, base = self.files[item.path], item.offset
        place = next(index for index, one in enumerate(siblings) if one.start == item.piece.start)
        if place == len(siblings) - 1:
            before = base + siblings[place - 1].end
            comma = self._comma(text, before)
            start, end = item.start, self._behind(text, item.end)
            if text[_start_of_line(text, start) : start].strip() or text[end : _end_of_line(text, end)].strip():
                self._splice(item.path, len(text[:start].rstrip()), item.end, "")
            else:
                self._remove_lines(item.path, start, end, self._comments(text, comma, start))
            self._splice(item.path, comma, comma + 1, "")
            return
        comma = self._comma(text, item.end)
        end = self._behind(text, comma + 1)
        following = base + siblings[place + 1].start
        first = base + siblings[place - 1].end if place else base
        if end >= following or "\n" not in text[end:following] or text[_start_of_line(text, item.start) : item.start].strip():
            self._splice(item.path, item.start, following, "")
        else:
            self._remove_lines(item.path, item.start, end, self._comments(text, first, item.start))

    def _comments(self, text: str, start: int, end: int) -> list[tuple[int, int]]:
        return [
            (token.offset, token.offset + len(token.text))
            for token in tokens(text[:end], self.dialect, start)
            if token.kind == "comment"
        ]

    def _comma(self, text: str, start: int) -> int:
        return next(token.offset for token in tokens(text, self.dialect, start) if token.text == ",")

    def _behind(self, text: str, start: int) -> int:
        """Return the end of the comments that stand on the same line and end it."""
        end = start
        for token in tokens(text, self.dialect, start):
            if token.kind != "comment" or "\n" in text[end : token.offset]:
                break
            stop = token.offset + len(token.text)
            if text[stop : _end_of_line(text, stop)].strip():
                return start
            end = stop
        return end

    def _insert_first(self, table: Found, first: Segment, text: str) -> None:
        source, start = self.files[table.path], table.offset + first.start
        line = source[_start_of_line(source, start) : start]
        self._splice(table.path, start, start, f"{text},\n{line}" if not line.strip() else f"{text}, ")

    def _insert_after(self, table: Found, parts: Sequence[Segment], place: int, text: str) -> None:
        source, base = self.files[table.path], table.offset
        part = parts[place]
        line = source[_start_of_line(source, base + part.start) : base + part.start]
        is_list = not line.strip() and len(parts) > 1
        indent = line if is_list else "  "
        is_multiline = "\n" in source[base : base + part.end] and not line.strip()
        if place == len(parts) - 1:
            end = base + part.end
            behind = self._behind(source, end)
            self._splice(table.path, behind, behind, f"\n{indent if is_list else line}{text}" if is_multiline else "")
            self._splice(table.path, end, end, "," if is_multiline else f", {text}")
            return
        comma = self._comma(source, base + part.end) + 1
        behind = self._behind(source, comma)
        at = behind if is_multiline else comma
        self._splice(table.path, at, at, f"\n{indent}{text}," if is_multiline else f" {text},")


def _start_of_line(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _end_of_line(text: str, offset: int) -> int:
    found = text.find("\n", offset)
    return found if found >= 0 else len(text)


def changed(before: Mapping[Path, str], after: Mapping[Path, str]) -> dict[Path, str]:
    """Return the files whose texts differ, new ones included."""
    return {path: text for path, text in after.items() if before.get(path) != text}
