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
    ("both", re.compile(rf"V(?P<version>{_VERSION})__(?P<name>.*)\.sql")),
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
_DIRECTIVE = re.compile(r"^[ \t]*--[ \t]*dbops:[ \t]*(\S+)[ \t]*(.*?)[ \t]*$", re.MULTILINE)
#: What parts the ways in files of other runners: goose, sql-migrate, micrate, node-pg-migrate, tern, MyBatis, Play. To us it is a
#: comment like any other, so that the way back would run behind the way up.
_STRANGE = re.compile(
    r"^[ \t]*(?:--[ \t]*\+(?:goose|migrate|micrate)[ \t]+down\b|--[ \t-]*down[ \t]+migration\b"
    r"|----[ \t]*create above / drop below|--[ \t]*//[ \t]*@undo\b|(?:--|\#)[ \t]*(?:---[ \t]*)?!downs\b)[^\n]*",
    re.MULTILINE | re.IGNORECASE,
)
_STRANGE_WORDS = ("goose", "igrat", "IGRAT", "icrate", "drop below", "@undo", "@UNDO", "!Downs", "!downs")
_MARKER_OTHERWISE = re.compile(r"^[ \t]*--[ \t]*migrate:[ \t]*(?:up|down)\b", re.MULTILINE | re.IGNORECASE)
#: Blanks and comments; those that MySQL runs are none.
_HEAD = re.compile(r"(?:[ \t]*(?:--[^\n]*|/\*(?!M?!)(?:[^*]|\*(?!/))*\*/[ \t]*)?(?:\n|\Z))*")

NO_REASON = "it says so"
"""Why nothing leads back, where a file does not tell."""

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


def meant(file_name: str) -> str | None:
    """Return the name that a file's name without a version may have been meant to be; None where nothing is near."""
    for pattern, name in _NEARLY:
        if found := pattern.fullmatch(file_name):
            return found.expand(name)
    return None


#: Flyway's with one line in place of two or in small letters; a moment as ISO 8601 has it; a blank behind the version.
_NEARLY = (
    (re.compile(r"[Vv]_?(\d+(?:[._]\d+)*)[ _-]*[ _-](.*)\.sql"), r"V\1__\2.sql"),
    (re.compile(r"[Rr][ _-]+(.+)\.sql"), r"R__\1.sql"),
    (re.compile(r"(\d{8})T(\d{4,6})Z?[ _.-]*(.*)\.sql"), r"\1\2_\3.sql"),
    (re.compile(r"(\d+(?:\.\d+)*) +(.*)\.sql"), r"\1_\2.sql"),
)


_FLYWAYS_HOOKS = {"beforemigrate": "before", "aftermigrate": "after", "aftereachmigrate": "each"}


def hook_of(file_name: str) -> str | None:
    """Return the hook that stands for a callback of Flyway's; None where a file's name is none, or there is no such hook."""
    return _FLYWAYS_HOOKS.get(re.split(r"__|\.", file_name, maxsplit=1)[0].lower())


def migration_of(file: NamedFile, down: NamedFile | None) -> Migration:
    """Return the migration that a file, and one beside it that leads back, say.

    Raises:
        MigrationError: a directive or marker that says nothing dbops knows, with its place.
    """
    up, inner_down, options = _parts(file)
    back = inner_down
    if down is not None:
        if inner_down is not None:
            raise MigrationError(
                f"{file.shown} leads back with -- migrate:down, and {down.shown} does too", at=Mark(down.shown), expected="one"
            )
        _must_be_one_way(down)
        back, options = _way_back(down, 0, _directives(down, down.text, is_back=True), options)
    if back is not None and up.text.strip() and not back.text.strip():
        back = None  # begun and never written; what leads back by doing nothing says so in a comment
    if back is not None and options.irreversible is not None:
        raise MigrationError(
            "dbops:irreversible says that nothing leads back, and there is a way back", at=back.at, expected="one of them"
        )
    return Migration(
        version=file.version,
        name=file.name,
        at=Mark(file.shown),
        up=up,
        down=back,
        depends=options.depends,
        is_repeatable=file.is_repeatable,
        irreversible=options.irreversible,
        checkpoint=options.checkpoint,
        description=options.description,
        checksum=checksum_of(up.text),
    )


def of_texts(up: str, down: str | None, version: str, name: str, shown: str) -> Migration:
    """Return the migration that a text up and one down say, each by itself. Raises as `migration_of` does."""
    back = None if down is None else NamedFile(shown, down, "down", version, name)
    return migration_of(NamedFile(shown, up, "up", version, name), back)


@dataclass(frozen=True, slots=True)
class _Options:
    depends: tuple[str, ...] = ()
    is_transactional: bool = True
    irreversible: str | None = None
    checkpoint: str | None = None
    description: str = ""


