"""How the next migration of a folder is called: its version, and the form of its files' names, follow the last one's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from dbops.resources.migrations.model import Migration, version_key

Form = Literal["markers", "pair", "flyway"]
"""One file for both ways; `.up.sql` and `.down.sql`; `V7__x.sql` and `U7__x.sql`."""

_WIDTH = 4
_DATE = re.compile(r"(?:19|20)\d\d\.\d\d\.\d\d(?:\.\d{4,6})?")
_DAY = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_DAY_LENGTH, _MOMENT_LENGTH = len("20260131"), len("20260131120000")


def form_of(migrations: Sequence[Migration]) -> Form:
    """Return the form of the last migration that stands in an SQL file."""
    name = _last_file(migrations)
    if name.startswith("V"):
        return "flyway"
    return "pair" if name.endswith(".up.sql") else "markers"


def file_names(version: str, slug: str, migrations: Sequence[Migration]) -> tuple[str, str]:
    """Return the names of the files up and down; twice the same where one holds both."""
    name = _last_file(migrations)
    if form_of(migrations) == "flyway":
        written = version.replace(".", "_") if re.match(r"V\d+_\d", name) else version
        return f"V{written}__{slug}.sql", f"U{written}__{slug}.sql"
    if _DATE.fullmatch(version):
        version = version.replace(".", "-" if re.match(r"\d+-", name) else "_")
    stem = f"{version}_{slug}"
    return (f"{stem}.up.sql", f"{stem}.down.sql") if form_of(migrations) == "pair" else (f"{stem}.sql", f"{stem}.sql")


def next_version(migrations: Sequence[Migration], now: str) -> str:
    """Return the version behind the last, written as that is; `now` are the digits of a moment, 20260131120000.

    A number goes on by one, a release by its last part, a day or a moment by the clock.
    """
    numbered = [one for one in migrations if not one.is_repeatable and re.match(r"\d", one.version)]
    if not numbered:
        return "1".zfill(_WIDTH)
    last = max(numbered, key=lambda one: version_key(one.version))
    found = re.match(r"\d+(?:\.\d+)*", last.checkpoint or last.version)
    version = found[0] if found else last.version
    if _DATE.fullmatch(version):
        day = f"{now[:4]}.{now[4:6]}.{now[6:8]}"
        return _later((day, f"{day}.{now[8:]}"), version, is_first=len(version) == len(day))
    if len(version) == _DAY_LENGTH and _DAY.fullmatch(version):
        return _later((now[:_DAY_LENGTH], now), version)
    return _later((now,), version) if len(version) >= _MOMENT_LENGTH and "." not in version else _one_more(version)


def _later(choices: Sequence[str], version: str, *, is_first: bool = True) -> str:
    """Return the first choice, or else the next, that comes behind a version; one more than that where the clock is behind."""
    behind = [one for one in choices[0 if is_first else 1 :] if version_key(one) > version_key(version)]
    return behind[0] if behind else _one_more(version)


def _one_more(version: str) -> str:
    *before, last = version.split(".")
    return ".".join((*before, str(int(last) + 1).zfill(len(last))))


def _last_file(migrations: Sequence[Migration]) -> str:
    names = [
        one.at.file for one in migrations if not one.is_repeatable and one.checkpoint is None and one.at.file.endswith(".sql")
    ]
    return Path(names[-1]).name if names else ""
