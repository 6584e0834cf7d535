"""The MigrationSet kind as the loop sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.errors import ApplyError, MigrationError, Problems, RehearsalError, StalePlanError
from dbops.manifests.environment import Environment, Manifest, bindings
from dbops.reconcile.change import Change
from dbops.reconcile.ledger import Ledger, Record
from dbops.reconcile.patience import Patience
from dbops.reconcile.plan import Entry, Rehearsal
from dbops.reconcile.resource import NOTHING_APPLIED, Check, Report, Targets
from dbops.reconcile.step import Call, Step
from dbops.resources.migrations.as_applied import as_applied
from dbops.resources.migrations.by_hand import changed_by_hand, remember
from dbops.resources.migrations.folder import migrations_of, read_contents, read_text, shown
from dbops.resources.migrations.graph import through
from dbops.resources.migrations.lock_file import lock_difference
from dbops.resources.migrations.model import (
    AlembicOptions,
    DesiredMigrations,
    Direction,
    HookFiles,
    Migration,
    MigrationChange,
    ObservedMigrations,
    Script,
    Standing,
    version_key,
)
from dbops.resources.migrations.observations import changes_by_hand, observations
from dbops.resources.migrations.run import Author, Runner, read_hooks
from dbops.resources.migrations.script import check, statements_of
from dbops.resources.migrations.standing import Rules, aliases, standings, to_run
from dbops.sql.hazard import Hazard
from dbops.sql.redact import redact

if TYPE_CHECKING:
    from dbops.resources.migrations.spec import Hooks, MigrationSetSpec
    from dbops.sql.splitter import SourceStatement

RUN, HOOK, BASELINE, AS_APPLIED = "run_migration", "run_hook", "baseline", "as_applied"
_READ_AHEAD = 1 << 20
"""Scripts up to this many characters are read to their end before anything runs."""
_SHOWN_STATEMENTS, _SHOWN_CHARACTERS = 12, 2000


@dataclass(slots=True)
class _Session:
    """What runs the migrations of one set, kept from step to step."""

    conn: Connection
    runner: Runner
    ledger: Ledger
    records: dict[str, Record]
    versions: Mapping[str, str]
    """The ledger's version of each migration, where it writes that otherwise."""


