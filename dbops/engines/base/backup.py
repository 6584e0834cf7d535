"""The port of backups: how a server makes, restores, checks and tries out backups of each kind.

Proved by `tests/conformance/test_backups.py`. Who keeps the bytes is not known here: an engine writes named streams into a `Sink`
and reads them from a `Source`. Compression, encryption, hashes, parts, storage, the manifest, retention and the choice of a
parent are the archive's and the use cases' affair, so an engine neither compresses nor encrypts nor lists anything.

How a backup comes about: `mechanisms` says what this server can do. The use case picks one, finds the parent, and calls
`produce`, which returns only when every process ended well and every end mark was seen; whatever it raises makes a failed backup,
of which nothing is kept. A restore is given the whole chain, whose stored bytes were all verified before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dbops.dataclass import dataclass
from dbops.engines.base.shape import Shape, misfit
from dbops.errors import BackupError

if TYPE_CHECKING:
    from pathlib import Path

    from dbops.engines.base.connect import Connection, Target

#: `full` needs nothing else. `incremental` holds what changed since the backup before, whatever its kind; `differential` since
#: the last full. `log` holds the log since the end of the backup before, so that a restore can stop at any moment in between.
BackupKind = Literal["full", "incremental", "differential", "log"]
KINDS: tuple[BackupKind, ...] = ("full", "incremental", "differential", "log")

#: `logical`: statements or rows that any server of about that version takes. `physical`: the files of the server.
Method = Literal["logical", "physical"]

#: Where in the life of a database a backup begins or ends, in the engine's own words: values that JSON can write. PostgreSQL:
#: `lsn`, `timeline`; MySQL: `gtid`, `file`, `offset`; SQLite: `state`. Never a secret.
Position = Mapping[str, Any]

#: Hears in words what is being done; called a few times a second at most.
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """How this server makes one kind of backup, or why it cannot.

    `tool` names what makes it, and is what a policy may ask for by name: `pg_dump`, `pg_basebackup`, `pages`. A backup follows
    another only within one `family`; a mechanism that needs a parent names the family of the parent. `refusal` says why this
    server, account or machine cannot do it, and `fix` what to do about it: the setting, the privilege, or the Debian package.
    A kind that an engine never has is there too, refused. `picks` are what a restore can take out of the whole. `points` are what
    a restore can stop at while it replays this very backup: empty for bases and pages, set for what is made of a log. What has
    points goes on behind any backup of its family; what has none follows the last that is no log.
    `caution` is what it may do to the server, and how that is bounded; empty where it is. `by_name`: it is taken only where a
    policy names its tool, because its backups lie elsewhere.
    """

    kind: BackupKind
    method: Method
    tool: str
    family: str
    refusal: str = ""
    fix: str = ""
    picks: frozenset[Literal["schema", "table"]] = frozenset()
    points: frozenset[Literal["time", "lsn", "name"]] = frozenset()
    caution: str = ""
    by_name: bool = False

    @property
    def works(self) -> bool:
        return not self.refusal


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database this is, so that a backup never follows one of another database.

    `timeline` is a short word of letters, digits and dashes that changes when the history breaks: on PostgreSQL the system
    identifier and the timeline, on MySQL server_uuid or the domain, on SQLite the file. `facts` is the same for people.
    """

    timeline: str
    facts: Mapping[str, str] = field(default_factory=dict)


class Writer(Protocol):
    """One stream of a backup that is being made; used by one thread at a time."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Take any amount of bytes and return their number; waits while the storage is slower. What was given may be reused."""
        ...


class Sink(Protocol):
    """Takes the streams of one backup. Several may be open at a time, in several threads."""

    def stream(self, name: str, *, is_compressed: bool = False, is_kept: bool = False) -> AbstractContextManager[Writer]:
        """Open a stream; leaving the block without an exception completes it, and with one throws it away.

        `name` is a relative path such as `base.tar` or `log/000000010000000000000003`, once in a backup. Many small files belong
        into one stream, as a tar. `is_compressed` leaves out compression that gains nothing. `is_kept` also keeps the stream on
        this machine, because the next backup needs it and this machine may be unable to decrypt it.
        """
        ...


class Reader(Protocol):
    """One stream of a backup, from its beginning; decrypted, decompressed, and compared with its hashes on the way."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, fewer only at the end, all that is left for -1; empty at the end.

        Raises:
            BackupError: what is stored is not what the manifest says.
        """
        ...


