"""Copies of files made into a data folder: unpacked, and brought to one moment by the tool that made them.

mariadb-backup has no --apply-log-only: a base is prepared, and then with the folder of each increment in turn (MariaDB
Knowledge Base, "Incremental Backup and Restore with mariadb-backup").
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dbops.engines.base.backup import Exit, Link, Restored, RestoreOrder, Told
from dbops.engines.base.connect import Target
from dbops.engines.base.processes import Stage, running
from dbops.engines.base.url import DatabaseUrl
from dbops.engines.mysql.backup.binlog import stop_of
from dbops.engines.mysql.backup.files import DONE, FILES
from dbops.engines.mysql.backup.replaying import replay
from dbops.engines.mysql.backup.staging import must_not_precede, plugins_of, programs_for, settings_of
from dbops.engines.mysql.backup.tools import find, find_program
from dbops.engines.mysql.private_server import give_to_server, is_reachable, private_folder, server_on
from dbops.errors import BackupError

_PIECE = 1 << 20
_TAKEN = ("innodb_page_size", "innodb_data_file_path", "innodb_undo_tablespaces", "innodb_checksum_algorithm")


def prepare(links: Sequence[Link], data: Path, told: Told) -> tuple[Exit, ...]:
    """Make a data folder of a full copy and what followed it.

    Raises:
        BackupError: a program failed.
    """
    tool, unpacker = find("mariadb-backup", "mariabackup"), find_program("mbstream")
    exits: list[Exit] = []
    for link in links:
        is_base = link is links[0]
        folder = data if is_base else data.with_name(f"{data.name}.increment")
        folder.mkdir(mode=0o700)
        try:
            told(f"unpacking {link.id}")
            with (
                link.source.stream(FILES, feeds=True) as reader,
                running([Stage(unpacker, ("-x", "-C", str(folder)))], stdin=True, stdout=False) as pipeline,
            ):
                while piece := reader.read(_PIECE):
                    pipeline.write(piece)
                exits += pipeline.finish()
            told(f"preparing {link.id}")
            arguments = ["--no-defaults", "--prepare", f"--target-dir={data}"]
            arguments += [] if is_base else [f"--incremental-dir={folder}"]
            with running([Stage(tool.program, tuple(arguments), folder=data.parent)], stdout=False) as pipeline:
                exits += pipeline.finish()
            if DONE not in exits[-1].stderr:
                raise BackupError(f"{tool.name} --prepare of {link.id} did not say that it was done")
        finally:
            if not is_base:
                shutil.rmtree(folder, ignore_errors=True)
    return tuple(exits)


@contextmanager
def prepared_server(links: Sequence[Link], plugins: Sequence[str], told: Told) -> Iterator[tuple[DatabaseUrl, tuple[Exit, ...]]]:
    """Run a private server on what copies of files hold."""
    programs = programs_for(links[-1].details, exactly=True)
    with private_folder() as folder:
        exits = prepare(links, folder / "data", told)
        with server_on(programs, folder, _settings(links[-1], plugins, folder / "data")) as url:
            yield url, exits


def must_allow_folder(chain: Sequence[Link], order: RestoreOrder, folder: Path) -> None:
    """Refuse what cannot end well, before anything is made.

    Raises:
        BackupError: these are no files, the folder is none for them, or the point lies before their end.
    """
    bases, logs = _parted(chain)
    if bases[0].method != "physical":
        raise BackupError("a dump is no files: it is restored into a database", expected="--to mysql://...")
    if order.tables:
        raise BackupError("files are restored whole", fix="restore into a database: --to mysql://... --table ...")
    if not order.replaces and folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty; it was left as it is", fix="choose another folder, or give --replace")
    if not folder.parent.is_dir():
        raise BackupError(f"there is no folder {folder.parent}", fix="create it, or correct the path")
    if logs and not is_reachable(folder.parent):
        raise BackupError(
            f"the account that servers run as cannot enter {folder.parent}, and logs are replayed by a server",
            fix="choose a folder that all may enter, such as one beside the server's own",
        )
    must_not_precede(bases[-1], stop_of(order.point))


def _parted(chain: Sequence[Link]) -> tuple[list[Link], list[Link]]:
    """Return the copies of files in a chain, and the logs behind them."""
    return [link for link in chain if link.kind != "log"], [link for link in chain if link.kind == "log"]


def restore_folder(chain: Sequence[Link], order: RestoreOrder, folder: Path, told: Told) -> Restored:
    """Make a data folder; it gets its name when it is complete, and what had the name before is moved aside."""
    must_allow_folder(chain, order, folder)
    bases, logs = _parted(chain)
    stop = stop_of(order.point)
    new = folder.with_name(f".{folder.name}.restoring-{secrets.token_hex(4)}")
    warnings = ["the folder holds the whole server: every database, and its accounts"]
    try:
        exits, reached = prepare(bases, new, told), bases[-1].end
        if logs:
            with private_folder() as run_folder:
                (run_folder / "data").symlink_to(new)
                programs = programs_for(bases[-1].details, exactly=True)
                with server_on(programs, run_folder, _settings(bases[-1], plugins_of(chain), new)) as url:
                    result = replay(logs, bases[-1].end, stop, Target("", url), None, told)
            exits, reached = exits + result.exits, result.reached
            warnings += result.warnings
        give_to_server(new)
        warnings += _put(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Restored(str(folder), reached, exits, tuple(warnings))


def _put(new: Path, folder: Path) -> list[str]:
    """Give the new folder its name."""
    if not folder.exists() or not any(folder.iterdir()):
        new.replace(folder)
        return []
    aside = folder.with_name(f"{folder.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    folder.rename(aside)
    try:
        new.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    return [f"what stood there is in {aside}"]


def _settings(link: Link, plugins: Sequence[str], data: Path) -> dict[str, object]:
    """Return the settings that the files need: those that the tool wrote down, and those of the server."""
    settings = settings_of(link.details, plugins) | {"skip-slave-start": 1}
    for line in (data / "backup-my.cnf").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name in _TAKEN:
            settings[name.replace("_", "-")] = value
    return settings