class MigrationResource:
    """Fills `reconcile.resource.Resource` for the kind MigrationSet; `who` and `now` go into the ledger."""

    kind = "migrationset"
    rank = 15

    def __init__(self, who: Callable[[], str], now: Callable[[], str], version: str) -> None:
        self._who, self._now, self._version = who, now, version
        self._sets: dict[object, tuple[list[Migration], MigrationError | None]] = {}
        self._by_version: dict[str, dict[str, Migration]] = {}
        self._sessions: dict[str, _Session] = {}

    def desired(self, manifest: Manifest, environment: Environment) -> Sequence[DesiredMigrations]:
        spec = cast("MigrationSetSpec", manifest.spec)
        several = spec.connection is None
        return [
            DesiredMigrations(
                name=f"{manifest.name}@{connection.name}" if several else manifest.name,
                set_name=manifest.name,
                connection=connection.name,
                at=manifest.at,
                directory=(manifest.root / spec.directory).absolute(),
                format=spec.format,
                table=spec.table,
                out_of_order=spec.out_of_order,
                baseline=spec.baseline,
                hooks=_hook_files(spec.hooks, manifest.root),
                drift=spec.drift,
                allow=spec.policy.allow,
                max_failures=spec.rollout.max_failures if several else None,
                parallel=spec.rollout.parallel,
                alembic=AlembicOptions(
                    spec.alembic.env == "run",
                    spec.alembic.version_table,
                    spec.alembic.version_table_schema,
                    spec.alembic.engine_name,
                ),
            )
            for connection in bindings(environment, manifest)
        ]

    def check(self, desired: DesiredMigrations, targets: Targets) -> Check:
        engine = targets.engine(desired.connection)
        statements, problems = 0, []
        for migration in self.migrations(desired):
            try:
                statements += _checked(migration, engine)
            except MigrationError as error:
                problems.append(error)
        if problems:
            raise Problems(list(problems))
        return Check(statements + _checked_hooks(desired.hooks, engine))

    def migrations(self, desired: DesiredMigrations) -> list[Migration]:
        """Return the migrations of a set in order; the folder is read once for each set.

        Raises:
            Problems, MigrationError: files that are wrong, or are not what the lock file says.
        """
        found, difference = self._read(desired)
        if difference is not None:
            raise difference
        return found

    def seen(self, desired: DesiredMigrations) -> tuple[list[Migration], MigrationError | None]:
        """Return the migrations, and what the folder and its lock file differ in, for those who only look.

        Raises as `migrations` does, but for what the lock file says.
        """
        return self._read(desired)

    def _read(self, desired: DesiredMigrations) -> tuple[list[Migration], MigrationError | None]:
        key = (desired.directory, desired.format, desired.alembic)
        if key not in self._sets:
            _must_be_there(desired.hooks)
            contents = read_contents(desired.directory, desired.format)
            found = migrations_of(desired.directory, contents, desired.format, desired.alembic)
            self._sets[key] = found, lock_difference(desired.directory, contents)
        return self._sets[key]

    def standings(
        self, desired: DesiredMigrations, targets: Targets, migrations: list[Migration] | None = None
    ) -> tuple[Standing, ...]:
        """Return how the migrations of the set, or those `seen`, stand, without weighing what they do."""
        return self._stand(desired, targets, self.migrations(desired) if migrations is None else migrations)[0]

    def observe(self, desired: DesiredMigrations, targets: Targets) -> ObservedMigrations:
        migrations = self.migrations(desired)
        _checked_hooks(desired.hooks, targets.engine(desired.connection))
        observed = self._look(desired, targets, migrations)
        reader = targets.reader(desired.connection)
        if reader is not None:
            observed = replace(observed, hazards=self._hazards(desired, observed, targets, reader))
        if reader is None or desired.drift == "adopt" or not any(one.record for one in observed.standings):
            return observed
        engine, memory = targets.engine(desired.connection), targets.memory(desired.connection)
        moved = changed_by_hand(engine, reader, memory)
        return replace(observed, observations=(*observed.observations, *changes_by_hand(desired, moved))) if moved else observed

    def _hazards(
        self, desired: DesiredMigrations, observed: ObservedMigrations, targets: Targets, reader: Connection
    ) -> Mapping[str, tuple[Hazard, ...]]:
        pending = [one.migration for one in to_run(observed.standings) if one.migration is not None]
        if not pending:
            return {}
        from dbops.resources.migrations.hazards import hazards_of

        engine, target = targets.engine(desired.connection), targets.target(desired.connection)
        return hazards_of(pending, self.migrations(desired), engine, reader, target)

    def _look(self, desired: DesiredMigrations, targets: Targets, migrations: list[Migration]) -> ObservedMigrations:
        """Read the ledger, and nothing else of the database."""
        found, records = self._stand(desired, targets, migrations)
        marks = [f"{one.version} {one.checksum}" for one in migrations]
        marks += [f"{one.version} {one.checksum} {one.state} {one.reached}" for one in records]
        return ObservedMigrations(
            standings=found,
            fingerprints={desired.connection: hashlib.sha256("\n".join(marks).encode()).hexdigest()},
            observations=tuple(observations(desired, found)),
            shown=_shown(found, targets.engine(desired.connection)),
            exists=targets.reader(desired.connection) is not None,
        )

    def _stand(
        self, desired: DesiredMigrations, targets: Targets, migrations: list[Migration]
    ) -> tuple[tuple[Standing, ...], list[Record]]:
        """Hold the files against the ledger, whatever statements they have."""
        engine, reader = targets.engine(desired.connection), targets.reader(desired.connection)
        ledger = targets.ledger(desired.connection, desired.table, desired.set_name)
        records = ledger.records()
        is_empty = True
        if desired.baseline is not None and reader is not None and not records:
            is_empty = not _holds_something(engine, reader)
        rules = Rules(
            engine.dialect,
            desired.out_of_order,
            lambda version: ledger.texts(version)[0],
            _baseline(desired, migrations),
            is_empty,
            desired.has_order,
        )
        return tuple(standings(migrations, records, rules)), records

    def diff(self, desired: DesiredMigrations, observed: ObservedMigrations) -> Sequence[Change]:
        new = [one for one in observed.standings if one.state == "baselined" and one.record is None]
        return [
            MigrationChange(
                address=f"{desired.address}/{standing.id}",
                action="run",
                reason=_reason(standing),
                at=standing.migration.at,
                migration=standing.migration,
                is_resumed=standing.state == "failed",
            )
            for standing in (*new, *to_run(observed.standings))
            if standing.migration is not None
        ]

    def steps(
        self, changes: Sequence[Change], desired: DesiredMigrations, observed: ObservedMigrations, targets: Targets
    ) -> Sequence[Entry]:
        planned = [change for change in changes if isinstance(change, MigrationChange)]
        baselined = {one.migration.version for one in observed.standings if one.state == "baselined" and one.migration}
        entries = []
        order = 0
        for place, change in enumerate(planned):
            steps: list[Step] = []
            if place == 0:
                steps += _hook_steps(desired, "before")
            if change.migration.version in baselined:
                steps.append(_step(desired, change.migration, BASELINE, f"{change.migration.id} counts as applied", ()))
            else:
                version = change.migration.version
                found = observed.hazards.get(version, ())
                steps.append(run_step(desired, change.migration, "up", observed.shown.get(version, ()), found))
            if place == len(planned) - 1:
                steps += _hook_steps(desired, "after")
            entries.append(Entry(change, tuple(_numbered(steps, order))))
            order += len(steps)
        return entries

    def rehearse(
        self, entries: Sequence[Entry], desired: DesiredMigrations, observed: ObservedMigrations, targets: Targets
    ) -> Rehearsal | None:
        """Run the whole set from nothing on a scratch.

        None where the database has what no file says, where a statement would reach beyond the scratch, and where one that is
        applied here does not run from nothing, so that nothing is learnt of those that are pending.
        """
        from dbops.resources.migrations.replay import BEYOND_SCRATCH, replay

        if any(one.migration is None or one.state == "baselined" for one in observed.standings):
            return None
        engine, target = targets.engine(desired.connection), targets.target(desired.connection)
        started, ran = monotonic(), ""

        def runs(id: str) -> None:
            nonlocal ran
            ran = id

        with engine.scratch(target) as conn:
            try:
                replay(self.migrations(desired), engine, conn, runs)
            except MigrationError as error:
                if error.error_code == BEYOND_SCRATCH or ran not in {one.id for one in to_run(observed.standings)}:
                    return None
                fix = f"{error.fix}; {_of_the_real(desired, observed, targets)}"
                raise RehearsalError(error.message, error.context, at=error.at, expected=error.expected, fix=fix) from error
        return Rehearsal(True, monotonic() - started, (desired.connection,))

    def call(self, call: Call, desired: DesiredMigrations, connection: str, targets: Targets, report: Report) -> int:
        session = self._session(desired, targets)
        session.runner.hear(report.told, report.done)
        match call.name:
            case "run_hook":
                files = getattr(desired.hooks, str(call.arguments["hook"]))
                return sum(session.runner.run_script(script, f"the hook {script.at.file}") for script in read_hooks(files))
            case "run_migration" | "baseline":
                if call.arguments.get(AS_APPLIED):
                    migration = self._planned_as_applied(call, desired, session)
                else:
                    migration = self._planned(call, desired)
                if call.name == BASELINE:
                    session.ledger.put(baseline_record(migration, session.runner.author))
                    return 0
                direction: Direction = "down" if call.arguments["direction"] == "down" else "up"
                version = session.versions.get(migration.version, migration.version)
                if version != migration.version:
                    migration = replace(migration, version=version)
                return session.runner.run(migration, direction, session.records.get(version))
            case _:
                raise ApplyError(f"a set of migrations plans no call {call.name!r}")

    def taking_back(
        self, desired: DesiredMigrations, targets: Targets, undo_id: str, addresses: Collection[str]
    ) -> AbstractContextManager[None]:
        return self._remembering(desired, targets, undo_id)

    def settle(self, desired: DesiredMigrations, targets: Targets, apply_id: str) -> Sequence[Change]:
        """Look again; what the database holds after an apply is what changes by hand are measured by."""
        if apply_id == NOTHING_APPLIED:
            return ()  # all that differs was seen a moment ago, and left out
        self._remember(desired, targets, apply_id)
        return self.diff(desired, self._look(desired, targets, self.migrations(desired)))

    @contextmanager
    def _remembering(self, desired: DesiredMigrations, targets: Targets, undo_id: str) -> Iterator[None]:
        yield
        self._remember(desired, targets, undo_id)

    def _remember(self, desired: DesiredMigrations, targets: Targets, apply_id: str) -> None:
        if desired.drift != "adopt":
            engine, conn = targets.engine(desired.connection), targets.writer(desired.connection)
            remember(engine, conn, targets.memory(desired.connection), apply_id)

    def _planned(self, call: Call, desired: DesiredMigrations) -> Migration:
        """Return the migration that a step was planned for, if its file is what it was."""
        version = call.arguments["version"]
        if desired.address not in self._by_version:
            self._by_version[desired.address] = {one.version: one for one in self.migrations(desired)}
        found = self._by_version[desired.address].get(version)
        if found is None or found.checksum != call.arguments["checksum"]:
            raise StalePlanError(f"the file of {version} is no longer what the plan saw", fix="make the plan again and review it")
        return found

    def _planned_as_applied(self, call: Call, desired: DesiredMigrations, session: _Session) -> Migration:
        """Return what a step was planned for by the texts of the ledger, if they are what they were."""
        record = session.records.get(str(call.arguments["version"]))
        filed = {session.versions.get(one.version, one.version): one for one in self.migrations(desired)}
        found = None
        if record is not None and record.checksum == call.arguments["checksum"]:
            found = as_applied(record, session.ledger, desired, filed.get(record.version))
        if found is None:
            raise StalePlanError(
                "the ledger no longer has what the plan saw",
                fix="make the plan again and review it",
            )
        return found

    def _session(self, desired: DesiredMigrations, targets: Targets) -> _Session:
        conn = targets.writer(desired.connection)
        session = self._sessions.get(desired.address)
        if session is None or session.conn is not conn:
            target = targets.target(desired.connection)
            ledger = targets.ledger(desired.connection, desired.table, desired.set_name)
            ledger.create()
            runner = Runner(
                conn=conn,
                engine=targets.engine(desired.connection),
                ledger=ledger,
                author=Author(self._who(), self._version, self._now),
                lock_s=target.timeouts.lock_s,
                patience=Patience(target.lock_attempts),
                each=read_hooks(desired.hooks.each),
            )
            records = {record.version: record for record in ledger.records()}
            session = _Session(conn, runner, ledger, records, aliases(self.migrations(desired), records))
            self._sessions[desired.address] = session
        return session


