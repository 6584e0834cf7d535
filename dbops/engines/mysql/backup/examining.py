"""A chain looked at without a server: end marks, sections, events, and files that can be unpacked and prepared."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.backup import Link, Told
from dbops.engines.base.passing import passing_folder
from dbops.engines.mysql.backup.binlog import Walk, file_number, is_next
from dbops.engines.mysql.backup.dumping import CODE, TABLES
from dbops.engines.mysql.backup.loading import Dump
from dbops.engines.mysql.backup.logs import PREFIX
from dbops.engines.mysql.backup.preparing import prepare
from dbops.errors import BackupError

_PIECE = 1 << 20
_MARK = b"-- Dump completed"


def examine(chain: Sequence[Link], told: Told) -> list[str]:
    """Return what is wrong with a chain."""
    bases = [link for link in chain if link.kind != "log"]
    problems: list[str] = []
    if bases[0].method == "logical":
        problems += _dump(bases[0], told)
    else:
        with passing_folder() as folder:
            try:
                prepare(bases, folder / "data", told)
            except BackupError as error:
                problems.append(error.message)
    return problems + _logs([link for link in chain if link.kind == "log"], bases[-1], told)


def _dump(link: Link, told: Told) -> list[str]:
    told(f"reading {link.id}")
    problems = []
    for name in (TABLES, *(f"{what}.sql" for what in CODE)):
        tail = b""
        with link.source.stream(name) as reader:
            while piece := reader.read(_PIECE):
                tail = (tail + piece)[-4096:]
        if _MARK not in tail and name != TABLES:
            problems.append(f"{link.id}: {name} has no end mark")
    end = max(one[3] for one in Dump.of(link).sections())
    if end != link.source.size(TABLES):
        problems.append(f"{link.id}: {TABLES} has {link.source.size(TABLES)} bytes, and its sections end at {end}")
    return problems


def _logs(links: Sequence[Link], base: Link, told: Told) -> list[str]:
    problems, before = [], str(links[0].start.get("file", "")) if links else ""
    if links and file_number(before) > file_number(str(base.end.get("file", ""))):
        problems.append(f"{links[0].id} begins in {before}, behind the end of {base.id}")
    for link in links:
        for name in (name for name in link.source.names if name.startswith(PREFIX)):
            told(f"reading {name}")
            file = name.removeprefix(PREFIX)
            if file != before and not is_next(file, before):
                problems.append(f"{link.id}: {file} does not follow {before}")
            before = file
            walk = Walk(file)
            try:
                with link.source.stream(name) as reader:
                    while piece := reader.read(_PIECE):
                        walk.feed(piece)
            except BackupError as error:
                problems.append(error.message)
    return problems
