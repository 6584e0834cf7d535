"""Copied logs written into a server, up to a point.

Whole groups are replayed, a transaction or a statement that is none, never a part of one. The events go through the engine's
own tool, which writes them as statements, into its client. What concerns another database is left out where only one is
restored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Link, Position, Told
from dbops.engines.base.connect import Target
from dbops.engines.base.passing import passing_folder
from dbops.engines.base.processes import Stage, running
from dbops.engines.mysql.backup import binlog
from dbops.engines.mysql.backup.binlog import MAGIC, Event, Stop, events, is_next
from dbops.engines.mysql.backup.filtering import Filter
from dbops.engines.mysql.backup.logs import PREFIX
from dbops.engines.mysql.backup.tools import Tool, binlog_options, client_options, option_file, secrets_of, tool_for, with_fix
from dbops.engines.mysql.connect import connect, on_database, quoted
from dbops.errors import BackupError

#: What says how files follow each other; what is replayed is one file, cut out of several.
_DROPPED = frozenset({binlog.ROTATE, binlog.STOP, binlog.GTID_LIST, binlog.CHECKPOINT})

_AT_ONCE = 1 << 18


@dataclass(slots=True)
class Replay:
    """What became of a replay. `reached` is the place behind the last group, `second` when that was written."""

    file: str
    offset: int
    gtids: dict[str, str] = field(default_factory=dict)
    second: int | None = None
    groups: int = 0
    is_stopped: bool = False
    exits: tuple[Exit, ...] = ()
    warnings: list[str] = field(default_factory=list)

    @property
    def reached(self) -> Position:
        place: dict[str, Any] = {"file": self.file, "offset": self.offset}
        return place | ({"gtid": ",".join(self.gtids[one] for one in sorted(self.gtids))} if self.gtids else {})


def replay(links: Sequence[Link], start: Position, stop: Stop, server: Target, only: str | None, told: Told) -> Replay:
    """Replay logs from a place to a point on a private server; `only` is the database that alone is there.

    Raises:
        BackupError: the logs do not follow each other, or a statement failed.
    """
    result = Replay(str(start["file"]), int(start["offset"]))
    result.gtids.update(binlog.gtid_texts(str(start.get("gtid", ""))))
    conn = connect(on_database(server, None))
    try:
        sieve = Filter(only, int(conn.query("SELECT @@lower_case_table_names")[0][0]) != 0) if only is not None else None
        binlog_tool, client = tool_for("binlog", conn.server), tool_for("client", conn.server)
        made = {str(name) for (name,) in conn.query("SELECT schema_name FROM information_schema.schemata")}

        def make_missing() -> None:
            for name in sorted((sieve.databases if sieve else set()) - made - {""}):
                conn.execute(f"CREATE DATABASE {quoted(name)}")  # a statement was given in it; there is nothing in it
                made.add(name)

        _run(_bytes(links, result, stop, sieve, told), make_missing, binlog_tool, client, server, result)
    finally:
        conn.close()
    if sieve is not None and sieve.left_out:
        result.warnings.append(
            f"{sieve.left_out} statements given in other databases were left out; what they may have changed in {only} through "
            "triggers or routines is missing; with binlog_format = ROW nothing would be"
        )
    _must_have_reached(links, stop, result)
    return result


def _run(
    pieces: Iterator[bytes], prepare: Callable[[], None], binlog_tool: Tool, client: Tool, server: Target, result: Replay
) -> None:
    """Feed events to the tool and its statements to the client; what LOAD DATA read stands in files between the two."""
    with option_file(server, client) as options, passing_folder() as loaded:
        reading = ("--no-defaults", *binlog_options(binlog_tool), f"--local-load={loaded}", "-")
        writing = (f"--defaults-file={options.path}", *client_options(), "--local-infile=1")
        replaying = Stage(client.program, writing, secrets=secrets_of(server), handles=options.handles)
        stages = [Stage(binlog_tool.program, reading), replaying]
        try:
            with running(stages, stdin=True, stdout=False) as pipeline:
                for piece in _joined(pieces):
                    prepare()
                    pipeline.write(piece)
                result.exits = pipeline.finish()
        except BackupError as error:
            error.fix = (
                with_fix(error).fix
                or "restore to a point before it, or from copies of the server's files, where everything is there"
            )
            raise


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield small pieces together."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= _AT_ONCE:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _bytes(links: Sequence[Link], result: Replay, stop: Stop, sieve: Filter | None, told: Told) -> Iterator[bytes]:
    """Yield a log of what is to be replayed."""
    yield MAGIC
    for link in links:
        for name in link.source.names:
            if not name.startswith(PREFIX):
                continue
            file = name.removeprefix(PREFIX)
            if binlog.file_number(file) < binlog.file_number(result.file):
                continue  # the first log behind a base begins before it
            if file != result.file and not is_next(file, result.file):
                raise BackupError(f"the logs have a gap: {file} does not follow {result.file}")
            told(f"replaying {file}")
            with link.source.stream(name) as reader:
                yield from _of_file(events(reader, file), file, result, stop, sieve)
            if result.is_stopped:
                return


def _of_file(found: Iterator[Event], file: str, result: Replay, stop: Stop, sieve: Filter | None) -> Iterator[bytes]:
    """Yield one file's events from where the replay is; a group may be left open at the end of a file, never of a replay."""
    begin = result.offset if file == result.file else 0
    is_at_begin = begin == 0
    for event in found:
        if event.start == begin:
            is_at_begin = True
        if event.start < begin:
            if event.kind == binlog.FORMAT:
                yield from _sifted(event, sieve)
            continue
        if not is_at_begin:
            raise BackupError(f"{file} has no event at {begin}, where the replay goes on")
        if event.begins_group and stop.is_before(event, file):
            result.is_stopped = True
            return
        if event.kind not in _DROPPED:
            yield from _sifted(event, sieve)
        _note(event, file, result)


def _sifted(event: Event, sieve: Filter | None) -> Iterator[bytes]:
    if sieve is None:
        yield event.data
    else:
        yield from sieve.pass_on(event)


def _note(event: Event, file: str, result: Replay) -> None:
    result.file, result.offset = file, event.end
    if event.begins_group:
        result.groups += 1
        result.second = event.timestamp
        if event.gtid:
            result.gtids[event.gtid[0]] = event.gtid[2]


def _must_have_reached(links: Sequence[Link], stop: Stop, result: Replay) -> None:
    """Let a replay pass that came to its point; to a time it may end before, where nothing more was written.

    Raises:
        BackupError: the logs do not hold it.
    """
    if stop.gtid is not None and not stop.is_behind(result.reached):
        raise BackupError(f"the logs end before {stop.gtid[0]}, number {stop.gtid[1]}: at {result.reached}")
    if stop.file and not result.is_stopped and not stop.is_behind(result.reached):
        raise BackupError(f"the logs end before {stop.file}:{stop.offset}: at {result.file}:{result.offset}")
    if stop.moment is not None and not result.is_stopped and links[-1].ended_at < stop.moment:
        result.warnings.append(
            f"the logs end at {links[-1].ended_at:%Y-%m-%d %H:%M:%S}Z, before the moment that was asked for; what was written "
            "in between is not in any backup"
        )