def _of_the_real(desired: DesiredMigrations, observed: ObservedMigrations, targets: Targets) -> str:
    """Return what can be done where a migration needs what a scratch, on which all of the set run from nothing, does not have."""
    reader = targets.reader(desired.connection)
    begins = not any(one.record for one in observed.standings)
    if begins and reader is not None and _holds_something(targets.engine(desired.connection), reader):
        return (
            "migrations run from nothing there, and the database has objects that none of them makes: let a first migration make"
            " these, and dbops migrate baseline VERSION say that it is applied; where another runner has applied migrations of"
            " the set, dbops migrate adopt; --no-rehearse leaves the scratch out"
        )
    return "migrations run from nothing there: where it needs what none of them makes, --no-rehearse leaves the scratch out"


def _holds_something(engine: Engine, conn: Connection) -> bool:
    """Tell whether somebody made objects in a database: its own schema, extensions and privileges to be are none."""
    own = Ref("schema", "", engine.features.default_schema)
    return any(ref != own and ref.kind not in ("extension", "default_privileges") for ref in engine.inspect(conn).objects)


def run_step(
    desired: DesiredMigrations,
    migration: Migration,
    direction: Direction,
    shown: Sequence[str],
    hazards: Sequence[Hazard] = (),
    *,
    is_as_applied: bool = False,
) -> Step:
    """Return the step that runs a migration; a way back may be the one that was written when it was applied."""
    title = f"migrate {migration.id}" if direction == "up" else f"migrate {migration.id} down"
    return _step(desired, migration, RUN, title, shown, direction, hazards, {AS_APPLIED: True} if is_as_applied else {})


