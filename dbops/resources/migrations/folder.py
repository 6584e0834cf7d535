"""A folder of files turned into a set of migrations, in order."""

from __future__ import annotations

import os
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, Mark, MigrationError, Problems
from dbops.resources.migrations import sql_files
from dbops.resources.migrations.graph import ordered
from dbops.resources.migrations.model import AS_ALEMBIC_DOES, AlembicOptions, Format, Migration, checksum_of
from dbops.resources.migrations.sql_files import NamedFile

SUFFIXES: dict[Format, tuple[str, ...]] = {"sql": (".sql", ".py"), "json": (".json",), "alembic": (".py",)}


@dataclass(frozen=True, slots=True)
class Contents:
    """A file of the folder: its name there, and its text with `\\n` at the ends of lines and no byte order mark.

    `shown` is its path as messages name it.
    """

    folder: Path
    name: str
    text: str
    shown: str

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @property
    def checksum(self) -> str:
        return checksum_of(self.text)


def shown(file: Path | str) -> str:
    """Return a path as messages name it: relative to the working directory where it lies below it."""
    folder, text = str(Path.cwd()), str(file)
    return text.removeprefix(folder.rstrip(os.sep) + os.sep) if text != folder else "."


def read_contents(folder: Path, format: Format) -> list[Contents]:
    """Return the files of the folder that are in the set's format, by name; those that begin with `.` or `_` are left out.

    Raises:
        MigrationError: there is no such folder, or it cannot be read.
        Problems: of MigrationError: files that cannot be read, or are no UTF-8.
    """
    if not folder.is_dir():
        if folder.exists():
            raise MigrationError(f"{shown(folder)} is no folder", at=Mark(shown(folder)), expected="the folder of the migrations")
        raise MigrationError(
            f"there is no folder {shown(folder)} for the migrations",
            fix="make it, or dbops migrate new NAME writes the first one",
        )
    problems: list[DbopsError] = []
    found: list[Contents] = []
    if format == "alembic":
        from dbops.resources.migrations.alembic_folders import version_folders

        first, *others = version_folders(folder)
        found += _read_folder(first, "", format, problems)
        for other in others:
            found += _read_folder(first, f"{os.path.relpath(other, first)}/", format, problems)
    else:
        found += _read_folder(folder, "", format, problems)
    if problems:
        raise Problems(problems)
    return found


def _read_folder(folder: Path, below: str, format: Format, problems: list[DbopsError]) -> Iterator[Contents]:
    """Yield the files of `below` in a folder, the folder itself where that is empty."""
    place = shown(folder / f"{below}_").removesuffix("_")
    for entry in _entries(folder / below):
        if not entry.name.lower().endswith(SUFFIXES[format]) or entry.name.startswith((".", "_")):
            continue
        if not entry.name.endswith(SUFFIXES[format]):
            problems.append(_in_capitals(place + entry.name))
            continue
        try:
            yield Contents(folder, below + entry.name, read_text(entry.path), place + entry.name)
        except MigrationError as error:
            problems.append(error)