def _parts(file: NamedFile) -> tuple[Script, Script | None, _Options]:
    """Return the way up, the way back that stands in the same file, and what the head says."""
    if file.part != "both" or not (marks := _marks(file)):
        _must_be_one_way(file)
        options = _directives(file, file.text)
        return Script(file.text, _mark(file, 0), options.is_transactional), None, options
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
    begins, ends = marks[0].end(), marks[1].start() if len(marks) > 1 else len(file.text)
    up = file.text[begins:ends]
    options = _directives(file, up, begins, _directives(file, head))
    options = replace(options, is_transactional=options.is_transactional and _marker_option(file, marks[0]))
    down = None
    if len(marks) > 1:
        start = marks[1].end()
        own = _directives(file, file.text[start:], start, is_back=True)
        own = replace(own, is_transactional=own.is_transactional and _marker_option(file, marks[1]))
        down, options = _way_back(file, start, own, options)
    return Script(up, _mark(file, begins), options.is_transactional), down, options


def _marks(file: NamedFile) -> list[re.Match[str]]:
    """Return the markers of a file.

    Raises:
        MigrationError: one is written otherwise than is understood.
    """
    found = []
    for line in _MARKER_OTHERWISE.finditer(file.text) if _may_have_marks(file.text) else ():
        mark = _MARKER.match(file.text, line.start())
        if mark is None:
            raise _written_otherwise(file, line)
        found.append(mark)
    return found


def _may_have_marks(text: str) -> bool:
    """Look for a word quickly, for a long text."""
    return "igrate:" in text or "IGRATE:" in text


def _way_back(file: NamedFile, start: int, own: _Options, options: _Options) -> tuple[Script | None, _Options]:
    """Return the way back that begins at `start`; None where it says that nothing leads back, which the options then say."""
    text = file.text[start:]
    if own.irreversible is None:
        return Script(text, _mark(file, start), own.is_transactional), options
    if not _HEAD.fullmatch(text):
        raise MigrationError(
            "the way back says dbops:irreversible, and has statements", at=_mark(file, start), expected="one of them"
        )
    return None, replace(options, irreversible=own.irreversible)


def _must_be_one_way(file: NamedFile) -> None:
    """Raise MigrationError for a file that parts its ways otherwise than is understood: both would run, one behind the other."""
    if _may_have_marks(file.text) and (found := _MARKER_OTHERWISE.search(file.text)):
        raise _written_otherwise(file, found)
    if not any(word in file.text for word in _STRANGE_WORDS):
        return
    for found in _STRANGE.finditer(file.text):
        if not _HEAD.fullmatch(file.text, found.end()):
            raise MigrationError(
                f"the way back would run with the way up: {found[0].strip()} parts them for another runner, not here",
                at=_mark(file, found.start()),
                expected="-- migrate:up in front of the one, -- migrate:down in front of the other",
                fix="write these in place of the other runner's markers, or put the way back into a file of its own, .down.sql",
            )


def _written_otherwise(file: NamedFile, found: re.Match[str]) -> MigrationError:
    text = found[0].strip()
    if file.part == "both":
        expected, fix = "-- migrate:up or -- migrate:down, in small letters, where a line begins", None
    else:
        expected, fix = "one way in each of two files", "take the marker out, or put both ways into one file, 0007_name.sql"
    return MigrationError(f"{text} parts nothing here", at=_mark(file, found.start()), expected=expected, fix=fix)


def _marker_option(file: NamedFile, mark: re.Match[str]) -> bool:
    """Read what stands behind a marker: `transaction:false`, as dbmate has it."""
    words = mark[2].split()
    for word in words:
        if word not in ("transaction:false", "transaction:true"):
            raise MigrationError(f"the marker says {word!r}", at=_mark(file, mark.start()), expected="transaction:false")
    return "transaction:false" not in words


def _directives(
    file: NamedFile, text: str, offset: int = 0, options: _Options | None = None, *, is_back: bool = False
) -> _Options:
    """Add what the comments before the first statement say; `offset` is where the text begins in the file.

    Raises:
        MigrationError: one that says nothing dbops knows, or stands where it would say nothing.
    """
    options = options or _Options()
    if "dbops:" not in text:
        return options
    head = _HEAD.match(text)
    end = head.end() if head else 0
    for found in _DIRECTIVE.finditer(text):
        word, at = found[1].rstrip(":"), _mark(file, offset + found.start())
        if found.start() >= end:
            if word in DIRECTIVES:
                raise MigrationError(
                    f"dbops:{word} stands behind a statement, where it says nothing",
                    at=at,
                    expected="it in front of all statements",
                )
            continue
        if is_back and word in DIRECTIVES and word not in ("transaction", "irreversible"):
            raise MigrationError(
                f"dbops:{word} stands in the way back, where it says nothing", at=at, expected="it in front of the way up"
            )
        options = _with(options, word, found[2], at)
    return options


def _with(options: _Options, word: str, value: str, at: Mark) -> _Options:
    match word:
        case "depends":
            return replace(options, depends=(*options.depends, *_listed(value, at)))
        case "transaction":
            return replace(options, is_transactional=_switch(value, at))
        case "irreversible":
            return replace(options, irreversible=value or NO_REASON)
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