def baseline_record(migration: Migration, author: Author) -> Record:
    """Return the record of a migration that counts as applied."""
    now = author.now()
    return Record(
        version=migration.version,
        name=migration.name,
        position=0,
        checksum=migration.checksum,
        state="baselined",
        started_at=now,
        finished_at=now,
        who=author.who,
        dbops_version=author.dbops_version,
        total=0,
    )


def _step(
    desired: DesiredMigrations,
    migration: Migration,
    name: str,
    title: str,
    shown: Sequence[str],
    direction: Direction = "up",
    hazards: Sequence[Hazard] = (),
    more: Mapping[str, object] = MappingProxyType({}),
) -> Step:
    arguments = {"version": migration.version, "direction": direction, "checksum": migration.checksum, **more}
    leads_back = name == RUN and direction == "up" and migration.down is not None and not migration.is_repeatable
    undo = Call(RUN, {**arguments, "direction": "down"}) if leads_back else None
    do = Call(name, arguments, tuple(hazards), tuple(shown))
    return Step(on=desired.connection, title=title, do=do, undo=undo, allowed=desired.allow)


def _baseline(desired: DesiredMigrations, migrations: Sequence[Migration]) -> frozenset[str]:
    """Return the versions that the manifest's baseline stands for.

    Raises:
        MigrationError: it is no version, or, where versions have no order, none that is there.
    """
    if desired.baseline is None:
        return frozenset()
    key = version_key(desired.baseline)
    last = next((one for one in migrations if desired.baseline in (one.version, one.id) or version_key(one.version) == key), None)
    if last is not None:
        return through(last, migrations, has_order=desired.has_order)
    if not desired.has_order or not key or isinstance(key[0][1], str):
        from difflib import get_close_matches

        near = get_close_matches(desired.baseline, [one.id if desired.has_order else one.version for one in migrations], 1)
        raise MigrationError(
            f"the baseline {desired.baseline!r} is no migration of the set",
            at=desired.at,
            expected="the version or id of the last one that counts as applied",
            fix=f"did you mean {near[0]}?" if near else None,
        )
    return frozenset(one.version for one in migrations if version_key(one.version) <= key)