class Source(Protocol):
    """The streams of one backup, opened when they are needed, in any order, any number of times."""

    @property
    def names(self) -> Sequence[str]:
        """The streams in the order in which they were completed."""
        ...

    def size(self, name: str) -> int:
        """Return the size of a stream as it was written, in bytes."""
        ...

    def stream(self, name: str, *, feeds: bool = False) -> AbstractContextManager[Reader]:
        """Open a stream. `feeds` says that a program gets it all, which works while more is unpacked.

        Raises:
            BackupError: there is no such stream, no key, or the storage does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Link:
    """One backup as a member of a chain. `details` are what `produce` returned as such."""

    id: str
    kind: BackupKind
    method: Method
    tool: str
    family: str
    start: Position
    end: Position
    ended_at: datetime
    details: Mapping[str, Any]
    source: Source


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made. `chain` is what this one follows, the full first: up to the backup before, for a differential the full
    alone; empty for a full.

    `name` is the id that the backup will have, for labels. `options` are the policy's own for this tool. `owner` is a word for
    the policy and its repository, the same in each run: it names what must stay on the server between two runs, such as a slot
    for its log. `kinds` are those that the policy schedules. `log_end` is where the last log ended that was taken behind another
    base: a log that begins there, and so before its parent's end, leaves no moment out.
    """

    mechanism: Mechanism
    name: str
    chain: tuple[Link, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    kinds: frozenset[BackupKind] = frozenset()
    log_end: Position | None = None

    @property
    def parent(self) -> Link | None:
        return self.chain[-1] if self.chain else None


@dataclass(frozen=True, slots=True)
class Exit:
    """How one process ended: `tool` as it was called, without folder and arguments. `stderr` is the last of what it said."""

    tool: str
    code: int
    seconds: float = 0.0
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the backup holds, as of its own moment. `schema_digest` is `catalog.codec.digest` of `Engine.inspect`, None where
    nobody could look at that very moment. `rows` by table, as `Backups.rows` names them, where counting is cheap.
    """

    schema_digest: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    size_bytes: int | None = None
    unread: str = ""
    """Why it could not be looked at, for a database that may be damaged."""


@dataclass(frozen=True, slots=True)
class Produced:
    """What was made. `end` is the position that a restore of it leads to, at `ended_at` by the database's clock, in UTC.

    `tools` are programs with their versions, `exits` every process there was, all with code 0.
    `details` are whatever a restore needs to know before it opens a stream: JSON values.
    """

    start: Position
    end: Position
    ended_at: datetime
    tools: Mapping[str, str]
    exits: Sequence[Exit] = ()
    inventory: Inventory = Inventory()
    details: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """Where a restore stops: `latest`; `time`, in UTC; or `lsn` and `name` in the engine's own words (LSN, GTID, restore
    point).
    """

    what: Literal["latest", "time", "lsn", "name"] = "latest"
    time: datetime | None = None
    text: str = ""


LATEST = Point()


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """Where a chain is restored to. `schemas` and `tables` (`schema.table`, or a name alone) choose; empty means everything.

    `replaces`: what stands there may go; a backup of a database was taken before, a folder is moved aside. `target` may be a
    database that does not exist, or a server without a database. `folder`, for physical methods: the files go there, and `target`
    only says which engine and account. `options` are for the tools, in the engine's words.
    """

    target: Target
    point: Point = LATEST
    schemas: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    replaces: bool = False
    keeps_old: bool = False
    """What stands there could not be saved, because it is damaged: it is kept under another name. Of engines without servers
    only.
    """
    folder: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    is_proven: bool = False
    """A test restore of these very bytes was checked before, so that nobody need check what comes of them again."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it. `reached` is the position at which the database stands, `place` for people: a path or a redacted URL."""

    place: str
    reached: Position
    exits: Sequence[Exit] = ()
    warnings: Sequence[str] = ()


