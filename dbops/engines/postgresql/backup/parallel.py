"""Dumps and restores by several sessions at a time.

pg_dump writes with several sessions only a folder, a file for each table (manual, pg_dump, --jobs). Each file passes on into
one tar as soon as no session has it open any more, and is removed; so the temporary folder holds the tables at work and no
more. To load with several sessions pg_restore needs a folder or a file that it can read anywhere in, which is put into the
temporary folder whole.
"""

from __future__ import annotations

import shutil
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from dbops.engines.base.backup import Exit, Link, Sink
from dbops.engines.base.passing import passing_folder
from dbops.engines.base.processes import Pipeline, Stage, running
from dbops.engines.postgresql.backup.tars import unpack
from dbops.errors import BackupError

DUMP, DUMP_TAR, TOC = "database.dump", "database.tar", "toc.dat"
_PIECE = 1 << 20
_MOST = 64
_WAIT_S = 0.05


def jobs_of(options: Mapping[str, Any], otherwise: int = 1) -> int:
    """Return how many sessions work at a time.

    Raises:
        BackupError: that is no such number.
    """
    text = str(options.get("jobs", otherwise))
    if not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise BackupError(f"options.jobs is {text!r}", expected=f"a number of sessions, 1 to {_MOST}")
    return int(text)


def dump(one: Stage, jobs: int, sink: Sink) -> Exit:
    """Dump with several sessions into one tar; the table of contents, which is written last, is a stream of its own too."""
    with passing_folder() as place:
        folder = place / "dump"
        given = ("--format=directory", "--no-sync", f"--jobs={jobs}", f"--file={folder}")
        try:
            with (
                sink.stream(DUMP_TAR) as writer,
                tarfile.open(fileobj=cast(Any, writer), mode="w|", bufsize=_PIECE) as archive,
                running([replace(one, arguments=(*given, *one.arguments))], stdout=False) as pipeline,
            ):
                _pass_on(pipeline, folder, archive)
                exits = pipeline.finish()
                if not (folder / TOC).exists():
                    raise BackupError("pg_dump ended well and wrote no table of contents")
                for path in sorted(folder.iterdir(), key=lambda path: path.name == TOC):
                    _take(path, archive, is_kept=path.name == TOC)
        except BackupError as error:
            if any("No space left" in one["stderr"] for one in error.context.get("exits", ())):
                error.fix = "set TMPDIR to a folder with room for the largest tables, or leave out options.jobs"
            raise
        with sink.stream(TOC) as writer:
            writer.write((folder / TOC).read_bytes())
    return exits[0]


def _pass_on(pipeline: Pipeline, folder: Path, archive: tarfile.TarFile) -> None:
    while pipeline.is_running:
        # the files first: one that is not open behind that was closed for good
        there = [path for path in folder.iterdir() if path.name != TOC] if folder.is_dir() else []
        held = pipeline.open_files()
        ready = [path for path in there if held is not None and path not in held]
        for path in ready:
            _take(path, archive)
        if not ready:
            time.sleep(_WAIT_S)


def _take(path: Path, archive: tarfile.TarFile, *, is_kept: bool = False) -> None:
    member = tarfile.TarInfo(path.name)
    member.size = path.stat().st_size
    member.mode = 0o600
    with path.open("rb") as file:
        archive.addfile(member, file)
    if not is_kept:
        path.unlink()


# --- back again -----------------------------------------------------------------------------------------------------------


def load(link: Link, one: Stage, jobs: int = 1) -> Exit:
    """Give a stored dump to pg_restore, which ends early where what was chosen lies at the beginning."""
    if jobs == 1 and DUMP in link.source.names:
        with link.source.stream(DUMP, feeds=True) as reader, running([one], stdin=True, stdout=False) as pipeline:
            while (piece := reader.read(_PIECE)) and pipeline.offer(piece):
                pass
        return pipeline.exits[0]
    several = (f"--jobs={jobs}",) if jobs > 1 else ()
    with (
        _laid_out(link) as path,
        running([replace(one, arguments=(*one.arguments, *several, str(path)))], stdout=False) as pipeline,
    ):
        pass
    return pipeline.exits[0]


def read_contents(link: Link, one: Stage, folder: Path) -> Exit:
    """Give pg_restore a dump's table of contents, for its list or for what has no rows; only the beginning of a dump is read."""
    if DUMP in link.source.names:
        return load(link, one)
    with link.source.stream(TOC) as reader, (folder / TOC).open("xb") as file:
        shutil.copyfileobj(reader, file, _PIECE)
    with running([replace(one, arguments=(*one.arguments, str(folder)))], stdout=False) as pipeline:
        pass
    return pipeline.exits[0]


@contextmanager
def _laid_out(link: Link) -> Iterator[Path]:
    """Give a dump as a file or folder that can be read anywhere in."""
    name = DUMP if DUMP in link.source.names else DUMP_TAR
    with passing_folder() as place:
        needed, free = link.source.size(name), shutil.disk_usage(place).free
        if needed > free:
            raise BackupError(
                f"the dump needs {needed >> 20} MiB to be read by several sessions, and {place.parent} has {free >> 20} MiB left;"
                " nothing was touched",
                fix="set TMPDIR to a folder with more room"
                + (", or restore with one session: --option jobs=1" if name == DUMP else ""),
                error_code="NO_ROOM",
            )
        path = place / "dump"
        with link.source.stream(name) as reader:
            if name == DUMP:
                with path.open("xb") as file:
                    shutil.copyfileobj(reader, file, _PIECE)
            else:
                path.mkdir(mode=0o700)
                unpack(reader, name, path)
        yield path