def _hook_steps(desired: DesiredMigrations, hook: str) -> list[Step]:
    if not getattr(desired.hooks, hook):
        return []
    return [Step(on=desired.connection, title=f"hook {hook} migrations", do=Call(HOOK, {"hook": hook}))]


def _numbered(steps: Sequence[Step], first: int) -> list[Step]:
    return [replace(step, order=first + place) for place, step in enumerate(steps)]


def _hook_files(hooks: Hooks | None, root: Path) -> HookFiles:
    def absolute(names: Sequence[str] | None) -> tuple[Path, ...]:
        return tuple((root / name).absolute() for name in names or ())

    return HookFiles() if hooks is None else HookFiles(absolute(hooks.before), absolute(hooks.after), absolute(hooks.each))


def _must_be_there(hooks: HookFiles) -> None:
    """Raise MigrationError for a hook that could not be read in the middle of an apply."""
    for file in (*hooks.before, *hooks.after, *hooks.each):
        if not file.is_file():
            raise MigrationError(f"there is no file {shown(file)} for a hook", expected="an SQL file")
        read_text(file)


def _checked(migration: Migration, engine: Engine) -> int:
    if migration.kind != "sql":
        return 0
    return check(migration.up, engine) + (check(migration.down, engine) if migration.down else 0)


def _checked_hooks(hooks: HookFiles, engine: Engine) -> int:
    """Return how many statements hooks have. Raises as a run does, before anything ran."""
    return sum(check(script, engine) for script in read_hooks((*hooks.before, *hooks.after, *hooks.each)))


def _shown(found: Sequence[Standing], engine: Engine) -> Mapping[str, Sequence[str]]:
    pending = [one.migration for one in to_run(found) if one.migration is not None]
    return {migration.version: shown_of(migration, "up", engine) for migration in pending}


def shown_of(migration: Migration, direction: Direction, engine: Engine) -> tuple[str, ...]:
    """Return what people see of a migration: its first statements, or the function of a Python file that is run.

    Raises:
        MigrationError: a statement that cannot stand in a migration.
    """
    if migration.kind == "sql":
        script = migration.up if direction == "up" else migration.down
        return (shown_statements(script, engine) if script is not None else ()) or ("-- no statements",)
    names = {"python": ("up_fn", "down_fn"), "alembic": ("upgrade", "downgrade")}[migration.kind]
    return (f"-- {names[direction == 'down']}() of {Path(migration.at.file).name}",)


def shown_statements(script: Script, engine: Engine) -> tuple[str, ...]:
    """Return the first statements of a script, for people; a short one is read to its end to find what is wrong with it.

    Raises:
        MigrationError: a statement that cannot stand in a migration.
    """
    statements: Iterable[SourceStatement] = statements_of(script, engine)
    if len(script.text) <= _READ_AHEAD:
        statements = list(statements)
    shown, room = [], _SHOWN_CHARACTERS
    for statement in islice(statements, _SHOWN_STATEMENTS):
        text = statement.text if len(statement.text) <= room else f"{statement.text[:room]}…"
        shown.append(redact(text))
        room -= len(text)
        if room <= 0:
            break
    return tuple(shown)


def _reason(standing: Standing) -> str:
    if standing.state == "failed":
        return f"goes on: {standing.detail}"
    if standing.state == "baselined":
        return standing.detail
    if standing.migration is not None and standing.migration.is_repeatable and standing.record is not None:
        return "changed since it ran last"
    return standing.detail or "not applied yet"