def _in_capitals(name: str) -> MigrationError:
    ending = name[name.rindex(".") :]
    return MigrationError(
        f"{name} ends in {ending}, which is read on some file systems and not on others",
        at=Mark(name),
        expected=ending.lower(),
        fix="rename it, or let its name begin with _ where it is no migration",
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise MigrationError(f"the folder cannot be read: {error.strerror}", at=Mark(shown(folder)), fix=_LET_READ) from error


def overlooked(folder: Path, format: Format, *, is_empty: bool) -> list[str]:
    """Return files that may be meant to be migrations and are not read, for only the folder itself is: those below it.

    In a set that is empty they are files without a version, and of another format, too.
    """
    found: list[str] = []
    if format == "alembic":
        return found
    with suppress(OSError):  # what cannot be read was told where it matters
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.startswith((".", "_")):
                continue
            if entry.is_dir():
                names = sorted(name for name in os.listdir(entry) if name.endswith(SUFFIXES[format]))  # noqa: PTH208  # names alone
                found += [f"{entry.name}/{name}" for name in names if is_empty or sql_files.named(name) is not None]
            elif is_empty and entry.name.endswith((".sql", ".json")):
                found.append(entry.name)
    return found


def read_text(path: Path | str) -> str:
    """Return the text of a migration file.

    Raises:
        MigrationError: it cannot be read, is no UTF-8, or holds a NUL character, which no engine takes.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # a Path, or a buffer, takes longer than reading a small file
            text = file.read().removeprefix(BOM_UTF8).decode()
    except OSError as error:
        fix = _LET_READ if isinstance(error, PermissionError) else "put a file there, or take it away"
        raise MigrationError(f"the file cannot be read: {error.strerror}", at=Mark(shown(path)), fix=fix) from error
    except UnicodeDecodeError as error:
        is_utf16 = error.object.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        what = "it begins as UTF-16 does" if is_utf16 else f"byte {error.start} is wrong"
        raise MigrationError(f"the file is not UTF-8: {what}", at=Mark(shown(path)), fix="save it as UTF-8") from error
    if (place := text.find("\0")) >= 0:
        raise MigrationError(
            f"the file holds a NUL character, the {place + 1}th",
            at=Mark(shown(path)),
            fix="take it out: no engine reads it",
        )
    return text.replace("\r\n", "\n") if "\r" in text else text


_LET_READ = "let the account that dbops runs as read it"


def write_text(path: Path, text: str) -> None:
    """Write a file of a set, and make its folder where that is not there.

    Raises:
        MigrationError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MigrationError(
            f"the file cannot be written: {error.strerror}",
            at=Mark(shown(path)),
            fix="let the account that dbops runs as write there",
        ) from error


def migrations_of(
    directory: Path, contents: Iterable[Contents], format: Format, alembic: AlembicOptions = AS_ALEMBIC_DOES
) -> list[Migration]:
    """Return the migrations that files of a set's directory say, in the order in which they run, repeatable ones last.

    Raises:
        Problems, MigrationError: files that say nothing dbops understands; duplicates, cycles, unknown dependencies.
    """
    problems: list[DbopsError] = []
    if format == "alembic":
        found = [replace(migration, alembic=alembic) for migration in _alembic(directory, list(contents))]
    else:
        found = list(_json(contents, problems) if format == "json" else _sql(contents, problems))
    if problems:
        raise Problems(problems)
    return ordered([one if one.checksum else replace(one, checksum=checksum_of(one.up.text)) for one in found])


def _alembic(directory: Path, contents: Sequence[Contents]) -> list[Migration]:
    if not contents:
        return []
    from dbops.resources.migrations import alembic_scripts

    return alembic_scripts.migrations_of(directory, {file.path.resolve(): file.text for file in contents})


def _json(contents: Iterable[Contents], problems: list[DbopsError]) -> Iterable[Migration]:
    from dbops.resources.migrations import json_files

    for file in contents:
        try:
            yield json_files.migration_of(file.text, file.shown)
        except MigrationError as error:
            problems.append(error)


def _sql(contents: Iterable[Contents], problems: list[DbopsError]) -> Iterable[Migration]:
    ups: list[NamedFile] = []
    downs: defaultdict[str, list[NamedFile]] = defaultdict(list)
    for file in contents:
        if file.name.endswith(".py"):
            from dbops.resources.migrations import python_files

            try:
                yield python_files.migration_of(file.text, file.path, file.shown)
            except MigrationError as error:
                problems.append(error)
            continue
        told = sql_files.named(file.name)
        if told is None:
            problems.append(_unnamed(file))
            continue
        named = NamedFile(file.shown, file.text, *told)
        if named.part == "down":
            downs[named.version].append(named)
        else:
            ups.append(named)
    yield from _paired(ups, downs, problems)


def _paired(ups: Sequence[NamedFile], downs: dict[str, list[NamedFile]], problems: list[DbopsError]) -> Iterable[Migration]:
    for file in ups:
        back = downs.pop(file.version, [])
        if len(back) > 1:
            problems.append(
                MigrationError(f"{file.version} is led back by {_names(back)}", at=Mark(back[1].shown), expected="one")
            )
        try:
            yield sql_files.migration_of(file, back[0] if back else None)
        except MigrationError as error:
            problems.append(error)
    problems.extend(
        MigrationError(
            f"{file.shown} leads back from version {file.version}, which is not there",
            at=Mark(file.shown),
            fix="give it the version of the file that leads up, or take it away",
        )
        for files in downs.values()
        for file in files
    )


def _names(files: Sequence[NamedFile]) -> str:
    return " and ".join(file.shown for file in files)


def _unnamed(file: Contents) -> MigrationError:
    return MigrationError(
        f"the name of {file.name} says no version",
        at=Mark(file.shown),
        expected="0007_add_orders.sql, 0007_add_orders.up.sql, V7__add_orders.sql or R__views.sql",
        fix=_instead_of(file.name) + "a file that is no migration begins with _ or stands in another folder",
    )


def _instead_of(name: str) -> str:
    """Return what a file without a version may have been meant to be, as the beginning of a sentence."""
    if hook := sql_files.hook_of(name):
        return f"what Flyway runs by this name is a hook here: hooks: {{{hook}: [FILE]}} of the manifest, and "
    return f"did you mean {meant}? " if (meant := sql_files.meant(name)) else ""
