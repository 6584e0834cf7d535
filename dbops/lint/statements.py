"""Files as statements that are read: where each stands, whether it undoes, what transaction the file's runner opens."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbops.dataclass import dataclass
from dbops.errors import Mark
from dbops.lint.facts import Fact
from dbops.lint.reading import code, read
from dbops.lint.rule import Hit
from dbops.lint.syntax import is_template, wrong
from dbops.sql.dialect import Dialect
from dbops.sql.splitter import SourceStatement, iterate

# Names of files that take a migration back: golang-migrate and friends, Flyway, Prisma-like folders.
_UNDO_FILE = re.compile(r"(?:^|[._-])(?:down|undo|rollback)\.sql$|^U\d[\w.]*__", re.IGNORECASE)
_UNDO_MARK = re.compile(r"^\s*(?:\+goose\s+Down|migrate:down|!Downs|\+migrate\s+Down|@UNDO|//@UNDO|rollback\b)", re.IGNORECASE)
_DO_MARK = re.compile(r"^\s*(?:\+goose\s+Up|migrate:up|!Ups|\+migrate\s+Up|changeset\b)", re.IGNORECASE)
# Runners that open a transaction of their own unless the file says otherwise.
_WRAPPED = re.compile(r"--\s*(?:\+goose\s+Up|migrate:up)\b(?![^\n]*transaction:false)", re.IGNORECASE)
_UNWRAPPED = re.compile(r"--\s*\+goose\s+NO\s+TRANSACTION", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A statement of a file and what it does; `number` counts from 0 within the file."""

    source: SourceStatement
    fact: Fact
    file: str
    number: int
    is_undo: bool = False
    is_wrapped: bool = False
    """The runner that the file is written for opens a transaction around it."""
    faults: tuple[Hit, ...] = ()
    """What no version of the engine takes."""
    may_be_parsed: bool = True
    """Not a template, nor so long that only its head was read."""
    last: tuple[str, ...] = ()
    """The last word in upper case, where there is one."""

    def mark(self, at: int) -> Mark:
        return self.source.mark(at)


@dataclass(frozen=True, slots=True)
class SqlFile:
    """A file to lint: its name as findings show it, and its text."""

    name: str
    text: str


def statements(file: SqlFile, dialect: Dialect) -> Iterator[Read]:
    """Yield the statements of a file.

    Raises:
        SchemaError: where the text cannot be split further; what was before has been yielded.
    """
    is_undo_file = _UNDO_FILE.search(file.name.rsplit("/", 1)[-1]) is not None
    is_wrapped = _WRAPPED.search(file.text) is not None and not _UNWRAPPED.search(file.text)
    is_undo = False
    number = 0
    for source in iterate(file.text, dialect, file.name):
        for comment in source.comments:
            if comment.offset < 0:
                is_undo = _undoes(comment.text, now=is_undo)
        if source.kind == "sql":
            yield _read(source, dialect, file.name, number, is_undo=is_undo or is_undo_file, is_wrapped=is_wrapped)
            number += 1


# Statements that carry rows may be very long, and only their head says what they do.
_CARRIES_ROWS = re.compile(r"\s*(?:INSERT|REPLACE|VALUES|COPY)\b", re.IGNORECASE)
_HEAD, _LONG = 24, 4096


def _read(source: SourceStatement, dialect: Dialect, file: str, number: int, *, is_undo: bool, is_wrapped: bool) -> Read:
    is_long = len(source.text) > _LONG and _CARRIES_ROWS.match(source.text) is not None
    found = code(source.text, dialect, _HEAD if is_long else None)
    fact = read(found, dialect)
    faults = () if is_long else tuple(wrong(found, fact, dialect))
    may_be_parsed = not is_long and not is_template(found)
    return Read(
        source, fact, file, number, is_undo, is_wrapped, faults, may_be_parsed, tuple(token.text.upper() for token in found[-1:])
    )


def _undoes(comment: str, *, now: bool) -> bool:
    text = comment.lstrip("-#/* ")
    if _UNDO_MARK.match(text):
        return True
    return False if _DO_MARK.match(text) else now
