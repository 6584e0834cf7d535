"""A migration, the set it belongs to, and how each stands in a database."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dbops.dataclass import dataclass
from dbops.errors import Mark
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.ledger import Record
from dbops.sql.hazard import Hazard

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

Format = Literal["sql", "json", "alembic"]
OutOfOrder = bool | Literal["if-independent"]
Kind = Literal["sql", "python", "alembic"]
Direction = Literal["up", "down"]

#: The table in which Alembic keeps what it has run.
ALEMBIC_TABLE = "alembic_version"

#: pending: not applied. failed: begun, and some of it may stand. applied: as the file says. cosmetic: applied, and edited since
#: in nothing that counts. changed: applied, and edited since. missing: applied, no file. unknown: applied by nobody known here,
#: later than every file. late: pending, and one behind it was applied. baselined: counts as applied without having run.
#: running: somebody is at it, as the apply lock tells.
State = Literal["pending", "failed", "applied", "cosmetic", "changed", "missing", "unknown", "late", "baselined", "running"]


@dataclass(frozen=True, slots=True)
class AlembicOptions:
    """How revisions are run: by their env.py, or with Alembic's table under the name and in the schema given here.

    `engine_name` is what the functions of revisions are given that stand for several databases, as Alembic's template multidb
    has them.
    """

    runs_env: bool = False
    version_table: str | None = None
    version_table_schema: str | None = None
    engine_name: str | None = None


AS_ALEMBIC_DOES = AlembicOptions()


@dataclass(slots=True)
class RunMemory:
    """What Alembic knows from one revision to the next of a run: which types it has made, so that none is made twice."""

    run: object = None
    known: dict[Any, Any] = field(default_factory=dict)

    @contextmanager
    def of(self, *run: object) -> Iterator[dict[Any, Any]]:
        """Give what is known in a run, which is told by its session and direction: nothing where it is another than before.

        What a revision that fails has learnt is forgotten, for its transaction is rolled back.
        """
        if not isinstance(self.run, tuple) or any(one is not other for one, other in zip(self.run, run, strict=True)):
            self.run, self.known = run, {}
        try:
            yield self.known
        except BaseException:
            self.run = None
            raise


@dataclass(frozen=True, slots=True)
class Revisions:
    """The script directory of Alembic that a set is: loading it imports every revision, so it is done once for all of them."""

    directory: Path
    scripts: ScriptDirectory
    memory: RunMemory = field(default_factory=lambda: RunMemory(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Script:
    """The text of one direction, without markers; `at` is where it begins in its file."""

    text: str = field(repr=False)
    at: Mark
    is_transactional: bool = True
    """False where the file says that each statement commits by itself."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration as its files say it.

    `version` orders and identifies it; `name` is for people. `depends` are versions. `down` is None where nothing leads back,
    and `irreversible` says why when the file does. A repeatable migration runs again whenever its text changes. `checkpoint`
    is the version up to which this one stands for all that came before it: it runs on empty databases only.
    """

    version: str
    name: str
    at: Mark
    up: Script
    down: Script | None = None
    kind: Kind = "sql"
    depends: tuple[str, ...] = ()
    is_repeatable: bool = False
    irreversible: str | None = None
    checkpoint: str | None = None
    description: str = ""
    checksum: str = ""
    alembic: AlembicOptions = AS_ALEMBIC_DOES
    revisions: Revisions | None = field(default=None, compare=False, repr=False)
    """Of a revision of Alembic, what it was read from."""

    @property
    def id(self) -> str:
        """Return `0007_add_orders`, as addresses and messages name it; of a JSON file the id that it says."""
        if self.is_repeatable:
            return f"R__{self.name}"
        if self.is_json:
            return self.version
        return f"{self.version}_{self.name}" if self.name else self.version

    @property
    def is_json(self) -> bool:
        """Whether its SQL stands in a JSON file."""
        return self.at.file.endswith(".json")

    @property
    def kept_texts(self) -> tuple[str | None, str | None]:
        """The texts up and down that the ledger keeps; of a Python file, which holds both ways, the whole once.

        None for a way that is not there, and for Python that gives a name like `api_key` a value.
        """
        if self.kind == "sql":
            return self.up.text, _with_its_option(self.down) if self.down is not None else None
        return None if _SECRET.search(self.up.text) else self.up.text, None

    @property
    def sort_key(self) -> tuple[object, ...]:
        return (self.is_repeatable, version_key(self.version))


def _with_its_option(back: Script) -> str:
    """Return the text of a way back, and in front of it what a marker that is no part of the text said of transactions."""
    said = back.is_transactional or "dbops:transaction" in back.text
    return back.text if said else f"-- dbops:transaction off\n{back.text}"


_SECRET = re.compile(r"(?:secret|token|credential|(?:api|access|private)_?key)\w*[\"']?\]?\s*[:=]", re.IGNORECASE)


def checksum_of(text: str) -> str:
    """Return the SHA-256 of what runs: the text up alone, so that a way back can be added later."""
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1 << 16)
def version_key(version: str) -> tuple[tuple[int, int | str], ...]:
    """Return a key that sorts 2 before 10 and 1.2 before 1.10, words behind numbers; 007 and 7 have the same."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", version) if part.strip("._-"))


