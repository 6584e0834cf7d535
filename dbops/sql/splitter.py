"""Scripts as the statements they hold, each as it was written, with its place.

One pass over the text, linear in its length, by the rules of each engine's own client: psql (psqlscan.l), `mysql` and `mariadb`
(add_line() of mysql.cc), sqlite3_complete().
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

from dbops.dataclass import dataclass
from dbops.errors import Mark, SchemaError
from dbops.sql.dialect import Dialect
from dbops.sql.lexer import BLANKS, opaque_end
from dbops.sql.modes import Rules
from dbops.sql.patterns import gap_pattern, statement_pattern, tail_pattern
from dbops.sql.programs import Body, compound_body, is_program, standard_body
from dbops.sql.tokens import tokens


class Comment(NamedTuple):
    """A comment, marks included; `offset` counts from where its statement begins: negative before it, past its end behind it."""

    text: str
    at: Mark
    offset: int


@dataclass(frozen=True, slots=True)
class SourceStatement:
    """One statement of a script, without its terminator and without the comments around it.

    `at` is the place of its first character. `comments` are those before it, inside it, and behind it on its last line. A
    statement of kind "meta" is a line for the client program (`\\connect`, `.read`, `SOURCE`). `copy_data` holds the rows after
    COPY ... FROM STDIN, each with its line end, and `copy_at` is the place of the first.
    """

    text: str
    at: Mark
    comments: tuple[Comment, ...] = ()
    kind: Literal["sql", "meta"] = "sql"
    copy_data: str | None = None
    copy_at: Mark | None = None

    def mark(self, offset: int) -> Mark:
        """Return the place of the character at `offset` of `text`: servers say where an error is by such offsets."""
        lines = self.text.count("\n", 0, offset)
        column = offset - self.text.rfind("\n", 0, offset) if lines else self.at.column + offset
        return Mark(self.at.file, self.at.line + lines, column)

    def row_mark(self, line: int) -> Mark:
        """Return the place of the 1-based line of the rows behind COPY: servers say by it which of them is wrong."""
        first = self.copy_at or self.at
        return Mark(first.file, first.line + line - 1, 1)


def split(text: str, dialect: Dialect, file: str = "") -> list[SourceStatement]:
    """Return the statements of `text`; `file` goes into their marks.

    Raises:
        SchemaError: a string, quoted name, comment, body or COPY block that nothing closes, at the place where it opens; a NUL
            character, which no engine takes.
    """
    return list(iterate(text, dialect, file))


def iterate(text: str, dialect: Dialect, file: str = "") -> Iterator[SourceStatement]:
    """Yield what `split` returns, one statement at a time: a large script needs little more memory than its text."""
    return _Script(text, dialect, file).statements()


def may_be_several(statement: str) -> bool:
    """Tell whether a MySQL statement, as the splitter found it, may be several to the server: semicolons outside of quotes."""
    has_versions = "/*!" in statement or "/*M!" in statement
    return ";" in statement and (has_versions or _MAY_HOLD_SEMICOLONS.match(statement) is not None)


_Match = Callable[[str, int], re.Match[str] | None]
_MAY_HOLD_SEMICOLONS = re.compile(
    r"(?:CREATE|ALTER|EXPLAIN|BEGIN|IF|CASE|LOOP|REPEAT|WHILE|FOR|DECLARE)\b|(?:`[^`]+`|[\w$]+)[ \t\n\r\f\v]*+:", re.IGNORECASE
)
_COPY_FROM_CLIENT = re.compile(r"\\copy\b.*\bfrom\s+stdin\b", re.IGNORECASE)
_LINE_END = re.compile(r"[ \t]*+\r?(?:\n|\Z)")
_END_OF_ROWS = re.compile(r"\\\.\r?(?:\n|\Z)")
_DELIMITER = re.compile(r"(?:(?i:delimiter)(?![\w$])|\\d)[ \t]*+(\S*)[^\n]*")
_OWN_LINE = "give it a line of its own"
_USE = re.compile(r"use[ \t]+(?:`[^`\n]+`|[\w$-]+)[ \t]*(?=\r?(?:\n|\Z))", re.IGNORECASE)
_OPENED = {"'": "string", '"': "quoted text", "`": "quoted name", "[": "quoted name", "$": "dollar-quoted string", "/": "comment"}


class _Script:
    """The state of one pass. Offsets only grow.

    `_spans` are the comments seen since the last statement, `_dropped` the characters of it that its client does not send.
    """

    def __init__(self, text: str, dialect: Dialect, file: str) -> None:
        self._text = text
        self._rules = Rules(dialect)
        self._file = file
        self._adopt(dialect, ";")
        self._at = 1 if text.startswith("\ufeff") else 0
        self._spans: list[tuple[int, int]] = []
        self._versions: list[int] = []
        self._dropped: list[int] = []
        self._line, self._line_start, self._counted = 1, self._at, self._at

    def statements(self) -> Iterator[SourceStatement]:
        if (nul := self._text.find("\0")) >= 0:
            raise SchemaError("a NUL character", at=self._place(nul), fix="save the file as UTF-8 text")
        while self._find_start():
            if not self._changes_delimiter():
                yield self._client_line() or self._statement()

    def _adopt(self, dialect: Dialect, delimiter: str) -> None:
        self._dialect, self._delimiter = dialect, delimiter
        self._gap, self._tail, self._client, self._plain = _patterns(dialect, delimiter)

    # --- between statements

    def _find_start(self) -> bool:
        """Move to the first character of the next statement, past blanks, comments and empty statements."""
        while found := self._gap.match(self._text, self._at):
            kind, self._at = found.lastgroup, found.end()
            if kind is None:
                break
            if kind != "mark":
                self._at = self._note_comment(kind, found.start(kind), found.end())
        return self._at < len(self._text)

    def _note_comment(self, kind: str, start: int, end: int) -> int:
        """Keep a comment of either kind, a block comment known by its opening only, and return its end."""
        if kind == "block":
            end = self._opaque_end(start)
        self._spans.append((start, end - 1 if self._text[end - 1] == "\r" else end))
        return end

    def _opaque_end(self, start: int, floor: int = 0) -> int:
        end = opaque_end(self._text, start, self._dialect, floor)
        if end < 0:
            raise SchemaError(f"this {_OPENED[self._text[start]]} is never closed", at=self._place(start))
        return end

    def _changes_delimiter(self) -> bool:
        found = _DELIMITER.match(self._text, self._at) if self._dialect.delimiter_command else None
        if not found:
            return False
        if not self._begins_line() and found[0][0] != "\\":
            raise SchemaError(
                "DELIMITER behind something else on its line is no command", at=self._place(self._at), fix=_OWN_LINE
            )
        delimiter = found[1].strip("'\"`")
        if not delimiter or "\\" in delimiter:
            raise SchemaError("DELIMITER without a usable mark", at=self._place(self._at), expected="a mark such as // or ;;")
        self._at = found.end()
        self._adopt(self._dialect, delimiter)
        return True

    def _begins_line(self) -> bool:
        """Tell whether nothing but blanks stands before this place on its line: only there the `mysql` client looks for words."""
        return not self._text[self._text.rfind("\n", 0, self._at) + 1 : self._at].strip(BLANKS)

    def _client_line(self) -> SourceStatement | None:
        start = self._at
        if self._dialect.delimiter_command and (found := _USE.match(self._text, start)):
            if self._begins_line() and not found[0].rstrip().endswith(self._delimiter):
                self._at = found.end()
                return self._finished(start, found.end())
        elif found := self._client.match(self._text, start):
            self._at = found.end()
            takes_rows = self._dialect.copy_data and _COPY_FROM_CLIENT.match(found[0])
            return self._finished(start, found.end(1), kind="meta", rows=self._rows(start) if takes_rows else None)
        return None

    # --- one statement

    def _statement(self) -> SourceStatement:
        start = self._at
        end = self._find_end(start)
        self._note_trailing_comments()
        rows = self._rows(start) if self._dialect.copy_data and self._takes_rows(start, end) else None
        statement = self._finished(start, end, rows=rows)
        self._rules.hear(statement.text)
        if self._rules.now is not self._dialect:
            self._adopt(self._rules.now, self._delimiter)
        return statement

    def _find_end(self, start: int) -> int:
        """Return where the statement at `start` ends, and move past its terminator."""
        text, at = self._text, start
        may_hold = _MAY_HOLD_SEMICOLONS.match(text, start)
        body, match = self._body(start) if may_hold else (None, self._plain.match)
        while found := match(text, at):
            kind, at = found.lastgroup, found.end()
            if kind is None:
                continue
            piece = found.start(kind)
            if kind != "mark":
                at = self._pass(kind, piece, at, found.start(), body)
            elif not self._versions and (body is None or text[piece] != ";" or body.semicolon(at)):
                self._at = at
                return piece
        self._refuse_open(body)
        self._at = len(text)
        return self._at

    def _body(self, start: int) -> tuple[Body | None, _Match]:
        """Return the body that may hide semicolons, and what finds the pieces of its statement.

        Under another DELIMITER only that ends a stored program; any other statement also ends at a semicolon, since the client
        sends such a chunk whole and the server takes it apart.
        """
        if self._dialect.program != "compound":
            body = standard_body(self._text, start, self._dialect)
        elif self._delimiter != ";":
            is_whole = is_program(self._text, start, self._dialect)
            return None, (statement_pattern(self._dialect, (self._delimiter,), False) if is_whole else self._plain).match
        else:
            body = compound_body(self._text, start, self._dialect)
        return body, (statement_pattern(self._dialect, (";",), True) if body else self._plain).match

    def _pass(self, kind: str, start: int, end: int, floor: int, body: Body | None) -> int:
        """Take notice of one piece inside a statement, `floor` being the end of the one before, and return where it ends."""
        match kind:
            case "comment" | "block":
                end = self._note_comment(kind, start, end)
                if body:
                    body.comment(start, end)
            case "opaque":
                end = self._opaque_end(start, floor)
            case "version":
                self._versions.append(start)
            case "close" if self._versions:
                self._versions.pop()
            case "close":
                end = start + 1
            case "word" if body and (word := self._text[start:end].upper()) in body.words:
                if not self._text.startswith((".", "@"), max(start - 1, 0)):
                    body.word(word, start, end)
            case "parenthesis" if body:
                body.parenthesis(self._text[start], start)
            case "continued":
                self._dropped.append(start)
            case "backslash":
                raise SchemaError(
                    f"a command of {self._dialect.client} inside a statement",
                    at=self._place(start),
                    fix="end the statement with ; and put the command on a line",
                )
        return end

    def _refuse_open(self, body: Body | None) -> None:
        opened = self._versions[-1] if self._versions else body.opened if body else None
        if opened is None:
            return
        what = {"/": "version comment", "(": "parenthesis"}.get(self._text[opened], "body")
        fix = "put DELIMITER lines around the statement if it is complete" if self._dialect.delimiter_command else None
        raise SchemaError(f"this {what} is never closed", at=self._place(opened), fix=fix)

    # --- after the terminator

    def _note_trailing_comments(self) -> None:
        """Keep the comments behind the terminator on its line; a block comment with a statement behind it belongs to that one."""
        tail = self._tail
        while found := tail.match(self._text, self._at):
            kind = "comment" if found["comment"] else "block"
            start, end = found.start(kind), found.end()
            if kind == "block":
                end = opaque_end(self._text, start, self._dialect)
                is_behind = end >= 0 and self._text.find("\n", start, end) < 0
                if not is_behind or not (_LINE_END.match(self._text, end) or tail.match(self._text, end)):
                    return
            self._at = self._note_comment(kind, start, end)

    def _takes_rows(self, start: int, end: int) -> bool:
        if self._text[start : start + 4].upper() != "COPY":
            return False
        depth, previous = 0, ""
        for token in tokens(self._text, self._dialect, start):
            word = token.text.upper()
            depth += (word == "(") - (word == ")")
            if token.offset >= end or (word == "STDIN" and previous == "FROM" and not depth):
                return token.offset < end
            previous = word if token.kind != "comment" else previous
        return False

    def _rows(self, copy: int) -> tuple[int, int]:
        """Return where the rows that follow the COPY at offset `copy` begin and end, and move past their closing line."""
        text, line_end = self._text, _LINE_END.match(self._text, self._at)
        if not line_end:
            raise SchemaError("the rows of COPY ... FROM STDIN start on the line after it", at=self._place(self._at))
        first = line_end.end()
        at = first - 1
        while (at := text.find("\n\\.", at)) >= 0:
            if end := _END_OF_ROWS.match(text, at + 1):
                self._at = end.end()
                return first, at + 1
            at += 1
        raise SchemaError("the rows of this COPY never end", at=self._place(copy), expected="a line of \\.")

    # --- results

    def _finished(
        self, start: int, end: int, *, kind: Literal["sql", "meta"] = "sql", rows: tuple[int, int] | None = None
    ) -> SourceStatement:
        end = self._trimmed(start, end)
        text = self._text[start:end] if not self._dropped else self._sent(start, end)
        if not self._spans and rows is None:
            self._dropped = []
            return SourceStatement(text, self._place(start), (), kind)
        before = tuple(self._comment(span, start) for span in self._spans if span[0] < start)
        at = self._place(start)
        comments = before + tuple(self._comment(span, start) for span in self._spans if span[0] > start)
        self._spans, self._dropped = [], []
        if rows is None:
            return SourceStatement(text, at, comments, kind)
        return SourceStatement(text, at, comments, kind, self._text[slice(*rows)], self._place(rows[0]))

    def _sent(self, start: int, end: int) -> str:
        """Return the text that the client would send."""
        edges = (start - 1, *(place for place in self._dropped if place < end), end)
        return "".join(self._text[before + 1 : after] for before, after in pairwise(edges))

    def _trimmed(self, start: int, end: int) -> int:
        """Return the end without blanks and comments, and without the semicolons that another DELIMITER makes superfluous."""
        text, spans = self._text, self._spans
        blanks = BLANKS if self._delimiter == ";" else BLANKS + ";"
        index = len(spans)
        while end > start:
            while index and spans[index - 1][0] >= end:
                index -= 1
            if text[end - 1] in blanks or end - 1 in self._dropped:
                end -= 1
            elif index and spans[index - 1][1] == end:
                end = spans[index - 1][0]
            else:
                break
        return end

    def _comment(self, span: tuple[int, int], start: int) -> Comment:
        dropped = sum(start < place < span[0] for place in self._dropped)
        return Comment(self._text[span[0] : span[1]], self._place(span[0]), span[0] - start - dropped)

    def _place(self, offset: int) -> Mark:
        """Return the place of `offset`, which is never before the last one asked for: every character is counted once."""
        lines = self._text.count("\n", self._counted, offset)
        if lines:
            self._line += lines
            self._line_start = self._text.rfind("\n", self._counted, offset) + 1
        self._counted = offset
        return Mark(self._file, self._line, offset - self._line_start + 1)


@lru_cache(maxsize=64)
def _patterns(dialect: Dialect, delimiter: str) -> tuple[re.Pattern[str], ...]:
    """Return what finds gaps, comments behind a statement, lines for the client, and the pieces of a plain statement."""
    client = re.compile(rf"({dialect.client_line})(?:\\\\)?", re.IGNORECASE)
    return gap_pattern(dialect, delimiter), tail_pattern(dialect), client, statement_pattern(dialect, (delimiter, ";"), False)
