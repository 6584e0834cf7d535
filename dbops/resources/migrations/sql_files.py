"""Migrations as SQL files: what their names, their first comments and the markers inside them say.

Understood are `V0007__add_orders.sql` with `U0007__add_orders.sql`, `0007_add_orders.up.sql` with `.down.sql`, one file with
`-- migrate:up` and `-- migrate:down`, plain `0007_add_orders.sql`, and `R__views.sql`, which runs again whenever it changes.
"""

from __future__ import annotations

import re
from dataclasses import field, replace
from typing import Literal

from dbops.dataclass import dataclass
from dbops.errors import Mark, MigrationError
from dbops.resources.migrations.model import Migration, Script, checksum_of

Part = Literal["both", "up", "down"]

_VERSION = r"\d+(?:[._]\d+)*"
#: A date and perhaps a time, 2026_01_31_120000; a dotted version with a number behind it, 01.16.00_02; or 7, 0007, 1.10.
PLAIN_VERSION = r"\d{4}[_-]\d\d[_-]\d\d(?:[_-]\d{4,6})?(?![^_.-])|\d+(?:\.\d+)+_\d+(?=[_-])|\d+(?:\.\d+)*"
_NAMES: tuple[tuple[Part, re.Pattern[str]], ...] = (
    ("up", re.compile(rf"V(?P<version>{_VERSION})__(?P<name>.*)\.sql")),
    ("down", re.compile(rf"U(?P<version>{_VERSION})__(?P<name>.*)\.sql")),
    ("up", re.compile(rf"(?P<version>{PLAIN_VERSION})(?:[_.-]+(?P<name>.*?))?\.up\.sql")),
    ("down", re.compile(rf"(?P<version>{PLAIN_VERSION})(?:[_.-]+(?P<name>.*?))?\.down\.sql")),
    # yoyo counts the migrations of a day: 20260131_02_Xy7pQ-add-orders.sql, and .rollback.sql beside it.
    ("down", re.compile(r"(?P<version>\d{8}_\d\d)_(?P<name>[A-Za-z0-9]{5}-.*)\.rollback\.sql")),
    ("both", re.compile(r"(?P<version>\d{8}_\d\d)_(?P<name>[A-Za-z0-9]{5}-.*)\.sql")),
    ("down", re.compile(rf"(?P<version>{PLAIN_VERSION})(?:[_.-]+(?P<name>.*?))?\.rollback\.sql")),
    ("both", re.compile(rf"(?P<version>{PLAIN_VERSION})(?:[_.-]+(?P<name>.*?))?\.sql")),
)
_REPEATABLE = re.compile(r"R__(?P<name>.+)\.sql")
_MARKER = re.compile(r"^--[ \t]*migrate:(up|down)\b[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_DIRECTIVE = re.compile(r"^--[ \t]*dbops:(\S+)[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_HEAD = re.compile(r"(?:[ \t]*(?:--[^\n]*)?(?:\n|\Z))*")

DIRECTIVES = ("depends", "transaction", "irreversible", "checkpoint", "description")
"""What a comment in the head of a file can say; `allow` stands at statements and is lint's."""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file whose name is one of a migration; `text` has `\\n` at the ends of its lines and no byte order mark."""

    shown: str
    text: str = field(repr=False)
    part: Part
    version: str
    name: str
    is_repeatable: bool = False


def version_of(text: str) -> str:
    """Return the version that the front of a file's name says: 2026_01_31 is 2026.01.31."""
    return re.sub("[_-]", ".", text)


def named(file_name: str) -> tuple[Part, str, str, bool] | None:
    """Return the part, version and name that a file's name says, and whether it is repeatable; None for other files."""
    if found := _REPEATABLE.fullmatch(file_name):
        return "both", f"R__{found['name']}", found["name"], True
    for part, pattern in _NAMES:
        if found := pattern.fullmatch(file_name):
            return part, version_of(found["version"]), found["name"] or "", False
    return None


def migration_of(file: NamedFile, down: NamedFile | None) -> Migration:
    """Return the migration that a file, and one beside it that leads back, say.

    Raises:
        MigrationError: a directive or marker that says nothing dbops knows, with its place.
    """
    up_text, inner_down, offset, options = _parts(file)
    up = Script(up_text, _mark(file, offset), options.is_transactional)
    back = inner_down
    if down is not None:
        if inner_down is not None:
            raise MigrationError(
                f"{file.shown} leads back with -- migrate:down, and {down.shown} does too", at=Mark(down.shown), expected="one"
            )
        own = _directives(down, down.text)
        back = Script(down.text, Mark(down.shown, 1, 1), own.is_transactional)
    checkpoint = options.checkpoint
    return Migration(
        version=file.version,
        name=file.name,
        at=Mark(file.shown),
        up=up,
        down=back,
        depends=options.depends,
        is_repeatable=file.is_repeatable,
        irreversible=options.irreversible,
        checkpoint=checkpoint,
        description=options.description,
        checksum=checksum_of(up_text),
    )


@dataclass(frozen=True, slots=True)
class _Options:
    depends: tuple[str, ...] = ()
    is_transactional: bool = True
    irreversible: str | None = None
    checkpoint: str | None = None
    description: str = ""


def _parts(file: NamedFile) -> tuple[str, Script | None, int, _Options]:
    """Return the text up with its offset, the script down, and what the head says."""
    marks = list(_MARKER.finditer(file.text)) if "migrate:" in file.text else []
    if not marks or file.part != "both":
        return file.text, None, 0, _directives(file, file.text)
    kinds = [mark[1] for mark in marks]
    if kinds not in (["up"], ["up", "down"]):
        raise MigrationError(
            f"the markers say {', '.join(kinds)}",
            at=_mark(file, marks[0].start()),
            expected="-- migrate:up, then -- migrate:down",
        )
    head = file.text[: marks[0].start()]
    if not _HEAD.fullmatch(head):
        raise MigrationError("there are statements before -- migrate:up", at=Mark(file.shown, 1, 1), expected="comments alone")
    end = marks[1].start() if len(marks) > 1 else len(file.text)
    up = file.text[marks[0].end() : end]
    options = _directives(file, head + "\n" + up)
    options = replace(options, is_transactional=options.is_transactional and _marker_option(file, marks[0]))
    down = None
    if len(marks) > 1:
        text = file.text[marks[1].end() :]
        own = _directives(file, text, marks[1].end())
        down = Script(text, _mark(file, marks[1].end()), own.is_transactional and _marker_option(file, marks[1]))
    return up, down, marks[0].end(), options


def _marker_option(file: NamedFile, mark: re.Match[str]) -> bool:
    """Read what stands behind a marker: `transaction:false`, as dbmate has it."""
    words = mark[2].split()
    for word in words:
        if word not in ("transaction:false", "transaction:true"):
            raise MigrationError(f"the marker says {word!r}", at=_mark(file, mark.start()), expected="transaction:false")
    return "transaction:false" not in words


def _directives(file: NamedFile, text: str, offset: int = 0) -> _Options:
    """Read the comments before the first statement."""
    if "dbops:" not in text:
        return _Options()
    head = _HEAD.match(text)
    options = _Options()
    for found in _DIRECTIVE.finditer(text, 0, head.end() if head else 0):
        options = _with(options, found[1].rstrip(":"), found[2], _mark(file, offset + found.start()))
    return options


def _with(options: _Options, word: str, value: str, at: Mark) -> _Options:
    match word:
        case "depends":
            return replace(options, depends=(*options.depends, *_listed(value, at)))
        case "transaction":
            return replace(options, is_transactional=_switch(value, at))
        case "irreversible":
            return replace(options, irreversible=value or "it says so")
        case "checkpoint":
            return replace(options, checkpoint=value or None)
        case "description":
            return replace(options, description=value)
        case "allow":
            return options
        case _:
            from difflib import get_close_matches

            near = get_close_matches(word, DIRECTIVES, 1)
            raise MigrationError(
                f"there is no directive dbops:{word}",
                at=at,
                expected=f"one of {', '.join(DIRECTIVES)}",
                fix=f"did you mean dbops:{near[0]}?" if near else None,
            )


def _listed(value: str, at: Mark) -> tuple[str, ...]:
    found = tuple(part for part in re.split(r"[\s,]+", value) if part)
    if not found:
        raise MigrationError("dbops:depends names nothing", at=at, expected="versions: -- dbops:depends 0005, 0006")
    return found


def _switch(value: str, at: Mark) -> bool:
    if value.lower() not in ("on", "off"):
        raise MigrationError(f"dbops:transaction says {value!r}", at=at, expected="on or off")
    return value.lower() == "on"


def _mark(file: NamedFile, offset: int) -> Mark:
    return Mark(file.shown, file.text.count("\n", 0, offset) + 1, offset - (file.text.rfind("\n", 0, offset) + 1) + 1)