def one_version(version: str) -> object:
    """Return what texts share that mean one version: 1 and 01; and A and a, which are one key of the ledger on MySQL."""
    return version_key(version.casefold())


@dataclass(frozen=True, slots=True)
class HookFiles:
    """Absolute paths of the SQL files that run around migrations."""

    before: tuple[Path, ...] = ()
    after: tuple[Path, ...] = ()
    each: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class DesiredMigrations:
    """A set of migrations that should be applied to one database. `set_name` is its name in the ledger."""

    name: str
    set_name: str
    connection: str
    at: Mark
    directory: Path
    format: Format
    table: str
    out_of_order: OutOfOrder
    baseline: str | None
    hooks: HookFiles = HookFiles()
    drift: Literal["warn", "refuse", "adopt"] = "warn"
    allow: tuple[str, ...] = ()
    """Hazards that pass without being asked."""
    alembic: AlembicOptions = AS_ALEMBIC_DOES
    max_failures: int | None = None
    """How many databases of a set that is bound by labels may fail; None for one that is bound to one by name."""

    parallel: int = 1
    """How many of these databases are worked on at a time."""

    @property
    def address(self) -> str:
        return f"migrationset/{self.name}"

    @property
    def has_order(self) -> bool:
        """Whether versions say what comes before what; elsewhere only dependencies do."""
        return self.format == "sql"

    @property
    def connections(self) -> tuple[str, ...]:
        return (self.connection,)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one migration stands; `migration` is None where no file says it, `record` where the ledger does not know it.

    `detail` says what is wrong, or what changed, in words.
    """

    state: State
    migration: Migration | None
    record: Record | None
    detail: str = ""

    @property
    def id(self) -> str:
        if self.migration is not None:
            return self.migration.id
        assert self.record is not None
        return f"{self.record.version}_{self.record.name}" if self.record.name else self.record.version


@dataclass(frozen=True, slots=True)
class ObservedMigrations:
    """The set, how each stands, and what stops it: refusals are observations of severity error."""

    standings: tuple[Standing, ...]
    fingerprints: Mapping[str, str]
    observations: tuple[Observation, ...] = ()
    shown: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The first statements of each pending migration, by its version."""
    exists: bool = True
    """Whether the database does."""
    hazards: Mapping[str, tuple[Hazard, ...]] = field(default_factory=dict)
    """What the statements of each pending migration may lose or hold up, by its version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationChange(Change):
    """A migration that is to be run."""

    migration: Migration
    is_resumed: bool = False