class Backups(Protocol):
    """Stateless, as the engine is. Everything raises BackupError with a fix, or the errors of the connection."""

    def identity(self, conn: Connection) -> Identity: ...

    def mechanisms(
        self, conn: Connection, target: Target, kinds: Collection[BackupKind] = KINDS
    ) -> Iterable[Sequence[Mechanism]]:
        """Give every way to make each of `kinds`, a sequence for each family, the preferred first, those that do not work too.

        A few queries, and looks at programs; where this is an iterator, a family that is not taken from it costs none.
        """
        ...

    def produce(self, order: Order, conn: Connection, target: Target, sink: Sink, told: Told) -> Produced:
        """Make a backup. `conn` reads; tools connect by themselves as `target` says, secrets never on a command line.

        Constant memory. Ends its processes on any exception, KeyboardInterrupt too, and leaves nothing behind on the server.

        Raises:
            BackupError: a process failed, an end mark is missing, or the parent does not lead here any more.
        """
        ...

    def keeps(self, conn: Connection, owner: str) -> Sequence[str]:
        """Name what a policy has on the server between two runs (`Order.owner`), empty where nothing is."""
        ...

    def let_go(self, conn: Connection, owner: str) -> None:
        """Remove that, for a policy that goes.

        Raises:
            BackupError: it cannot be removed; says why.
        """
        ...

    def forget(self, link: Link, told: Told) -> None:
        """Remove what a tool keeps of a backup in a place of its own, before the backup itself is deleted.

        Raises:
            BackupError: it cannot be removed, so the backup must stay.
        """
        ...

    def occupied(self, target: Target, folder: Path | None = None) -> str | None:
        """Say what stands where a restore would go, None when nothing does. Changes nothing.

        Raises:
            BackupError: this engine restores to no folder.
        """
        ...

    def must_allow(self, chain: Sequence[Link], order: RestoreOrder) -> None:
        """Refuse what `restore` would refuse, as far as that is known before anything is made; changes nothing.

        It is called before what stands there is saved.

        Raises:
            BackupError: the order cannot be carried out.
        """
        ...

    def restore(self, chain: Sequence[Link], order: RestoreOrder, told: Told) -> Restored:
        """Bring a chain back: a full first, then what followed it, up to `order.point`.

        What was there before stays as it was until the new state is complete, as far as the engine can; a restore that fails
        removes what it made.

        Raises:
            BackupError: refused before anything was touched, or failed; `fix` says how the target stands.
        """
        ...

    def examine(self, chain: Sequence[Link], told: Told) -> Sequence[str]:
        """Let the engine's own tools look at a chain without a server (level 2); return what is wrong with it."""
        ...

    def trial(self, chain: Sequence[Link], near: Target, point: Point, told: Told) -> AbstractContextManager[Connection]:
        """Restore a chain into a throwaway database, start what it needs, and open a session on it (levels 3 and 4).

        `near` is the target the policy is about: a scratch may be made on the same server for logical methods, never for
        physical ones. Everything is gone afterwards.

        Raises:
            BackupError: with `error_code="NO_TRIAL"` where this machine or account has no place for it, which says nothing of the
            backup; else the backup does not restore.
        """
        ...

    def rows(self, conn: Connection) -> Mapping[str, int]:
        """Count the rows of every table of a restored database, by the names that `Inventory.rows` of this engine has."""
        ...

    def shape(self, link: Link) -> Mapping[str, Shape]:
        """Return what `start`, `end` and `details` of a backup look like, as far as anything here reads them.

        A manifest may be by somebody else: the others are given no link of another shape.
        """
        ...

    def reached(self, point: Point, link: Link) -> bool | None:
        """Tell whether the state at the end of a backup lies at or behind `point`; None when only a replay tells (names)."""
        ...


def must_fit(link: Link, shape: Mapping[str, Shape]) -> None:
    """Let a backup pass whose facts can be read.

    Raises:
        BackupError: they have another shape than any version writes; says which.
    """
    facts = {"start": dict(link.start), "end": dict(link.end), "details": dict(link.details)}
    for name, inner in shape.items():
        if (wrong := misfit(facts[name], inner, name)) is not None:
            raise BackupError(
                f"the manifest of {link.id} cannot be used: {wrong}",
                fix=f"nothing that dbops wrote looks so; dbops backup delete {link.id}",
                error_code="MANIFEST_DAMAGED",
            )


def refuse_options(order: Order, tool: str, *known: str) -> None:
    """Let an order pass whose options are known.

    Raises:
        BackupError: one is not.
    """
    if unknown := sorted(set(order.options) - set(known)):
        raise BackupError(
            f"options.{unknown[0]} of the schedule means nothing to {tool}",
            expected=f"one of {', '.join(known)}" if known else "no options",
        )


def refuse_restore_options(order: RestoreOrder, *known: str) -> None:
    """Let a restore pass whose options are known.

    Raises:
        BackupError: one is not.
    """
    if unknown := sorted(set(order.options) - set(known)):
        raise BackupError(
            f"--option {unknown[0]} means nothing to this restore",
            expected=f"one of {', '.join(known)}" if known else "no options",
        )


def schema_digest(engine: Any, conn: Connection) -> str:
    """Return the digest of the catalog that `conn` shows, for `Inventory`; inside a snapshot of the caller's."""
    from dbops.catalog.codec import digest

    return digest(engine.inspect(conn))
